/** Microphone and pictures: devices in, packets of 40 ms and canvases out. */

import { WIRE_RATE } from "./wire.js";

/** Samples in one packet: 40 ms. */
export const PACKET = (WIRE_RATE * 40) / 1000;

/** Between two pictures: 2 a second, the rate the model looks at while the person speaks. */
const FRAME_MS = 500;

/** Longest side of a picture sent, in pixels, and its quality where it is a JPEG. */
const SIDE = 640;
export const JPEG_QUALITY = 0.85;

/** A device could not be had; the message says why in plain words. */
export class DeviceError extends Error {}

/** @typedef {"microphone" | "camera"} Device */

/** What to tell, by the name of the browser's exception. @type {Record<string, (device: Device) => string>} */
const REASONS = {
  NotAllowedError: (device) =>
    `The ${device} was not allowed. Allow it in the browser's address bar (and in the system's privacy settings).`,
  NotFoundError: (device) => `No ${device} was found.`,
  NotReadableError: (device) => `The ${device} is in use by another program.`,
  OverconstrainedError: (device) => `No suitable ${device} was found.`,
};

/**
 * @param {Device} device
 * @param {MediaStreamConstraints} constraints
 * @returns {Promise<MediaStream>}
 * @throws {DeviceError}
 */
async function request(device, constraints) {
  if (!navigator.mediaDevices) {
    throw new DeviceError(`The browser gives the ${device} only to pages on https:// or http://localhost.`);
  }
  try {
    return await navigator.mediaDevices.getUserMedia(constraints);
  } catch (problem) {
    const name = problem instanceof Error ? problem.name : "";
    const reason = Object.hasOwn(REASONS, name) ? REASONS[name](device) : `The ${device} cannot be used (${problem}).`;
    throw new DeviceError(reason);
  }
}

/**
 * @returns {Promise<MediaStream>}
 * @throws {DeviceError}
 */
export function openMicrophone() {
  const audio = { echoCancellation: true, noiseSuppression: true, autoGainControl: true, channelCount: 1 };
  return request("microphone", { audio });
}

/**
 * @returns {Promise<MediaStream>}
 * @throws {DeviceError}
 */
export function openCamera() {
  const video = { width: { ideal: 640 }, height: { ideal: 480 }, aspectRatio: { ideal: 4 / 3 }, facingMode: "user" };
  return request("camera", { video });
}

/** @param {MediaStream} stream */
export function stop(stream) {
  for (const track of stream.getTracks()) track.stop();
}

/** The microphone as packets. */
export class Microphone {
  /**
   * @param {AudioContext} context
   * @param {MediaStream} stream
   * @param {(packet: import("./capture-worklet.js").Packet) => void} onpacket
   */
  constructor(context, stream, onpacket) {
    this.stream = stream;
    this.source = context.createMediaStreamSource(stream);
    this.node = new AudioWorkletNode(context, "capture", {
      channelCount: 1,
      channelCountMode: "explicit",
      processorOptions: { rate: WIRE_RATE, packet: PACKET },
    });
    this.node.port.onmessage = ({ data }) => onpacket(data);
    // The node puts out silence; being connected keeps every browser pulling it.
    this.source.connect(this.node).connect(context.destination);
  }

  /**
   * @param {AudioContext} context
   * @param {MediaStream} stream
   * @param {(packet: import("./capture-worklet.js").Packet) => void} onpacket
   * @returns {Promise<Microphone>}
   */
  static async open(context, stream, onpacket) {
    await context.audioWorklet.addModule(new URL("./capture-worklet.js", import.meta.url));
    return new Microphone(context, stream, onpacket);
  }

  /** @param {boolean} muted silence goes on being sent, so that the server's time line has no holes */
  mute(muted) {
    for (const track of this.stream.getAudioTracks()) track.enabled = !muted;
  }

  close() {
    this.node.port.onmessage = null;
    this.source.disconnect();
    this.node.disconnect();
    stop(this.stream);
  }
}

/** Pictures of whatever is being shown, twice a second. */
export class Frames {
  /**
   * @param {HTMLVideoElement | HTMLCanvasElement} subject
   * @param {(picture: HTMLCanvasElement) => void} onpicture always the same canvas
   */
  constructor(subject, onpicture) {
    this.subject = subject;
    this.canvas = document.createElement("canvas");
    this.timer = setInterval(() => {
      if (this.#take()) onpicture(this.canvas);
    }, FRAME_MS);
  }

  close() {
    clearInterval(this.timer);
  }

  /** @returns {boolean} false while the camera warms up */
  #take() {
    const { subject, canvas } = this;
    const width = subject instanceof HTMLVideoElement ? subject.videoWidth : subject.width;
    const height = subject instanceof HTMLVideoElement ? subject.videoHeight : subject.height;
    if (!width || !height) return false;
    const scale = Math.min(1, SIDE / Math.max(width, height));
    canvas.width = Math.round(width * scale);
    canvas.height = Math.round(height * scale);
    canvas.getContext("2d")?.drawImage(subject, 0, 0, canvas.width, canvas.height);
    return true;
  }
}
