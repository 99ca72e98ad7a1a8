"""Which weights the compiled step reads, in which order; how they lie in memory: `codecs/packing.py`.

They are held a second time so: PyTorch's are read by the next-token-prediction head, and by whoever makes another engine of the
same network. `packed_bytes` says how much that is before anything is packed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from vivavoce.codecs.packing import padded
from vivavoce.model.attention import LatentAttention
from vivavoce.model.backbone import DoubleLayer
from vivavoce.model.config import BackboneConfig
from vivavoce.model.kernels.arrays import NORMS
from vivavoce.model.layers import SwiGLU
from vivavoce.model.omni import Omni
from vivavoce.model.stepping import absorbed, absorbs

__all__ = ["matrices_of", "norms_of", "packed_bytes", "stacked"]


def packed_bytes(omni: Omni, *, half: bool) -> int:
    """Bytes of the weights of a network, which may be on the meta device, once they are packed.

    half: those that are stored, other than a router's, are exactly bfloat16. Products of two of them are not.
    """
    heads, first, layers = omni.audio_output_layers, omni.backbone.model.layers[0], len(omni.backbone.model.layers)
    once = [omni.backbone.lm_head.weight, *(head.weight for head in heads.audio_output_layers)]
    once += [heads.linear.weight] if heads.linear is not None else []
    each = list(matrices_of(first))
    products = each[1:3] + each[6:8] if absorbs(omni.config.backbone) else []
    full = [first.mlp.router.classifier.weight, *products]

    def numbers(matrices: Sequence[Tensor]) -> int:
        return sum(padded(matrix.shape[0]) * matrix.shape[1] for matrix in matrices)

    return (numbers(once) + layers * (numbers(each) - numbers(full))) * (2 if half else 4) + layers * numbers(full) * 4


def stacked(tables: Iterable[nn.Embedding]) -> npt.NDArray[np.float32]:
    """[tables, ids, D]: one array, of which the tables' weights become parts."""
    tables = list(tables)
    whole = torch.stack([table.weight.detach() for table in tables])
    for table, part in zip(tables, whole, strict=True):
        table.weight.data = part
    numbers: npt.NDArray[np.float32] = whole.numpy()
    return numbers


def matrices_of(layer: DoubleLayer) -> Iterator[Tensor]:
    """In the order of `kernels.arrays.MATRICES`."""
    attentions = [_attention(attention) for attention in layer.self_attn]
    for (projections, _), dense in zip(attentions, layer.mlps, strict=True):
        yield from projections
        yield from _gated(dense)
    yield layer.mlp.router.classifier.weight
    for expert in layer.mlp.experts:
        yield from _gated(expert)
    for _, ups in attentions:
        yield from ups


def _attention(attention: LatentAttention) -> tuple[list[Tensor], list[Tensor]]:
    """Down, queries and out, and the up-projections of each head where those have not absorbed them."""
    down = torch.cat([attention.q_a_proj.weight, attention.kv_a_proj_with_mqa.weight])
    if absorbs(attention.config):
        queries, out = absorbed(attention)
        return [down, queries, out], []
    cfg = attention.config
    heads = attention.kv_b_proj.weight.view(cfg.num_attention_heads, -1, cfg.kv_lora_rank)
    up_keys, up_values = heads.split([cfg.qk_nope_head_dim, cfg.v_head_dim], 1)
    ups = [head.t() for head in up_keys] + list(up_values)
    return [down, attention.q_b_proj.weight, attention.o_proj.weight], ups


def _gated(block: SwiGLU) -> tuple[Tensor, Tensor]:
    return torch.cat([block.gate_proj.weight, block.up_proj.weight]), block.down_proj.weight


def norms_of(layers: Sequence[DoubleLayer], c: BackboneConfig) -> npt.NDArray[np.float32]:
    """See `kernels.arrays.NORMS`; the latents' scales are multiplied in."""
    norms = np.zeros((len(layers), 2, len(NORMS), max(c.hidden_size, c.q_lora_rank, c.kv_lora_rank)), np.float32)
    for index, layer in enumerate(layers):
        for half, attention in enumerate(layer.self_attn):
            weights = (
                layer.input_layernorm[half].weight,
                attention.q_a_layernorm.weight * attention.q_scale,
                attention.kv_a_layernorm.weight * attention.kv_scale,
                layer.post_attention_layernorm[half].weight,
            )
            for norm, weight in enumerate(weights):
                norms[index, half, norm, : weight.shape[0]] = weight.numpy()
    return norms
