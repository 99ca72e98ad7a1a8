"""Guesses at the token after the next, so that a reply in writing is decoded two rows a step, with the next-token-prediction head.

    row L: the token that was chosen      row L + 1: the head's guess at what follows it
    run both; what is chosen after row L is what plain decoding would choose. If it is the guess, row L + 1 is in its place
    already, and one more token is chosen from it. If not, row L + 1 is taken back.

So the words are those of plain decoding, drawn ones too: they are drawn from the same odds with the same dice. Only the number
of steps differs. The head has a cache of its own, one row a position like the backbone's; the row of position p joins the hidden
vector of p with the input at p + 1, and so comes one step later. After a rollback one such row may be old, which makes a guess
worse and no word wrong.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from vivavoce.model.mtp import MtpHead
from vivavoce.model.omni import Omni
from vivavoce.model.stepping import ForwardBatch

__all__ = ["Follower", "Predictor"]


@dataclass(frozen=True, eq=False)
class Follower:
    """What the backbone has just run of one session: `rows` and `hidden` [n, D], from position `past` on."""

    rows: Tensor
    hidden: Tensor
    past: int
    slots: Tensor
    """int64: where each position lies in the cache."""
    before: Tensor | None
    """[D]: the hidden vector of position `past` - 1, if the head has not read it yet."""

    @property
    def joined(self) -> tuple[Tensor, Tensor, int]:
        """Inputs and hidden vectors of the positions that are complete now, and the first of those positions."""
        if self.before is None:
            return self.rows[1:], self.hidden[:-1], self.past
        return self.rows, torch.cat([self.before[None], self.hidden[:-1]]), self.past - 1


class Predictor:
    """The head over a cache of `slots` rows, used as the backbone's are."""

    def __init__(self, omni: Omni, head: MtpHead, slots: int) -> None:
        self._omni, self._head = omni, head
        self.cache = omni.backbone.lm_head.weight.new_zeros(1, slots, omni.config.backbone.cache_width)

    def follow(self, followers: Sequence[Follower]) -> None:
        """Keep up with the backbone."""
        parts = [(follower.joined, follower.slots) for follower in followers]
        parts = [part for part in parts if part[0][0].shape[0]]
        if not parts:
            return
        batch = ForwardBatch.of(self.cache, [(len(rows), past, slots) for (rows, _, past), slots in parts])
        rows = torch.cat([joined[0] for joined, _ in parts])
        hidden = torch.cat([joined[1] for joined, _ in parts])
        self._head.step(rows, hidden, batch)

    def guess(self, rows: Tensor, hidden: Tensor, places: Sequence[tuple[int, Tensor]]) -> list[int]:
        """The token after the next of each session.

        rows [N, D]: the inputs of the chosen tokens. hidden [N, D]: what they were chosen from. places: the position of that
        hidden vector, and the session's slots.
        """
        batch = ForwardBatch.of(self.cache, [(1, past, slots) for past, slots in places])
        guessed: list[int] = self._omni.backbone.logits(self._head.step(rows, hidden, batch)).argmax(dim=-1).tolist()
        return guessed
