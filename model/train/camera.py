"""What the camera shows around one question, laid out as the server does: kept frames first, then a pair every second.

Kept frames are single ones, of every other second since the turn before; the pictures of a second are two frames. So only the
latter show which way a thing goes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import numpy as np

from vivavoce.model import prompt
from vivavoce.model.tokenizer import Tokenizer
from vivavoce.model.train.scenes import Scene
from vivavoce.model.train.views import glimpsed, moves

KEPT = (1, 1, 1, 2, 2, 2, 3, 4, 4)
"""How many pictures may be left from between two turns; the server keeps four."""
STILL = 0.12
"""Share of spoken questions about a picture that somebody has sent."""


class Shots(Protocol):
    """Who has the pictures, and words for their stamps."""

    tokenizer: Tokenizer
    visual_tokens: int
    shots: Callable[[int], np.ndarray]


class Camera:
    """Of one turn. `shots` is what has been shown, in order; each method adds to it and returns its rows."""

    def __init__(
        self,
        stage: Shots,
        scene: Scene,
        before: Scene | None,
        kept: Scene | None,
        rng: np.random.Generator,
        watched: float,
        first: bool,
    ) -> None:
        """
        Args:
            scene: before the camera while the question is asked.
            before: the same at the turn before.
            kept: there for a while in between, so that frames of it are kept.
            watched: share of seconds that have a picture.
            first: nobody has seen the scene yet.
        """
        self.stage, self.scene, self.before, self.kept = stage, scene, before or scene, kept
        self.rng, self.watched, self.first = rng, watched, first
        self.shots: list[np.ndarray] = []
        self._base, self._still = 0.0, False

    def beside_writing(self) -> list[prompt.Rows]:
        """A still before a written question; a second of the camera if something moves, and frames that were kept if it is about
        those, as if they had begun to speak."""
        if self.kept is not None:
            return self._frames()
        if not (self.first or self.rng.random() < self.watched / 3):
            return []
        return [self._pair(0.0)] if moves(self.scene) else [self._image()]

    def before_sound(self) -> list[prompt.Rows]:
        """A picture that was sent, or frames kept from while the model spoke."""
        if self.kept is not None:
            return self._frames()
        self._still = self.rng.random() < STILL and (self.first or self.rng.random() < self.watched)
        if self._still and not moves(self.scene):
            return [self._image()]
        self._still = False
        return self._frames() if self.rng.random() < self.watched / 3 else []

    def second(self, index: int) -> list[prompt.Rows]:
        """The picture of a second of sound, if there is one."""
        if not self._still and ((self.first and index == 0) or self.rng.random() < self.watched):
            return [self._pair(self._base + index + float(self.rng.integers(0, 5)) / 10)]
        return []

    def _frames(self) -> list[prompt.Rows]:
        """Some of the newest frames since the turn before; sound begins some time behind them."""
        count = KEPT[int(self.rng.integers(len(KEPT)))]
        rows = [self._seen(2.0 * i, glimpsed(scene)) for i, scene in enumerate(self._between(count))]
        self._base = 2.0 * (count + int(self.rng.integers(0, 5))) + float(self.rng.integers(0, 20)) / 10
        return rows

    def _between(self, count: int) -> list[Scene]:
        """What so many of the newest frames show: the scene before, then this one; or this one, and another for a while."""
        if self.kept is not None:
            begin = int(self.rng.integers(count))
            end = int(self.rng.integers(begin, count)) + 1
            return [self.kept if begin <= i < end else self.scene for i in range(count)]
        if self.before.seed == self.scene.seed:
            return [self.scene] * count
        gone = int(self.rng.integers(count + 1))
        return [self.before] * gone + [self.scene] * (count - gone)

    def _pair(self, seconds: float) -> prompt.Rows:
        return self._seen(seconds, self.scene.seed)

    def _seen(self, seconds: float, key: int) -> prompt.Rows:
        self.shots.append(self.stage.shots(key))
        return prompt.join(prompt.stamp(self.stage.tokenizer, seconds), prompt.visual(self.stage.visual_tokens))

    def _image(self) -> prompt.Rows:
        self.shots.append(self.stage.shots(self.scene.seed))
        return prompt.image(self.stage.tokenizer, self.stage.visual_tokens)
