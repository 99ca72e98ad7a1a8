"""The compiled network against PyTorch's, number by number. That it remembers as it should is in test_backbone.py."""

import dataclasses

import numpy as np
import pytest
import torch

from vivavoce.model.config import OmniConfig, tiny
from vivavoce.model.engine.network import Network, TorchNetwork, network_of
from vivavoce.model.fused import Fused
from vivavoce.model.omni import Omni
from vivavoce.model.stepping import ForwardBatch


def network(config: OmniConfig | None = None, dtype: torch.dtype = torch.float32) -> Omni:
    """Random weights; rounded to `dtype`, as those of a published checkpoint are."""
    torch.manual_seed(0)
    made = Omni(config or tiny()).eval().requires_grad_(False)
    for name, tensor in made.state_dict().items():
        tensor.copy_((tensor * (1 if "norm" in name else 3)).to(dtype))
    return made


def read(net: Network, x: torch.Tensor, pieces: list[int]) -> torch.Tensor:
    """[T, D] -> [T, D], so many rows at a time, into a cache whose pages lie anywhere."""
    cache = torch.randn(4, 2 * len(x), 12)
    slots = torch.randperm(2 * len(x))[: len(x)]
    past, out = 0, []
    for length in pieces:
        out.append(net.step(x[past : past + length], ForwardBatch.of(cache, [(length, past, slots)])))
        past += length
    return torch.cat(out)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_long_past_is_read_block_by_block(dtype: torch.dtype) -> None:
    omni = network(dtype=dtype)
    x = torch.randn(300, omni.config.backbone.hidden_size)
    read_in_pieces = read(Fused(omni), x, [1, 70, 1, 127, 1, 1, 64, 35])
    with torch.no_grad():
        at_once = omni.backbone(x[None])[0]
    torch.testing.assert_close(read_in_pieces, at_once, rtol=1e-4, atol=5e-5)


def test_widths_that_fill_no_panel_give_the_same_numbers() -> None:
    odd = dataclasses.replace(
        tiny().backbone, hidden_size=36, ffn_hidden_size=50, expert_ffn_hidden_size=19, num_attention_heads=5
    )
    omni = network(dataclasses.replace(tiny(), backbone=odd))
    x = torch.randn(40, 36)
    with torch.no_grad():
        at_once = omni.backbone(x[None])[0]
    torch.testing.assert_close(read(Fused(omni), x, [7, 1, 1, 31]), at_once, rtol=1e-4, atol=5e-5)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_to_the_last_bit_it_does_not_matter_who_else_is_there(dtype: torch.dtype) -> None:
    """Read alone or piece by piece among others, a conversation has the same numbers, and so the same answer."""
    omni = network(dtype=dtype)
    net, x, others = Fused(omni), torch.randn(90, 32), torch.randn(11, 3, 32)
    alone = read(net, x, [90])
    cache, tables = torch.randn(4, 16 * 96, 12), torch.randperm(16 * 96).view(16, 96)
    past, got = 0, []
    for length in (5, 1, 1, 70, 2, 1, 10):
        mine = [(3, 2 * i, tables[i]) for i in range(11)]
        mine.insert(length % 7, (length, past, tables[15]))
        rows = [*others, x[past : past + length]]
        rows.insert(length % 7, rows.pop())
        out = net.step(torch.cat(rows), ForwardBatch.of(cache, mine))
        got.append(out[3 * (length % 7) :][:length])
        past += length
    assert torch.equal(torch.cat(got), alone)
    hidden = torch.cat([alone[-1:], torch.randn(6, 32)])
    assert torch.equal(net.logits(hidden)[0], net.logits(alone[-1:])[0])


def test_very_sure_attention_does_not_overflow() -> None:
    omni = network()
    for layer in omni.backbone.model.layers:
        layer.mlp.router.classifier.weight.zero_()  # a router's choice is no matter of small differences
        layer.mlp.router.e_score_correction_bias.copy_(torch.arange(12))
        for attention in layer.self_attn:
            attention.q_b_proj.weight.mul_(200)
    x = torch.randn(130, omni.config.backbone.hidden_size)
    with torch.no_grad():
        at_once = omni.backbone(x[None])[0]
    torch.testing.assert_close(read(Fused(omni), x, [100, 1, 29]), at_once, rtol=1e-2, atol=1e-2)


@pytest.mark.parametrize("has_proj", [False, True])
def test_words_and_codes_are_chosen_alike(has_proj: bool) -> None:
    speech = dataclasses.replace(tiny().speech, has_proj=has_proj)
    omni = network(dataclasses.replace(tiny(), speech=speech))
    ours, theirs = Fused(omni), TorchNetwork(omni)
    dice = np.random.default_rng(0)
    for rows in (1, 2, 5, 16):
        hidden = torch.randn(rows, omni.config.backbone.hidden_size)
        torch.testing.assert_close(ours.logits(hidden), theirs.logits(hidden), rtol=1e-4, atol=1e-5)
        recent = dice.integers(-1, speech.audio_vocab, (rows, speech.n_codebooks, 30))
        penalties = dice.uniform(1.0, 2.0, rows).tolist()
        said = ours.codes(hidden, recent, penalties)
        assert said == theirs.codes(hidden, recent, penalties)
    assert said != ours.codes(hidden, recent, [1.0] * rows)


def test_what_was_chosen_is_embedded_alike() -> None:
    omni = network()
    texts, codes = [5, -1, 7], [[40, 41, -1, 42], [-1] * 4, [33, 34, 35, 36]]
    torch.testing.assert_close(Fused(omni).embed(texts, codes), TorchNetwork(omni).embed(texts, codes))


def test_the_experts_taken_are_counted_alike() -> None:
    omni = network()
    x = torch.randn(20, omni.config.backbone.hidden_size)
    counted = []
    for net in (Fused(omni), TorchNetwork(omni)):
        read(net, x, [13, 1, 6])
        counted.append([(layer.mlp.load.tolist(), layer.mlp.tokens) for layer in omni.backbone.model.layers])
        for layer in omni.backbone.model.layers:
            layer.mlp.reset_load()
    assert counted[0] == counted[1] and counted[0][0][1] == 20


def test_a_batch_that_does_not_fit_is_refused() -> None:
    with pytest.raises(ValueError, match="the batch has 2 rows, got 3 embeddings"):
        Fused(network()).step(torch.randn(3, 32), ForwardBatch.of(torch.zeros(4, 8, 12), [(2, 0, torch.arange(8))]))


def test_pytorch_steps_in_where_the_compiled_loops_do_not_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "get_num_threads", lambda: 1)
    assert isinstance(network_of(network()), Fused)
    assert isinstance(network_of(network().to(torch.bfloat16)), TorchNetwork)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 8)
    assert isinstance(network_of(network()), TorchNetwork)
