/** A line by WebRTC: sound and pictures are tracks, events go over a data channel, and the server paces its replies. */

import { callAddress, ConnectionError, iceAddress } from "./transport.js";
import { consent, parseOr } from "./wire.js";

/** @typedef {import("./wire.js").WireEvent} WireEvent */
/** @typedef {import("./line.js").Listener} Listener */

/** How long a connection may take before the WebSocket is tried: a firewall swallows packets without a word. */
const CONNECT_MS = 4000;

/** The same where STUN and TURN servers have to be asked first, by both sides. */
const CONNECT_BY_SERVERS_MS = 10_000;

/** How long the offer waits for addresses that those servers give. */
const GATHER_MS = 3000;

/** Root mean square from which on a reply sounds, -50 dBFS. */
const SOUND = 0.003;

export class RtcLine {
  /** @type {"webrtc"} */
  kind = "webrtc";

  /**
   * @param {RTCPeerConnection} connection
   * @param {import("./line.js").Parts} parts
   */
  constructor(connection, { context, meter, listener, microphone }) {
    this.connection = connection;
    this.context = context;
    this.meter = meter;
    this.listener = listener;
    connection.addTrack(microphone.getAudioTracks()[0], microphone);
    this.pictures = connection.addTransceiver("video", { direction: "sendonly" });
    this.channel = connection.createDataChannel("oai-events");
    /** What the pictures are drawn on. @type {HTMLCanvasElement | null} */
    this.canvas = null;
    /** @type {CanvasCaptureMediaStreamTrack | null} */
    this.film = null;
    /** The reply whose sound has been announced, and whether it has come. @type {{id: string, heard: boolean} | null} */
    this.reply = null;
    /** By response, the item that sounds. @type {Map<string, string>} */
    this.items = new Map();
    this.leaving = false;
    /** Parts of the sound's way out. @type {(() => void)[]} */
    this.closers = [];
  }

  /**
   * @param {import("./line.js").Parts} parts
   * @returns {Promise<RtcLine>}
   * @throws {ConnectionError} when the call does not come about
   */
  static async open(parts) {
    /** @type {RtcLine | undefined} */
    let line;
    try {
      const network = await within(CONNECT_MS, ask(parts.page));
      const byServers = network.iceServers.length > 0;
      line = new RtcLine(new RTCPeerConnection(network), parts);
      await within(byServers ? CONNECT_BY_SERVERS_MS : CONNECT_MS, line.#dial(parts, byServers));
    } catch (problem) {
      line?.close();
      throw new ConnectionError(`no call by WebRTC: ${problem}`);
    }
    line.#watch();
    return line;
  }

  /** @param {WireEvent} event */
  send(event) {
    if (this.channel.readyState === "open") this.channel.send(JSON.stringify(event));
    this.listener.onsent(event);
  }

  /** The microphone is a track of its own. */
  record() {}

  /**
   * The server decodes two pictures a second, so no more are sent: a film at 30 would cost the network fifteen times as much.
   * @param {HTMLCanvasElement} picture always the same one, until another thing is shown
   */
  show(picture) {
    if (picture !== this.canvas) {
      this.film?.stop();
      this.canvas = picture;
      const [track] = picture.captureStream(0).getVideoTracks();
      track.contentHint = "detail";
      this.film = /** @type {CanvasCaptureMediaStreamTrack} */ (track);
      void this.pictures.sender.replaceTrack(track);
    }
    this.film?.requestFrame();
  }

  /** Without this the browser may send the last picture again, and the model would see what is no longer shown. */
  hide() {
    this.film?.stop();
    this.film = this.canvas = null;
    void this.pictures.sender.replaceTrack(null);
  }

  /** The server has heard it too, and stops within a packet. */
  silence() {}

  /** @param {boolean} _stands the server sees to it */
  pause(_stands) {}

  /**
   * The server's time line begins when its first packet comes, which nobody knows here; its word comes soon after.
   * @param {number} _audioEndMs
   * @param {number} sentMs
   */
  soundEnd(_audioEndMs, sentMs) {
    return sentMs;
  }

  close() {
    this.leaving = true;
    for (const close of this.closers.reverse()) close();
    this.closers = [];
    this.film?.stop();
    this.connection.close();
  }

  /**
   * @param {import("./line.js").Parts} parts
   * @param {boolean} byServers whether there are addresses to wait for; the server learns the browser's own from its packets
   */
  async #dial({ page, recording }, byServers) {
    const { connection, channel } = this;
    const opened = new Promise((resolve, reject) => {
      channel.onopen = resolve;
      channel.onclose = channel.onerror = reject;
    });
    opened.catch(() => {}); // waited for below, unless something else fails first
    connection.ontrack = ({ track }) => void this.#hear(new MediaStream([track]));
    channel.onmessage = ({ data }) => this.#receive(parseOr(data));
    const addresses = byServers ? gathered(connection) : null;
    await connection.setLocalDescription();
    await addresses;
    const body = new FormData();
    body.set("sdp", connection.localDescription?.sdp ?? "");
    if (recording) body.set("session", JSON.stringify(consent().session));
    const answer = await fetch(callAddress(page), { method: "POST", body });
    if (answer.status !== 201) throw new ConnectionError(`the server answered ${answer.status}`);
    await connection.setRemoteDescription({ type: "answer", sdp: await answer.text() });
    await opened;
  }

