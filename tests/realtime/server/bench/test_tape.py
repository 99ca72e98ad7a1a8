"""A loudspeaker that can be read like a tape."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from signals import voice

from vivavoce.realtime.server.bench.sound import RATE_HZ, samples
from vivavoce.realtime.server.bench.tape import LATE, Loudspeaker, Receiver


def test_sound_is_played_when_it_comes_and_waits_for_what_came_before() -> None:
    speaker = Loudspeaker()
    speaker.push(1_000, voice(100), "a")
    speaker.push(1_500, voice(100), "a")
    assert [(piece.at, piece.lead) for piece in speaker.pieces] == [(1_000, 0), (3_400, 1_900)]
    assert speaker.gaps == []
    pcm = speaker.until(RATE_HZ)
    assert not pcm[:1_000].any() and pcm[1_000:5_800].all() and not pcm[5_800:].any()


def test_sound_that_comes_too_late_leaves_a_gap_of_just_that_length() -> None:
    speaker = Loudspeaker()
    speaker.push(0, voice(100), "a")
    speaker.push(samples(150), voice(100), "a")
    ((gap),) = speaker.gaps
    assert (gap.at, gap.length) == (samples(100), samples(50))
    assert speaker.pieces[1].lead == -samples(50)


def test_the_next_answer_leaves_no_gap() -> None:
    speaker = Loudspeaker()
    speaker.push(0, voice(100), "a")
    speaker.push(RATE_HZ, voice(100), "b")
    assert speaker.gaps == []


def test_what_a_loudspeaker_collects_first_delays_an_answer_once() -> None:
    speaker = Loudspeaker(samples(40))
    speaker.push(0, voice(60), "a")
    speaker.push(samples(90), voice(60), "a")
    assert [piece.at for piece in speaker.pieces] == [samples(40), samples(100)]
    assert speaker.gaps == []


def test_what_is_cleared_is_not_played_and_what_was_is_known() -> None:
    speaker = Loudspeaker()
    speaker.push(0, voice(300), "a")
    gone = speaker.clear(samples(120))
    assert gone is not None
    assert (gone.item, gone.played, gone.dropped) == ("a", samples(120), samples(180))
    assert not speaker.until(RATE_HZ)[samples(120) :].any()
    assert speaker.last_audible(RATE_HZ) == samples(120) and not speaker.busy(samples(121))
    assert speaker.clear(samples(200)) is None


def test_who_stands_still_goes_on_at_the_next_sample() -> None:
    speaker, ramp = Loudspeaker(), np.arange(1, samples(200) + 1, dtype=np.float32)
    speaker.push(0, ramp[: samples(100)], "a")
    speaker.pause(samples(30))
    speaker.push(samples(50), ramp[samples(100) :], "a")
    assert not speaker.until(RATE_HZ)[samples(30) :].any() and speaker.busy(samples(60))
    speaker.resume(samples(80))
    played = speaker.until(RATE_HZ)
    assert not played[samples(30) : samples(80)].any()
    assert np.array_equal(played[played > 0], ramp)
    assert speaker.played("a", RATE_HZ) == len(ramp) and speaker.gaps == []


def test_who_stands_still_can_be_stopped() -> None:
    speaker = Loudspeaker()
    speaker.push(0, voice(300), "a")
    speaker.pause(samples(100))
    gone = speaker.clear(samples(150))
    assert gone is not None and (gone.played, gone.dropped) == (samples(100), samples(200))
    assert not speaker.busy(samples(150)) and not speaker.until(RATE_HZ)[samples(100) :].any()
    speaker.push(RATE_HZ, voice(100), "b")
    assert speaker.until(2 * RATE_HZ)[RATE_HZ:].any()


@given(
    st.lists(st.tuples(st.integers(0, 20_000), st.integers(1, 6_000)), min_size=1, max_size=12),
    st.integers(0, 200_000),
)
def test_every_sample_is_played_once_or_cleared(arrivals: list[tuple[int, int]], stop: int) -> None:
    """However it comes: pieces do not overlap, none is played before it came, and what was played is what is on the tape."""
    speaker, now = Loudspeaker(), 0
    for wait, length in arrivals:
        now += wait
        speaker.push(now, np.full(length, 0.5, np.float32), "a")
    speaker.clear(max(stop, now))
    end = max(stop, now) + RATE_HZ
    on_tape = np.count_nonzero(speaker.until(end))
    whole = sum(length for _, length in arrivals)
    dropped = sum(gone.dropped for gone in speaker.cleared)
    assert on_tape == sum(piece.length for piece in speaker.pieces) == speaker.played("a", end) == whole - dropped
    assert all(piece.at >= piece.came for piece in speaker.pieces)
    assert all(a.at + a.length <= b.at for a, b in zip(speaker.pieces, speaker.pieces[1:], strict=False))


PACKET = 480


def test_a_stream_is_played_at_its_own_pace_however_it_comes() -> None:
    receiver = Receiver(samples(40))
    for n, late_ms in enumerate((0, 30, 5, 39, 0)):
        receiver.push(1_000 + n * PACKET + samples(late_ms), voice(20), n * PACKET)
    assert receiver.gaps == [] and receiver.late == 0
    assert receiver.until(RATE_HZ)[1_000 + samples(40) :][: 5 * PACKET].all()


def test_a_packet_that_is_later_than_the_buffer_is_silence() -> None:
    receiver = Receiver(samples(40))
    for n, late_ms in enumerate((0, 41, 0)):
        receiver.push(n * PACKET + samples(late_ms), voice(20), n * PACKET)
    assert receiver.late == 1
    played = receiver.until(RATE_HZ)[samples(40) :]
    assert played[:PACKET].all() and not played[PACKET : 2 * PACKET].any() and played[2 * PACKET : 3 * PACKET].all()


def test_a_packet_that_never_comes_is_a_gap() -> None:
    receiver = Receiver(samples(40))
    for n in (0, 2):
        receiver.push(n * PACKET, voice(20), n * PACKET)
    assert [(gap.at, gap.length) for gap in receiver.gaps] == [(samples(40) + PACKET, PACKET)]


def test_a_stream_that_has_moved_for_good_is_followed() -> None:
    receiver = Receiver(samples(40))
    receiver.push(0, voice(20), 0)
    receiver.push(PACKET + LATE + samples(60), voice(20), PACKET)
    receiver.push(2 * PACKET + LATE + samples(60), voice(20), 2 * PACKET)
    assert receiver.late == 0 and receiver.pieces[-1].lead == samples(40)


def test_a_loudspeaker_that_once_had_to_wait_does_not_wait_for_ever() -> None:
    """A stream that stood still for 300 ms and came all at once; when nobody speaks the delay is made up for, sample by sample."""
    receiver = Receiver(samples(40))
    hush = np.zeros(PACKET, np.float32)
    for n in range(300):
        came = n * PACKET if n < 20 or n > 35 else 35 * PACKET
        receiver.push(came, voice(20) if n < 150 else hush, n * PACKET, blank=n >= 150)
    assert max(piece.lead for piece in receiver.pieces[36:150]) > samples(300)
    assert receiver.pieces[-1].lead == samples(40)
    loud = receiver.until(10 * RATE_HZ)
    played = sum(piece.length for piece in receiver.pieces if not piece.blank)
    assert np.count_nonzero(loud) == played


def test_what_is_to_be_heard_later_does_not_hide_what_was_heard() -> None:
    """An answer that came much faster than it is played, in words with pauses between them."""
    speaker = Loudspeaker(0)
    for _ in range(20):
        speaker.push(
            0, np.concatenate([np.full(samples(100), 0.5, np.float32), np.zeros(samples(50), np.float32)]), "a"
        )
    assert speaker.last_audible(samples(400)) == samples(400)
    assert speaker.last_audible(0) is None
