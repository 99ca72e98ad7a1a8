/** The way to the server: by WebRTC where that gets through, else by WebSocket. */

import { RtcLine } from "./rtc-line.js";
import { SocketLine } from "./socket-line.js";
import { ConnectionError } from "./transport.js";

/** @typedef {import("./wire.js").WireEvent} WireEvent */

/**
 * What a line tells its call.
 * @typedef {object} Listener
 * @property {(event: WireEvent) => void} onevent an event of the server
 * @property {(event: WireEvent) => void} onsent an event that went out
 * @property {(reason: string | null) => void} onclose once; the reason in plain words, null when this side closed
 * @property {(level: number) => void} onlevel loudness of what is played, root mean square, 0 to 1
 * @property {(id: string, at: number) => void} onstarted a reply's first sound, on the page's clock in ms
 * @property {(id: string) => void} onfinished a reply was played to its end
 * @property {(id: string, heardMs: number) => void} oncut a reply was cut
 */

/**
 * What a line is made of.
 * @typedef {object} Parts
 * @property {AudioContext} context
 * @property {MediaStream} microphone
 * @property {import("./playback.js").Meter} meter
 * @property {Location | URL} page where the page came from, and so where the server is
 * @property {boolean} recording the person lets the server record; a server wants to know before anything is said
 * @property {Listener} listener
 */

/**
 * @typedef {object} Line
 * @property {"webrtc" | "websocket"} kind
 * @property {(event: WireEvent) => void} send
 * @property {(pcm: Int16Array) => void} record a packet of the microphone
 * @property {(picture: HTMLCanvasElement, timestampMs: number, source: "camera" | "screen") => void} show
 * @property {() => void} hide nothing is shown any more
 * @property {() => void} silence the person speaks: whatever is being said falls silent at once
 * @property {(stands: boolean) => void} pause the person makes a sound, and what is being said waits; or it goes on
 * @property {(audioEndMs: number, sentMs: number) => number} soundEnd where the server's end of speech lies in the sound recorded
 * @property {() => void} close
 */

/**
 * @param {Parts} parts
 * @returns {Promise<Line>}
 * @throws {ConnectionError} when the server cannot be reached or says no
 */
export async function openLine(parts) {
  if (typeof RTCPeerConnection === "function" && !parts.page.search.includes("websocket")) {
    try {
      return await RtcLine.open(parts);
    } catch (problem) {
      if (!(problem instanceof ConnectionError)) throw problem;
    }
  }
  return SocketLine.open(parts);
}
