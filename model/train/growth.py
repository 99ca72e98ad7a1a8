"""Growth in depth: a trained backbone of L double layers as the beginning of one with more.

LongCat-Flash trains a model of half its depth first and stacks its layers twice (report, model growth). Every new layer is a
copy of an old one, router, bias and norms included; embeddings, heads, the final norm and the next-token-prediction head, which
reads what comes after the last layer however many there were, stay as they are. Where the copies stand, and what they say at
first, is the way of growing:

| way | layers of 3 -> 6 | at first |
|---|---|---|
| `stacked` | 0 1 2 0 1 2 | as they are: the report's |
| `interleaved` | 0 0 1 1 2 2 | as they are |
| `quiet` | 0 0 1 1 2 2 | each second one says nothing, so the network answers as before |
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import torch
from torch import Tensor, nn

from vivavoce.model.backbone import DoubleLayer
from vivavoce.model.omni import Omni

WAYS = ("stacked", "interleaved", "quiet")
WAY = "quiet"
"""Of the recipe; see model/train/README.md for what was measured."""
SLIGHTLY = 0.01
"""What a silent layer's FFN experts lack beside its zero experts: about twenty steps of the rule that moves the bias."""
LAYERS = "backbone.model.layers."


def sources(old: int, new: int, way: str) -> list[int]:
    """For each of `new` layers, which of the `old` ones it begins as.

    Raises ValueError for fewer layers than there are, and for a way that is none of `WAYS`.
    """
    if way not in WAYS:
        raise ValueError(f"unknown way of growing {way!r}, expected one of {', '.join(WAYS)}")
    if new < old:
        raise ValueError(f"a backbone of {old} layers cannot grow to {new}")
    return [i % old if way == "stacked" else i * old // new for i in range(new)]


def grown(omni: Omni, layers: int, way: str) -> Omni:
    """A network with so many double layers that begins as `omni`, which stays as it is. Raises ValueError; see `sources`."""
    config = omni.config
    begins = sources(config.backbone.num_layers, layers, way)
    with torch.random.fork_rng():
        made = Omni(replace(config, backbone=replace(config.backbone, num_layers=layers)))
        if omni.mtp is not None:
            made.add_mtp()
    state = omni.state_dict()
    deep = {name: tensor for name, tensor in state.items() if not name.startswith(LAYERS)}
    for new, old in enumerate(begins):
        here, there = f"{LAYERS}{old}.", f"{LAYERS}{new}."
        deep |= {there + name.removeprefix(here): t for name, t in state.items() if name.startswith(here)}
    made.load_state_dict(deep)
    if way == "quiet":
        for new, old in enumerate(begins):
            if new and begins[new - 1] == old:
                silence(made.backbone.model.layers[new])
    return made.train(omni.training)


@torch.no_grad()
def silence(layer: DoubleLayer) -> None:
    """Let a layer add nothing to what it reads, and learn to.

    What writes to the residual stream is zero: both attentions' outputs and the second FFN's. Zero experts have no output
    matrix, they return their input; so the norm before the first FFN and the experts is zero, and what they read with it. Of a
    gradient only zero experts let something through to that norm, and a router that reads zeros goes by its bias alone: so the
    bias sends the first tokens to them. The rule that moves it (`MoE.update_bias`) brings the others back within some steps.
    """
    quiet: list[nn.Module] = [attention.o_proj for attention in layer.self_attn]
    quiet += [layer.mlps[1].down_proj, layer.post_attention_layernorm[0]]
    for module in quiet:
        nn.init.zeros_(module.weight)  # type: ignore[arg-type]
    layer.mlp.router.e_score_correction_bias[: layer.mlp.config.n_routed_experts] = -SLIGHTLY


def depth(state: Mapping[str, Tensor]) -> int:
    """Double layers of a stored network; 0 where it holds none."""
    numbers = (name.removeprefix(LAYERS).split(".")[0] for name in state if name.startswith(LAYERS))
    return 1 + max(map(int, numbers), default=-1)
