"""What the model did for whom, by a clock that the test holds."""

import numpy as np

from vivavoce.model.effort import Watch
from vivavoce.model.messages import Spoke, Stint

SOUND = np.zeros(1_440, np.float32)


class Clock:
    """Seconds, as they are set."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_the_first_sound_of_a_reply_tells_what_it_took() -> None:
    clock = Clock()
    watch = Watch(clock)
    watch.open("a")
    clock.now = 40
    watch.worked("encode", ["a"], began=0)
    clock.now = 100
    watch.stepped({"a": 30}, began=50)
    clock.now = 110
    watch.stepped({"a": 1}, began=100)
    watch.worked("code", ["a"], began=110)
    (silent, first, second) = watch.tell([Spoke("a", 1, "Well", SOUND[:0], 0), *[Spoke("a", 1, "", SOUND, 0)] * 2])
    assert silent.effort == second.effort == ()
    assert first.effort == (
        Stint("encode", 110.0, 40.0),
        Stint("prefill", 60.0, 50.0),
        Stint("decode", 10.0, 10.0),
        Stint("code", 0.0, 0.0),
    )


def test_steps_are_counted_for_those_who_had_a_part_in_them() -> None:
    watch = Watch(Clock())
    for session in "ab":
        watch.open(session)
    watch.stepped({"a": 1}, 0.0)
    watch.stepped({"a": 1, "b": 0}, 0.0)
    watch.stepped({}, 0.0)
    watch.sensed(["b"], 0.0)
    watch.sensed(["a", "b"], 0.0)
    (told,) = watch.tell([Spoke("b", 1, "", SOUND, 0)])
    assert told.shared == 2


def test_so_are_those_of_replies() -> None:
    watch = Watch(Clock())
    watch.open("a")
    for session in "aba":
        watch.decoded(session)
    assert (watch.frames("a"), watch.frames("b")) == (2, 0)
    watch.close("a")
    watch.decoded("a")
    assert watch.frames("a") == 0
