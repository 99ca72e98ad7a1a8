"""From logits to ids: the repetition penalty, and text by argmax or by temperature, top-k and top-p.

Codes are always the argmax after their penalty (speech degenerates without it), text is greedy unless asked otherwise.
Each reply has its own history and its own generator, so who shares its batch does not change what it says.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from vivavoce.model.engine.events import Sampling
from vivavoce.model.engine.machine import NONE, Codes
from vivavoce.model.engine.network import Network, penalise


class History:
    """The last `window` recorded ids of every stream of one reply: 0 is text, 1 to 4 are the codebooks."""

    def __init__(self, window: int, streams: int = 5) -> None:
        self.recent = np.full((streams, window), NONE, np.int64)
        """[streams, window], in no order; negative where there is nothing."""
        self._steps = 0

    def record(self, text_id: int | None, codes: Sequence[int] | None) -> None:
        """One step's ids as recorded; None and negative ids take a place in the window and are not counted."""
        if self.recent.shape[1]:
            said = (NONE if text_id is None else text_id, *(codes or (NONE,) * (self.recent.shape[0] - 1)))
            self.recent[:, self._steps % self.recent.shape[1]] = said
        self._steps += 1


class Guide(Protocol):
    """Binds the text of one reply."""

    @property
    def silent(self) -> bool:
        """What comes now is not spoken."""

    def allowed(self, logits: Tensor) -> Tensor:
        """[V] -> [V], minus infinity where a token may not be chosen."""

    def took(self, token: int) -> None:
        """A token was chosen."""


class Speaker:
    """How one reply chooses its ids: its rules, what it chose lately, its own dice, and who guides its text."""

    def __init__(self, sampling: Sampling, guide: Guide | None = None) -> None:
        self.sampling = sampling
        self.guide = guide
        self.history = History(sampling.window)
        self.dice = torch.Generator().manual_seed(sampling.seed)

    @property
    def silent(self) -> bool:
        """Its next step has no codes."""
        return self.sampling.text_only or (self.guide is not None and self.guide.silent)

    def record(self, text_id: int | None, codes: Sequence[int] | None) -> None:
        """One step, as it is recorded."""
        self.history.record(text_id, codes)
        if self.guide is not None and text_id is not None:
            self.guide.took(text_id)


def choose(
    network: Network, hidden: Tensor, speakers: Sequence[Speaker], wants_text: Sequence[bool]
) -> list[tuple[int, Codes | None]]:
    """[N, D] after the final norm -> for each row a text id (NONE where not wanted) and codes (None if text-only)."""
    texts = [NONE] * len(speakers)
    codes: list[Codes | None] = [None] * len(speakers)
    reading = [row for row, wanted in enumerate(wants_text) if wanted]
    if reading:
        logits = network.logits(_rows(hidden, reading))
        for row, token in zip(reading, choose_text(logits, [speakers[row] for row in reading]), strict=True):
            texts[row] = token
    speaking = [row for row, speaker in enumerate(speakers) if not speaker.silent]
    if speaking:
        chosen = choose_codes(network, _rows(hidden, speaking), [speakers[row] for row in speaking])
        for row, codes_of_row in zip(speaking, chosen, strict=True):
            codes[row] = codes_of_row
    return list(zip(texts, codes, strict=True))


def _rows(hidden: Tensor, rows: list[int]) -> Tensor:
    return hidden if len(rows) == hidden.shape[0] else hidden[rows]


def choose_codes(network: Network, hidden: Tensor, speakers: Sequence[Speaker]) -> list[Codes]:
    """[N, D] -> the four codes of each row: the argmax of every head after its penalty."""
    histories = [speaker.history.recent[1:] for speaker in speakers]
    recent = np.full((len(speakers), histories[0].shape[0], max(h.shape[1] for h in histories)), NONE, np.int64)
    for row, history in zip(recent, histories, strict=True):
        row[:, : history.shape[1]] = history
    chosen = network.codes(hidden, recent, [speaker.sampling.audio_repetition_penalty for speaker in speakers])
    return [(row[0], row[1], row[2], row[3]) for row in chosen]


def choose_text(logits: Tensor, speakers: Sequence[Speaker]) -> list[int]:
    """[N, V] logits of the text head -> one id for each row, by its own rules. What a guide forbids is written into them."""
    guided = [(row, speaker.guide) for row, speaker in enumerate(speakers) if speaker.guide is not None]
    for row, guide in guided:
        logits[row] = guide.allowed(logits[row])
    chosen: list[int] = logits.argmax(dim=-1).tolist()
    for row, speaker in enumerate(speakers):
        if speaker.sampling.top_k != 1:
            chosen[row] = _draw(logits[row : row + 1], speaker)
    return chosen


def _draw(logits: Tensor, speaker: Speaker) -> int:
    """[1, V] -> an id: penalty, temperature, softmax, top-k, then top-p."""
    sampling = speaker.sampling
    logits = penalise(logits, [speaker.history.recent[0].tolist()], [sampling.repetition_penalty])
    odds = (logits[0] / (sampling.temperature or 1.0)).softmax(dim=-1).cpu()
    top = min(sampling.top_k or odds.numel(), odds.numel())
    values, ids = odds.topk(top)
    values = values / values.sum()
    kept = values.cumsum(0) - values < sampling.top_p
    return int(ids[torch.multinomial(values * kept, 1, generator=speaker.dice)])
