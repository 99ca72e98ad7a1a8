"""Weights as the compiled functions of `kernels/` read them."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from torch import Tensor

from vivavoce.codecs.kernels.vectors import LANES

__all__ = ["Shelf", "padded"]


def padded(width: int) -> int:
    """The next whole number of panels."""
    return -(-width // LANES) * LANES


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
