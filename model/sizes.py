"""How large a network is, counted from its configuration: parameters, what a token uses of them, and memory."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from vivavoce.model.config import BackboneConfig
from vivavoce.model.omni import Omni

__all__ = ["Sizes", "available_bytes"]


@dataclass(frozen=True)
class Sizes:
    """Counts of an `Omni`, which may be on the meta device."""

    config: BackboneConfig
    parts: dict[str, int]
    """Parameters by part."""
    expert: int
    """Parameters of one FFN expert."""

    @classmethod
    def of(cls, omni: Omni) -> Sizes:
        experts = omni.backbone.model.layers[0].mlp.experts
        return cls(omni.config.backbone, {name: count(part) for name, part in omni.named_children()}, count(experts[0]))

    @property
    def total(self) -> int:
        return sum(self.parts.values())

    def activated(self, ffn_experts: float) -> int:
        """Parameters of the backbone that a token uses with so many FFN experts a layer (LongCat-Flash report, Table 1).

        Both tables of the vocabulary are read for one row only; as the report does, one of them is counted.
        """
        c = self.config
        resting = c.num_layers * c.n_routed_experts * self.expert
        chosen = round(c.num_layers * ffn_experts * self.expert)
        return self.parts["backbone"] - resting - c.vocab_size * c.hidden_size + chosen

    def cache_bytes(self, bytes_per_value: int = 2) -> int:
        """Of one token: a latent and a rotated key in every attention."""
        return self.config.n_attentions * self.config.cache_width * bytes_per_value

    def memory_per_device(self, devices: int, sessions: int, context: int, bytes_per_value: int = 2) -> int:
        """Bytes that each of `devices` needs: weights shared out evenly, every conversation's cache on one of them.

        Work space of the engine is not counted.
        """
        caches = -(-sessions // devices) * context * self.cache_bytes(bytes_per_value)
        return -(-self.total * bytes_per_value // devices) + caches


def count(module: nn.Module) -> int:
    """Parameters of a module."""
    return sum(parameter.numel() for parameter in module.parameters())


def available_bytes(device: torch.device) -> int:
    """Memory that is free on a device now."""
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable"))
    except (OSError, StopIteration):  # not Linux: all that there is
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
