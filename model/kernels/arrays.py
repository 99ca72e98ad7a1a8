"""What the compiled functions are given: the network's numbers, its packed weights, and room for what lies in between."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from vivavoce.codecs.kernels.products import FIELDS as FIELDS
from vivavoce.codecs.kernels.vectors import LANES as LANES

FEW = 4
"""(row, head) pairs whose scores are taken together; up to LANES of them are attended to in one pass."""
BLOCK = 64
"""Positions that a row attends to before their weights are summed; fewer of wide latents, see `BLOCK_NUMBERS`."""
BLOCK_NUMBERS = 1280
"""Of latents in a block. A sixth of the nearest cache, so that the memory is never idle for long while they are used."""
CHUNK = 1024
"""Positions that are attended to by themselves, by one thread, before what came of them is joined to what came of those before."""
UNSEEN = -1e30
"""The score of a position that may not be seen."""

MATRICES = ("down", "queries", "out", "gate_up", "ffn_down")
"""Of each half of a double layer, in this order. Then come the router, gate_up and down of every expert, and, where they are not
absorbed, of each half the up-projections of each head: of its queries to latents, of its mixed latents to values."""
NORMS = ("before", "low", "latent", "after")
"""Weights of the norms of each half of a double layer, in this order."""


class Shape(NamedTuple):
    """The numbers of the network that the loops need."""

    width: int
    layers: int
    heads: int
    low: int
    """Rank of the queries' latent."""
    latent: int
    rope: int
    nope: int
    """0 where the keys' up-projection is absorbed in the queries' and the values' in the output's."""
    value: int
    inner: int
    expert_inner: int
    experts: int
    """FFN experts; the router has `choices` altogether."""
    choices: int
    topk: int
    eps: float
    low_eps: float
    softmax_scale: float
    zero_scale: float
    routed_scale: float


class Packed(NamedTuple):
    """The weights."""

    full: npt.NDArray[np.float32]
    half: npt.NDArray[np.uint16]
    matrices: npt.NDArray[np.int64]
    """[layers, matrices of a layer, 4]; see FIELDS."""
    norms: npt.NDArray[np.float32]
    """[layers, 2, 4, width]; narrower ones begin their row."""
    last_norm: npt.NDArray[np.float32]
    bias: npt.NDArray[np.float32]
    """[layers, choices]: added to the router's scores for the choice only."""


class Room(NamedTuple):
    """Where a step keeps what is between its products: rows [rows, ...], padded to whole panels."""

    normed: npt.NDArray[np.float32]
    low: npt.NDArray[np.float32]
    queries: npt.NDArray[np.float32]
    mixed: npt.NDArray[np.float32]
    plain: npt.NDArray[np.float32]
    """Queries before, values after the up-projections, where they are not absorbed."""
    gate_up: npt.NDArray[np.float32]
    added: npt.NDArray[np.float32]
    shortcut: npt.NDArray[np.float32]
    gathered: npt.NDArray[np.float32]
    inner: npt.NDArray[np.float32]
    scores: npt.NDArray[np.float32]
    chosen: npt.NDArray[np.int64]
    """[rows, topk]."""
    weights: npt.NDArray[np.float32]
    """[rows, topk]."""
    given: npt.NDArray[np.int64]
    """[rows, 2]: the rows that one expert is given, and as which of its choices each of them took it."""
    columns: npt.NDArray[np.float32]
    """[LANES, padded cache width]: the queries of some (row, head) pairs."""


class Desk(NamedTuple):
    """Where one thread attends: its scratch, and what came of every chunk."""

    latents: npt.NDArray[np.float32]
    """[positions of a block * padded cache width]: of those that are just attended to, if they do not lie together."""
    odds: npt.NDArray[np.float32]
    """[BLOCK, LANES]."""
    sums: npt.NDArray[np.float32]
    """[LANES, latent]."""
    state: npt.NDArray[np.float32]
    """[3, LANES]: of each column the highest score so far, the sum of its odds, and what both are changed by."""
    kept: npt.NDArray[np.float32]
    """[chunks, LANES, latent]: sums of whole chunks."""
    tops: npt.NDArray[np.float32]
    """[chunks, 2, LANES]: the first two of `state` then."""


class Rows(NamedTuple):
    """What a step is about: N new tokens of some sequences, those of a sequence together and in order."""

    cos: npt.NDArray[np.float32]
    """[N, rope / 2], as sin."""
    sin: npt.NDArray[np.float32]
    write: npt.NDArray[np.int64]
    """[N]: the cache slot of each."""
    seen: npt.NDArray[np.int64]
    """[N]: how many positions of its sequence each sees, itself included."""
    tables: npt.NDArray[np.int64]
    """[N]: the address of its sequence's slots, int64, one for each position."""
