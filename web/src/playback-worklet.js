/** The loudspeaker on the audio thread: replies at the wire's rate in, the jitter buffer, sound and reports out. */

import { JitterBuffer } from "./jitter-buffer.js";
import { Resampler } from "./resampler.js";

/** Blocks of 128 frames between two reports: 43 ms at 48 kHz. */
const REPORT_EVERY = 16;

/** How long a reply waits before it sounds, and the limits of that wait, in milliseconds. */
const WAIT_MS = { start: 60, step: 80, most: 400, fade: 5 };

/** @typedef {{type: "push", id: string, pcm: Int16Array} | {type: "end", id: string}} Supply */
/** @typedef {Supply | {type: "flush"} | {type: "pause", stands: boolean} | {type: "tap"}} Order */

/** @param {number} ms */
const samples = (ms) => Math.round((ms * sampleRate) / 1000);

class PlaybackProcessor extends AudioWorkletProcessor {
  /** @param {AudioWorkletNodeOptions} options processorOptions: {rate: Hz of what is pushed} */
  constructor(options) {
    super(options);
    this.rate = options.processorOptions.rate;
    this.buffer = new JitterBuffer({
      start: samples(WAIT_MS.start),
      step: samples(WAIT_MS.step),
      most: samples(WAIT_MS.most),
      fade: samples(WAIT_MS.fade),
    });
    /** One a reply, as its filter remembers what came before. @type {Map<string, Resampler>} */
    this.resamplers = new Map();
    this.blocks = 0;
    this.energy = 0;
    this.stands = false;
    /** Copies of what was played, when a test listens. @type {Float32Array[] | null} */
    this.tap = null;
    this.port.onmessage = ({ data }) => this.#obey(data);
  }

  /**
   * @param {Float32Array[][]} _inputs none
   * @param {Float32Array[][]} outputs
   * @returns {boolean} true: keep alive
   */
  process(_inputs, outputs) {
    const [first, ...others] = outputs[0];
    for (const { type, id, offset } of this.stands ? [] : this.buffer.pull(first)) {
      this.port.postMessage({ type, id, at: currentTime + offset / sampleRate });
    }
    for (const channel of others) channel.set(first);
    this.#report(first);
    return true;
  }

  /** @param {Order} order */
  #obey(order) {
    if (order.type === "push") {
      const wave = Float32Array.from(order.pcm, (sample) => sample / 32768);
      this.buffer.push(order.id, this.#resampler(order.id).push(wave));
    } else if (order.type === "end") {
      this.buffer.push(order.id, this.#resampler(order.id).flush());
      this.buffer.end(order.id);
      this.resamplers.delete(order.id);
    } else if (order.type === "flush") {
      this.stands = false;
      const heard = this.buffer.flush();
      this.resamplers.clear();
      this.port.postMessage({
        type: "flushed",
        replies: heard.map(({ id, played }) => ({ id, heardMs: (1000 * played) / sampleRate })),
      });
    } else if (order.type === "pause") {
      this.stands = order.stands;
    } else {
      this.tap = [];
    }
  }

  /** @param {string} id */
  #resampler(id) {
    const resampler = this.resamplers.get(id) ?? new Resampler(this.rate, sampleRate);
    this.resamplers.set(id, resampler);
    return resampler;
  }

  /** @param {Float32Array} block that was played */
  #report(block) {
    for (const sample of block) this.energy += sample * sample;
    this.tap?.push(block.slice());
    if (++this.blocks % REPORT_EVERY) return;
    const level = Math.sqrt(this.energy / (REPORT_EVERY * block.length));
    const [reply] = this.buffer.replies;
    this.port.postMessage({
      type: "progress",
      level,
      seconds: (REPORT_EVERY * block.length) / sampleRate,
      playing: this.buffer.playing && reply ? { id: reply.id, heardMs: (1000 * reply.played) / sampleRate } : null,
      tapped: this.tap,
    });
    this.energy = 0;
    if (this.tap) this.tap = [];
  }
}

registerProcessor("playback", PlaybackProcessor);
