"""A user who listens before they speak."""

import numpy as np
import pytest
from signals import clip

from vivavoce.realtime.server.bench.script import ENDLESS, PATIENCE, QUIET, Clip, Ear, Script, User
from vivavoce.realtime.server.bench.sound import TICK, Float32, samples


class Room:
    """Runs a script, and lets it hear what a test says."""

    def __init__(self, user: User, script: Script) -> None:
        self.user, self._script = user, script
        self.spoken: list[Float32] = [next(script)]
        self.is_over = False

    def wait(self, milliseconds: float, ear: Ear | None = None) -> None:
        """With something to be heard, all the time until then: `ear` is as it is now."""
        for _ in range(round(milliseconds / 20)):
            if self.is_over:
                return
            try:
                self.spoken.append(self._script.send(ear or self.sounding()))
            except StopIteration:
                self.is_over = True

    def sounding(self) -> Ear:
        return Ear(last_audible=self.user.now, busy=True)

    @property
    def is_speaking(self) -> bool:
        return bool(np.any(self.spoken[-1]))


QUIET_MS, PATIENCE_MS, ENDLESS_MS = (length * 1000 / samples(1_000) for length in (QUIET, PATIENCE, ENDLESS))
ONE, OTHER = clip(400), clip(600)


def asking(*clips: Clip) -> Room:
    user = User()
    room = Room(user, user.questions(clips, seed=3))
    while not user.said:
        room.wait(20, Ear())
    room.wait(clips[0].speech[-1][1] * 1000 / samples(1_000), Ear())
    return room


def test_the_next_question_waits_for_the_end_of_the_answer() -> None:
    room = asking(ONE, OTHER)
    room.wait(3_000)
    assert len(room.user.said) == 1
    ended = room.user.now
    room.wait(QUIET_MS + 900, Ear(last_audible=ended))
    assert len(room.user.said) == 2 and room.user.said[1].at - ended > QUIET


@pytest.mark.parametrize("still", [{"busy": True}, {"pending": 1}])
def test_an_answer_that_is_announced_is_not_over(still: dict) -> None:
    room = asking(ONE, OTHER)
    ended = room.user.now
    room.wait(4_000, Ear(last_audible=ended, **still))
    assert len(room.user.said) == 1


def test_silence_and_endless_talk_are_both_borne_for_some_time_only() -> None:
    silent = asking(ONE, OTHER)
    silent.wait(PATIENCE_MS + 1_500, Ear())
    assert len(silent.user.said) == 2
    endless = asking(ONE, OTHER)
    endless.wait(ENDLESS_MS + 1_500)
    assert len(endless.user.said) == 2


def test_an_overlap_is_said_while_the_answer_can_be_heard() -> None:
    user = User()
    room = Room(user, user.overlaps([(ONE, clip(300, kind="noise"))], seed=3))
    room.wait(2_000, Ear())
    begun = user.now
    room.wait(1_000)
    assert [said.clip.kind for said in user.said] == ["question", "noise"]
    assert samples(200) <= user.said[1].at - begun <= samples(760)
    assert [said.turn for said in user.said] == [0, 0]


def test_an_overlap_that_has_nothing_to_overlap_is_left_unsaid() -> None:
    user = User()
    room = Room(user, user.overlaps([(ONE, OTHER), (OTHER, ONE)], seed=3))
    room.wait(1_400, Ear())
    heard = Ear(last_audible=user.now)
    room.wait(4_000, heard)
    assert [said.clip for said in user.said] == [ONE, OTHER] and [said.turn for said in user.said] == [0, 1]


def test_packets_are_whole_and_positions_are_theirs() -> None:
    room = asking(clip(410))
    (said,) = room.user.said
    assert {packet.shape for packet in room.spoken} == {(TICK,)} and said.at % TICK == 0
    spoken = np.concatenate(room.spoken)
    assert np.array_equal(np.flatnonzero(spoken)[[0, -1]], [said.first, said.end - 1])
