// The engine werift: all of WebRTC in TypeScript.

import { setTimeout as sleep } from "node:timers/promises";

import { MediaStreamTrack, RTCPeerConnection, RTCRtpCodecParameters } from "werift";

const FAREWELL_MS = 200;
const OPUS = { mimeType: "audio/opus", clockRate: 48000, channels: 2 };
const FEEDBACK = [{ type: "nack" }, { type: "nack", parameter: "pli" }];
const PICTURES = {
  VP8: { mimeType: "video/VP8", clockRate: 90000, rtcpFeedback: FEEDBACK },
  H264: {
    mimeType: "video/H264",
    clockRate: 90000,
    rtcpFeedback: FEEDBACK,
    parameters: "profile-level-id=42e01f;packetization-mode=1;level-asymmetry-allowed=1",
  },
};

export class Engine {
  /**
   * @param codec of the camera, "VP8" or "H264"; null for none
   * @param hears takes a payload of sound, `reads` a text of the channel; `loses` is called when the server wants a key frame, `ends`
   *   when the call is over.
   */
  constructor(codec, { hears, reads, loses, ends }) {
    const video = codec ? [new RTCRtpCodecParameters(PICTURES[codec])] : [];
    this.connection = new RTCPeerConnection({
      codecs: { audio: [new RTCRtpCodecParameters(OPUS)], video },
      iceServers: [],
      iceUseIpv6: false,
      iceAdditionalHostAddresses: ["127.0.0.1"],
      bundlePolicy: "max-bundle",
    });
    this.microphone = new MediaStreamTrack({ kind: "audio" });
    this.connection.addTransceiver(this.microphone, { direction: "sendrecv" });
    if (codec) {
      this.camera = new MediaStreamTrack({ kind: "video" });
      const { sender } = this.connection.addTransceiver(this.camera, { direction: "sendonly" });
      sender.onPictureLossIndication.subscribe(loses);
    }
    this.connection.onTrack.subscribe((track) =>
      track.onReceiveRtp.subscribe((packet) => hears(packet.payload)),
    );
    this.channel = this.connection.createDataChannel("oai-events");
    this.channel.onMessage.subscribe((data) => reads(data.toString()));
    this.channel.stateChanged.subscribe((state) => state === "closed" && ends());
    this.connection.connectionStateChange.subscribe((state) => ["closed", "failed"].includes(state) && ends());
  }

  async offer() {
    await this.connection.setLocalDescription(await this.connection.createOffer());
    return this.connection.localDescription.sdp;
  }

  async accept(sdp) {
    await this.connection.setRemoteDescription({ type: "answer", sdp });
  }

  say(packet) {
    this.microphone.writeRtp(packet);
  }

  show(packet) {
    this.camera.writeRtp(packet);
  }

  /** The channel first, and a moment for the server to close its side: a connection of werift's goes without a word. */
  async close() {
    this.channel.close();
    await sleep(FAREWELL_MS);
    await this.connection.close();
  }
}
