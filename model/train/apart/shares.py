"""Sums that do not depend on how many processes take part, and who looks after which parameter.

Floats added in another order give another sum. So what is added up, the gradients of a fixed number of pieces of work, are the
leaves of one binary tree, and every addition is one of its nodes. Who has all leaves of a branch adds them up; the branches meet
at the process that owns the parameter. It alone keeps the optimiser's state for it, takes the step, and sends the others what the
parameter is now (Rajbhandari et al., ZeRO, 2020, stages 1 and 2; FSDP's SHARD_GRAD_OP does the same but sums by ranks).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from vivavoce.model.train.apart.crew import Crew

T = TypeVar("T")
Branch = tuple[int, int]
"""First leaf, and the one after the last."""


def fair(costs: Sequence[float], size: int) -> list[range]:
    """Consecutive pieces of work for each of `size` processes, of about the same cost."""
    before = [0.0, *accumulate(costs)]
    cuts = [min(range(len(before)), key=lambda i: abs(before[i] - before[-1] * r / size)) for r in range(1, size)]
    return [range(a, b) for a, b in zip([0, *cuts], [*cuts, len(costs)], strict=True)]


def branches(whole: Branch, mine: range) -> list[Branch]:
    """The largest branches of the tree whose leaves are all in `mine`, in order."""
    low, high = whole
    if high <= mine.start or mine.stop <= low or low == high:
        return []
    if mine.start <= low and high <= mine.stop:
        return [whole]
    middle = (low + high) // 2
    return branches((low, middle), mine) + branches((middle, high), mine)


def total(whole: Branch, known: Callable[[Branch], T | None], plus: Callable[[T, T], T]) -> T:
    """The sum of a branch from the branches whose sums are known."""
    there = known(whole)
    if there is not None:
        return there
    low, high = whole
    assert high - low > 1, f"nobody has leaf {low}"
    middle = (low + high) // 2
    return plus(total((low, middle), known, plus), total((middle, high), known, plus))


@dataclass(frozen=True)
class Part:
    """One process's part of a sum of gradients."""

    params: Sequence[nn.Parameter]
    """By their owners."""
    leaves: Sequence[range]
    """Of every process."""
    sums: Sequence[Tensor]
    """Of each of its branches, all parameters in one row."""
    used: Tensor
    """int64 [params]: zero for parameters that are in none of its leaves."""


