/**
 * One call from Start to Hang up: owns the devices and the line, carries out what events ask for, and tells the
 * conversation what happened. Keeps nothing that the page shows.
 */

import { Frames, Microphone, openCamera, openMicrophone, stop, DeviceError, PACKET } from "./capture.js";
import { openLine } from "./line.js";
import { SpeechClock } from "./speech-clock.js";
import { ConnectionError } from "./transport.js";
import { cancel, sessionUpdate, WIRE_RATE } from "./wire.js";

/** @typedef {import("./wire.js").WireEvent} WireEvent */
/** @typedef {import("./conversation.js").VideoSource} VideoSource */

/**
 * What the page lends to a call.
 * @typedef {object} Page
 * @property {(event: WireEvent) => void} dispatch
 * @property {HTMLVideoElement} camera
 * @property {HTMLCanvasElement} board
 * @property {import("./playback.js").Meter} meter
 * @property {(level: number) => void} onmicrophone loudness of each packet, 0 to 1
 * @property {(level: number) => void} onspeaker loudness of what is played, 0 to 1
 * @property {(event: WireEvent) => void} onsent every event that went out, for tests
 */

/** The call ended while it was being made. */
class Over extends Error {}

export class Call {
  /** @param {Page} page */
  constructor(page) {
    this.page = page;
    this.clock = new SpeechClock();
    /** What to do at the end, last first. @type {(() => void)[]} */
    this.closers = [];
    this.over = false;
    /** @type {import("./line.js").Line | null} */
    this.line = null;
    /** @type {Microphone | null} */
    this.microphone = null;
    /** When the person stopped speaking, until the answer sounds; performance.now(). @type {number | null} */
    this.spokenAt = null;
    /** Ends the pictures being sent. */
    this.endVideo = () => {};
    /** Counts choices of video, so that a late camera knows it is no longer wanted. */
    this.choices = 0;
  }

  /**
   * Must be called from a click: browsers let sound out only then.
   * @param {VideoSource} video
   * @param {boolean} recording the person lets the server record the conversation
   * @param {string} voice whose answers are heard; empty: whose the server likes
   */
  async start(video, recording, voice) {
    const context = new AudioContext({ latencyHint: "interactive" });
    this.closers.push(() => void context.close());
    void context.resume();
    this.page.dispatch({ type: "page.connecting" });
    try {
      await this.#connect(context, recording, voice);
    } catch (problem) {
      if (problem instanceof Over) return;
      const expected = problem instanceof DeviceError || problem instanceof ConnectionError;
      this.end(expected ? problem.message : `Something went wrong: ${problem}`);
      if (!expected) throw problem;
      return;
    }
    this.page.dispatch({ type: "page.opened", line: this.line?.kind });
    await this.show(video);
  }

  /**
   * @param {string | null} [reason] in plain words, when nobody pressed Hang up
   */
  end(reason = null) {
    if (this.over) return;
    this.over = true;
    this.endVideo();
    for (const close of this.closers.reverse()) close();
    this.page.dispatch({ type: "page.closed", reason });
  }

  /** @param {boolean} muted */
  mute(muted) {
    this.microphone?.mute(muted);
    this.page.dispatch({ type: "page.muted", muted });
  }

  /** Stops the answer, as saying something would. */
  stopAnswer() {
    this.line?.send(cancel());
    this.line?.silence();
  }

  /**
   * Chooses what the model sees.
   * @param {VideoSource} source
   */
  async show(source) {
    const choice = ++this.choices;
    this.endVideo();
    this.endVideo = () => {};
    this.page.dispatch({ type: "page.video", source });
    if (source === "board") this.#film(this.page.board, "screen", () => {});
    if (source !== "camera") return;
    try {
      const stream = await openCamera();
      if (this.over || choice !== this.choices) return stop(stream);
      this.#watch(stream);
    } catch (problem) {
      if (!(problem instanceof DeviceError)) throw problem;
      if (!this.over && choice === this.choices) this.#goBlind(problem.message);
    }
  }

