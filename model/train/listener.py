"""A checkpoint's ear, for those who judge by what it hears: recordings to examples, by as many processes as there are cores."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import torch
from rich.progress import track
from torch import Tensor

from vivavoce.codecs.cmvn import read_cmvn
from vivavoce.model.audio_encoder import FsmnEncoder
from vivavoce.model.judge import padded, spelled
from vivavoce.model.senses import Ear
from vivavoce.model.weights import load_omni


@dataclass(frozen=True)
class Excerpt:
    """The newest frames of a moment, and what is true of it."""

    frames: np.ndarray
    """float16 [F, width]."""
    pieces: np.ndarray
    """int16 [F, TOP]: the likeliest pieces of each frame ..."""
    shares: np.ndarray
    """float16 [F, TOP]: ... and how likely each is."""
    label: int
    at_ms: int
    """When that was, as its maker counts."""


@dataclass(frozen=True)
class Excerpts:
    """Many of them, stacked: [n, ...] each."""

    frames: Tensor
    pieces: Tensor
    shares: Tensor
    labels: Tensor
    at_ms: Tensor

    def __len__(self) -> int:
        return len(self.labels)

    def part(self, which: Tensor) -> Excerpts:
        """Some of them, ready for a network."""
        return Excerpts(
            self.frames[which].float(),
            self.pieces[which].long(),
            self.shares[which].float(),
            self.labels[which],
            self.at_ms[which],
        )


class Listener:
    """Hears recordings from their beginning to any moment."""

    def __init__(self, checkpoint: Path) -> None:
        self._omni = load_omni(checkpoint)
        self._omni.eval().requires_grad_(False)
        self._ear = Ear(self._omni, read_cmvn(checkpoint / "audio" / "global_cmvn"), spells=False)

    @property
    def width(self) -> int:
        """Of a frame."""
        return self._omni.config.audio.ffn_hidden

    def frames(self, wave: np.ndarray) -> Tensor:
        """float32 [samples] at 16 kHz -> [m, width]."""
        return next(self.at_moments(wave, [len(wave)]))

    def at_moments(self, wave: np.ndarray, moments: Sequence[int]) -> Iterator[Tensor]:
        """Of a stream, what would be known if it ended at each of these samples: [m, width] of all of it."""
        state, before, at = self._ear.start(), torch.zeros(0, self.width), 0
        for moment in moments:
            heard, state = self._ear.hear(wave[at:moment], state)
            before, at = torch.cat([before, heard.hidden]), moment
            yield torch.cat([before, self._ear.finish(state).hidden])

    @property
    def encoder(self) -> FsmnEncoder:
        """With the head that spells."""
        return self._omni.audio_encoder

    @torch.inference_mode()
    def spelled(self, frames: Tensor) -> tuple[Tensor, Tensor]:
        """[m, width] -> the likeliest pieces of each frame and their probabilities, [m, TOP] each."""
        return spelled(self.encoder, frames)

    def excerpt(self, frames: Tensor, length: int, label: int, at_ms: int) -> Excerpt:
        """The last `length` of them."""
        newest = padded(frames, length)
        pieces, shares = self.spelled(newest)
        return Excerpt(
            newest.numpy().astype(np.float16),
            pieces.numpy().astype(np.int16),
            shares.numpy().astype(np.float16),
            label,
            at_ms,
        )


Recipe = Callable[[Listener, int, int, bool, str], list[Excerpt]]
"""(who listens, number of the recording, seed, held-out sentences, group of voices) -> examples. A function of a module."""


def gather(recipe: Recipe, checkpoint: Path, count: int, seed: int, *, held: bool, group: str, title: str) -> Excerpts:
    """The examples of `count` recordings; the same whatever the number of processes."""
    work = partial(_listen, recipe, checkpoint, seed, held, group)
    made: list[Excerpt] = []
    with ProcessPoolExecutor(os.cpu_count(), get_context("spawn")) as pool:
        for some in track(pool.map(work, range(count), chunksize=8), title, total=count):
            made += some
    return Excerpts(
        torch.from_numpy(np.stack([one.frames for one in made])),
        torch.from_numpy(np.stack([one.pieces for one in made])),
        torch.from_numpy(np.stack([one.shares for one in made])),
        torch.tensor([one.label for one in made]),
        torch.tensor([one.at_ms for one in made]),
    )


def vocabulary(checkpoint: Path) -> int:
    """Pieces that its CTC head knows."""
    return load_omni(checkpoint).config.audio.ctc_vocab


_listeners: dict[Path, Listener] = {}
"""Of this process."""


def _listen(recipe: Recipe, checkpoint: Path, seed: int, held: bool, group: str, index: int) -> list[Excerpt]:
    if checkpoint not in _listeners:
        torch.set_num_threads(1)
        _listeners[checkpoint] = Listener(checkpoint)
    return recipe(_listeners[checkpoint], index, seed, held, group)
