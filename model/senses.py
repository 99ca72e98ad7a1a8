"""The model's ear and eye: sound and pictures as they arrive -> rows of embeddings for the prompt.

The ear is a stream with an explicit state: log-mel frames, their normalisation and splicing, the encoder. Its rows come
out `lookahead` tokens (480 ms in the release) after the sound they stand for, and are then the same as offline.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vivavoce.codecs.cmvn import Cmvn
from vivavoce.codecs.fbank import FbankState, fbank_step
from vivavoce.codecs.splice import SpliceState, splice_flush, splice_step
from vivavoce.model.hearing import State, hearing_of
from vivavoce.model.images import patchify
from vivavoce.model.omni import Omni


@dataclass(frozen=True, eq=False)
class EarState:
    """How far one stream has been heard. A value: keeping it is a way back."""

    encoder: State
    fbank: FbankState = field(default_factory=FbankState)
    splice: SpliceState = field(default_factory=SpliceState)


@dataclass(frozen=True, eq=False)
class Heard:
    """Encoder frames of 80 ms that are final."""

    rows: Tensor
    """[m, D]: for the prompt."""
    letters: tuple[int, ...] = ()
    """The best CTC id of each frame; empty when the ear does not spell."""
    hidden: Tensor = field(default_factory=lambda: torch.zeros(0, 0))
    """[m, H]: the same frames before they are projected."""


class Ear:
    """Hears streams of 16 kHz sound. `spells`: also say which token of the CTC head each frame is."""

    def __init__(self, omni: Omni, cmvn: Cmvn, *, spells: bool = True) -> None:
        config = omni.config.audio
        if cmvn.mean.shape != (config.fbank.n_mels,):
            raise ValueError(
                f"the encoder reads {config.fbank.n_mels} mel bands, the statistics have {cmvn.mean.shape[0]}"
            )
        self._cmvn, self._spells = cmvn, spells
        self._encoder = hearing_of(omni)
        self._fbank = config.fbank
        self._splicing = (config.splice_left, config.splice_right, config.stride)
        self._input = config.input_size
        self.samples_per_token = config.fbank.hop * config.stride

    def start(self) -> EarState:
        """A stream that has heard nothing."""
        return EarState(self._encoder.start())

    def hear(self, samples: NDArray[np.float32], state: EarState) -> tuple[Heard, EarState]:
        """float32 [n] more -> what became final, and the stream after it."""
        return self.hear_many([(samples, state)])[0]

    @torch.inference_mode()
    def hear_many(self, streams: Sequence[tuple[NDArray[np.float32], EarState]]) -> list[tuple[Heard, EarState]]:
        """`hear` of several streams, through the encoder together."""
        if not streams:
            return []
        rows, fronts = [], []
        for samples, state in streams:
            frames, fbank = fbank_step(samples, state.fbank, self._fbank)
            spliced, splice = splice_step(self._cmvn(frames), state.splice, *self._splicing)
            rows.append(spliced if spliced.shape[1] else self._nothing())
            fronts.append((fbank, splice))
        made = self._encoder.step(rows, [state.encoder for _, state in streams])
        heard = self._heard_many([hidden for hidden, _ in made])
        after = [EarState(encoder, *front) for (_, encoder), front in zip(made, fronts, strict=True)]
        return list(zip(heard, after, strict=True))

    @torch.inference_mode()
    def finish(self, state: EarState) -> Heard:
        """The stream is over: the frames that were waiting for their future."""
        rows = splice_flush(state.splice, *self._splicing)
        return self._heard_many([self._encoder.finish(rows if rows.shape[1] else self._nothing(), state.encoder)])[0]

    def _nothing(self) -> NDArray[np.float32]:
        return np.zeros((0, self._input), np.float32)

    def _heard_many(self, hidden: Sequence[Tensor]) -> list[Heard]:
        """[m, H] of each stream -> rows and letters."""
        together, lengths = torch.cat(list(hidden)), [part.shape[0] for part in hidden]
        rows, letters = self._encoder.read(together, self._spells)
        ends = np.cumsum(lengths).tolist()
        spelled = [tuple(letters[end - length : end]) for end, length in zip(ends, lengths, strict=True)]
        return [
            Heard(_own(row, together), word, part)
            for row, word, part in zip(rows.split(lengths), spelled, hidden, strict=True)
        ]


@dataclass(frozen=True, eq=False)
class Look:
    """Two pictures uint8 [H, W, 3] of one moment, or a still."""

    first: NDArray[np.uint8]
    second: NDArray[np.uint8] | None = None
    detail: str = "auto"
    """"low": as few rows as of the smallest picture, whatever the size."""


@torch.inference_mode()
def see_many(omni: Omni, looks: Sequence[Look]) -> list[Tensor]:
    """Of each look [n, D], a row for every two patches; pictures of one size go through the encoder together.

    Raises ValueError for a picture without pixels.
    """
    patches: list[Tensor] = []
    grids: dict[tuple[int, int], list[int]] = {}
    for index, look in enumerate(looks):
        rows, grid = patchify(look.first, look.second, omni.config.vision, fewest=look.detail == "low")
        patches.append(torch.tensor(rows).to(omni.device, omni.dtype))
        grids.setdefault(grid, []).append(index)
    seen: dict[int, Tensor] = {}
    for grid, group in grids.items():
        together = omni.see(torch.stack([patches[i] for i in group]), grid)
        seen |= zip(group, (_own(part, together) for part in together), strict=True)
    return [seen[index] for index in range(len(looks))]


def _own(part: Tensor, batch: Tensor) -> Tensor:
    """A conversation keeps its rows for long: they shall not keep those of others, who shared its batch."""
    return part if part.numel() == batch.numel() else part.clone()


def see(omni: Omni, first: NDArray[np.uint8], second: NDArray[np.uint8] | None = None, detail: str = "auto") -> Tensor:
    """`see_many` of one look."""
    return see_many(omni, [Look(first, second, detail)])[0]


def collapse(letters: tuple[int, ...], blank: int = 0) -> list[int]:
    """The greedy CTC reading: repeats become one, then blanks are dropped."""
    return [now for before, now in zip((blank, *letters), letters, strict=False) if now not in (before, blank)]
