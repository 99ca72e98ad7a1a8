"""Weights as the compiled functions of `kernels/` read them."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from vivavoce.codecs.kernels.vectors import LANES

__all__ = ["Shelf", "aligned", "behind_one_another", "padded"]


def padded(width: int) -> int:
    """The next whole number of panels."""
    return -(-width // LANES) * LANES


def aligned(*shape: int, dtype: npt.DTypeLike = np.float32) -> npt.NDArray[Any]:
    """Zeros that begin where a line of the caches does, as numpy's do not: a vector that lies across two is read twice."""
    return (
        torch.zeros(int(np.prod(shape)) * np.dtype(dtype).itemsize, dtype=torch.uint8)
        .numpy()
        .view(dtype)
        .reshape(shape)
    )


def behind_one_another(parts: list[npt.NDArray[Any]], dtype: npt.DTypeLike) -> npt.NDArray[Any]:
    """Takes the parts from their list, so that each is held twice for a moment only."""
    whole, at = aligned(sum(part.size for part in parts), dtype=dtype), 0
    parts.reverse()
    while parts:
        part = parts.pop()
        whole[at : at + part.size] = part
        at += part.size
    return whole


class Shelf:
    """Matrices packed one behind the other: those that are exactly bfloat16 as such, the others in full."""

    def __init__(self) -> None:
        self.full: list[npt.NDArray[np.float32]] = []
        self.half: list[npt.NDArray[np.uint16]] = []
        self._sizes = [0, 0]

    def put(self, matrix: Tensor) -> tuple[int, int, int, int]:
        """[out, in] -> where it lies; see `kernels.products.FIELDS`."""
        outputs, depth = matrix.shape
        whole = np.zeros((padded(outputs), depth), np.float32)
        whole[:outputs] = matrix.numpy()
        panels = np.ascontiguousarray(whole.reshape(-1, LANES, depth).transpose(0, 2, 1)).ravel()
        bits = panels.view(np.uint32)
        half = int(not (bits & 0xFFFF).any())
        offset = self._sizes[half]
        self._sizes[half] += panels.size
        if half:
            self.half.append((bits >> 16).astype(np.uint16))
        else:
            self.full.append(panels)
        return offset, depth, outputs, half
