"""What each process encodes in a step, and the way of the rows to those who need them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import chain

import numpy as np
import torch
from torch import Tensor

from vivavoce.model.train.apart.bridge import Bridge
from vivavoce.model.train.apart.crew import Crew
from vivavoce.model.train.apart.microbatches import Microbatch
from vivavoce.model.train.apart.senses import Lot, Sense
from vivavoce.model.train.apart.shares import fair


class Errand:
    """What one encoder has to do in one step, and how far this process is with it."""

    def __init__(
        self, crew: Crew, sense: Sense, lots: Sequence[Lot], makers: Sequence[range], users: Sequence[int], chunk: int
    ) -> None:
        """
        Args:
            makers: the lots of every process.
            users: of every microbatch, whose it is.
            chunk: rows under way at once.
        """
        self.crew, self.sense, self.lots, self.makers = crew, sense, lots, makers
        self.params = [p for p in sense.module.parameters() if p.requires_grad]
        items = [item for lot in lots for item in lot.items]
        who = [rank for rank, some in enumerate(makers) for index in some for _ in range(lots[index].rows)]
        to = [users[item.home] for item in items for _ in range(item.rows)]
        self.bridge = Bridge(crew, np.array(who, np.int64), np.array(to, np.int64), chunk)
        self._encoded: list[Tensor] = []
        self._where: dict[int, dict[int, slice]] = {}
        at = 0
        for item in items:
            if users[item.home] == crew.rank:
                self._where.setdefault(item.home, {})[item.place] = slice(at, at + item.rows)
                at += item.rows
        self._rows = self._gradients = torch.zeros(0)

    def encode(self, seed: int) -> None:
        """The lots of this process."""
        for index in self.makers[self.crew.rank]:
            torch.manual_seed(seed + index)
            with torch.set_grad_enabled(bool(self.params)):
                self._encoded.append(self.sense.encode(self.lots[index], self.crew.device))

    def send(self) -> None:
        """All rows to their users. Encoders that one process works at should not have to wait for those of another."""
        nothing = torch.zeros(0, self.sense.width, device=self.crew.device)
        self._rows = self.bridge.across(torch.cat([nothing, *(rows.detach() for rows in self._encoded)]))
        self._gradients = torch.zeros_like(self._rows)

    def rows(self, home: int) -> Tensor | None:
        """All that a microbatch of this process has of this kind, in order [.., width], as a leaf; None if it has nothing."""
        if home not in self._where:
            return None
        where = self._where[home]
        return torch.cat([self._rows[where[i]] for i in range(len(where))]).requires_grad_(bool(self.params))

    def give_back(self, home: int, gradient: Tensor) -> None:
        """The gradient with respect to `rows(home)`."""
        where = self._where[home]
        sizes = [where[i].stop - where[i].start for i in range(len(where))]
        for i, piece in enumerate(gradient.split(sizes)):
            self._gradients[where[i]] = piece

    def send_back(self) -> None:
        """All rows' gradients to who has encoded them."""
        self._gradients = self.bridge.back(self._gradients)

    def learn(self) -> Iterator[Sequence[Tensor | None]]:
        """Gradients of `params` for each lot of this process."""
        pieces = self._gradients.split([len(rows) for rows in self._encoded])
        for rows, gradient in zip(self._encoded, pieces, strict=True):
            yield torch.autograd.grad(rows, self.params, gradient, allow_unused=True)


def errands(
    crew: Crew,
    senses: Sequence[Sense],
    step: Sequence[Microbatch],
    mine: Sequence[range],
    *,
    chunk: int,
    at_home: bool,
) -> list[Errand]:
    """One for each sense: all lots of a step, shared out by what they cost.

    Args:
        mine: the microbatches of every process.
        at_home: every process encodes what stands in its own microbatches instead, in lots of its own.
    """
    users = [rank for rank, some in enumerate(mine) for _ in some]
    if at_home:
        kinds = []
        for sense in senses:
            each = [sense.lots(sense.items(home, microbatch), 1) for home, microbatch in enumerate(step)]
            ends = np.cumsum([0, *map(len, each)]).tolist()
            makers = [range(ends[some.start], ends[some.stop]) for some in mine]
            kinds.append((sense, list(chain(*each)), makers))
    else:
        kinds = [(sense, lots, makers) for sense, lots, makers in _evenly(senses, step, crew.size)]
    return [Errand(crew, sense, lots, makers, users, chunk) for sense, lots, makers in kinds]


def _evenly(
    senses: Sequence[Sense], step: Sequence[Microbatch], size: int
) -> Iterator[tuple[Sense, list[Lot], list[range]]]:
    lots = [
        sense.lots([item for home, microbatch in enumerate(step) for item in sense.items(home, microbatch)])
        for sense in senses
    ]
    costs = [sense.row_cost * lot.padded for sense, some in zip(senses, lots, strict=True) for lot in some]
    shares, start = fair(costs, size), 0
    for sense, some in zip(senses, lots, strict=True):
        stop = start + len(some)
        yield sense, some, [range(_within(s.start, start, stop), _within(s.stop, start, stop)) for s in shares]
        start = stop


def _within(index: int, start: int, stop: int) -> int:
    """A place among all lots as a place among those of one sense."""
    return min(max(index, start), stop) - start
