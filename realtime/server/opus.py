"""Opus as RTP carries it (RFC 7587): packets of 20 ms to what a session hears, and what the model says to packets."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

import av
import numpy as np
from av.codec.context import CodecContext

from vivavoce.codecs.pcm import PCM16_SCALE, Float32
from vivavoce.realtime.config import INPUT_RATE_HZ, OUTPUT_RATE_HZ
from vivavoce.realtime.server.reorder import Reorder

CLOCK_HZ = 48_000
"""RTP timestamps of Opus count this whatever the sound's own rate (RFC 7587 section 4.1)."""
PACKET_MS = 20
PACKET_TICKS = CLOCK_HZ * PACKET_MS // 1000
PACKET_SAMPLES = OUTPUT_RATE_HZ * PACKET_MS // 1000
"""At 24 kHz, what the model says in one packet."""
BITS_PER_SECOND = 32_000
"""Of what is sent: for one voice at 24 kHz more is not heard."""
EFFORT = 5
"""Of 10: what telephones spend on encoding. It saves a fifth of the time, and at this bit rate of one voice nothing else."""
LOOKAHEAD = OUTPUT_RATE_HZ * 13 // 2000
"""Samples, 6.5 ms, by which an encoder's packet is later than what it was given."""
MAX_GAP_MS = 1_000
"""A pause in the packets up to this long is heard as silence, so that words keep their distance; it may be a loss, or a sender that
sends little while nobody speaks (DTX, at most 400 ms apart). A longer one is a network that stood still, and time with it."""


@dataclass(frozen=True)
class Packet:
    """One RTP packet's payload."""

    timestamp: int
    """At 48 kHz, modulo 2 ** 32."""
    data: bytes


class Receiver:
    """Packets as they come from the network -> float32 at 16 kHz without holes.

    What was lost, and what cannot be decoded, is silence of the same length.
    """

    def __init__(self) -> None:
        self._order: Reorder[Packet] = Reorder()
        self._codec = CodecContext.create("libopus", "r")
        self._codec.format = "s16"
        self._codec.layout = "mono"
        self._codec.sample_rate = CLOCK_HZ
        # The same as `codecs/pcm.Resampler`; it takes the decoder's frames as they are.
        self._resampler = av.AudioResampler(format="s16", layout="mono", rate=INPUT_RATE_HZ)
        self._expected: int | None = None
        self.missing_ms = 0
        """Silence put in for what never came."""

    def push(self, number: int, packet: Packet) -> Float32:
        """The next packet to arrive, with its RTP sequence number -> float32 [samples], which may be none."""
        frames = [frame for due in self._order.push(number, packet) for frame in self._decode(due)]
        pieces = [piece.to_ndarray().reshape(-1) for frame in frames for piece in self._resampler.resample(frame)]
        return np.concatenate([np.zeros(0, np.int16), *pieces]).astype(np.float32) / np.float32(PCM16_SCALE)

    def _decode(self, packet: Packet) -> list[av.AudioFrame]:
        ahead = 0 if self._expected is None else (packet.timestamp - self._expected) % 2**32
        gap = ahead if ahead <= MAX_GAP_MS * CLOCK_HZ // 1000 else 0
        try:
            frames = self._codec.decode(av.Packet(packet.data)) if packet.data else []
        except av.FFmpegError:
            return []  # the next packet's timestamp shows what is missing
        self.missing_ms += gap * 1000 // CLOCK_HZ
        self._expected = (packet.timestamp + sum(frame.samples for frame in frames)) % 2**32
        return [silence(gap), *frames] if gap else frames


def silence(samples: int) -> av.AudioFrame:
    """At 48 kHz, as if it had been decoded."""
    frame = av.AudioFrame.from_ndarray(np.zeros((1, samples), np.int16), format="s16", layout="mono")
    frame.sample_rate = CLOCK_HZ
    return frame


class Sender:
    """float32 [480] at 24 kHz -> the payload of one RTP packet."""

    def __init__(self) -> None:
        self._codec = self._new_codec()
        self._silence = self._encode(np.zeros(PACKET_SAMPLES, np.float32), self._new_codec())
        self._is_ahead = False
        """The encoder has been given the first `LOOKAHEAD` samples of the next packet."""

    def encode(self, pcm: Float32 | None, ahead: Float32 | None = None) -> bytes:
        """One packet; None for silence, which is made once and costs nothing.

        `ahead`: what is known of the sound after it. With it the packet holds `pcm` itself, and not what it was 6.5 ms before: the
        encoder looks so far ahead, and what it looks at is here already. At the beginning it is given that in a packet that
        nobody gets; and so it is where nothing was known, which the next packet begins anew.
        """
        if pcm is None or ahead is None:
            self._is_ahead = False
            return self._silence if pcm is None else self._encode(pcm, self._codec)
        if not self._is_ahead:
            self._encode(np.pad(pcm[:LOOKAHEAD], (PACKET_SAMPLES - LOOKAHEAD, 0)), self._codec)
        self._is_ahead = len(ahead) >= LOOKAHEAD
        following = np.pad(ahead[:LOOKAHEAD], (0, max(0, LOOKAHEAD - len(ahead))))
        return self._encode(np.concatenate([pcm[LOOKAHEAD:], following]), self._codec)

    def _encode(self, pcm: Float32, codec: av.AudioCodecContext) -> bytes:
        pcm16 = np.clip(np.rint(pcm * PCM16_SCALE), -PCM16_SCALE, PCM16_SCALE - 1).astype(np.int16)
        frame = av.AudioFrame.from_ndarray(pcm16[np.newaxis], format="s16", layout="mono")
        frame.sample_rate = OUTPUT_RATE_HZ
        (packet,) = codec.encode(frame)
        return bytes(packet)

    def _new_codec(self) -> av.AudioCodecContext:
        codec = CodecContext.create("libopus", "w")
        codec.format = "s16"
        codec.layout = "mono"
        codec.sample_rate = OUTPUT_RATE_HZ
        codec.time_base = Fraction(1, OUTPUT_RATE_HZ)
        codec.bit_rate = BITS_PER_SECOND
        options = {"application": "voip", "frame_duration": str(PACKET_MS), "fec": "1", "packet_loss": "10"}
        codec.options = {**options, "compression_level": str(EFFORT)}
        return codec
