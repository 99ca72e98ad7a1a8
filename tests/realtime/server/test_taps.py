"""Between the network and aiortc's buffers."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from aiortc import RTCPeerConnection
from aiortc.jitterbuffer import JitterFrame
from aiortc.rtp import RtpPacket

from vivavoce.realtime.server import taps
from vivavoce.realtime.server.opus import Packet
from vivavoce.realtime.server.taps import PictureTap, Pulse, SoundTap, is_key, own, put_in

KEY, DELTA = b"\x00key", b"\x01delta"


class OneFrameEach:
    """A jitter buffer that has a frame in every packet."""

    def add(self, packet: RtpPacket) -> tuple[bool, JitterFrame | None]:
        return False, JitterFrame(packet.payload, packet.timestamp)


def packet(payload: bytes, number: int = 0) -> RtpPacket:
    made = RtpPacket(payload_type=97, sequence_number=number, timestamp=number * 960)
    made.payload = payload
    return made


def camera(clock: SimpleNamespace) -> PictureTap:
    receiver: Any = SimpleNamespace(**{taps.BUFFER: OneFrameEach(), taps.CODECS: {97: SimpleNamespace(name="VP8")}})
    return PictureTap(receiver, 0.5, lambda: clock.now)


async def test_aiortc_is_built_as_we_think() -> None:
    connection = RTCPeerConnection()
    receiver = connection.addTransceiver("audio").receiver
    await connection.setLocalDescription(await connection.createOffer())  # opens sockets
    tap = SoundTap(lambda number, packet: None)
    put_in(receiver, tap)
    assert own(receiver, taps.BUFFER) is tap
    assert own(receiver, taps.CODECS) == {}
    sockets = own(own(receiver.transport.transport, taps.AGENT), taps.SOCKETS)
    assert sockets and all(hasattr(socket, "datagram_received") for socket in sockets)
    await connection.close()


def test_an_aiortc_that_is_built_otherwise_is_refused() -> None:
    stranger: Any = SimpleNamespace()
    with pytest.raises(RuntimeError, match="has no _RTCRtpReceiver__jitter_buffer"):
        put_in(stranger, OneFrameEach())


def test_whatever_comes_is_a_sign_of_life_and_goes_on_its_way() -> None:
    clock, received = SimpleNamespace(now=5.0), []
    socket = SimpleNamespace(datagram_received=lambda data, address: received.append((data, address)))
    transport: Any = SimpleNamespace(**{taps.AGENT: SimpleNamespace(**{taps.SOCKETS: [socket]})})
    pulse = Pulse(lambda: clock.now)
    pulse.feel(transport)
    clock.now = 8.0
    assert pulse.last == 5.0
    socket.datagram_received(b"a check", "there")
    assert pulse.last == 8.0
    assert received == [(b"a check", "there")]


def test_sound_goes_to_us_and_to_nobody_else() -> None:
    taken: list[tuple[int, Packet]] = []
    tap = SoundTap(lambda number, packet: taken.append((number, packet)))
    assert tap.add(packet(b"opus", number=3)) == (False, None)
    assert taken == [(3, Packet(2_880, b"opus"))]


def test_a_mistake_with_one_packet_does_not_end_the_call() -> None:
    def broken(number: int, packet: Packet) -> None:
        raise ValueError("a bug")

    assert SoundTap(broken).add(packet(b"opus")) == (False, None)


def test_two_key_frames_a_second_pass_and_are_asked_for() -> None:
    clock = SimpleNamespace(now=10.0)
    tap = camera(clock)
    passed, asked = 0, 0
    for tick in range(120):  # 4 seconds of 30 frames
        clock.now = 10.0 + tick / 30
        wants, frame = tap.add(packet(KEY if asked else DELTA))
        passed, asked = passed + (frame is not None), asked + wants
    assert passed in (8, 9)
    assert asked >= 1


def test_a_key_frame_that_does_not_come_is_asked_for_again() -> None:
    clock = SimpleNamespace(now=0.0)
    tap = camera(clock)
    asked = []
    for tick in range(30):
        clock.now = tick / 30
        asked.append(tap.add(packet(DELTA))[0])
    assert np.flatnonzero(asked).tolist() == [0, 8, 16, 24]  # every quarter of a second


def test_key_frames_are_told_by_their_bytes() -> None:
    assert is_key("VP8", KEY) and not is_key("VP8", DELTA) and not is_key("VP8", b"")
    assert is_key("H264", b"\0\0\0\1\x67abc\0\0\0\1\x65abc")
    assert not is_key("H264", b"\0\0\0\1\x41abc")
