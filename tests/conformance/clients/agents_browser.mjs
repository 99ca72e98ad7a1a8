// @openai/agents-realtime in a browser, by its bundle: over a WebSocket, and over WebRTC with the camera as a second track.

import { agentsCall } from "./agents.mjs";
import { RATE, converse, describe } from "./scenario.mjs";

const library = window.OpenAIAgentsRealtime;
const AgentsCall = agentsCall(library);
const METER_MS = 50;
const LOUD = 0.003; // RMS; what a muted track decodes to is far below

/** The camera's pictures go as images, as an application without WebRTC sends them. */
class BrowserSocketCall extends AgentsCall {
  async open() {
    await super.open();
    if (this.capability !== "camera") return;
    this.camera = await openCamera();
    this.video = Object.assign(document.createElement("video"), { muted: true, srcObject: this.camera });
    await this.video.play();
  }

  show() {
    const canvas = document.createElement("canvas");
    [canvas.width, canvas.height] = [this.video.videoWidth, this.video.videoHeight];
    canvas.getContext("2d").drawImage(this.video, 0, 0);
    super.show(canvas.toDataURL("image/jpeg"));
  }

  async close() {
    await super.close();
    this.camera?.getTracks().forEach((track) => track.stop());
  }
}

/** An answer as the loudspeaker has it; `meter` says how loud the last 50 ms were. */
class HeardSound {
  began = performance.now();
  stoppedMs = null;
  loudUntil = null; // an answer that waits for the person to go on is silent, and then may be stopped
  loudMs = 0;
  tailMs = 0; // still loud after it was stopped
  energy = 0;

  get lengthMs() {
    return this.loudMs;
  }

  get playedMs() {
    return this.stoppedMs ?? performance.now() - this.began;
  }

  get loudness() {
    return Math.sqrt(this.energy / Math.max(1, this.loudMs));
  }

  meter(level, ms) {
    if (level < LOUD) return;
    if (this.stoppedMs !== null) this.tailMs += ms;
    else {
      this.loudMs += ms;
      this.loudUntil = performance.now();
    }
    this.energy += level * level * ms;
  }

  stop() {
    this.stoppedMs ??= Math.round((this.loudUntil ?? performance.now()) - this.began);
  }
}

/** The browser sends and plays the sound; the server knows what has been heard. */
class BrowserRtcCall extends AgentsCall {
  get transport() {
    this.audio = new AudioContext({ sampleRate: 48_000 });
    this.microphone = this.audio.createMediaStreamDestination();
    const quiet = new ConstantSourceNode(this.audio, { offset: 0 }); // a microphone never falls silent altogether
    quiet.connect(this.microphone);
    quiet.start();
    return new library.OpenAIRealtimeWebRTC({
      mediaStream: this.microphone.stream,
      changePeerConnection: (connection) => this.addCamera(connection),
    });
  }

  get url() {
    return `http://${this.place}/v1/realtime/calls`;
  }

  async addCamera(connection) {
    this.connection = connection;
    if (this.capability !== "camera") return connection;
    this.camera = await openCamera();
    connection.addTrack(this.camera.getVideoTracks()[0], this.camera);
    return connection;
  }

  openSenses() {
    this.timers.push(setInterval(() => this.measure(), METER_MS));
  }

  async close() {
    await super.close();
    await this.audio.close();
    this.camera?.getTracks().forEach((track) => track.stop());
  }

  say(name) {
    const samples = new Int16Array(this.media[name].slice().buffer);
    const sound = this.audio.createBuffer(1, samples.length, RATE);
    sound.copyToChannel(Float32Array.from(samples, (sample) => sample / 32_768), 0);
    const source = new AudioBufferSourceNode(this.audio, { buffer: sound });
    source.connect(this.microphone);
    source.start();
  }

  notice(event) {
    super.notice(event);
    if (event.type === "output_audio_buffer.started") {
      this.sounds.push(new HeardSound());
      this.isPlaying = true;
    } else if (event.type === "output_audio_buffer.stopped") this.isPlaying = false;
    else if (event.type === "output_audio_buffer.cleared") {
      this.sounds.at(-1).stop();
      this.isPlaying = false;
    }
  }

  /** What the browser has played since the last time, by its own statistics. */
  async measure() {
    const stats = [...(await this.connection.getStats()).values()];
    const now = stats.find((report) => report.type === "inbound-rtp" && report.kind === "audio");
    const before = this.metered;
    this.metered = now;
    if (before === undefined || now === undefined) return;
    const seconds = now.totalSamplesDuration - before.totalSamplesDuration;
    if (seconds <= 0) return;
    const level = Math.sqrt(Math.max(0, now.totalAudioEnergy - before.totalAudioEnergy) / seconds);
    this.sounds.at(-1)?.meter(level, 1000 * seconds);
  }
}

const openCamera = () => navigator.mediaDevices.getUserMedia({ video: { width: 640, height: 480 } });
const bytes = (text) => Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));

/** Everything, for one transport; `recordings` are names and base64 of 16-bit sound. */
window.converse = async (transport, place, recordings) => {
  const stray = [];
  window.addEventListener("error", ({ message }) => stray.push(`error: ${message}`));
  window.addEventListener("unhandledrejection", ({ reason }) => stray.push(`unhandledrejection: ${describe(reason)}`));
  for (const level of ["warn", "error"]) {
    console[level] = (...said) => stray.push(`console.${level}: ${said.map(describe).join(" ")}`);
  }
  const media = Object.fromEntries(Object.entries(recordings).map(([name, text]) => [name, bytes(text)]));
  const CallClass = transport === "WebRTC" ? BrowserRtcCall : BrowserSocketCall;
  const report = await converse((capability, report) => new CallClass(place, media, capability, report));
  report.errors.push(...stray);
  return JSON.stringify(report);
};
