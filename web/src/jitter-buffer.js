/**
 * The queue between the network and the loudspeaker, and the only place that knows what has been heard.
 *
 * Replies are queued in order. A reply starts once `start` samples of it wait (or all of it has come); when it
 * runs dry before its end, the next wait is `step` longer, up to `most`. Pure: no clock, no port, samples only.
 */

/** @typedef {{start: number, step: number, most: number, fade: number}} Limits all in samples */
/** @typedef {{type: "started" | "starved" | "finished", id: string, offset: number}} Sign
 *   `offset`: samples into the block being pulled at which it happened */
/** @typedef {{id: string, played: number, received: number}} Heard in samples */

class Reply {
  /** @param {string} id */
  constructor(id) {
    this.id = id;
    /** @type {Float32Array[]} */
    this.chunks = [];
    this.waiting = 0;
    this.received = 0;
    this.played = 0;
    this.ended = false;
  }

  /**
   * Takes up to `out.length` waiting samples.
   * @param {Float32Array} out
   * @returns {number} samples taken
   */
  take(out) {
    let taken = 0;
    while (taken < out.length && this.chunks.length > 0) {
      const head = this.chunks[0];
      const n = Math.min(head.length, out.length - taken);
      out.set(head.subarray(0, n), taken);
      taken += n;
      if (n === head.length) this.chunks.shift();
      else this.chunks[0] = head.subarray(n);
    }
    this.waiting -= taken;
    this.played += taken;
    return taken;
  }
}

export class JitterBuffer {
  /** @param {Limits} limits */
  constructor(limits) {
    this.limits = limits;
    /** Samples that must wait before a reply starts or goes on. */
    this.target = limits.start;
    /** @type {Reply[]} */
    this.replies = [];
    /** Replies that were flushed: what still arrives of them is dropped. @type {Set<string>} */
    this.closed = new Set();
    this.playing = false;
    /** The last few samples of a flushed reply, on their way to silence. @type {Float32Array} */
    this.tail = new Float32Array(0);
  }

  /** Samples waiting to be played. */
  get waiting() {
    return this.replies.reduce((sum, reply) => sum + reply.waiting, 0);
  }

  /**
   * @param {string} id of the reply
   * @param {Float32Array} samples
   */
  push(id, samples) {
    if (this.closed.has(id) || samples.length === 0) return;
    const reply = this.#reply(id);
    reply.chunks.push(samples);
    reply.waiting += samples.length;
    reply.received += samples.length;
  }

  /**
   * Says that no more of a reply will come.
   * @param {string} id
   */
  end(id) {
    if (!this.closed.has(id)) this.#reply(id).ended = true;
  }

  /**
   * Fills a block for the loudspeaker, with silence where there is nothing to say.
   * @param {Float32Array} out
   * @returns {Sign[]} what happened within the block
   */
  pull(out) {
    /** @type {Sign[]} */
    const signs = [];
    let at = this.#fade(out);
    while (at < out.length && this.replies.length > 0) {
      const reply = this.replies[0];
      if (!this.playing && !this.#begin(reply, at, signs)) break;
      at += reply.take(out.subarray(at));
      if (reply.waiting > 0) break;
      if (reply.ended) this.#finish(reply, at, signs);
      else if (at < out.length) this.#starve(reply, at, signs);
    }
    out.fill(0, at);
    return signs;
  }

  /**
   * Drops everything at once, but for a fade of a few milliseconds against the click.
   * @returns {Heard[]} what was played of each reply that had not finished, the fade counted as played
   */
  flush() {
    const reply = this.replies[0];
    if (reply && this.playing) this.tail = this.#fadeOut(reply);
    const heard = this.replies.map(({ id, played, received }) => ({ id, played, received }));
    for (const { id } of this.replies) this.closed.add(id);
    this.replies = [];
    this.playing = false;
    return heard;
  }

  /** @param {string} id */
  #reply(id) {
    let reply = this.replies.find((known) => known.id === id);
    if (!reply) {
      reply = new Reply(id);
      this.replies.push(reply);
    }
    return reply;
  }

  /**
   * @param {Reply} reply
   * @param {number} offset
   * @param {Sign[]} signs
   * @returns {boolean} whether the reply may be played now
   */
  #begin(reply, offset, signs) {
    if (!reply.ended && reply.waiting < this.target) return false;
    this.playing = true;
    if (reply.played === 0 && reply.waiting > 0) signs.push({ type: "started", id: reply.id, offset });
    return true;
  }

  /**
   * @param {Reply} reply
   * @param {number} offset
   * @param {Sign[]} signs
   */
  #finish(reply, offset, signs) {
    this.replies.shift();
    this.closed.add(reply.id);
    this.playing = false;
    signs.push({ type: "finished", id: reply.id, offset });
  }

  /**
   * @param {Reply} reply
   * @param {number} offset
   * @param {Sign[]} signs
   */
  #starve(reply, offset, signs) {
    this.playing = false;
    this.target = Math.min(this.target + this.limits.step, this.limits.most);
    signs.push({ type: "starved", id: reply.id, offset });
  }

  /**
   * @param {Reply} reply
   * @returns {Float32Array}
   */
  #fadeOut(reply) {
    const tail = new Float32Array(this.limits.fade);
    const n = reply.take(tail);
    return tail.subarray(0, n).map((sample, i) => sample * (1 - (i + 1) / n));
  }

  /**
   * @param {Float32Array} out
   * @returns {number} samples written
   */
  #fade(out) {
    const n = Math.min(this.tail.length, out.length);
    out.set(this.tail.subarray(0, n));
    this.tail = this.tail.subarray(n);
    return n;
  }
}
