"""The decoder: transformers' numbers, the same numbers from a cache, and a router that can be steered."""

import dataclasses

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from vivavoce.model import stepping
from vivavoce.model.backbone import Backbone
from vivavoce.model.config import BackboneConfig, tiny
from vivavoce.model.fused import Fused
from vivavoce.model.omni import Omni
from vivavoce.model.stepping import ForwardBatch, Stepper
from vivavoce.model.twin import transformers_twin

CONFIG = tiny().backbone


def network(config: BackboneConfig = CONFIG, seed: int = 0) -> Backbone:
    torch.manual_seed(seed)
    made = Backbone(config).eval()
    for name, tensor in made.state_dict().items():
        if "norm" in name:
            tensor.normal_(1.0, 0.2)
        elif name.endswith("e_score_correction_bias"):
            tensor.normal_(0.0, 0.05)
        else:
            tensor.mul_(3)
    return made


def around(backbone: Backbone) -> Omni:
    """A whole network with this backbone."""
    made = Omni(dataclasses.replace(tiny(), backbone=backbone.config)).eval()
    made.backbone = backbone
    return made


def embeddings(batch: int, length: int, seed: int = 1) -> torch.Tensor:
    return torch.randn(batch, length, CONFIG.hidden_size, generator=torch.Generator().manual_seed(seed))


