"""The next-token-prediction head: right by a float64 reference, the same from a cache, and under the release's names."""

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file

from vivavoce.model.config import BackboneConfig, tiny
from vivavoce.model.examine import CheckpointError
from vivavoce.model.mtp import MtpHead
from vivavoce.model.omni import Omni
from vivavoce.model.stepping import ForwardBatch
from vivavoce.model.train.release import make_release
from vivavoce.model.weights import load_omni

CONFIG = tiny().backbone
Array = npt.NDArray[np.float64]


def head(seed: int = 0) -> MtpHead:
    torch.manual_seed(seed)
    made = MtpHead(CONFIG).eval().requires_grad_(False)
    for name, tensor in made.state_dict().items():
        tensor.normal_(1.0, 0.2) if "norm" in name else tensor.mul_(3)
    return made


def rows(length: int, seed: int) -> torch.Tensor:
    return torch.randn(1, length, CONFIG.hidden_size, generator=torch.Generator().manual_seed(seed))


def reference(w: dict[str, Array], embeds: Array, hidden: Array) -> Array:
    """[T, D] each, in float64, one position and one head at a time, from the published description."""
    c, heads = CONFIG, CONFIG.num_attention_heads
    layer = "layers.0."

    def norm(v: Array, name: str, eps: float = 1e-5) -> Array:
        return v / np.sqrt((v**2).mean(-1, keepdims=True) + eps) * w[f"{name}.weight"]

    def turned(v: Array, position: int) -> Array:
        out = v.copy()
        for pair in range(c.qk_rope_head_dim // 2):
            angle = position * c.rope_theta ** (-2 * pair / c.qk_rope_head_dim)
            a, b = v[2 * pair], v[2 * pair + 1]
            out[2 * pair], out[2 * pair + 1] = (
                a * np.cos(angle) - b * np.sin(angle),
                b * np.cos(angle) + a * np.sin(angle),
            )
        return out

    joined = np.concatenate([norm(embeds, layer + "enorm.m"), norm(hidden, layer + "hnorm.m")], axis=-1)
    x = joined @ w[layer + "eh_proj.weight"].T
    attention = layer + "self_attn."
    u = norm(x, layer + "input_layernorm")
    low = norm(u @ w[attention + "q_a_proj.weight"].T, attention + "q_a_layernorm", 1e-6)
    q = (low @ w[attention + "q_b_proj.weight"].T * (c.hidden_size / c.q_lora_rank) ** 0.5).reshape(len(x), heads, -1)
    both = u @ w[attention + "kv_a_proj_with_mqa.weight"].T
    latent = norm(both[:, : c.kv_lora_rank], attention + "kv_a_layernorm", 1e-6)
    latent = latent * (c.hidden_size / c.kv_lora_rank) ** 0.5
    kv = (latent @ w[attention + "kv_b_proj.weight"].T).reshape(len(x), heads, -1)
    mixed = np.zeros((len(x), heads, c.v_head_dim))
    for t in range(len(x)):
        for h in range(heads):
            nope, rope = q[t, h, : c.qk_nope_head_dim], turned(q[t, h, c.qk_nope_head_dim :], t)
            scores = np.array(
                [
                    nope @ kv[s, h, : c.qk_nope_head_dim] + rope @ turned(both[s, c.kv_lora_rank :], s)
                    for s in range(t + 1)
                ]
            )
            scores *= (c.qk_nope_head_dim + c.qk_rope_head_dim) ** -0.5
            odds = np.exp(scores - scores.max())
            mixed[t, h] = odds / odds.sum() @ kv[: t + 1, h, c.qk_nope_head_dim :]
    x = x + mixed.reshape(len(x), -1) @ w[attention + "o_proj.weight"].T
    v, mlp = norm(x, layer + "post_attention_layernorm"), layer + "transformer_layer.mlp."
    gate = v @ w[mlp + "gate_proj.weight"].T
    x = x + (gate / (1 + np.exp(-gate)) * (v @ w[mlp + "up_proj.weight"].T)) @ w[mlp + "down_proj.weight"].T
    return norm(x, "norm")


def test_it_computes_what_the_description_says() -> None:
    net, embeds, hidden = head(), rows(11, 1), rows(11, 2)
    weights = {name: tensor.double().numpy() for name, tensor in net.state_dict().items()}
    expected = reference(weights, embeds[0].double().numpy(), hidden[0].double().numpy())
    np.testing.assert_allclose(net(embeds, hidden)[0], expected, atol=1e-4)


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), min_size=1, max_size=6), st.integers(0, 99))
def test_from_a_cache_it_computes_the_same_whoever_shares_the_batch(plan: list[tuple[int, int]], seed: int) -> None:
    net, longest = head(), 24
    embeds, hidden = (torch.cat([rows(longest, 2 * i + kind) for i in range(2)]) for kind in (0, 1))
    cache = torch.randn(2 * longest, CONFIG.cache_width)  # whatever the slots' last owners left behind
    slots = torch.randperm(2 * longest, generator=torch.Generator().manual_seed(seed)).view(2, longest)
    past = [0, 0]
    made: list[list[torch.Tensor]] = [[], []]
    for lengths in plan:
        present = [i for i in range(2) if lengths[i]]
        if not present:
            continue
        parts = [(lengths[i], past[i], slots[i]) for i in present]
        batch = [torch.cat([x[i, past[i] : past[i] + lengths[i]] for i in present]) for x in (embeds, hidden)]
        out = net.step(batch[0], batch[1], ForwardBatch.of([cache], parts))
        for i, part in zip(present, out.split([lengths[i] for i in present]), strict=True):
            made[i].append(part)
            past[i] += lengths[i]
    for i in range(2):
        if past[i]:
            expected = net(embeds[i : i + 1, : past[i]], hidden[i : i + 1, : past[i]])[0]
            torch.testing.assert_close(torch.cat(made[i]), expected, rtol=1e-4, atol=2e-5)


