"""The model's ear and eye: sound and pictures as they arrive -> rows of embeddings for the prompt.

The ear is a stream with an explicit state: log-mel frames, their normalisation and splicing, the encoder. Its rows come
out `lookahead` tokens (480 ms in the release) after the sound they stand for, and are then the same as offline.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vivavoce.codecs.cmvn import Cmvn
from vivavoce.codecs.fbank import FbankState, fbank_step
from vivavoce.codecs.splice import SpliceState, splice_flush, splice_step
from vivavoce.model.audio_encoder import FsmnState
from vivavoce.model.images import patchify
from vivavoce.model.omni import Omni


@dataclass(frozen=True, eq=False)
class EarState:
    """How far one stream has been heard. A value: keeping it is a way back."""

    fsmn: FsmnState
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
        self._omni, self._cmvn, self._spells = omni, cmvn, spells
        self._fbank = config.fbank
        self._splicing = (config.splice_left, config.splice_right, config.stride)
        self.samples_per_token = config.fbank.hop * config.stride

    def start(self) -> EarState:
        """A stream that has heard nothing."""
        return EarState(self._omni.audio_encoder.initial_state())

    @torch.inference_mode()
    def hear(self, samples: NDArray[np.float32], state: EarState) -> tuple[Heard, EarState]:
        """float32 [n] more -> what became final, and the stream after it."""
        frames, fbank = fbank_step(samples, state.fbank, self._fbank)
        rows, splice = splice_step(self._cmvn(frames), state.splice, *self._splicing)
        hidden, fsmn = self._omni.audio_encoder.step(self._batch(rows), state.fsmn)
        return self._heard(hidden), EarState(fsmn, fbank, splice)

    @torch.inference_mode()
    def finish(self, state: EarState) -> Heard:
        """The stream is over: the frames that were waiting for their future."""
        encoder = self._omni.audio_encoder
        rows = splice_flush(state.splice, *self._splicing)
        if not rows.shape[1]:
            rows = np.zeros((0, self._omni.config.audio.input_size), np.float32)
        hidden, fsmn = encoder.step(self._batch(rows), state.fsmn)
        return self._heard(torch.cat([hidden, encoder.flush(fsmn)], dim=1))

    def _batch(self, rows: NDArray[np.float32]) -> Tensor:
        return torch.from_numpy(rows).to(self._omni.device, self._omni.dtype)[None]

    def _heard(self, hidden: Tensor) -> Heard:
        """[1, m, H] -> rows and letters."""
        rows = self._omni.audio_projector(hidden[0])
        if not self._spells or not rows.shape[0]:
            return Heard(rows, hidden=hidden[0])
        letters = tuple(self._omni.audio_encoder.ctc_logits(hidden)[0].argmax(dim=-1).tolist())
        return Heard(rows, letters, hidden[0])


@torch.inference_mode()
def see(omni: Omni, first: NDArray[np.uint8], second: NDArray[np.uint8] | None = None, detail: str = "auto") -> Tensor:
    """Two pictures uint8 [H, W, 3] of one moment, or a still twice -> [n, D], a row for every two patches.

    `detail` "low": as few rows as of the smallest picture, whatever the size.
    Raises ValueError for a picture without pixels.
    """
    patches, grid = patchify(first, second, omni.config.vision, fewest=detail == "low")
    return omni.see(torch.from_numpy(patches).to(omni.device, omni.dtype)[None], grid)[0]


def collapse(letters: tuple[int, ...], blank: int = 0) -> list[int]:
    """The greedy CTC reading: repeats become one, then blanks are dropped."""
    return [now for before, now in zip((blank, *letters), letters, strict=False) if now not in (before, blank)]