def test_it_computes_what_transformers_computes() -> None:
    ours = network()
    theirs = transformers_twin(ours, attention="eager")
    ids = torch.randint(0, CONFIG.vocab_size, (2, 23))
    with torch.no_grad():
        expected = theirs(ids).logits
        got = ours.logits(ours(ours.model.embed_tokens(ids)))
    assert expected.abs().max() > 1
    torch.testing.assert_close(got, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("absorbed", [True, False])
def test_token_by_token_from_a_cache_it_computes_what_transformers_computes(absorbed: bool) -> None:
    ours = network()
    theirs = transformers_twin(ours, attention="eager")
    ids = torch.randint(0, CONFIG.vocab_size, (2, 19))
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(stepping, "ABSORB_UP_TO", 1e9 if absorbed else 0.0)
        stepper = Stepper(ours)
    cache, slots = ours.new_cache(38), torch.arange(38).view(2, 19)
    with torch.no_grad():
        embeds, told, past = ours.model.embed_tokens(ids), None, 0
        for length in (11, 1, 1, 1, 3, 1, 1):
            told = theirs(
                ids[:, past : past + length], past_key_values=told.past_key_values if told else None, use_cache=True
            )
            batch = ForwardBatch.of(cache, [(length, past, slots[i]) for i in range(2)])
            hidden = stepper.step(embeds[:, past : past + length].flatten(0, 1), batch).view(2, length, -1)
            torch.testing.assert_close(ours.logits(hidden), told.logits, rtol=1e-4, atol=1e-4)
            past += length


@given(
    st.lists(st.tuples(*[st.integers(0, 6) | st.just(1)] * 3), min_size=1, max_size=9),
    st.integers(0, 99),
    st.booleans(),
    st.booleans(),
    st.booleans(),
)
def test_conversations_in_one_batch_read_only_their_own_past(
    plan: list[tuple[int, int, int]], seed: int, absorbed: bool, scattered: bool, compiled: bool
) -> None:
    net, longest = network(), 54
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(stepping, "ABSORB_UP_TO", 1e9 if absorbed else 0.0)
        stepper = Fused(around(net)) if compiled else Stepper(net)
    x = embeddings(3, longest)
    cache = net.new_cache(3 * longest)
    cache.normal_()  # whatever the slots' last owners left behind
    slots = torch.arange(3 * longest).view(3, longest)
    if scattered:
        slots = torch.randperm(3 * longest, generator=torch.Generator().manual_seed(seed)).view(3, longest)
    first = [None if scattered else i * longest for i in range(3)]
    past = [0, 0, 0]
    got: list[list[torch.Tensor]] = [[], [], []]
    for lengths in plan:
        present = [i for i in range(3) if lengths[i]]
        if not present:
            continue
        batch = ForwardBatch.of(cache, [(lengths[i], past[i], slots[i], first[i]) for i in present])
        rows = torch.cat([x[i, past[i] : past[i] + lengths[i]] for i in present])
        for i, out in zip(present, stepper.step(rows, batch).split([lengths[i] for i in present]), strict=True):
            got[i].append(out)
            past[i] += lengths[i]
    for i in range(3):
        if past[i]:
            with torch.no_grad():
                expected = net(x[i : i + 1, : past[i]])[0]
            torch.testing.assert_close(torch.cat(got[i]), expected, rtol=1e-4, atol=2e-5)


def test_a_conversation_goes_back_by_forgetting_how_long_it_was() -> None:
    net, x, other = network(), embeddings(1, 9)[0], embeddings(1, 9, seed=5)[0]
    cache, slots = net.new_cache(9), torch.arange(9)
    Stepper(net).step(x, ForwardBatch.of(cache, [(9, 0, slots)]))
    after = Stepper(net).step(other[4:6], ForwardBatch.of(cache, [(2, 4, slots)]))
    with torch.no_grad():
        expected = net(torch.cat([x[:4], other[4:6]])[None])[0, 4:]
    torch.testing.assert_close(after, expected, rtol=1e-4, atol=2e-5)


def test_dialogues_packed_in_one_row_do_not_see_each_other() -> None:
    net, x = network(), embeddings(1, 12)
    segment = torch.tensor([[0] * 7 + [1] * 5])
    positions = torch.cat([torch.arange(7), torch.arange(5)])[None]
    with torch.no_grad():
        packed = net(x, positions, segment[:, :, None] == segment[:, None, :])
        torch.testing.assert_close(packed[:, :7], net(x[:, :7]), rtol=1e-4, atol=2e-5)
        torch.testing.assert_close(packed[:, 7:], net(x[:, 7:]), rtol=1e-4, atol=2e-5)


def test_padding_on_the_right_changes_nothing_before_it() -> None:
    net, x = network(), embeddings(2, 10)
    changed = x.clone()
    changed[:, 6:] = 0
    with torch.no_grad():
        torch.testing.assert_close(net(x)[:, :6], net(changed)[:, :6], rtol=1e-4, atol=2e-5)


def test_a_batch_that_does_not_fit_is_refused() -> None:
    net = network()
    with pytest.raises(ValueError, match="3 past and 2 new tokens need 5 slots, got 4"):
        ForwardBatch.of(net.new_cache(8), [(2, 3, torch.arange(4))])
    with pytest.raises(ValueError, match="the batch has 2 rows, got 3 embeddings"):
        Stepper(net).step(embeddings(1, 3)[0], ForwardBatch.of(net.new_cache(8), [(2, 0, torch.arange(8))]))


def test_every_weight_learns() -> None:
    net = network().train()
    net.logits(net(embeddings(4, 40))).logsumexp(-1).mean().backward()
    idle = [name for name, p in net.named_parameters() if p.grad is None or not p.grad.abs().sum()]
    assert idle == ["model.embed_tokens.weight"]  # the embeddings were handed in


def test_the_names_and_shapes_are_the_releases() -> None:
    with torch.device("meta"):
        small = Backbone(dataclasses.replace(BackboneConfig(), num_layers=1, n_routed_experts=2))
    assert {name: tuple(tensor.shape) for name, tensor in small.state_dict().items() if ".layers.0." in name} == {
        f"model.layers.0.{name}": shape
        for name, shape in {
            **{f"input_layernorm.{j}.weight": (6144,) for j in range(2)},
            **{f"post_attention_layernorm.{j}.weight": (6144,) for j in range(2)},
            **{f"self_attn.{j}.q_a_proj.weight": (1536, 6144) for j in range(2)},
            **{f"self_attn.{j}.q_a_layernorm.weight": (1536,) for j in range(2)},
            **{f"self_attn.{j}.q_b_proj.weight": (12288, 1536) for j in range(2)},
            **{f"self_attn.{j}.kv_a_proj_with_mqa.weight": (576, 6144) for j in range(2)},
            **{f"self_attn.{j}.kv_a_layernorm.weight": (512,) for j in range(2)},
            **{f"self_attn.{j}.kv_b_proj.weight": (16384, 512) for j in range(2)},
            **{f"self_attn.{j}.o_proj.weight": (6144, 8192) for j in range(2)},
            **{f"mlps.{j}.{p}_proj.weight": (12288, 6144) for j in range(2) for p in ("gate", "up")},
            **{f"mlps.{j}.down_proj.weight": (6144, 12288) for j in range(2)},
            **{f"mlp.experts.{e}.{p}_proj.weight": (2048, 6144) for e in range(2) for p in ("gate", "up")},
            **{f"mlp.experts.{e}.down_proj.weight": (6144, 2048) for e in range(2)},
            "mlp.router.classifier.weight": (258, 6144),
            "mlp.router.e_score_correction_bias": (258,),
        }.items()
    }
    assert {"model.embed_tokens.weight", "model.norm.weight", "lm_head.weight"} < small.state_dict().keys()
