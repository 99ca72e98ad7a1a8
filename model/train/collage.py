"""Sentences that nobody has read, put together from the words of those that somebody has.

Voices are dear: 30,000 readings hold every word of kitten's world, but only one in a hundred of its sentences. A model that
hears each of them a dozen times learns them by heart and never copies a word from sound. So readings are cut where the
recogniser heard a word end, and the pieces, outputs of the audio encoder, are set one after the other.
A Chinese character counts as a word.
Source: Lam et al., On-the-Fly Aligned Data Augmentation for Sequence-to-Sequence ASR, 2021, who cut log-mel frames.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from vivavoce.model.tokenizer import Tokenizer
from vivavoce.model.train.hearing import BLANK, ctc_target
from vivavoce.model.train.mandarin.words import units

BEFORE, AFTER = "<", ">"
"""The quiet at both ends of a reading, kept like words."""
ONSET = 3
"""Steps before the recogniser is sure of a first word in which it already sounds."""


@dataclass(frozen=True)
class Piece:
    """Steps `start` to `stop` of one reading of `text`."""

    text: str
    reading: int
    start: int
    stop: int


def cut(path: Sequence[int], text: str, tokenizer: Tokenizer) -> list[tuple[str, int, int]]:
    """Word, start and stop of every word of a reading and of the quiet around them.

    Args:
        path: the likeliest id of each encoder step.

    Returns:
        Nothing at all if the recogniser heard anything but `text`.
    """
    heard, starts, stops = [], [], []
    for step, (before, piece) in enumerate(zip([BLANK, *path], path, strict=False)):
        if piece == BLANK:
            continue
        if piece != before:
            heard.append(piece)
            starts.append(step)
            stops.append(step)
        stops[-1] = step + 1
    words = units(text)
    counts = [len(ctc_target(tokenizer, word)) for word in words]
    if heard != ctc_target(tokenizer, text) or sum(counts) != len(heard):
        return []
    onset = max(0, starts[0] - ONSET)
    ends = [stops[i] for i in np.cumsum(counts) - 1]
    return [
        (BEFORE, 0, onset),
        *zip(words, [onset, *ends[:-1]], ends, strict=True),
        (AFTER, ends[-1], len(path)),
    ]


class Collage:
    """Speaks any sentence of known words."""

    def __init__(self, heard: Mapping[str, Sequence[np.ndarray]], pieces: Mapping[str, Sequence[Piece]]) -> None:
        """
        Args:
            heard: text to the encoder outputs [steps, H] of its readings.
            pieces: word to where it was said.
        """
        self.heard, self.pieces = heard, pieces

    def say(self, text: str, rng: np.random.Generator) -> np.ndarray | None:
        """Encoder outputs [steps, H] as if `text` had been read; None if one of its words was never said."""
        words = [BEFORE, *units(text), AFTER]
        if not all(self.pieces.get(word) for word in words):
            return None
        chosen = [self.pieces[word][int(rng.integers(len(self.pieces[word])))] for word in words]
        return np.concatenate([self.heard[p.text][p.reading][p.start : p.stop] for p in chosen])
