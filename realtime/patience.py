"""How long to wait in a pause: the price of cutting in against the price of waiting.

Somebody who has fallen silent has finished, with a probability p that the model gives for what it has heard, or is
thinking and will go on. The pauses of those who go on are log-normal: S(t) = P(pause > t), of people at large until this
user has made some pauses, and more and more this user's own. When the model judged, the silence had lasted w. To answer
after a silence of t then costs, in milliseconds of waiting,

    J(t) = p t + (1 - p) C S(t) / S(w)

the wait of one who has finished, and C, the price of an answer that cuts in, if they had not. The pause is the end at the t
with the least J: soon after a sentence that sounds finished, late after "what colour is the". C is the one number to set. No
t before w + `head_start_ms` is considered: an answer takes as long to make, so it would not be heard sooner.

The answer is begun before that, unheard: when it is likely enough that nothing will follow,

    P(finished | silent for t) = p / (p + (1 - p) S(t) / S(w)) >= bar

or `head_start_ms` before the end. The bar rises while too many guesses are wrong or too much of what they made is thrown
away, and falls otherwise (`Bar`).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from vivavoce.realtime.config import VAD_WINDOW_MS, PatienceConfig

CERTAIN = 1e-3
"""No model is surer than that, whichever way."""


@dataclass(frozen=True)
class Waits:
    """Of one pause: the silence after which an answer is guessed (t3) and after which the turn is over (t4)."""

    pause_ms: int
    end_ms: int


class Rhythm:
    """How long somebody's pauses are before they go on: the population's, then more and more their own."""

    def __init__(self, config: PatienceConfig) -> None:
        self._config = config
        self._logs: list[float] = []

    def resumed(self, pause_ms: int) -> None:
        """They went on after `pause_ms`; of many pauses the last count."""
        self._logs = [*self._logs, math.log(max(1, pause_ms))][-self._config.remembered :]

    @property
    def shape(self) -> tuple[float, float]:
        """Mean and deviation of the pauses' logarithms; the population counts as much as `prior_pauses` of their own."""
        config, logs = self._config, self._logs
        weight = config.prior_pauses + len(logs)
        usual = math.log(config.usual_pause_ms)
        mean = (config.prior_pauses * usual + sum(logs)) / weight
        spread = config.prior_pauses * (config.pause_spread**2 + (usual - mean) ** 2)
        spread += sum((log - mean) ** 2 for log in logs)
        return mean, math.sqrt(spread / weight)

    def survival(self, ms: int) -> float:
        """The share of pauses that are longer than `ms`."""
        mean, deviation = self.shape
        return 0.5 * math.erfc((math.log(max(1, ms)) - mean) / (deviation * math.sqrt(2)))


class Bar:
    """How likely it must be that the user has finished for an answer to be begun, unheard.

    Hits and frames are counted with less weight the longer ago they were.
    """

    def __init__(self, config: PatienceConfig) -> None:
        self._config = config
        self.value = config.bar
        self._guesses = self._hits = 0.0
        self._made = self._wasted = 0.0

    def guessed(self, hit: bool, made: int, wasted: int) -> None:
        """A guess has turned out right or wrong; `made` and `wasted` in any one unit of sound."""
        config, keep = self._config, self._config.bar_memory
        self._guesses, self._hits = keep * self._guesses + 1, keep * self._hits + hit
        self._made, self._wasted = keep * self._made + made, keep * self._wasted + wasted
        missing = self._hits < config.hits * self._guesses
        wasteful = self._wasted > config.waste * self._made
        step = config.bar_step if missing or wasteful else -config.bar_step / 4
        self.value = min(config.highest_bar, max(config.lowest_bar, self.value + step))


def patience(
    completeness: float,
    judged_ms: int,
    rhythm: Rhythm,
    config: PatienceConfig,
    *,
    bar: float,
    price: float = 1.0,
    longest_ms: int,
    end_ms: int | None = None,
) -> Waits:
    """How long to wait in a pause that had lasted `judged_ms` when the model found its turn complete with this probability.

    `price`: times `config.cut_in_price_ms`; `longest_ms`: of any wait; `end_ms`: where the client has set the wait itself.
    """
    finished = min(1 - CERTAIN, max(CERTAIN, completeness))
    lasts = 1 / max(rhythm.survival(judged_ms), 1e-9)
    soonest = judged_ms + config.head_start_ms
    windows = range(soonest, max(longest_ms, soonest) + 1, VAD_WINDOW_MS)

    def goes_on(ms: int) -> float:
        return (1 - finished) * rhythm.survival(ms) * lasts

    if end_ms is None:
        end_ms = min(windows, key=lambda ms: finished * ms + config.cut_in_price_ms * price * goes_on(ms))
    latest = max(judged_ms, end_ms - config.head_start_ms)
    sure = (ms for ms in range(judged_ms, latest, VAD_WINDOW_MS) if finished >= bar * (finished + goes_on(ms)))
    return Waits(min(next(sure, latest), end_ms), end_ms)
