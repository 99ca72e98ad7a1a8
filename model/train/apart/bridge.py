"""Embeddings from the processes that encode to those whose sequences they stand in, and their gradients back, a chunk at a time.

Every process knows the whole route, so nothing is sent but rows; what is under way at once is bounded by the chunk.
LongCat-Flash-Omni report, modality-decoupled parallelism, calls it the ModalityBridge.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from vivavoce.model.train.apart.crew import Crew

CHUNK = 512
"""Rows under way at once, of all processes together."""


@dataclass(frozen=True)
class Bridge:
    """The way of every row of one kind of embedding, in the order in which they are encoded."""

    crew: Crew
    makers: np.ndarray
    """int [rows]: who encodes each; never falls."""
    users: np.ndarray
    """int [rows]: whose sequences they stand in."""
    chunk: int = CHUNK

    def across(self, made: Tensor) -> Tensor:
        """Rows that this process has encoded [.., W] to the rows that it uses [.., W], both in order."""
        used = made.new_empty(int((self.users == self.crew.rank).sum()), made.shape[1])
        for give, take, sent, got in self._chunks():
            used[got] = self.crew.swap(made[sent], give, take)
        return used

    def back(self, used: Tensor) -> Tensor:
        """`across` in the other direction: gradients of the rows that it uses to gradients of those that it has encoded."""
        made = used.new_empty(int((self.makers == self.crew.rank).sum()), used.shape[1])
        for give, take, sent, got in self._chunks():
            made[sent] = self.crew.swap(used[got], take, give)
        return made

    def _chunks(self) -> Iterator[tuple[list[int], list[int], Tensor, Tensor]]:
        """How many rows go to and come from each process, and where they lie among those made and those used here."""
        rank, size = self.crew.rank, self.crew.size
        at_maker, at_user = np.cumsum(self.makers == rank) - 1, np.cumsum(self.users == rank) - 1
        for start in range(0, len(self.makers), self.chunk):
            rows = np.arange(start, min(start + self.chunk, len(self.makers)))
            out, come = rows[self.makers[rows] == rank], rows[self.users[rows] == rank]
            out = out[np.argsort(self.users[out], kind="stable")]
            counts: Callable[[np.ndarray], list[int]] = lambda who: np.bincount(who, minlength=size).tolist()  # noqa: E731
            yield (
                counts(self.users[out]),
                counts(self.makers[come]),
                torch.from_numpy(at_maker[out]).to(self.crew.device),
                torch.from_numpy(at_user[come]).to(self.crew.device),
            )
