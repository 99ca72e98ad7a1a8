"""A step's examples in microbatches: fixed pieces of work, the same however many processes share them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from vivavoce.model.train.examples import Example
from vivavoce.model.train.talking import Counts, Targets, collate

PIECES = 2
"""Microbatches of each of a step's parts, if it has as many examples: with three parts that are six, for 1, 2, 3 or 6 processes."""


@dataclass(frozen=True)
class Microbatch:
    """Some examples of one part of a step."""

    part: int
    examples: tuple[Example, ...]
    counts: Counts
    """What the whole part is judged by."""
    share: float
    """What the part counts in the step."""
    encoded_pictures: bool = False
    """The examples' pictures are patches, for eyes that learn along."""
    shots: tuple[np.ndarray, ...] = field(init=False)
    """Every picture once, if they are patches."""
    which: np.ndarray = field(init=False)
    """int [Np]: for each place where a picture stands, which of `shots`."""

    def __post_init__(self) -> None:
        found: dict[int, int] = {}
        shots: list[np.ndarray] = []
        which: list[int] = []
        for e in self.examples if self.encoded_pictures else ():
            for picture in e.pictures:
                if id(picture) not in found:
                    found[id(picture)] = len(shots)
                    shots.append(picture)
                which.append(found[id(picture)])
        object.__setattr__(self, "shots", tuple(shots))
        object.__setattr__(self, "which", np.array(which, np.int64))

    @property
    def rows(self) -> int:
        """Padded rows of the backbone, which it costs."""
        return len(self.examples) * max(len(e.rows) for e in self.examples)


def microbatches(parts: Sequence[Sequence[Example]], patch_width: int | None = None) -> list[Microbatch]:
    """The parts of a step, each cut where its examples' rows are about halved; examples of like length stay together.

    Args:
        patch_width: of pictures that are to be encoded; others are words already.
    """
    made = []
    for number, part in enumerate(parts):
        counts = Targets.of(collate(part, audio=False, pictures=False)).counts
        examples = sorted(part, key=lambda e: len(e.rows))
        patches = patch_width is not None and any(p.shape[-1] == patch_width for e in part for p in e.pictures)
        for some in _cut(examples, min(PIECES, len(examples))):
            made.append(Microbatch(number, tuple(some), counts, 1 / len(parts), patches))
    return made


def _cut(examples: Sequence[Example], pieces: int) -> list[Sequence[Example]]:
    """Into consecutive pieces of at least one example and about as many rows."""
    ends = np.cumsum([len(e.rows) for e in examples])
    cuts = [int(np.abs(ends - ends[-1] * i / pieces).argmin()) + 1 for i in range(1, pieces)]
    cuts = [min(max(cut, i + 1), len(examples) - (pieces - 1 - i)) for i, cut in enumerate(cuts)]
    return [examples[a:b] for a, b in zip([0, *cuts], [*cuts, len(examples)], strict=True)]
