"""Latents as codes and back: the search, the residual, and the gradients that train it."""

import numpy as np
import pytest
import torch

from vivavoce.codecs.quantizer import ResidualProductQuantizer


@pytest.fixture
def quantizer() -> ResidualProductQuantizer:
    torch.manual_seed(0)
    return ResidualProductQuantizer(dim=12, codebook_size=5, search_dim=4, n_codebooks=3)


def projected(conv: torch.nn.Module, x: np.ndarray) -> np.ndarray:
    """A convolution of kernel 1 in float64: x [in] -> [out]."""
    state = {name: tensor.double().numpy() for name, tensor in conv.state_dict().items()}
    direction = state["weight_v"][:, :, 0]
    weight = state["weight_g"][:, 0] * direction / np.linalg.norm(direction, axis=1, keepdims=True)
    return weight @ x + state["bias"]


def reference(quantizer: ResidualProductQuantizer, column: np.ndarray) -> tuple[list[int], np.ndarray]:
    """One column of a latent, in float64, stage by stage: its codes and its quantised value."""
    codes, total = [], np.zeros_like(column)
    for stage in quantizer.quantizers:
        halves, numbers = [], []
        for side in "ab":
            entries = stage.get_submodule(f"codebook_{side}").state_dict()["weight"].double().numpy()
            query = projected(stage.get_submodule(f"in_proj_{side}"), column - total)
            unit = entries / np.linalg.norm(entries, axis=1, keepdims=True)
            numbers.append(int(np.argmin(np.linalg.norm(unit - query / np.linalg.norm(query), axis=1))))
            halves.append(projected(stage.get_submodule(f"out_proj_{side}"), entries[numbers[-1]]))
        total = total + np.concatenate(halves)
        codes.append(numbers[0] * 5 + numbers[1])
    return codes, total


def test_codes_and_values_equal_the_rule_worked_column_by_column(quantizer: ResidualProductQuantizer) -> None:
    z = torch.randn(2, 12, 6)
    codes = quantizer.encode(z)
    values = quantizer.decode(codes)
    for b in range(2):
        for t in range(6):
            expected, value = reference(quantizer, z[b, :, t].double().numpy())
            assert codes[b, :, t].tolist() == expected
            np.testing.assert_allclose(values[b, :, t].detach(), value, atol=1e-5)


def test_training_sees_the_values_that_decoding_gives(quantizer: ResidualProductQuantizer) -> None:
    z = torch.randn(2, 12, 6)
    quantised, codes, _ = quantizer(z)
    assert torch.equal(codes, quantizer.encode(z))
    torch.testing.assert_close(quantised, quantizer.decode(codes))


def test_fewer_stages_may_be_decoded(quantizer: ResidualProductQuantizer) -> None:
    codes = quantizer.encode(torch.randn(1, 12, 6))
    parts = [stage.decode(codes[:, i]) for i, stage in enumerate(quantizer.quantizers)]
    torch.testing.assert_close(quantizer.decode(codes[:, :2]), parts[0] + parts[1])
    with pytest.raises(ValueError, match="3 acoustic stages cannot decode 4"):
        quantizer.decode(codes[:, [0, 1, 2, 2]])
    with pytest.raises(ValueError, match="cannot decode 0"):
        quantizer.decode(codes[:, :0])


def test_gradients_reach_the_encoder_and_every_part_of_the_quantiser(quantizer: ResidualProductQuantizer) -> None:
    z = torch.randn(2, 12, 6, requires_grad=True)
    quantised, _, loss = quantizer(z)
    (quantised.square().mean() + loss).backward()
    assert z.grad is not None and z.grad.abs().sum() > 0
    assert [name for name, p in quantizer.named_parameters() if p.grad is None] == []


def test_training_brings_entries_and_latents_together(quantizer: ResidualProductQuantizer) -> None:
    z = torch.randn(4, 12, 8)
    optimiser = torch.optim.Adam(quantizer.parameters(), lr=0.02)
    errors = []
    for _ in range(60):
        quantised, _, loss = quantizer(z)
        error = (quantised - z).square().mean()
        optimiser.zero_grad()
        (error + loss).backward()
        optimiser.step()
        errors.append(error.item())
    assert errors[-1] < 0.6 * errors[0]


def test_two_halves_cannot_make_an_odd_latent() -> None:
    with pytest.raises(ValueError, match="13"):
        ResidualProductQuantizer(13, 5, 4, 1)
