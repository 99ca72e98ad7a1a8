// The engine libdatachannel: WebRTC in C++, independent of the browsers'. Its sound and pictures are RTP packets as they are.

import { Audio, PeerConnection, Video, cleanup } from "node-datachannel";

import { PICTURES, SOUND, asksForKeyFrame, isControl, open } from "./rtp.mjs";

export class Engine {
  /** See werift.mjs. */
  constructor(codec, { hears, reads, loses, ends }) {
    this.connection = new PeerConnection("caller", { iceServers: [], bindAddress: "127.0.0.1", disableAutoNegotiation: true });
    const sound = new Audio("0", "SendRecv");
    sound.addOpusCodec(SOUND.type);
    sound.addSSRC(SOUND.source, "caller", "caller", "microphone");
    this.microphone = this.connection.addTrack(sound);
    this.microphone.onMessage((packet) => isControl(packet) || hears(open(packet)));
    if (codec) {
      const pictures = new Video("1", "SendOnly");
      pictures[`add${codec}Codec`](PICTURES.type);
      pictures.addSSRC(PICTURES.source, "caller", "caller", "camera");
      this.camera = this.connection.addTrack(pictures);
      this.camera.onMessage((packet) => isControl(packet) && asksForKeyFrame(packet) && loses());
    }
    this.channel = this.connection.createDataChannel("oai-events");
    this.channel.onMessage((data) => reads(data.toString()));
    this.channel.onClosed(ends);
    this.connection.onStateChange((state) => ["closed", "failed"].includes(state) && ends());
  }

  /**
   * Without its addresses, as the stock clients post it: the server learns them from the first packet. It must not be the first to send
   * one: this engine fails if it is found before it has read the answer.
   */
  async offer() {
    return new Promise((resolve) => {
      this.connection.onLocalDescription(resolve);
      this.connection.setLocalDescription();
    });
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
