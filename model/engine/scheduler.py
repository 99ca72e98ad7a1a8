"""Who runs in the next step: a plan made of integers. No tensors.

A decode is one row and somebody is waiting to hear it, so decodes go first. Prefill rows fill the rest of the budget,
which is smaller beside decodes: a long picture must not make another conversation stutter. Prompts that a reply waits for go
before those of turns that are not over. Among equals, whoever has waited longest goes first.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from vivavoce.model.engine.sequence import Sequence


@dataclass(frozen=True)
class Budget:
    """How much one step may hold."""

    rows: int = 512
    """Prefill rows in a step without decodes."""
    rows_beside_decodes: int = 96
    """Prefill rows in a step that also decodes; never zero, or a busy engine would not listen."""
    decodes: int = 64
    """Sequences that decode in one step."""

    def __post_init__(self) -> None:
        if min(self.rows, self.rows_beside_decodes, self.decodes) < 1:
            raise ValueError(f"every budget must be at least one, got {self}")


@dataclass(frozen=True)
class Share:
    """`rows` submitted rows of one session."""

    session: str
    rows: int


@dataclass(frozen=True)
class Plan:
    """One step: whole or partial prefills (also decodes with a guess behind them), and sessions that feed back one last row."""

    prefill: tuple[Share, ...] = ()
    decode: tuple[str, ...] = ()

    @property
    def empty(self) -> bool:
        return not (self.prefill or self.decode)

    def parts(self) -> list[Plan]:
        """The same, each session by itself."""
        return [Plan(prefill=(share,)) for share in self.prefill] + [Plan(decode=(name,)) for name in self.decode]

    @property
    def rows(self) -> dict[str, int]:
        """How many rows of each session."""
        return {share.session: share.rows for share in self.prefill} | dict.fromkeys(self.decode, 1)


def plan(sequences: Iterable[Sequence], budget: Budget) -> Plan:
    """Choose the rows of the next step.

    A decoding sequence with one row pending, and guesses behind it, is a decode; with more, its prompt is still being read.
    """
    waiting = sorted((s for s in sequences if s.pending), key=lambda s: s.served)
    decodes = [s for s in waiting if s.decoding and s.pending == 1 + s.guessed][: budget.decodes]
    chosen = {s.session for s in decodes}
    left = budget.rows_beside_decodes if decodes else budget.rows
    shares = [Share(s.session, s.pending) for s in decodes if s.guessed]
    for sequence in sorted(waiting, key=lambda s: not s.decoding):
        if sequence.session in chosen or left == 0:
            continue
        rows = min(sequence.pending, left)
        shares.append(Share(sequence.session, rows))
        left -= rows
    return Plan(prefill=tuple(shares), decode=tuple(s.session for s in decodes if not s.guessed))
