"""Where the numbers are: the latent cache, the rows that wait to be run, and the step that runs them.

The cache is paged: position p of a sequence lies in slot `blocks[p // size] * size + p % size`. A block is written anew
by whoever holds it, and nobody reads past their own length, so going back costs nothing but handing blocks in.
"""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Sequence as Several
from dataclasses import dataclass

import torch
from torch import Tensor

from vivavoce.model.engine.network import Network, network_of
from vivavoce.model.engine.scheduler import Plan
from vivavoce.model.engine.sequence import Sequence
from vivavoce.model.engine.speculation import Follower, Predictor
from vivavoce.model.omni import Omni
from vivavoce.model.stepping import ForwardBatch


@dataclass(eq=False)
class _Lane:
    """One session's tensors."""

    waiting: Tensor
    """[n, D]: rows submitted and not yet run."""
    slots: Tensor
    """int64 [capacity]: the slot of each position; the first `known` blocks' worth are right."""
    known: int = 0
    made: Tensor | None = None
    """[n, D]: the hidden vectors of the rows that were run last."""
    unread: Tensor | None = None
    """[D]: that of the last cached position, which the next-token-prediction head has not read yet."""
    first: int | None = None
    """The slot of position 0, as long as the known blocks lie one behind the other."""


class Runner:
    """Runs plans over the cache of one model."""

    def __init__(self, omni: Omni, n_blocks: int, block_size: int, network: Network | None = None) -> None:
        self.omni = omni
        self.block_size = block_size
        self.network = network or network_of(omni)
        self.cache = omni.backbone.new_cache(n_blocks * block_size + self.network.spare_slots)
        self._predictor = None if omni.mtp is None else Predictor(omni, omni.mtp, n_blocks * block_size)
        self._lanes: dict[str, _Lane] = {}
        self._within_block = torch.arange(block_size, device=self.cache.device)

    def begin(self, session: str) -> None:
        width = self.omni.config.backbone.hidden_size
        nothing = self.cache.new_zeros(0, width)
        self._lanes[session] = _Lane(nothing, self._within_block.new_zeros(0))

    def forget(self, session: str) -> None:
        del self._lanes[session]

    def submit(self, session: str, rows: Tensor) -> None:
        """[n, D] more rows of a session, behind those that wait."""
        lane = self._lanes[session]
        lane.waiting = torch.cat([lane.waiting, rows]) if lane.waiting.shape[0] else rows

    def rewind(self, sequence: Sequence) -> None:
        """The sequence has gone back: forget the rows and the blocks that it no longer has."""
        lane = self._lanes[sequence.session]
        lane.waiting = lane.waiting[: sequence.pending]
        lane.known = min(lane.known, len(sequence.blocks))
        lane.unread = None

    @property
    def predicts(self) -> bool:
        """The model has a next-token-prediction head."""
        return self._predictor is not None

    def made(self, session: str) -> Tensor:
        """[n, D]: the hidden vectors of the rows of a session that were run last."""
        made = self._lanes[session].made
        assert made is not None, "nothing of it has been run"
        return made

    def guess(self, sequences: Several[Sequence], rows: Tensor, hidden: Tensor) -> list[int]:
        """The token after the next of each, see `Predictor.guess`; the next is about to be submitted as `rows` [N, D]."""
        assert self._predictor is not None, "nobody can guess"
        lanes = [self._lanes[sequence.session] for sequence in sequences]
        places = [(s.length - 1, self._slots(lane, s)) for lane, s in zip(lanes, sequences, strict=True)]
        for lane in lanes:
            lane.unread = None
        return self._predictor.guess(rows, hidden, places)

    def run(self, plan: Plan, sequences: Mapping[str, Sequence]) -> dict[str, Tensor]:
        """One batch through the backbone -> for each session [D], the hidden vector of its last row in it.

        Whatever is raised, nothing has happened but that slots no one has read yet are written; it can be run again.
        """
        shares = [(share.session, share.rows) for share in plan.prefill] + [(session, 1) for session in plan.decode]
        rows, parts = [], []
        for session, count in shares:
            lane = self._lanes[session]
            rows.append(lane.waiting[:count])
            slots = self._slots(lane, sequences[session])
            parts.append((count, sequences[session].length, slots, lane.first))
        hidden = self.network.step(torch.cat(rows), ForwardBatch.of(self.cache, parts))
        if self._predictor is not None:
            self._predictor.follow(self._followers(shares, rows, hidden, parts))
        last, ends = 0, {}
        for session, count in shares:
            lane = self._lanes[session]
            lane.waiting = lane.waiting[count:]
            lane.made = hidden[last : last + count]
            last += count
            ends[session] = lane.unread = hidden[last - 1]
        return ends

    def _followers(
        self,
        shares: Several[tuple[str, int]],
        rows: Several[Tensor],
        hidden: Tensor,
        parts: Several[tuple[int, int, Tensor, int | None]],
    ) -> list[Follower]:
        """What has just been run, session by session."""
        made = hidden.split([count for _, count in shares])
        return [
            Follower(some, out, past, slots, self._lanes[session].unread)
            for (session, _), some, out, (_, past, slots, _) in zip(shares, rows, made, parts, strict=True)
        ]

    def _slots(self, lane: _Lane, sequence: Sequence) -> Tensor:
        """The slot table, brought up to the blocks the sequence holds now."""
        blocks, size = sequence.blocks, self.block_size
        if lane.known < len(blocks):
            if lane.slots.shape[0] < len(blocks) * size:
                grown = lane.slots.new_zeros(2 * len(blocks) * size)
                grown[: lane.known * size] = lane.slots[: lane.known * size]
                lane.slots = grown
            fresh = torch.tensor(blocks[lane.known :], device=lane.slots.device)[:, None] * size + self._within_block
            lane.slots[lane.known * size : len(blocks) * size] = fresh.flatten()
            lane.known = len(blocks)
            lane.first = blocks[0] * size if _consecutive(blocks) else None
        return lane.slots


def _consecutive(numbers: Several[int]) -> bool:
    return list(numbers) == list(range(numbers[0], numbers[0] + len(numbers)))
