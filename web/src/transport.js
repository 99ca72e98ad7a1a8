/** The WebSocket to the server, events in both directions, and the addresses there. */

import { parseOr } from "./wire.js";

/** @typedef {import("./wire.js").WireEvent} WireEvent */

/**
 * @typedef {object} Listener
 * @property {(event: WireEvent) => void} onevent
 * @property {(reason: string | null) => void} onclose once; the reason in plain words, null when this side closed
 */

/** Bytes that may wait in the socket before pictures are left out. */
const CROWDED = 256 * 1024;

/** The connection was not made. */
export class ConnectionError extends Error {}

/**
 * @param {Location | URL} page
 * @returns {string} the server's address, on the host the page came from
 */
export function serverAddress(page) {
  const url = new URL("/v1/realtime?model=kitten", page.href);
  url.protocol = page.protocol === "https:" ? "wss:" : "ws:";
  return url.href;
}

/**
 * @param {Location | URL} page
 * @returns {string} where a call by WebRTC is offered
 */
export function callAddress(page) {
  return new URL("/v1/realtime/calls?model=kitten", page.href).href;
}

/**
 * @param {Location | URL} page
 * @returns {string} where it is asked by which servers a call finds its way
 */
export function iceAddress(page) {
  return new URL("/v1/realtime/ice_servers", page.href).href;
}

export class Transport {
  /**
   * @param {WebSocket} socket open
   * @param {Listener} listener
   */
  constructor(socket, listener) {
    this.socket = socket;
    this.listener = listener;
    this.leaving = false;
    socket.onmessage = ({ data }) => listener.onevent(parseOr(data));
    socket.onclose = (event) => listener.onclose(this.leaving ? null : whyClosed(event));
    socket.onerror = null;
  }

  /**
   * @param {string} url
   * @param {Listener} listener
   * @returns {Promise<Transport>}
   * @throws {ConnectionError} when the server cannot be reached or says no
   */
  static connect(url, listener) {
    return new Promise((resolve, reject) => {
      const socket = new WebSocket(url, "realtime");
      socket.onopen = () => resolve(new Transport(socket, listener));
      socket.onclose = ({ reason }) =>
        reject(new ConnectionError(reason || "The server cannot be reached. Is it running?"));
    });
  }

  /** Whether the network is behind, so that pictures should wait. */
  get crowded() {
    return this.socket.bufferedAmount > CROWDED;
  }

  /** @param {WireEvent} event */
  send(event) {
    if (this.socket.readyState === WebSocket.OPEN) this.socket.send(JSON.stringify(event));
  }

  /** Hangs up. */
  close() {
    this.leaving = true;
    this.socket.close(1000);
  }
}

/**
 * @param {CloseEvent} event
 * @returns {string}
 */
function whyClosed({ code, reason }) {
  if (reason) return `The server ended the call: ${reason}`;
  if (code === 1000 || code === 1001) return "The server ended the call.";
  return "The connection was lost. Press Start to call again.";
}