  /** From now on, what ends the connection ends the call. */
  #watch() {
    const { connection, channel, listener } = this;
    let over = false;
    const end = (/** @type {string} */ reason) => {
      if (over) return;
      over = true;
      listener.onclose(this.leaving ? null : reason);
    };
    channel.onclose = () => end("The server ended the call.");
    connection.onconnectionstatechange = () => {
      if (connection.connectionState === "failed") end("The connection was lost. Press Start to call again.");
    };
  }

  /**
   * The server's voice: through the meter to the loudspeaker.
   * @param {MediaStream} stream
   */
  async #hear(stream) {
    // Chromium gives Web Audio the sound of a remote track only while an element plays it.
    const element = new Audio();
    element.muted = true;
    element.srcObject = stream;
    void element.play().catch(() => {});
    await this.context.audioWorklet.addModule(new URL("./ear-worklet.js", import.meta.url));
    const source = this.context.createMediaStreamSource(stream);
    const ear = new AudioWorkletNode(this.context, "ear", { outputChannelCount: [1], channelCount: 1, channelCountMode: "explicit" });
    ear.port.onmessage = ({ data }) => this.#measure(data);
    source.connect(ear).connect(this.context.destination);
    this.meter.rate = this.context.sampleRate;
    if (this.meter.recording) ear.port.postMessage({ type: "tap" });
    this.closers.push(() => {
      ear.port.onmessage = null;
      source.disconnect();
      ear.disconnect();
      element.srcObject = null;
    });
  }

  /** @param {{level: number, seconds: number, at: number, tapped: Float32Array[] | null}} report of the worklet */
  #measure(report) {
    this.meter.measure(report);
    this.listener.onlevel(report.level);
    if (!this.reply || this.reply.heard || report.level < SOUND) return;
    this.reply.heard = true;
    const latency = this.context.outputLatency || this.context.baseLatency || 0;
    this.listener.onstarted(this.reply.id, performance.now() + 1000 * (report.at - this.context.currentTime + latency));
  }

  /** @param {WireEvent} event */
  #receive(event) {
    this.listener.onevent(event);
    if (event.type === "response.output_item.added") this.items.set(event.response_id, event.item.id);
    else if (event.type === "output_audio_buffer.started") this.#begin(this.items.get(event.response_id) ?? "");
    else if (event.type === "output_audio_buffer.stopped") this.#end((id) => this.listener.onfinished(id));
    else if (event.type === "conversation.item.truncated") {
      if (this.reply?.id === event.item_id) this.reply = null;
      this.listener.oncut(event.item_id, event.audio_end_ms);
    }
  }

  /** @param {string} id */
  #begin(id) {
    this.reply = { id, heard: false };
  }

  /** @param {(id: string) => void} tell */
  #end(tell) {
    if (this.reply) tell(this.reply.id);
    this.reply = null;
  }
}

/**
 * @param {Location | URL} page `?relay` behind its address goes through the TURN server, whatever the server says
 * @returns {Promise<{iceServers: RTCIceServer[], iceTransportPolicy: RTCIceTransportPolicy}>}
 * @throws {ConnectionError} when the server does not tell
 */
async function ask(page) {
  const answer = await fetch(iceAddress(page));
  if (!answer.ok) throw new ConnectionError(`the server answered ${answer.status}`);
  const network = await answer.json();
  return page.search.includes("relay") ? { ...network, iceTransportPolicy: "relay" } : network;
}

/**
 * Settles when the offer has addresses enough: all, or one at a TURN server. By that one a call comes about, and what may be
 * missing then are servers that do not answer. It has to be one of the first section, whose transport carries the others too.
 * @param {RTCPeerConnection} connection
 * @returns {Promise<void>}
 */
function gathered(connection) {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, GATHER_MS);
    connection.onicecandidate = ({ candidate }) => {
      if (candidate && (candidate.type !== "relay" || candidate.sdpMLineIndex !== 0)) return;
      clearTimeout(timer);
      resolve();
    };
  });
}

/**
 * @template T
 * @param {number} ms
 * @param {Promise<T>} work
 * @returns {Promise<T>}
 * @throws {ConnectionError} when it takes longer
 */
async function within(ms, work) {
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new ConnectionError(`not within ${ms} ms`)), ms);
  });
  try {
    return await Promise.race([work, /** @type {Promise<T>} */ (late)]);
  } finally {
    clearTimeout(timer);
  }
}
