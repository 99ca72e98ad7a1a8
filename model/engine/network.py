"""What the engine asks of a network, step by step, and the two that answer: compiled for a CPU, and PyTorch for everything."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Protocol

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from vivavoce.model.fused import Fused, fits
from vivavoce.model.layers import laid_out
from vivavoce.model.omni import Omni
from vivavoce.model.stepping import ForwardBatch, Stepper

Recent = npt.NDArray[np.int64]
"""[N, streams, window]: what the rows' replies said lately in each speech stream; negative for nothing."""


class Network(Protocol):
    """A network made ready for the engine."""

    @property
    def weight_bytes(self) -> float:
        """Bytes of one of its weights in memory, on average."""

    @property
    def given(self) -> list[int] | None:
        """FFN experts that each row of the latest step was given, over all layers; None before any."""

    @property
    def spare_slots(self) -> int:
        """Slots at the end of its cache that it wants to itself."""

    def step(self, embeds: Tensor, batch: ForwardBatch) -> Tensor:
        """New rows [N, D] of a batch -> [N, D] after the final norm; writes their latents to the batch's cache."""

    def logits(self, hidden: Tensor) -> Tensor:
        """[N, D] -> fp32 [N, V] of the text head."""

    def codes(self, hidden: Tensor, recent: Recent, penalties: Sequence[float]) -> list[list[int]]:
        """[N, D] -> the speech streams' codes of each row: the argmax of every head after its penalty."""

    def embed(self, texts: Sequence[int], codes: Sequence[Sequence[int]]) -> Tensor:
        """What a step has chosen -> the next rows [N, D]; negative ids add nothing."""


def network_of(omni: Omni) -> Network:
    """The fastest that can run this network where it is."""
    from vivavoce.model.engine.graphs import GraphNetwork  # it is a TorchNetwork itself

    if fits(omni):
        return Fused(omni)
    return GraphNetwork(omni) if omni.device.type == "cuda" else TorchNetwork(omni)


class TorchNetwork:
    """Any device, any type."""

    def __init__(self, omni: Omni) -> None:
        self.omni = omni
        self.weight_bytes = float(omni.dtype.itemsize)
        self.spare_slots = 0
        self._stepper = Stepper(omni.backbone)
        for head in omni.audio_output_layers.audio_output_layers:
            head.weight.data = laid_out(head.weight.data)

    @property
    def given(self) -> list[int] | None:
        return self._stepper.given

    def step(self, embeds: Tensor, batch: ForwardBatch) -> Tensor:
        return self._stepper.step(embeds, batch)

    def logits(self, hidden: Tensor) -> Tensor:
        return self.omni.backbone.logits(hidden).float()

    def codes(self, hidden: Tensor, recent: Recent, penalties: Sequence[float]) -> list[list[int]]:
        def penalty(stream: int, logits: Tensor) -> Tensor:
            return penalise(logits, recent[:, stream].tolist(), penalties)

        said: list[list[int]] = self.omni.audio_output_layers.chain(hidden, penalty).tolist()
        return said

    def embed(self, texts: Sequence[int], codes: Sequence[Sequence[int]]) -> Tensor:
        device = self.omni.device
        return self.omni.embed_step(torch.tensor(texts, device=device), torch.tensor(codes, device=device))


def penalise(logits: Tensor, recent: Sequence[Sequence[int]], penalties: Sequence[float]) -> Tensor:
    """[N, V] logits -> fp32 [N, V]: an id seen c times is divided by penalty^c, or multiplied if its logit is negative.

    `recent` holds one stream's history for each row. The logits handed in are not written to.
    """
    logits = logits.float()
    rows: list[int] = []
    ids: list[int] = []
    factors: list[float] = []
    for row, (seen, penalty) in enumerate(zip(recent, penalties, strict=True)):
        if penalty == 1.0:
            continue
        for token, count in Counter(seen).items():
            if token >= 0:
                rows.append(row)
                ids.append(token)
                factors.append(penalty**count)
    if not rows:
        return logits
    at = (torch.tensor(rows, device=logits.device), torch.tensor(ids, device=logits.device))
    factor = torch.tensor(factors, device=logits.device)
    found = logits[at]
    return logits.index_put(at, torch.where(found < 0, found * factor, found / factor))
