"""The encoders within a training step: what there is to hear and to see, cut into lots that any process can encode.

A lot is fixed by the step alone, so its numbers are the same whoever encodes it. Things of like length share one; whose
sequences they stand in does not matter. Each thing is encoded once for a microbatch, however often it stands there: a camera
that is held still shows the same picture every second.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from torch import Tensor, nn

from vivavoce.model.audio_encoder import AudioProjector, FsmnEncoder
from vivavoce.model.train.apart.microbatches import Microbatch
from vivavoce.model.train.seeing import inner
from vivavoce.model.vision_encoder import VisionEncoder, VisionProjector

LOTS = 4
"""Lots of one kind in a step, about: they can be shared out evenly, and each is worth its sum of gradients."""
WASTE = 1.25
"""A lot is padded to at most so many times the rows that come of it."""


@dataclass(frozen=True)
class Item:
    """One thing to encode."""

    home: int
    """The microbatch in which it stands."""
    place: int
    """Which of its kind it is there."""
    values: np.ndarray
    """What the encoder takes: spliced features [steps, input_size], or patches [P, patch_width] of a pair of frames."""
    rows: int
    """Rows that come of it."""


@dataclass(frozen=True)
class Lot:
    """Items that are encoded together."""

    items: tuple[Item, ...]

    @property
    def rows(self) -> int:
        return sum(item.rows for item in self.items)

    @property
    def padded(self) -> int:
        return max(item.rows for item in self.items) * len(self.items)


class Sense(Protocol):
    """One kind of encoder."""

    module: nn.Module
    """All that has parameters."""
    row_cost: float
    """Multiplications that a row costs."""
    width: int
    """Numbers in a row."""

    def items(self, home: int, microbatch: Microbatch) -> list[Item]:
        """What a microbatch gives this encoder to do, in the order of its slots."""
        ...

    def lots(self, items: Sequence[Item], count: int = LOTS) -> list[Lot]:
        """All items in about so many lots."""
        ...

    def encode(self, lot: Lot, device: torch.device) -> Tensor:
        """Rows [lot.rows, width]."""
        ...


class Ears:
    """Audio encoder and projector: spliced features to rows of the backbone."""

    def __init__(self, encoder: FsmnEncoder, projector: AudioProjector, noise: float = 0.0) -> None:
        """`noise` in deviations of what the encoder says."""
        self.encoder, self.projector, self.noise = encoder, projector, noise
        self.module: nn.Module = nn.ModuleList([encoder, projector])
        self.row_cost = float(_parameters(self.module))
        self.width = int(projector[-1].out_features)  # type: ignore[arg-type]

    def items(self, home: int, microbatch: Microbatch) -> list[Item]:
        sounds = [sound for e in microbatch.examples for sound in e.audio]
        return [Item(home, place, sound, len(sound)) for place, sound in enumerate(sounds)]

    def lots(self, items: Sequence[Item], count: int = LOTS) -> list[Lot]:
        return _packed(sorted(items, key=lambda item: item.rows), count)

    def encode(self, lot: Lot, device: torch.device) -> Tensor:
        lengths = torch.tensor([item.rows for item in lot.items])
        x = torch.zeros(len(lengths), int(lengths.max()), lot.items[0].values.shape[1])
        for row, item in zip(x, lot.items, strict=True):
            row[: item.rows] = torch.from_numpy(item.values).float()
        hidden = self.encoder(x.to(device), lengths.to(device))
        inside = torch.arange(x.shape[1]) < lengths[:, None]
        said = hidden[inside.to(device)]
        if self.noise:
            said = said + self.noise * said.detach().std() * torch.randn(said.shape).to(device)
        rows: Tensor = self.projector(said)
        return rows


class Eyes:
    """Vision encoder and the projector's inner layer: patches to how much of each seen word is in every token."""

    def __init__(
        self,
        encoder: VisionEncoder,
        projector: VisionProjector,
        names: Tensor,
        grid: tuple[int, int],
        noise: float = 0.0,
    ) -> None:
        """
        Args:
            names: [inner + 1, K], what the inner layer tells of each word; see `seeing.naming`. They stay as they are.
            grid: of all pictures.
            noise: in words.
        """
        self.encoder, self.projector, self.names, self.grid, self.noise = encoder, projector, names, grid, noise
        # The last layer says what is seen in the words of the table, and is set once: `seeing.say_what_is_seen`.
        self.module: nn.Module = nn.ModuleList([encoder, projector.p0])
        self.tokens, self.width = grid[0] * grid[1] // 2, names.shape[1]
        self.row_cost = 2.0 * _parameters(self.module)

    def items(self, home: int, microbatch: Microbatch) -> list[Item]:
        return [Item(home, place, picture, self.tokens) for place, picture in enumerate(microbatch.shots)]

    def lots(self, items: Sequence[Item], count: int = LOTS) -> list[Lot]:
        return _packed(items, count)

    def encode(self, lot: Lot, device: torch.device) -> Tensor:
        patches = torch.from_numpy(np.stack([item.values for item in lot.items])).float()
        seen = inner(self.projector, self.encoder(patches.to(device), self.grid)) @ self.names.to(device)
        if self.noise:
            seen = seen + self.noise * torch.randn(seen.shape).to(device)
        return seen.flatten(0, 1)


def _packed(items: Sequence[Item], count: int) -> list[Lot]:
    """Consecutive items of like length, in lots of about one `count`th of all rows."""
    share = sum(item.rows for item in items) / count
    lots: list[list[Item]] = []
    before, last = 0.0, -1
    for item in items:
        place = int((before + item.rows / 2) / share)
        before += item.rows
        together = Lot((*lots[-1], item)) if lots else None
        if together and place == last and together.padded <= WASTE * together.rows:
            lots[-1].append(item)
        else:
            lots.append([item])
        last = place
    return [Lot(tuple(some)) for some in lots]


def _parameters(module: nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())
