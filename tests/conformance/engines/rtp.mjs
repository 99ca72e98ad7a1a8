// RTP as it goes into SRTP (RFC 3550 section 5.1): twelve bytes of header, then the payload.

/** Payload type and source of what is sent, where the engine does not choose them itself. */
export const SOUND = { type: 111, source: 1111 };
export const PICTURES = { type: 102, source: 2222 };

/** One stream of packets, numbered and timed. */
export class Stream {
  #number = 0;

  constructor({ type, source }) {
    this.type = type;
    this.source = source;
  }

  /** The packets of one frame: its payloads, and a timestamp of the codec's clock. The last is marked (RFC 7741, RFC 6184). */
  packets(payloads, timestamp, isPicture) {
    return payloads.map((payload, at) => {
      const header = Buffer.alloc(12);
      header[0] = 0x80;
      header[1] = this.type | (isPicture && at === payloads.length - 1 ? 0x80 : 0);
      header.writeUInt16BE(this.#number++ & 0xffff, 2);
      header.writeUInt32BE(timestamp >>> 0, 4);
      header.writeUInt32BE(this.source, 8);
      return Buffer.concat([header, payload]);
    });
  }
}

/** A packet that has come -> its payload, behind the sources and the extension of its header. */
export function open(packet) {
  const start = 12 + 4 * (packet[0] & 0x0f);
  return packet.subarray(packet[0] & 0x10 ? start + 4 + 4 * packet.readUInt16BE(start + 2) : start);
}

/** It is RTCP (RFC 5761 section 4). */
export const isControl = (packet) => packet[1] >= 192 && packet[1] <= 223;

/** Its sender has lost the picture: PSFB with PLI (RFC 4585 section 6.3.1) somewhere in a compound packet. */
export function asksForKeyFrame(control) {
  for (let at = 0; at + 4 <= control.length; at += 4 + 4 * control.readUInt16BE(at + 2))
    if (control[at + 1] === 206 && (control[at] & 0x1f) === 1) return true;
  return false;
}
