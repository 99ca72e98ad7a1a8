/** The page's side of the loudspeaker: hands replies to the audio thread and hears back what was played. */

import { WIRE_RATE } from "./wire.js";

/**
 * What the loudspeaker reports.
 * @typedef {object} Listener
 * @property {(id: string, at: number) => void} onstarted a reply's first sound; `at` on the page's clock, in ms
 * @property {(id: string) => void} onfinished a reply was played to its end
 * @property {(id: string, heardMs: number) => void} onflushed a reply was cut
 * @property {(level: number) => void} onlevel loudness of the last 43 ms, root mean square, 0 to 1
 */

/** What went through the loudspeaker since the page was loaded; tests read it. */
export class Meter {
  constructor() {
    /** Seconds of non-silence played, and the sum of level squared times seconds. */
    this.seconds = 0;
    this.energy = 0;
    this.flushes = 0;
    this.starved = 0;
    /** Hz of `wave`; 0 before the first call. */
    this.rate = 0;
    /** Whether what is played is kept in `wave`. */
    this.recording = false;
    /** What was played, block by block. @type {Float32Array[]} */
    this.wave = [];
  }

  /** @param {{level: number, seconds: number, tapped: Float32Array[] | null}} report of a worklet: root mean square of so long */
  measure({ level, seconds, tapped }) {
    if (level > 0) this.seconds += seconds;
    this.energy += level * level * seconds;
    if (tapped) this.wave.push(...tapped);
  }
}

export class Playback {
  /**
   * @param {AudioContext} context
   * @param {Listener} listener
   * @param {Meter} meter
   */
  constructor(context, listener, meter) {
    this.context = context;
    this.listener = listener;
    this.meter = meter;
    this.node = new AudioWorkletNode(context, "playback", {
      numberOfInputs: 0,
      outputChannelCount: [1],
      processorOptions: { rate: WIRE_RATE },
    });
    this.node.port.onmessage = ({ data }) => this.#hear(data);
    this.node.connect(context.destination);
    meter.rate = context.sampleRate;
    if (meter.recording) this.node.port.postMessage({ type: "tap" });
  }

  /**
   * @param {AudioContext} context
   * @param {Listener} listener
   * @param {Meter} meter
   * @returns {Promise<Playback>}
   */
  static async open(context, listener, meter) {
    await context.audioWorklet.addModule(new URL("./playback-worklet.js", import.meta.url));
    return new Playback(context, listener, meter);
  }

  /**
   * @param {string} id of the reply
   * @param {Int16Array} pcm at the wire's rate; handed over, not to be used again
   */
  push(id, pcm) {
    this.node.port.postMessage({ type: "push", id, pcm }, [pcm.buffer]);
  }

  /** @param {string} id of the reply of which no more will come */
  end(id) {
    this.node.port.postMessage({ type: "end", id });
  }

  /** @param {boolean} stands whether what waits stands still, to the sample, or goes on */
  pause(stands) {
    this.node.port.postMessage({ type: "pause", stands });
  }

  /** Falls silent at once. What was heard of each reply comes back by `onflushed`. */
  flush() {
    this.meter.flushes++;
    this.node.port.postMessage({ type: "flush" });
  }

  close() {
    this.node.port.onmessage = null;
    this.node.disconnect();
  }

  /** @param {any} report of the worklet */
  #hear(report) {
    if (report.type === "progress") {
      this.meter.measure(report);
      this.listener.onlevel(report.level);
    } else if (report.type === "started") this.listener.onstarted(report.id, this.#pageTime(report.at));
    else if (report.type === "finished") this.listener.onfinished(report.id);
    else if (report.type === "starved") this.meter.starved++;
    else for (const { id, heardMs } of report.replies) this.listener.onflushed(id, heardMs);
  }

  /**
   * @param {number} at seconds of the context's clock, when a sample was handed to the device
   * @returns {number} when it is heard, in milliseconds of performance.now()
   */
  #pageTime(at) {
    const latency = this.context.outputLatency || this.context.baseLatency || 0;
    return performance.now() + 1000 * (at - this.context.currentTime + latency);
  }
}
