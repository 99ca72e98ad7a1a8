"""What goes into the engine beside rows, and what comes out of it: plain values, no tensors. And what it refuses:

EngineError          the request was refused, for one session alone, and nothing has changed
    UnknownSession   no such session is open, or one of that name already is
    PoolFull         the cache has no blocks left, for anyone
    ContextFull      this session has reached its longest conversation
    MissingChunks    rows that were never stored; decided before anything is submitted
    OutOfStep        a prefill that does not start where the sequence stands, or a way back past its end
    StaleEpoch       a reply that was interrupted before it began, or beside one still running
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from vivavoce.model.engine.machine import Codes, Stage


class EngineError(Exception):
    """The request was refused, and nothing has changed."""


class UnknownSession(EngineError):
    """No such session is open, or one of that name already is."""


class PoolFull(EngineError):
    """More blocks were asked for than are free; says both numbers."""


class ContextFull(EngineError):
    """A sequence would grow past its limit; says both numbers."""


class MissingChunks(EngineError):
    """Rows to be prefilled were never stored; `keys` names what to send again."""

    def __init__(self, keys: Iterable[str]) -> None:
        self.keys = tuple(keys)
        super().__init__(f"no rows are stored under {', '.join(self.keys)}")


class OutOfStep(EngineError):
    """Caller and engine disagree about where a sequence stands; says both positions."""


class StaleEpoch(EngineError):
    """The epoch was interrupted, or another one is still decoding."""


FinishReason = Literal["done", "length", "cancelled", "error"]


@dataclass(frozen=True)
class Limits:
    """What a session asks for when it opens."""

    max_context: int | None = None
    """The longest conversation in positions; None for as long as the model and the pool allow."""


@dataclass(frozen=True)
class Caps:
    """What a session gets."""

    max_context: int
    page_size: int
    rollback: Literal["prefix"] = "prefix"
    heads: int = 4


@dataclass(frozen=True)
class Sampling:
    """How one reply is drawn. The text is greedy when `top_k` is 1; codes always are, after their penalty."""

    top_k: int = 1
    """1 is pure argmax without any penalty; 0 keeps the whole vocabulary."""
    temperature: float = 1.0
    """0 is read as 1, as the released decoder does; greedy is `top_k` 1."""
    top_p: float = 1.0
    repetition_penalty: float = 1.0
    audio_repetition_penalty: float = 1.1
    window: int = 30
    """Steps of this reply that both penalties look back over."""
    text_only: bool = False
    max_tokens: int = 4096
    seed: int = 0

    def __post_init__(self) -> None:
        if self.max_tokens < 1 or self.window < 0 or self.top_k < 0:
            raise ValueError(
                f"max_tokens must be positive, window and top_k not negative, got "
                f"{self.max_tokens}, {self.window} and {self.top_k}"
            )
        if self.temperature < 0 or not 0 < self.top_p <= 1:
            raise ValueError(
                f"temperature must not be negative and top_p lie in (0, 1], got {self.temperature} and {self.top_p}"
            )
        if self.repetition_penalty <= 0 or self.audio_repetition_penalty <= 0:
            raise ValueError(
                f"penalties must be positive, got {self.repetition_penalty} and {self.audio_repetition_penalty}"
            )

    @classmethod
    def from_generation_config(cls, values: Mapping[str, Any]) -> Sampling:
        """Read a checkpoint's generation_config.json; without `do_sample` the text is greedy."""
        sample = bool(values.get("do_sample", False))
        return cls(
            top_k=int(values.get("top_k", 0)) if sample else 1,
            temperature=float(values.get("temperature", cls.temperature)),
            top_p=float(values.get("top_p", cls.top_p)),
            repetition_penalty=float(values.get("repetition_penalty", cls.repetition_penalty)),
            audio_repetition_penalty=float(values.get("audio_repetition_penalty", cls.audio_repetition_penalty)),
            window=int(values.get("audio_rep_penalty_window", cls.window)),
            max_tokens=int(values.get("max_new_tokens", cls.max_tokens)),
        )


@dataclass(eq=False)
class Figures:
    """What one session has cost so far."""

    positions: int = 0
    """Rows that were run, those of forgotten turns and of wrong guesses among them."""
    experts: float = 0.0
    """FFN experts that they used, all together, as the mean of the layers."""
    guessed: int = 0
    """Tokens that the next-token-prediction head guessed."""
    accepted: int = 0
    """Of these, how many were right."""

    def ran(self, positions: int, experts: float) -> None:
        """Count some rows."""
        self.positions += positions
        self.experts += experts

    @property
    def experts_per_position(self) -> float:
        """FFN experts that a position used on average in a layer; 0.0 before any."""
        return self.experts / self.positions if self.positions else 0.0


@dataclass(frozen=True)
class Prefilled:
    """Every row submitted so far is in the cache: `cached` positions were, `prefilled` more have been run."""

    session: str
    cached: int
    prefilled: int


@dataclass(frozen=True)
class Frame:
    """One step of a reply, as recorded: ids of the vocabularies, codes with their offset of 32.

    `step` is the position the step's row takes in the sequence, so rolling back to it forgets this frame and what
    follows. `text_id` is None while only sound is made; `codes` is None in a text-only reply, and a negative code
    stands for none. `stage` is the stage in which the step was made.
    """

    session: str
    epoch: int
    step: int
    text_id: int | None
    codes: Codes | None
    stage: Stage


@dataclass(frozen=True)
class Finished:
    """No frame of `epoch` follows. The last frame's row has not been run; the caller closes the reply."""

    session: str
    epoch: int
    reason: FinishReason


@dataclass(frozen=True)
class Failed:
    """This session's work was dropped, for the reason given; other sessions are not touched."""

    session: str
    epoch: int | None
    message: str


Event = Prefilled | Frame | Finished | Failed
