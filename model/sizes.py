"""How large a network is, counted from its configuration: parameters, what a token uses of them, and memory."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from vivavoce.model.config import BackboneConfig
from vivavoce.model.omni import Omni

__all__ = ["Sizes", "available_bytes", "parameters"]


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
        parts = {name: count(part) for name, part in omni.named_children()}
        return cls(omni.config.backbone, parts, count(experts[0]))

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
        """Of one token: a latent and a rotated key in every attention of the backbone."""
        return self.config.n_attentions * self.config.cache_width * bytes_per_value

    def mtp_cache_bytes(self, bytes_per_value: int = 2) -> int:
        """Of one token, in the next-token-prediction head's one attention; 0 without a head."""
        return self.config.cache_width * bytes_per_value if "mtp" in self.parts else 0

    def memory_per_device(self, devices: int, sessions: int, context: int, bytes_per_value: int = 2) -> int:
        """Bytes that each of `devices` needs: weights shared out evenly, every conversation's cache on one of them.

        Work space of the engine is not counted.
        """
        each = self.cache_bytes(bytes_per_value) + self.mtp_cache_bytes(bytes_per_value)
        caches = -(-sessions // devices) * context * each
        return -(-self.total * bytes_per_value // devices) + caches


def count(module: nn.Module) -> int:
    """Parameters of a module."""
    return sum(parameter.numel() for parameter in module.parameters())


def parameters(config: BackboneConfig) -> int:
    """Of a backbone with this configuration, by arithmetic alone: nothing is built (LongCat-Flash report, Table 1)."""
    c, heads = config, config.num_attention_heads
    attention = (
        c.hidden_size * c.q_lora_rank + c.q_lora_rank + c.q_lora_rank * heads * (c.qk_nope_head_dim + c.qk_rope_head_dim)
        + c.hidden_size * c.cache_width + c.kv_lora_rank + c.kv_lora_rank * heads * (c.qk_nope_head_dim + c.v_head_dim)
        + heads * c.v_head_dim * c.hidden_size
    )  # fmt: skip
    dense, expert = 3 * c.hidden_size * c.ffn_hidden_size, 3 * c.hidden_size * c.expert_ffn_hidden_size
    router = c.n_experts * c.hidden_size
    layer = 2 * (attention + dense) + 4 * c.hidden_size + router + c.n_routed_experts * expert
    return c.num_layers * layer + 2 * c.vocab_size * c.hidden_size + c.hidden_size


def available_bytes(device: torch.device) -> int:
    """Memory that is free on a device now."""
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
        free = next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable"))
    except (OSError, StopIteration):  # not Linux: all that there is
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return min(free, _left_to_us(Path("/sys/fs/cgroup")))


def _left_to_us(group: Path) -> int:
    """What a container's limit leaves, or more than there is anywhere."""
    try:
        limit, used = ((group / f"memory.{what}").read_text(encoding="ascii") for what in ("max", "current"))
        return int(limit) - int(used)
    except (OSError, ValueError):  # no such limit: "max", or another kind of group
        return 1 << 62
