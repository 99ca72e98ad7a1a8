"""Wrong guesses, taken back and counted."""

import numpy as np
import pytest
from scripted_host import ScriptedHost
from signals import sounding

from vivavoce.model.messages import Reply, Request, Rewind, Spoke
from vivavoce.realtime.server.bench import rollback
from vivavoce.realtime.server.bench.script import PAUSING, Clip
from vivavoce.realtime.server.bench.sound import samples

SPEECH = ((100, 900), (1_500, 1_900), (2_700, 3_200))
CLIP = Clip("what is", PAUSING, sounding(3_400, *SPEECH), tuple((samples(a), samples(b)) for a, b in SPEECH))


class Forgetful(ScriptedHost):
    """After a guess was taken back it takes its time, and says something else."""

    def __init__(self, clock: list[float]) -> None:
        super().__init__()
        self._clock, self._confused = clock, False

    def handle(self, message: Request) -> list[Reply]:
        self._clock[0] += 0.002 if isinstance(message, Rewind) else 0.0
        self._confused = self._confused or isinstance(message, Rewind)
        return super().handle(message)

    def step(self) -> list[Reply]:
        replies = super().step()
        if self._confused and any(isinstance(reply, Spoke) for reply in replies):
            self._clock[0] += 0.005
            self._confused = False
            return [
                Spoke(reply.session, reply.turn, "No. ", reply.pcm, 0) for reply in replies if isinstance(reply, Spoke)
            ]
        return replies


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [0.0]
    monkeypatch.setattr(rollback.time, "perf_counter", lambda: now[0])
    return now


def test_the_model_guesses_in_every_pause_and_hears_all_that_is_said(clock: list[float]) -> None:
    host = ScriptedHost()
    made = rollback.measure(host, [CLIP], 20, seed=1)
    assert (made["wrong_guesses"], made["same_answer"]["count"]) == (40, 20)
    assert made["added"]["p50"]["value"] == made["rewind"]["max"] == 0
    assert [rewind.turn for rewind in host.asked("3 True", Rewind)] == [1, 2]
    assert host.asked("3 False", Rewind) == []
    assert host.heard_ms() == 40 * 3_400


def test_what_a_guess_leaves_behind_is_found(clock: list[float]) -> None:
    made = rollback.measure(Forgetful(clock), [CLIP], 20, seed=1)
    assert made["rewind"]["p50"]["value"] == pytest.approx(2)
    assert made["added"]["p50"]["value"] == pytest.approx(5)
    assert made["same_answer"]["count"] == 0


def test_sound_is_cut_every_second_and_where_the_model_guesses() -> None:
    assert rollback.portions(40_000, [15_936, 20_000]) == [
        (0, 15_936),
        (15_936, 16_000),
        (16_000, 20_000),
        (20_000, 32_000),
        (32_000, 40_000),
    ]
    pcm = np.arange(10, dtype=np.float32)
    assert rollback.heard(pcm, 4, 6).audio.pcm.tolist() == [4, 5]