  /**
   * @param {AudioContext} context
   * @param {boolean} recording
   * @param {string} voice
   */
  async #connect(context, recording, voice) {
    const { meter } = this.page;
    const stream = this.#own(await openMicrophone(), stop);
    const parts = { context, microphone: stream, meter, page: location, recording, listener: this.#listener() };
    this.line = this.#own(await openLine(parts), (it) => it.close());
    this.line.send(sessionUpdate(voice));
    const opened = await Microphone.open(context, stream, (packet) => this.#record(packet));
    this.microphone = this.#own(opened, (it) => it.close());
    stream.getAudioTracks()[0].onended = () => this.end("The microphone was disconnected.");
    context.onstatechange = () => this.#soundChanged(context);
  }

  /**
   * Takes a thing over until the end, or gives it straight back when the end came first.
   * @template T
   * @param {T} thing
   * @param {(thing: T) => void} close
   * @returns {T}
   */
  #own(thing, close) {
    if (this.over) {
      close(thing);
      throw new Over();
    }
    this.closers.push(() => close(thing));
    return thing;
  }

  /** @param {import("./capture-worklet.js").Packet} packet */
  #record({ pcm, level }) {
    this.clock.sent((1000 * PACKET) / WIRE_RATE, level, performance.now());
    this.page.onmicrophone(level);
    this.line?.record(pcm);
  }

  /** @returns {import("./line.js").Listener} */
  #listener() {
    const { page } = this;
    return {
      onevent: (event) => this.#receive(event),
      onsent: page.onsent,
      onclose: (reason) => this.end(reason),
      onlevel: page.onspeaker,
      onstarted: (id, at) => {
        const latency = this.spokenAt === null ? null : at - this.spokenAt;
        this.spokenAt = null;
        page.dispatch({ type: "page.sound_started", item_id: id, latency_ms: latency });
      },
      onfinished: (id) => page.dispatch({ type: "page.sound_finished", item_id: id }),
      oncut: (id, heardMs) => page.dispatch({ type: "page.cut", item_id: id, heard_ms: heardMs }),
    };
  }

  /** @param {WireEvent} event */
  #receive(event) {
    if (this.over) return;
    this.page.dispatch(event);
    if (event.type === "input_audio_buffer.speech_started") this.line?.silence();
    else if (event.type === "output_audio_buffer.paused") this.line?.pause(true);
    else if (event.type === "output_audio_buffer.resumed") this.line?.pause(false);
    else if (event.type === "input_audio_buffer.speech_stopped") {
      const end = this.line?.soundEnd(event.audio_end_ms, this.clock.sentMs) ?? 0;
      this.spokenAt = this.clock.endOfSpeech(end) ?? performance.now();
    }
  }

  /**
   * Sends two pictures a second of what is shown.
   * @param {HTMLVideoElement | HTMLCanvasElement} subject
   * @param {"camera" | "screen"} source
   * @param {() => void} close
   */
  #film(subject, source, close) {
    const frames = new Frames(subject, (picture) => this.line?.show(picture, this.clock.sentMs, source));
    this.endVideo = () => {
      frames.close();
      if (!this.over) this.line?.hide();
      close();
    };
  }

  /** @param {MediaStream} stream */
  #watch(stream) {
    const { camera } = this.page;
    camera.srcObject = stream;
    void camera.play().catch(() => {});
    stream.getVideoTracks()[0].onended = () => this.#goBlind("The camera was disconnected.");
    this.#film(camera, "camera", () => {
      stop(stream);
      camera.srcObject = null;
    });
  }

  /** @param {string} why the camera is gone */
  #goBlind(why) {
    void this.show("none");
    this.page.dispatch({ type: "page.notice", kind: "info", text: `${why} The conversation goes on by voice.` });
  }

  /** @param {AudioContext} context */
  #soundChanged(context) {
    if (this.over) return;
    if (context.state === "running") this.page.dispatch({ type: "page.dismissed" });
    else {
      const text = "The browser paused the sound. Tap the page to go on.";
      this.page.dispatch({ type: "page.notice", kind: "info", text });
      addEventListener("pointerdown", () => void context.resume(), { once: true });
    }
  }
}