class Shares:
    """The parameters that a run trains, each owned by one process."""

    def __init__(self, crew: Crew, modules: nn.Module) -> None:
        self.crew = crew
        self.params = [p for p in modules.parameters() if p.requires_grad]
        self.owner: dict[Tensor, int] = {}
        held = [0] * crew.size
        for p in sorted(self.params, key=lambda p: -p.numel()):
            self.owner[p] = held.index(min(held))
            held[self.owner[p]] += p.numel()

    @property
    def owned(self) -> list[nn.Parameter]:
        return [p for p in self.params if self.owner[p] == self.crew.rank]

    def summed(
        self, params: Sequence[nn.Parameter], leaves: Sequence[range], gradients: Iterator[Sequence[Tensor | None]]
    ) -> Part:
        """This process's part of the sum of gradients over all leaves.

        Args:
            leaves: of every process, all of them consecutive.
            gradients: of each of this process's leaves in turn, one for each of `params`.
        """
        whole = (0, leaves[-1].stop)
        order = sorted(range(len(params)), key=lambda i: self.owner[params[i]])
        used = torch.zeros(len(params), dtype=torch.int64, device=self.crew.device)

        def leaf(branch: Branch) -> Sequence[Tensor | None] | None:
            return next(gradients) if branch[1] - branch[0] == 1 else None

        mine = []
        for branch in branches(whole, leaves[self.crew.rank]):
            made = total(branch, leaf, _each)
            used.add_(torch.tensor([g is not None for g in made], device=self.crew.device)[order])
            mine.append(torch.cat([_flat(made[i], params[i]) for i in order]))
        return Part([params[i] for i in order], leaves, mine, used)

    def add_up(self, parts: Sequence[Part]) -> None:
        """Let the owners of all parameters have the sums of their gradients; whoever is in no leaf keeps None."""
        used = self.crew.total(torch.cat([part.used for part in parts])).split([len(part.used) for part in parts])
        for part, times in zip(parts, used, strict=True):
            whole = (0, part.leaves[-1].stop)
            if not (whole[1] and part.params):
                continue
            there = total(whole, self._exchanged(whole, part).get, torch.add)
            own = [(p, n) for p, n in zip(part.params, times.tolist(), strict=True) if self.owner[p] == self.crew.rank]
            for (p, n), piece in zip(own, there.split([p.numel() for p, _ in own]), strict=True):
                # A tensor of its own lies in memory as in any other run; and a zero that was added to another has no sign.
                p.grad = (piece + 0.0).view_as(p) if n else None

    def _exchanged(self, whole: Branch, part: Part) -> Mapping[Branch, Tensor]:
        """What of every branch belongs to this process's parameters, one branch of each process at a time."""
        crew, theirs = self.crew, [branches(whole, some) for some in part.leaves]
        sizes = [sum(p.numel() for p in part.params if self.owner[p] == rank) for rank in range(crew.size)]
        there: dict[Branch, Tensor] = {}
        for turn in range(max(map(len, theirs))):
            speak = [turn < len(some) for some in theirs]
            sent = part.sums[turn] if speak[crew.rank] else torch.zeros(0, device=crew.device)
            give = [size * speak[crew.rank] for size in sizes]
            take = [sizes[crew.rank] * speaks for speaks in speak]
            pieces = crew.swap(sent, give, take).split(take)
            there |= {some[turn]: piece for some, piece in zip(theirs, pieces, strict=True) if turn < len(some)}
        return there

    def clip(self, limit: float) -> Tensor:
        """Scale all gradients so that their norm together is at most `limit`; returns what it was."""
        norms = torch.zeros(len(self.params), device=self.crew.device)
        for i, p in enumerate(self.params):
            if self.owner[p] == self.crew.rank and p.grad is not None:
                norms[i] = torch.linalg.vector_norm(p.grad)
        norm = torch.linalg.vector_norm(self.crew.total(norms))
        scale = (limit / (norm + 1e-6)).clamp(max=1.0)
        for p in self.owned:
            if p.grad is not None:
                p.grad.mul_(scale)
        return norm

    @torch.no_grad()
    def spread(self) -> None:
        """Let everybody have the parameters as their owners have them."""
        for rank in range(self.crew.size if self.crew.size > 1 else 0):
            theirs = [p for p in self.params if self.owner[p] == rank]
            if theirs:
                flat = self.crew.copied(torch.cat([p.flatten() for p in theirs]), rank)
                for p, piece in zip(theirs, flat.split([p.numel() for p in theirs]), strict=True):
                    p.copy_(piece.view_as(p))

    def states(self, optimisers: Sequence[Optimizer]) -> list[dict[str, Any]]:
        """What the optimisers of one process alone would have saved, on the first."""
        made = self.crew.collected([optimiser.state_dict() for optimiser in optimisers])
        return [
            {**several[0], "state": {k: v for one in several for k, v in one["state"].items()}}
            for several in zip(*made, strict=True)
        ]

    def load(self, optimisers: Sequence[Optimizer], saved: Sequence[dict[str, Any]]) -> None:
        """Take from saved states what belongs to this process's parameters, however many processes saved it."""
        for optimiser, state in zip(optimisers, saved, strict=True):
            params = [p for group in optimiser.param_groups for p in group["params"]]
            own = {i: v for i, v in state["state"].items() if self.owner[params[i]] == self.crew.rank}
            optimiser.load_state_dict({**state, "state": own})


def _each(some: Sequence[Tensor | None], others: Sequence[Tensor | None]) -> Sequence[Tensor | None]:
    """Sums of what both have. Nothing is written into: gradients may share memory."""
    return [a if b is None else b if a is None else a + b for a, b in zip(some, others, strict=True)]


def _flat(gradient: Tensor | None, like: Tensor) -> Tensor:
    return like.new_zeros(like.numel()) if gradient is None else gradient.reshape(-1)
