"""The compiled network against PyTorch's, number by number. That it remembers as it should is in test_backbone.py."""

import dataclasses
import threading
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from vivavoce.model import fused, stepping
from vivavoce.model.config import OmniConfig, tiny
from vivavoce.model.engine.network import Network, TorchNetwork, network_of
from vivavoce.model.examine import examine
from vivavoce.model.fused import Fused
from vivavoce.model.helping import Helper
from vivavoce.model.kernels.arrays import CHUNK
from vivavoce.model.kernels.sharing import CLOSED, OVER, Share, take
from vivavoce.model.omni import Omni
from vivavoce.model.stepping import ForwardBatch
from vivavoce.model.weights import load_omni, packed, save_release


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


LONG = 2 * CHUNK + 300


def helped(monkeypatch: pytest.MonkeyPatch, omni: Omni, help_: Callable[..., None] | None) -> tuple[Fused, list[Share]]:
    """A network whose long steps are helped with in this way, or not at all; and what its steps were shared by."""
    shares: list[Share] = []
    monkeypatch.setattr(torch, "get_num_threads", lambda: 1 if help_ is None else 2)
    monkeypatch.setattr(fused, "HELPED_FROM", CHUNK + 1)
    if help_ is not None:
        monkeypatch.setattr(fused, "helper", lambda _: SimpleNamespace(help=help_))
    net, shared = Fused(omni), Fused._shared

    def noted(*args: Any) -> Share:
        shares.append(shared(*args))
        return shares[-1]

    monkeypatch.setattr(Fused, "_shared", noted)
    return net, shares


def test_a_past_of_many_chunks_is_the_past(monkeypatch: pytest.MonkeyPatch) -> None:
    omni = network()
    x = torch.randn(LONG, omni.config.backbone.hidden_size)
    net, _ = helped(monkeypatch, omni, None)
    with torch.no_grad():
        at_once = omni.backbone(x[None])[0]
    torch.testing.assert_close(read(net, x, [CHUNK - 1, 1, 1, 600, LONG - CHUNK - 601]), at_once, rtol=1e-4, atol=1e-4)


def test_to_the_last_bit_it_does_not_matter_who_helps(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody; a thread; one that is told when all is over; one that takes a chunk and leaves."""
    omni = network()
    late: list[tuple[Any, ...]] = []
    took: list[Share] = []
    x, pieces = torch.randn(LONG, omni.config.backbone.hidden_size), [CHUNK, 700, 1, LONG - CHUNK - 702, 1]
    alone = read(helped(monkeypatch, omni, None)[0], x, pieces)

    def later(*asked: Any) -> None:
        late.append(asked)

    def takes_and_leaves(_: Any, job: tuple[Any, ...], __: Any) -> None:
        share = job[4]

        def run() -> None:
            while not share.words[OVER] and not (took and took[-1] is share):
                if take(share, 2)[1] != CLOSED:
                    took.append(share)

        threading.Thread(target=run, daemon=True).start()

    take(Share.of(1), 1)  # it is compiled now
    for help_ in (Helper().help, later, takes_and_leaves):
        assert torch.equal(read(helped(monkeypatch, omni, help_)[0], x, pieces), alone)
    assert late and took
    for work, *args in late:
        work(*args)  # returns, since the step is over


def test_a_thread_that_helps_does_some_of_the_work(monkeypatch: pytest.MonkeyPatch) -> None:
    omni = network()
    net, shares = helped(monkeypatch, omni, Helper().help)
    x = torch.randn(LONG, omni.config.backbone.hidden_size)
    for _ in range(200):  # a machine that is busy may not run it every time
        read(net, x, [LONG - 3, 1, 1, 1])
        if any(share.helped.any() for share in shares):
            return
    pytest.fail("in 600 steps it did nothing")


def test_among_others_a_long_past_is_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    omni = network()
    net, _ = helped(monkeypatch, omni, Helper().help)
    width, cache, slots = omni.config.backbone.hidden_size, torch.randn(4, LONG + 60, 12), torch.randperm(LONG + 60)
    x, mine = torch.randn(LONG, width), slots[:LONG]
    alone = read(net, x, [LONG - 1, 1])
    net.step(x[: LONG - 1], ForwardBatch.of(cache, [(LONG - 1, 0, mine)]))
    others = [(3, 5 * i, slots[LONG + 20 * i :][:20]) for i in range(3)]
    rows = [torch.randn(3, width), x[LONG - 1 :], torch.randn(6, width)]
    batch = ForwardBatch.of(cache, [others[0], (1, LONG - 1, mine), *others[1:]])
    assert torch.equal(net.step(torch.cat(rows), batch)[3], alone[-1])


@pytest.mark.parametrize("absorbed", [False, True])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_what_it_packs_is_counted_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, dtype: torch.dtype, absorbed: bool
) -> None:
    monkeypatch.setattr(stepping, "ABSORB_UP_TO", 1e9 if absorbed else 0.0)
    save_release(Omni(tiny()), tmp_path, dtype)
    net = Fused(load_omni(tmp_path))
    assert packed(examine(tmp_path)) == net._packed.full.nbytes + net._packed.half.nbytes


def test_tables_are_held_once() -> None:
    omni = network()
    net = Fused(omni)
    assert np.shares_memory(net._spoken, omni.audio_embeddings.audio_embeddings[2].weight.numpy())
    assert np.shares_memory(net._said, omni.audio_output_layers.embedding[0].weight.numpy())
    assert np.shares_memory(net._written, omni.backbone.model.embed_tokens.weight.numpy())


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
