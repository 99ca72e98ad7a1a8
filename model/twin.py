"""The same backbone as transformers' port of LongCat-Flash: what ours is compared with, in numbers and in speed.

transformers is needed only here. Its port wants `head_dim` to be the rotated width, and keeps experts stacked.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from vivavoce.model.backbone import Backbone
from vivavoce.model.config import BackboneConfig


def transformers_twin(backbone: Backbone, attention: str = "sdpa") -> Any:
    """A `LongcatFlashForCausalLM` with our weights, in their type, on their device and in eval mode.

    Raises ImportError without transformers.
    """
    from transformers import LongcatFlashConfig, LongcatFlashForCausalLM

    config = LongcatFlashConfig(**_config(backbone.config) | {"attn_implementation": attention})
    twin: Any = LongcatFlashForCausalLM(config)
    weight = backbone.lm_head.weight
    twin.to(weight.device, weight.dtype).eval()
    twin.load_state_dict(_state(backbone, twin.state_dict()), strict=True)
    return twin


def _config(c: BackboneConfig) -> dict[str, Any]:
    return dict(
        vocab_size=c.vocab_size, hidden_size=c.hidden_size, num_layers=c.num_layers, num_hidden_layers=2 * c.num_layers,
        num_attention_heads=c.num_attention_heads, num_key_value_heads=c.num_attention_heads,
        ffn_hidden_size=c.ffn_hidden_size, q_lora_rank=c.q_lora_rank, kv_lora_rank=c.kv_lora_rank,
        qk_nope_head_dim=c.qk_nope_head_dim, qk_rope_head_dim=c.qk_rope_head_dim, head_dim=c.qk_rope_head_dim,
        v_head_dim=c.v_head_dim, expert_ffn_hidden_size=c.expert_ffn_hidden_size, n_routed_experts=c.n_routed_experts,
        zero_expert_num=c.zero_expert_num, moe_topk=c.moe_topk, routed_scaling_factor=c.routed_scaling_factor,
        rms_norm_eps=c.rms_norm_eps, rope_parameters={"rope_type": "default", "rope_theta": c.rope_theta},
        max_position_embeddings=c.max_position_embeddings,
    )  # fmt: skip


def _state(ours: Backbone, like: dict[str, Tensor]) -> dict[str, Tensor]:
    """Our state under the names that transformers uses in memory: experts stacked, rows for zero experts left as they are."""
    state = {name: tensor for name, tensor in ours.state_dict().items() if ".experts." not in name}
    for i, layer in enumerate(ours.model.layers):
        prefix = f"model.layers.{i}.mlp.experts"
        gate_up, down = like[f"{prefix}.gate_up_proj"].clone(), like[f"{prefix}.down_proj"].clone()
        for e, expert in enumerate(layer.mlp.experts):
            gate_up[e] = torch.cat([expert.gate_proj.weight, expert.up_proj.weight]).detach()
            down[e] = expert.down_proj.weight.detach()
        state |= {f"{prefix}.gate_up_proj": gate_up, f"{prefix}.down_proj": down}
    return state
