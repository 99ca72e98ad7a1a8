"""Where we reach into aiortc: between the network and its buffers.

Its receiver puts packets into a jitter buffer, and what that gives into a decoder thread. For sound the buffer costs 80 ms,
and after one lost packet 280 ms for the rest of the call, because it never catches up; for pictures every frame is decoded,
of which a model sees two a second. So another object stands in the buffer's place. Further down, at the sockets, somebody notes
that packets come at all. The attributes are private ones of aiortc 1.16: a version that has none is refused.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any, Protocol

from aiortc import RTCIceTransport, RTCRtpReceiver
from aiortc.jitterbuffer import JitterFrame
from aiortc.rtp import RtpPacket

from vivavoce.realtime.server.opus import Packet

log = logging.getLogger(__name__)

BUFFER = "_RTCRtpReceiver__jitter_buffer"
CODECS = "_RTCRtpReceiver__codecs"
AGENT = "_connection"
SOCKETS = "_protocols"
H264_KEY_TYPES = (5, 7)
"""NAL units of a picture that needs no other, and of the parameters before it (H.264 table 7-1)."""


class Buffer(Protocol):
    """What aiortc asks of a jitter buffer."""

    def add(self, packet: RtpPacket) -> tuple[bool, JitterFrame | None]:
        """A packet from the network -> whether to ask the sender for a key frame, and what is to be decoded."""


def put_in(receiver: RTCRtpReceiver, buffer: Buffer) -> None:
    """`buffer` takes the place of the receiver's own, before it has received anything.

    Raises:
        RuntimeError: this aiortc is built differently.
    """
    own(receiver, BUFFER)
    setattr(receiver, BUFFER, buffer)


def own(thing: object, name: str) -> Any:
    """A private attribute of something of aiortc's. Raises RuntimeError if it has none of that name."""
    if not hasattr(thing, name):
        raise RuntimeError(f"this aiortc's {type(thing).__name__} has no {name}, as that of 1.16 has")
    return getattr(thing, name)


class Pulse:
    """When the other side was last heard of, by whatever packet.

    One that has nothing to say still answers the checks that are sent to it every 4 to 6 s (RFC 7675).
    """

    def __init__(self, now: Callable[[], float]) -> None:
        """`now` gives seconds."""
        self._now = now
        self.last = now()

    def feel(self, transport: RTCIceTransport) -> None:
        """From now on at this transport, whose sockets are open."""
        for socket in own(own(transport, AGENT), SOCKETS):
            socket.datagram_received = self._noting(socket.datagram_received)

    def _noting(self, receive: Callable[[bytes, Any], None]) -> Callable[[bytes, Any], None]:
        def note(data: bytes, address: Any) -> None:
            self.last = self._now()
            receive(data, address)

        return note


class SoundTap:
    """Packets go to `take` as they come, and to no decoder of aiortc's."""

    def __init__(self, take: Callable[[int, Packet], None]) -> None:
        self._take = take

    def add(self, packet: RtpPacket) -> tuple[bool, JitterFrame | None]:
        """See `Buffer`. An exception from here would close the connection, so none gets out."""
        try:
            self._take(packet.sequence_number, Packet(packet.timestamp, packet.payload))
        except Exception:
            log.exception("a packet of sound was lost to a mistake")
        return False, None


class PictureTap:
    """Of a camera's frames only key frames pass, which need no others, and no more of them than are wanted.

    One that is wanted is asked of the sender: browsers make a key frame only when asked to.
    """

    def __init__(self, receiver: RTCRtpReceiver, every_s: float, now: Callable[[], float]) -> None:
        """`every_s`: seconds between frames; `now` gives seconds."""
        self._inner: Buffer = own(receiver, BUFFER)
        self._codecs = own(receiver, CODECS)
        self._every = every_s
        self._now = now
        self._wanted_from = now()
        self._ask_from = now()

    def add(self, packet: RtpPacket) -> tuple[bool, JitterFrame | None]:
        """See `Buffer`."""
        _, frame = self._inner.add(packet)  # its own wish for key frames is ours already
        now = self._now()
        if now < self._wanted_from:
            return False, None
        codec = self._codecs.get(packet.payload_type)
        if frame is not None and codec is not None and is_key(codec.name, frame.data):
            self._wanted_from = self._ask_from = now + self._every
            return False, frame
        if now < self._ask_from:
            return False, None
        self._ask_from = now + self._every / 2  # the answer takes a round trip; a question may be lost
        return True, None


def is_key(codec: str, frame: bytes) -> bool:
    """An encoded frame can be decoded without those before it. `codec`: VP8 (RFC 6386 section 9.1) or H264, with start codes."""
    if codec.upper() == "VP8":
        return bool(frame) and frame[0] & 1 == 0
    units = frame.split(b"\0\0\1")[1:]
    return any(unit[0] & 0x1F in H264_KEY_TYPES for unit in units if unit)
