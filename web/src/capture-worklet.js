/** The microphone on the audio thread: any rate in, packets of 40 ms of PCM16 at the wire's rate out. */

import { Resampler } from "./resampler.js";

/** @typedef {{pcm: Int16Array, level: number}} Packet `level`: root mean square, 0 to 1 */

/** Frames in one block when the microphone gives none (Web Audio's render quantum). */
const QUANTUM = 128;

class CaptureProcessor extends AudioWorkletProcessor {
  /** @param {AudioWorkletNodeOptions} options processorOptions: {rate: Hz, packet: samples at that rate} */
  constructor(options) {
    super(options);
    const { rate, packet } = options.processorOptions;
    this.resampler = new Resampler(sampleRate, rate);
    this.packet = new Int16Array(packet);
    this.filled = 0;
    this.energy = 0;
  }

  /**
   * @param {Float32Array[][]} inputs
   * @returns {boolean} true: keep alive
   */
  process(inputs) {
    const block = inputs[0][0] ?? new Float32Array(QUANTUM);
    for (const sample of this.resampler.push(block)) this.#add(sample);
    return true;
  }

  /** @param {number} sample */
  #add(sample) {
    this.packet[this.filled++] = Math.round(32767 * Math.max(-1, Math.min(1, sample)));
    this.energy += sample * sample;
    if (this.filled < this.packet.length) return;
    const pcm = this.packet.slice();
    this.port.postMessage({ pcm, level: Math.sqrt(this.energy / pcm.length) }, [pcm.buffer]);
    this.filled = 0;
    this.energy = 0;
  }
}

registerProcessor("capture", CaptureProcessor);
