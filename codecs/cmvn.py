"""Global mean and variance of features, and the files that carry them.

The statistics are Kaldi's: a matrix [2, D + 1] whose first row holds the sums and, last, the count of frames, and whose
second row holds the sums of squares. It comes as Kaldi text, Kaldi binary, or a numpy file.

Source: Kaldi `transform/cmvn.cc` and `matrix/kaldi-matrix.cc`.
"""

from __future__ import annotations

import io
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

Float32 = npt.NDArray[np.float32]
Float64 = npt.NDArray[np.float64]

FLOOR = 1.19e-7
"""Smallest standard deviation divided by."""

BINARY_TYPES: dict[bytes, np.dtype[np.floating]] = {b"\0BFM ": np.dtype("<f4"), b"\0BDM ": np.dtype("<f8")}
NUMPY_MAGIC = b"\x93NUMPY"


@dataclass(frozen=True, eq=False)
class Cmvn:
    """Subtract the mean, then multiply by the inverse standard deviation."""

    mean: Float32
    """float32 [D]."""

    scale: Float32
    """float32 [D]: 1 / max(1.19e-7, standard deviation)."""

    def __call__(self, frames: Float32) -> Float32:
        """float32 [..., D] -> float32 [..., D]."""
        return np.asarray((frames - self.mean) * self.scale, dtype=np.float32)

    @classmethod
    def from_stats(cls, stats: Float64) -> Cmvn:
        """From Kaldi statistics [2, D + 1].

        Raises:
            ValueError: another shape, or statistics of no frames at all.
        """
        if stats.ndim != 2 or stats.shape[0] != 2 or stats.shape[1] < 2:
            raise ValueError(f"cmvn statistics must be [2, D + 1], got {list(stats.shape)}")
        count = float(stats[0, -1])
        if not count > 0:
            raise ValueError(f"cmvn statistics must count at least 1 frame, got {count}")
        mean = stats[0, :-1] / count
        deviation = np.sqrt(np.maximum(stats[1, :-1] / count - mean**2, 0.0))
        return cls(mean.astype(np.float32), (1.0 / np.maximum(FLOOR, deviation)).astype(np.float32))


def cmvn_stats(frames: Float32 | Iterable[Float32]) -> Float64:
    """Float [F, D], or several of them -> Kaldi statistics [2, D + 1].

    Raises:
        ValueError: there are no frames.
    """
    total: Float64 | None = None
    for some in [frames] if isinstance(frames, np.ndarray) else frames:
        some = some.astype(np.float64)
        sums = np.stack([np.append(some.sum(0), len(some)), np.append(np.square(some).sum(0), 0.0)])
        total = sums if total is None else total + sums
    if total is None or total[0, -1] == 0:
        raise ValueError("cmvn statistics need at least 1 frame, got 0")
    return total


def read_cmvn(path: str | Path) -> Cmvn:
    """From a file of Kaldi statistics: text, binary (float or double), or .npy.

    Raises:
        OSError: the file cannot be read.
        ValueError: it is none of these, or not [2, D + 1].
    """
    data = Path(path).read_bytes()
    try:
        return Cmvn.from_stats(_parse_matrix(data))
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error


def write_cmvn(path: str | Path, frames: Float32 | Iterable[Float32]) -> None:
    """The statistics of float [F, D] (or of several such) as Kaldi text, exact to the last bit.

    Raises:
        ValueError: there are no frames.
    """
    rows = ["  " + " ".join(repr(float(value)) for value in row) for row in cmvn_stats(frames)]
    Path(path).write_text(" [\n" + "\n".join(rows) + " ]\n", encoding="ascii")


def _parse_matrix(data: bytes) -> Float64:
    if data.startswith(NUMPY_MAGIC):
        return np.asarray(np.load(io.BytesIO(data), allow_pickle=False), dtype=np.float64)
    if data.startswith(b"\0B"):
        return _parse_binary(data)
    lines = data.decode("ascii").replace("[", " ").replace("]", " ").split("\n")
    rows = [[float(word) for word in line.split()] for line in lines if line.strip()]
    if len({len(row) for row in rows}) > 1:
        raise ValueError(f"the matrix has rows of {sorted({len(row) for row in rows})} numbers")
    return np.array(rows, dtype=np.float64)


def _parse_binary(data: bytes) -> Float64:
    """Kaldi's: "\\0BDM " or "\\0BFM ", then rows and columns as int32 each behind a byte 4, then the numbers."""
    if data[:5] not in BINARY_TYPES or len(data) < 15:
        raise ValueError(f"a Kaldi matrix starts with one of {sorted(BINARY_TYPES)}, got {data[:5]!r}")
    kind = BINARY_TYPES[data[:5]]
    rows, columns = (int.from_bytes(data[at : at + 4], "little", signed=True) for at in (6, 11))
    expected = rows * columns * kind.itemsize
    if rows < 0 or columns < 0 or len(data) - 15 != expected:
        raise ValueError(f"a matrix of {rows} x {columns} needs {expected} bytes, got {len(data) - 15}")
    numbers: npt.NDArray[np.floating] = np.frombuffer(data, dtype=kind, offset=15)
    return numbers.reshape(rows, columns).astype(np.float64)
