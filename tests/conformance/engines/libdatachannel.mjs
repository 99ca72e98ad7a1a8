// The engine libdatachannel: WebRTC in C++, independent of the browsers'. Its sound and pictures are RTP packets as they are.

import { Audio, PeerConnection, Video, cleanup } from "node-datachannel";

import { asksForKeyFrame, isControl, open } from "./rtp.mjs";

export const TYPES = { sound: 111, pictures: 102 };
export const SOURCES = { sound: 1111, pictures: 2222 };

export class Engine {
  /** See werift.mjs. */
  constructor(codec, { hears, reads, loses, ends }) {
    this.connection = new PeerConnection("caller", { iceServers: [], bindAddress: "127.0.0.1", disableAutoNegotiation: true });
    const sound = new Audio("0", "SendRecv");
    sound.addOpusCodec(TYPES.sound);
    sound.addSSRC(SOURCES.sound, "caller", "caller", "microphone");
    this.microphone = this.connection.addTrack(sound);
    this.microphone.onMessage((packet) => {
      if (isControl(packet)) return;
      const { number, payload } = open(packet);
      hears(number, payload);
    });
    if (codec) {
      const pictures = new Video("1", "SendOnly");
      pictures[`add${codec}Codec`](TYPES.pictures);
      pictures.addSSRC(SOURCES.pictures, "caller", "caller", "camera");
      this.camera = this.connection.addTrack(pictures);
      this.camera.onMessage((packet) => isControl(packet) && asksForKeyFrame(packet) && loses());
    }
    this.channel = this.connection.createDataChannel("oai-events");
    this.channel.onMessage((data) => reads(data.toString()));
    this.channel.onClosed(ends);
    this.connection.onStateChange((state) => ["closed", "failed"].includes(state) && ends());
  }

  async offer() {
    await new Promise((resolve) => {
      this.connection.onGatheringStateChange((state) => state === "complete" && resolve());
      this.connection.setLocalDescription();
    });
    return this.connection.localDescription().sdp;
  }

  async accept(sdp) {
    this.connection.setRemoteDescription(sdp, "answer");
  }

  say(packet) {
    if (this.microphone.isOpen()) this.microphone.sendMessageBinary(packet);
  }

  show(packet) {
    if (this.camera.isOpen()) this.camera.sendMessageBinary(packet);
  }

  async close() {
    this.connection.close();
    cleanup();
  }
}
