/** A line by WebSocket: sound and pictures are events, and the page plays the replies itself. */

import { JPEG_QUALITY } from "./capture.js";
import { Playback } from "./playback.js";
import { serverAddress, Transport } from "./transport.js";
import { audioAppend, audioOf, consent, imageAppend, truncate } from "./wire.js";

/** @typedef {import("./wire.js").WireEvent} WireEvent */
/** @typedef {import("./line.js").Listener} Listener */

export class SocketLine {
  /** @type {"websocket"} */
  kind = "websocket";

  /**
   * @param {Listener} listener
   * @param {Playback} playback
   */
  constructor(listener, playback) {
    this.listener = listener;
    this.playback = playback;
    /** @type {Transport | null} */
    this.transport = null;
    /** Replies handed to the loudspeaker and not played to their end. @type {Set<string>} */
    this.sounding = new Set();
  }

  /**
   * @param {import("./line.js").Parts} parts
   * @returns {Promise<SocketLine>}
   * @throws {import("./transport.js").ConnectionError}
   */
  static async open({ context, meter, page, recording, listener }) {
    /** @type {SocketLine} */
    let line;
    const speaker = {
      onlevel: listener.onlevel,
      onstarted: listener.onstarted,
      onfinished: (/** @type {string} */ id) => line.#finished(id),
      onflushed: (/** @type {string} */ id, /** @type {number} */ heardMs) => line.#cut(id, heardMs),
    };
    const playback = await Playback.open(context, speaker, meter);
    line = new SocketLine(listener, playback);
    const events = { onevent: (/** @type {WireEvent} */ event) => line.#receive(event), onclose: listener.onclose };
    try {
      line.transport = await Transport.connect(serverAddress(page), events);
    } catch (problem) {
      playback.close();
      throw problem;
    }
    if (recording) line.send(consent());
    return line;
  }

  /** @param {WireEvent} event */
  send(event) {
    this.transport?.send(event);
    this.listener.onsent(event);
  }

  /** @param {Int16Array} pcm */
  record(pcm) {
    this.send(audioAppend(pcm));
  }

  /**
   * @param {HTMLCanvasElement} picture
   * @param {number} timestampMs
   * @param {"camera" | "screen"} source
   */
  show(picture, timestampMs, source) {
    if (this.transport?.crowded) return;
    const jpeg = picture.toDataURL("image/jpeg", JPEG_QUALITY).split(",")[1];
    if (jpeg) this.send(imageAppend(jpeg, timestampMs, source));
  }

  /** Pictures that are not sent need no taking back. */
  hide() {}

  silence() {
    if (this.sounding.size > 0) this.playback.flush();
  }

  /** @param {boolean} stands */
  pause(stands) {
    this.playback.pause(stands);
  }

  /** @param {number} audioEndMs on the time line of the sound sent, which is that of the sound recorded */
  soundEnd(audioEndMs) {
    return audioEndMs;
  }

  close() {
    this.transport?.close();
    this.playback.close();
  }

  /** @param {WireEvent} event */
  #receive(event) {
    this.listener.onevent(event);
    if (event.type === "response.output_audio.delta") {
      this.sounding.add(event.item_id);
      this.playback.push(event.item_id, audioOf(event));
    } else if (event.type === "response.output_audio.done") this.playback.end(event.item_id);
    else if (event.type === "response.done") {
      for (const item of event.response.output ?? []) if (this.sounding.has(item.id)) this.playback.end(item.id);
    }
  }

  /** @param {string} id */
  #finished(id) {
    this.sounding.delete(id);
    this.listener.onfinished(id);
  }

  /**
   * @param {string} id
   * @param {number} heardMs
   */
  #cut(id, heardMs) {
    this.sounding.delete(id);
    this.send(truncate(id, heardMs));
    this.listener.oncut(id, heardMs);
  }
}
