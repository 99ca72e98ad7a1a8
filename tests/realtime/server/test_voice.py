"""When packets leave: behind the client's, at once where sound was waited for, with timestamps that follow the clock."""

import asyncio
import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent / "bench"))

from virtual import run

from vivavoce.realtime.events import Played, Playing
from vivavoce.realtime.server.loudspeaker import Loudspeaker
from vivavoce.realtime.server.opus import CLOCK_HZ
from vivavoce.realtime.server.voice import BEHIND_SECONDS, OFF_SECONDS, PERIOD, Beat, Voice


def sound(ms: int) -> np.ndarray:
    return np.full(ms * 24, 0.5, np.float32)


class Telephone:
    """A voice, what it sent and when, and a client who sends a packet every 20 ms, this long after our first."""

    def __init__(self) -> None:
        self.now = asyncio.get_running_loop().time
        self.speaker = Loudspeaker()
        self.reports: list[tuple[float, Played | Playing]] = []
        self.voice = Voice(self.speaker, lambda report: self.reports.append((self.now(), report)))
        self.sent: list[tuple[float, int]] = []

    async def speak(self) -> None:
        while True:
            packet = await self.voice.recv()
            self.sent.append((self.now(), packet.pts))

    async def client(self, after: float, jitter: float = 0.0) -> None:
        dice = np.random.default_rng(0)
        began = self.now() + after
        for number in range(10**6):
            await asyncio.sleep(began + number * PERIOD + dice.uniform(0, jitter) - self.now())
            self.voice.heard()


async def call(telephone: Telephone, seconds: float, *others: object) -> None:
    tasks = [asyncio.ensure_future(one) for one in (telephone.speak(), *others)]  # type: ignore[call-overload]
    await asyncio.sleep(seconds)
    for task in tasks:
        task.cancel()


@pytest.mark.parametrize("after_ms", [0, 1, 7, 12, 18])
def test_packets_leave_a_little_behind_the_client_s_and_timestamps_with_them(after_ms: int) -> None:
    async def story() -> None:
        telephone = Telephone()
        began = telephone.now()
        await call(telephone, 3, telephone.client(after_ms / 1000))
        behind = [(at - began - after_ms / 1000) % PERIOD for at, _ in telephone.sent if at > began + 1]
        assert all(abs(one - BEHIND_SECONDS) <= OFF_SECONDS + 1e-6 for one in behind)
        (first, stamp), *_ = telephone.sent
        assert all(abs((pts - stamp) / CLOCK_HZ - (at - first)) < 1e-4 for at, pts in telephone.sent)

    run(story())


def test_nothing_is_moved_for_packets_that_come_at_any_time_nor_while_somebody_speaks() -> None:
    async def story() -> None:
        scattered = Telephone()
        await call(scattered, 3, scattered.client(0.012, jitter=PERIOD))
        speaking = Telephone()
        speaking.speaker.play(1, sound(3_000))
        await call(speaking, 2.9, speaking.client(0.012))
        for telephone in (scattered, speaking):
            assert {
                after[1] - before[1] for before, after in zip(telephone.sent, telephone.sent[1:], strict=False)
            } == {960}

    run(story())


def test_sound_that_is_a_little_late_is_waited_for() -> None:
    async def story() -> None:
        telephone = Telephone()
        telephone.speaker.play(1, sound(40))
        began = telephone.now()

        async def model() -> None:
            await asyncio.sleep(0.055)  # its packet was due after 40 ms
            telephone.speaker.play(1, sound(40))
            telephone.speaker.complete(1)

        await call(telephone, 0.2, model())
        assert [round((at - began) * 1000) for at, _ in telephone.sent[:5]] == [0, 20, 56, 60, 80]
        assert [report for _, report in telephone.reports] == [Playing(1), Played(1, 80)], "it never ran dry"

    run(story())


def test_when_packets_come_is_known_of_steady_ones_alone() -> None:
    steady, scattered = Beat(), Beat()
    dice = np.random.default_rng(1)
    for number in range(200):
        steady.note(5 + number * PERIOD + 0.004 + dice.normal(0, 0.001))
        scattered.note(5 + number * PERIOD + dice.uniform(0, PERIOD))
    assert steady.behind(9.0) == pytest.approx(0.004, abs=0.001)
    assert steady.behind(9.010) == pytest.approx(0.014, abs=0.001)
    assert scattered.behind(9.0) is None
