"""Experts: the sum the report writes down, the budget it promises, and a router that keeps its precision."""

import dataclasses

import numpy as np
import pytest
import torch

from vivavoce.model.config import tiny
from vivavoce.model.moe import MoE

CONFIG = tiny().backbone


def mixture(scaled: bool = True) -> MoE:
    made = MoE(dataclasses.replace(CONFIG, zero_expert_scaled=scaled)).eval()
    torch.nn.init.normal_(made.router.classifier.weight, std=0.3)
    made.router.e_score_correction_bias.normal_(0, 0.05)
    return made


def by_hand(moe: MoE, token: torch.Tensor, zero_scale: float) -> np.ndarray:
    """One token, float64, straight from the formula."""
    x = token.double().numpy()
    logits = moe.router.classifier.weight.detach().double().numpy() @ x
    scores = np.exp(logits - logits.max()) / np.exp(logits - logits.max()).sum()
    chosen = np.argsort(-(scores + moe.router.e_score_correction_bias.double().numpy()))[: CONFIG.moe_topk]
    out = np.zeros_like(x)
    for e in chosen:
        if e >= CONFIG.n_routed_experts:
            out += zero_scale * scores[e] * x
            continue
        gate, up, down = (
            getattr(moe.experts[int(e)], f"{p}_proj").weight.detach().double().numpy() for p in ("gate", "up", "down")
        )
        out += CONFIG.routed_scaling_factor * scores[e] * (down @ ((gate @ x) / (1 + np.exp(-(gate @ x))) * (up @ x)))
    return out


@pytest.mark.parametrize("scaled", [True, False])
def test_it_is_the_sum_of_the_chosen_experts(scaled: bool) -> None:
    moe, x = mixture(scaled), torch.randn(2, 25, CONFIG.hidden_size)
    out = moe(x).detach().flatten(0, 1)
    for token, got in zip(x.flatten(0, 1), out, strict=True):
        np.testing.assert_allclose(got, by_hand(moe, token, CONFIG.routed_scaling_factor if scaled else 1.0), atol=1e-5)


def test_a_token_may_get_no_expert_at_all() -> None:
    moe = mixture()
    moe.router.e_score_correction_bias[CONFIG.n_routed_experts :] = 10
    x = torch.randn(3, CONFIG.hidden_size)
    out = moe(x)
    assert moe.active_ffn_per_token == 0.0
    assert (torch.nn.functional.cosine_similarity(out, x) > 0.9999).all()


def test_gradients_reach_the_router_even_through_experts_that_cost_nothing() -> None:
    moe = mixture().train()
    moe.router.e_score_correction_bias[CONFIG.n_routed_experts :] = 10
    moe(torch.randn(5, CONFIG.hidden_size)).square().sum().backward()
    assert moe.router.classifier.weight.grad is not None and moe.router.classifier.weight.grad.abs().sum() > 0


def test_the_load_is_counted_until_the_bias_moves() -> None:
    moe = mixture()
    moe(torch.randn(30, CONFIG.hidden_size))
    moe(torch.randn(20, CONFIG.hidden_size))
    load, tokens, before = moe.load.clone(), moe.tokens, moe.router.e_score_correction_bias.clone()
    assert tokens == 50 and moe.active_ffn_per_token == load.sum().item() / 50
    moe.update_bias(mu=0.5, mean_ffn=2)
    n, k = CONFIG.n_routed_experts, CONFIG.moe_topk
    torch.testing.assert_close(moe.router.e_score_correction_bias[:n] - before[:n], 0.5 * (2 / k / n - load / (k * 50)))
    torch.testing.assert_close(moe.router.e_score_correction_bias[n:], before[n:])
    assert moe.tokens == 0 and moe.load.sum() == 0


def test_the_mean_number_of_experts_settles_where_it_is_wanted() -> None:
    moe = mixture()
    with torch.no_grad():
        for _ in range(150):
            moe(torch.randn(256, CONFIG.hidden_size))
            moe.update_bias(mu=0.5, mean_ffn=2)
        x = torch.randn(4096, CONFIG.hidden_size)
        moe(x)
        chosen, _ = moe.router(x)
    assert moe.active_ffn_per_token == pytest.approx(2, abs=0.1)
    each = (chosen < CONFIG.n_routed_experts).sum(1)
    assert each.float().std() > 0.3  # some tokens get more than others: that is the point
    share = moe.load / moe.load.sum()
    assert share.max() < 2 / CONFIG.n_routed_experts  # and no expert does all the work


def test_the_router_stays_in_full_precision_when_the_rest_is_cast() -> None:
    moe = mixture()
    weight, bias = moe.router.classifier.weight.clone(), moe.router.e_score_correction_bias.clone()
    moe.to(torch.bfloat16)
    assert moe.experts[0].gate_proj.weight.dtype == torch.bfloat16
    assert torch.equal(moe.router.classifier.weight, weight) and torch.equal(moe.router.e_score_correction_bias, bias)
    assert moe(torch.randn(4, CONFIG.hidden_size, dtype=torch.bfloat16)).dtype == torch.bfloat16
