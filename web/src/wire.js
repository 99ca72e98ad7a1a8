/**
 * The events on the wire: the part of the OpenAI Realtime GA protocol that a conversation needs, and camera frames.
 * The only file of the page that knows how an event looks in JSON.
 */

/** Samples a second of PCM16 on the wire, both ways. */
export const WIRE_RATE = 24_000;

/** @typedef {{type: string, [field: string]: any}} WireEvent */

/** What the server sent was not an event. */
export class WireError extends Error {}

/**
 * @param {Uint8Array} bytes
 * @returns {string} base64
 */
export function toBase64(bytes) {
  let text = "";
  for (let i = 0; i < bytes.length; i += 8192) text += String.fromCharCode(...bytes.subarray(i, i + 8192));
  return btoa(text);
}

/**
 * @param {string} text base64
 * @returns {Uint8Array}
 * @throws {WireError} when the text is not base64
 */
export function fromBase64(text) {
  try {
    return Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
  } catch {
    throw new WireError(`not base64: ${text.slice(0, 20)}`);
  }
}

/**
 * @param {Int16Array} samples
 * @returns {Uint8Array} little-endian bytes, `[2 n]`
 */
export function pcmToBytes(samples) {
  const view = new DataView(new ArrayBuffer(2 * samples.length));
  samples.forEach((sample, i) => view.setInt16(2 * i, sample, true));
  return new Uint8Array(view.buffer);
}

/**
 * @param {Uint8Array} bytes little-endian
 * @returns {Int16Array}
 * @throws {WireError} when the length is odd
 */
export function bytesToPcm(bytes) {
  if (bytes.length % 2) throw new WireError(`PCM16 of ${bytes.length} bytes, expected an even number`);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  return Int16Array.from({ length: bytes.length / 2 }, (_, i) => view.getInt16(2 * i, true));
}

/**
 * @param {unknown} text what came in
 * @returns {WireEvent}
 * @throws {WireError} when it is not a JSON object with a type
 */
export function parse(text) {
  if (typeof text !== "string") throw new WireError("a binary message, expected JSON text");
  /** @type {any} */
  let event;
  try {
    event = JSON.parse(text);
  } catch {
    throw new WireError(`not JSON: ${text.slice(0, 40)}`);
  }
  if (typeof event !== "object" || event === null || typeof event.type !== "string") {
    throw new WireError(`no event type in ${text.slice(0, 40)}`);
  }
  return event;
}

/**
 * @param {unknown} text what came in
 * @returns {WireEvent} that, or a notice which says that it was none
 */
export function parseOr(text) {
  try {
    return parse(text);
  } catch (problem) {
    if (!(problem instanceof WireError)) throw problem;
    return { type: "page.notice", kind: "error", text: `The server sent something odd: ${problem.message}` };
  }
}

/**
 * @param {WireEvent} event a `response.output_audio.delta`
 * @returns {Int16Array} its samples at the wire's rate
 * @throws {WireError} when they cannot be decoded
 */
export function audioOf(event) {
  if (typeof event.delta !== "string") throw new WireError(`${event.type} without delta`);
  return bytesToPcm(fromBase64(event.delta));
}

/**
 * Asks for spoken answers and for captions of the person's own words; all else stays as the server has it.
 * @param {string} voice whose answers are heard; empty: whose the server likes
 * @returns {WireEvent}
 */
export function sessionUpdate(voice = "") {
  const format = { type: "audio/pcm", rate: WIRE_RATE };
  return {
    type: "session.update",
    session: {
      type: "realtime",
      output_modalities: ["audio"],
      audio: { input: { format, transcription: { model: "kitten" } }, output: voice ? { format, voice } : { format } },
      extensions: ["response.metrics", "output_audio_buffer.paused"],
    },
  };
}

/** @returns {WireEvent} by itself, for a server that records nothing refuses all that comes with it */
export function consent() {
  return { type: "session.update", session: { type: "realtime", recording: true } };
}

/**
 * @param {Int16Array} samples at the wire's rate
 * @returns {WireEvent}
 */
export function audioAppend(samples) {
  return { type: "input_audio_buffer.append", audio: toBase64(pcmToBytes(samples)) };
}

/**
 * @param {string} image base64 of a JPEG
 * @param {number} timestampMs on the time line of the audio sent: the audio's length when the picture was taken
 * @param {"camera" | "screen"} source
 * @returns {WireEvent}
 */
export function imageAppend(image, timestampMs, source) {
  return { type: "input_image_buffer.append", image, timestamp_ms: Math.round(timestampMs), source };
}

/**
 * Tells how much of a reply was heard.
 * @param {string} itemId
 * @param {number} heardMs
 * @returns {WireEvent}
 */
export function truncate(itemId, heardMs) {
  return { type: "conversation.item.truncate", item_id: itemId, content_index: 0, audio_end_ms: Math.floor(heardMs) };
}

/** @returns {WireEvent} */
export function cancel() {
  return { type: "response.cancel" };
}