def test_the_names_and_shapes_are_the_releases() -> None:
    with torch.device("meta"):
        net = MtpHead(BackboneConfig())
    assert {name: tuple(tensor.shape) for name, tensor in net.state_dict().items()} == {
        "layers.0.eh_proj.weight": (6144, 12288),
        "layers.0.enorm.m.weight": (6144,),
        "layers.0.hnorm.m.weight": (6144,),
        "layers.0.input_layernorm.weight": (6144,),
        "layers.0.post_attention_layernorm.weight": (6144,),
        "layers.0.self_attn.q_a_proj.weight": (1536, 6144),
        "layers.0.self_attn.q_a_layernorm.weight": (1536,),
        "layers.0.self_attn.q_b_proj.weight": (12288, 1536),
        "layers.0.self_attn.kv_a_proj_with_mqa.weight": (576, 6144),
        "layers.0.self_attn.kv_a_layernorm.weight": (512,),
        "layers.0.self_attn.kv_b_proj.weight": (16384, 512),
        "layers.0.self_attn.o_proj.weight": (6144, 8192),
        "layers.0.transformer_layer.mlp.gate_proj.weight": (12288, 6144),
        "layers.0.transformer_layer.mlp.up_proj.weight": (12288, 6144),
        "layers.0.transformer_layer.mlp.down_proj.weight": (6144, 12288),
        "norm.weight": (6144,),
    }
    assert sum(p.numel() for p in net.parameters()) / 1e6 == pytest.approx(392.593, abs=5e-4)


def test_a_release_may_have_one(tmp_path: Path) -> None:
    make_release("tiny", tmp_path)
    stored = load_file(tmp_path / "model-00001-of-00001.safetensors")
    assert torch.equal(stored["model.mtp.embed_tokens.weight"], stored["model.embed_tokens.weight"])
    loaded = load_omni(tmp_path)
    assert loaded.mtp is not None
    for name, tensor in loaded.mtp.state_dict().items():
        assert torch.equal(tensor, stored[f"model.mtp.{name}"].float()), name


def test_half_a_head_is_none(tmp_path: Path) -> None:
    make_release("tiny", tmp_path)
    shard = tmp_path / "model-00001-of-00001.safetensors"
    stored = load_file(shard)
    del stored["model.mtp.layers.0.enorm.m.weight"]
    save_file(stored | {"model.mtp.norm.weight": torch.ones(31)}, shard)
    with pytest.raises(CheckpointError) as caught:
        load_omni(tmp_path)
    assert sorted(caught.value.problems) == [
        "model-00001-of-00001.safetensors: model.mtp.norm.weight is [31], expected [32]",
        "mtp: model.mtp.layers.0.enorm.m.weight [32] is missing",
    ]


def test_a_checkpoint_without_one_has_none() -> None:
    assert Omni(tiny()).mtp is None
