/**
 * When did the person stop speaking? The server says at which sample it noticed, which includes the silence it
 * waited for; the page knows how loud each packet was and when it was recorded. Pure; the time is passed in.
 */

/** Packets kept, in milliseconds of audio. */
const MEMORY_MS = 15_000;

/** How far before the server's mark the last sound may lie. */
const LOOK_BACK_MS = 3_000;

/** Speech is louder than this share of the loudest packet remembered (-20 dB) ... */
const SHARE = 0.1;

/** ... and than this root mean square of full scale (-46 dBFS). */
const FLOOR = 0.005;

export class SpeechClock {
  constructor() {
    /** @type {{endMs: number, level: number, at: number}[]} */
    this.packets = [];
    /** Length of the audio sent so far. */
    this.sentMs = 0;
  }

  /**
   * @param {number} durationMs of a packet sent
   * @param {number} level root mean square, 0 to 1
   * @param {number} at when its last sample was recorded, in milliseconds of any clock
   */
  sent(durationMs, level, at) {
    this.sentMs += durationMs;
    this.packets.push({ endMs: this.sentMs, level, at });
    while (this.packets[0].endMs < this.sentMs - MEMORY_MS) this.packets.shift();
  }

  /**
   * @param {number} audioEndMs where the server put the end of speech, on the time line of the audio sent
   * @returns {number | null} when the last loud packet before that was recorded; null when none is remembered
   */
  endOfSpeech(audioEndMs) {
    const near = this.packets.filter(({ endMs }) => endMs <= audioEndMs + 40 && endMs > audioEndMs - LOOK_BACK_MS);
    if (near.length === 0) return null;
    const loudest = Math.max(...this.packets.map(({ level }) => level));
    const threshold = Math.max(FLOOR, SHARE * loudest);
    return (near.findLast(({ level }) => level >= threshold) ?? near[near.length - 1]).at;
  }
}
