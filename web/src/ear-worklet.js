/** The server's voice on the audio thread, on its way to the loudspeaker: passed on as it is, and measured. */

/** Blocks of 128 frames between two reports: 10.7 ms at 48 kHz, as the first sound is to be noticed soon. */
const REPORT_EVERY = 4;

class EarProcessor extends AudioWorkletProcessor {
  /** @param {AudioWorkletNodeOptions} options */
  constructor(options) {
    super(options);
    this.blocks = 0;
    this.energy = 0;
    /** Copies of what was played, when a test listens. @type {Float32Array[] | null} */
    this.tap = null;
    this.port.onmessage = () => (this.tap = []);
  }

  /**
   * @param {Float32Array[][]} inputs
   * @param {Float32Array[][]} outputs
   * @returns {boolean} true: keep alive
   */
  process(inputs, outputs) {
    const heard = inputs[0][0];
    const played = outputs[0][0];
    if (heard) played.set(heard);
    this.#report(played);
    return true;
  }

  /** @param {Float32Array} block that is played */
  #report(block) {
    for (const sample of block) this.energy += sample * sample;
    this.tap?.push(block.slice());
    if (++this.blocks % REPORT_EVERY) return;
    const frames = REPORT_EVERY * block.length;
    const level = Math.sqrt(this.energy / frames);
    const at = currentTime - (frames - block.length) / sampleRate;
    this.port.postMessage({ level, at, seconds: frames / sampleRate, tapped: this.tap });
    this.energy = 0;
    if (this.tap) this.tap = [];
  }
}

registerProcessor("ear", EarProcessor);
