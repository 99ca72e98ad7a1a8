"""Opus packets to sound and back."""

import numpy as np

from vivavoce.realtime.server.bench.calllink import Decoder
from vivavoce.realtime.server.opus import LOOKAHEAD, PACKET_SAMPLES, PACKET_TICKS, Packet, Receiver, Sender

KEPT = 20
"""Samples at 16 kHz that the resampler may hold back, about 1 ms."""


def packets(ms: int) -> list[Packet]:
    """A tone of 220 Hz."""
    tone = (0.3 * np.sin(2 * np.pi * 220 * np.arange(ms * 24) / 24_000)).astype(np.float32)
    sender = Sender()
    pieces = tone.reshape(-1, PACKET_SAMPLES)
    return [Packet(at * PACKET_TICKS, sender.encode(piece)) for at, piece in enumerate(pieces)]


def heard(receiver: Receiver, arriving: list[tuple[int, Packet]]) -> np.ndarray:
    return np.concatenate([receiver.push(number, packet) for number, packet in arriving])


def loudness(pcm: np.ndarray) -> float:
    return float(np.sqrt(np.mean(pcm**2)))


def test_sound_comes_out_as_long_and_as_loud_as_it_went_in() -> None:
    pcm = heard(Receiver(), list(enumerate(packets(1_000))))
    assert abs(len(pcm) - 16_000) < KEPT
    assert 0.19 < loudness(pcm[1_600:]) < 0.23


def test_a_lost_packet_leaves_silence_of_its_length() -> None:
    sent = list(enumerate(packets(1_000)))
    receiver = Receiver()
    pcm = heard(receiver, sent[:20] + sent[21:])
    assert receiver.missing_ms == 20
    assert abs(len(pcm) - 16_000) < KEPT


def test_packets_that_changed_places_sound_as_if_they_had_not() -> None:
    sent = list(enumerate(packets(400)))
    changed = [*sent[:5], sent[6], sent[5], *sent[7:]]
    assert np.array_equal(heard(Receiver(), changed), heard(Receiver(), sent))


def test_time_stands_still_with_the_network() -> None:
    early, late = packets(200), packets(200)
    moved = [Packet(packet.timestamp + 48_000 * 10, packet.data) for packet in late]
    receiver = Receiver()
    pcm = heard(receiver, list(enumerate(early + moved)))
    assert receiver.missing_ms == 0
    assert abs(len(pcm) - 6_400) < KEPT


def decoded(payloads: list[bytes]) -> np.ndarray:
    """float32 at 24 kHz."""
    decoder = Decoder()
    return np.concatenate([decoder.decode(payload) for payload in payloads])


def swept(ms: int) -> np.ndarray:
    """A tone that rises from 200 to 800 Hz: no two moments of it are alike."""
    at = np.arange(ms * 24) / 24_000
    return (0.3 * np.sin(2 * np.pi * (200 * at + 300 * at**2 / (ms / 1000)))).astype(np.float32)


def lag(sent: np.ndarray, heard: np.ndarray) -> int:
    """By how many samples what is heard is late."""
    piece = slice(4_800, 9_600)
    return max(range(-200, 300), key=lambda by: float(sent[piece] @ heard[4_800 + by : 9_600 + by]))


def test_what_is_known_beforehand_is_not_late() -> None:
    tone = swept(600)
    pieces = tone.reshape(-1, PACKET_SAMPLES)
    plain, ahead = Sender(), Sender()
    assert abs(lag(tone, decoded([plain.encode(piece) for piece in pieces])) - LOOKAHEAD) <= 4
    after = [tone[at + PACKET_SAMPLES :][:LOOKAHEAD] for at in range(0, len(tone), PACKET_SAMPLES)]
    assert abs(lag(tone, decoded([ahead.encode(*pair) for pair in zip(pieces, after, strict=True)]))) <= 4


def test_where_nothing_is_known_beforehand_nothing_is_lost_or_moved() -> None:
    tone, sender = swept(600), Sender()
    pieces = tone.reshape(-1, PACKET_SAMPLES)
    known = [
        tone[at + PACKET_SAMPLES :][: LOOKAHEAD if at // PACKET_SAMPLES % 3 < 2 else 0]
        for at in range(0, len(tone), PACKET_SAMPLES)
    ]
    pcm = decoded([sender.encode(*pair) for pair in zip(pieces, known, strict=True)])
    assert len(pcm) == len(tone) and abs(lag(tone, pcm)) <= 4
    assert abs(loudness(pcm) - loudness(tone)) < 0.02


def test_what_is_no_opus_is_silence() -> None:
    sent = packets(200)
    sent[4] = Packet(sent[4].timestamp, b"\xff" * 3)
    pcm = heard(Receiver(), list(enumerate(sent)))
    assert abs(len(pcm) - 3_200) < KEPT


def test_silence_is_sent_as_next_to_nothing() -> None:
    sender = Sender()
    assert len(sender.encode(None)) < 40
    assert loudness(heard(Receiver(), [(n, Packet(n * PACKET_TICKS, sender.encode(None))) for n in range(10)])) < 1e-3
