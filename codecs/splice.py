"""Feature frames stacked with their neighbours: 15 frames of 80 become one row of 1200, every 80 ms.

Row t holds frames stride * t - left to stride * t + right. Before the start the first frame repeats, after the end the
last one, so F frames make ceil(F / stride) rows.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Float32 = npt.NDArray[np.float32]


def splice(frames: Float32, left: int, right: int, stride: int) -> Float32:
    """float32 [F, D] -> float32 [ceil(F / stride), (left + 1 + right) * D].

    Raises:
        ValueError: not [F, D], a negative context, or a stride under 1.
    """
    _check(frames, left, right, stride)
    centres = np.arange(0, len(frames), stride)[:, None]
    at = np.clip(centres + np.arange(-left, right + 1), 0, max(0, len(frames) - 1))
    rows: Float32 = frames[at].reshape(len(centres), (left + 1 + right) * frames.shape[1])
    return rows


@dataclass(frozen=True, eq=False)
class SpliceState:
    """What a stream remembers between calls. The default is the start of a stream."""

    kept: Float32 | None = None
    """float32 [k, D]: the latest frames, the repeats of the first one among them; None before the first frame."""

    at: int = 0
    """Where in `kept` the next row begins; it may lie past the end."""


def splice_step(frames: Float32, state: SpliceState, left: int, right: int, stride: int) -> tuple[Float32, SpliceState]:
    """float32 [n, D] -> the rows whose right context is complete, and the next state.

    Raises:
        ValueError: as `splice`.
    """
    _check(frames, left, right, stride)
    width = left + 1 + right
    if len(frames) == 0:
        return np.zeros((0, width * frames.shape[1]), dtype=np.float32), state
    kept = np.repeat(frames[:1], left, axis=0) if state.kept is None else state.kept
    kept = np.concatenate([kept, frames])
    starts = np.arange(state.at, len(kept) - width + 1, stride)
    rows = kept[starts[:, None] + np.arange(width)].reshape(len(starts), width * frames.shape[1])
    following = state.at + stride * len(starts)
    drop = min(following, len(kept) - 1)
    return rows, SpliceState(kept[drop:].copy(), following - drop)


def splice_flush(state: SpliceState, left: int, right: int, stride: int) -> Float32:
    """The rows still waiting for right context, with the last frame repeated: [m, (left + 1 + right) * D].

    A stream that never saw a frame has no known width and gives [0, 0].
    """
    if state.kept is None:
        return np.zeros((0, 0), dtype=np.float32)
    return splice_step(np.repeat(state.kept[-1:], right, axis=0), state, left, right, stride)[0]


def _check(frames: Float32, left: int, right: int, stride: int) -> None:
    if frames.ndim != 2:
        raise ValueError(f"splice takes frames [F, D], got {list(frames.shape)}")
    if left < 0 or right < 0 or stride < 1:
        raise ValueError(f"splice needs left, right >= 0 and stride >= 1, got {left}, {right} and {stride}")
