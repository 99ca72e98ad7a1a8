"""The codec's layers against the same sums done by somebody else: scipy, torch's own weight norm, and numpy."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from scipy.signal import lfilter
from torch import nn
from torch.nn.utils.parametrizations import weight_norm

from vivavoce.codecs.layers import CausalPad, Snake, WNConv1d, WNUpsample


def spread(taps: np.ndarray, dilation: int) -> np.ndarray:
    """Filter taps with zeros between them, newest sample first."""
    wide = np.zeros((len(taps) - 1) * dilation + 1)
    wide[::dilation] = taps
    return wide[::-1]


@pytest.mark.parametrize("dilation", [1, 3, 9])
def test_a_padded_convolution_is_a_causal_filter(dilation: int) -> None:
    conv, pad = WNConv1d(2, 1, 7, dilation), CausalPad(2, 6 * dilation)
    x = torch.randn(1, 2, 80)
    weight = (conv.weight_g * conv.weight_v / conv.weight_v.norm(dim=(1, 2), keepdim=True)).detach().double().numpy()
    expected = sum(lfilter(spread(weight[0, c], dilation), [1.0], x[0, c].double().numpy()) for c in range(2))
    np.testing.assert_allclose(conv(pad(x))[0, 0].detach(), expected + conv.bias.item(), atol=1e-5)


def test_weight_norm_is_the_old_one_under_its_old_names() -> None:
    ours, theirs = WNConv1d(4, 3, 5), weight_norm(nn.Conv1d(4, 3, 5))
    assert sorted(ours.state_dict()) == ["bias", "weight_g", "weight_v"]
    with torch.no_grad():
        ours.weight_g.mul_(torch.rand(3, 1, 1) + 0.5)
    state = ours.state_dict()
    theirs.load_state_dict(
        {
            "bias": state["bias"],
            "parametrizations.weight.original0": state["weight_g"],
            "parametrizations.weight.original1": state["weight_v"],
        }
    )
    x = torch.randn(2, 4, 9)
    torch.testing.assert_close(ours(x), theirs(x))


def test_upsampling_is_a_transposed_convolution_whose_kernel_is_its_stride() -> None:
    up = WNUpsample(6, 3, 5)
    assert up.weight_g.shape == (6, 1, 1)
    x = torch.randn(2, 6, 7)
    torch.testing.assert_close(up(x), F.conv_transpose1d(x, up.weight(), up.bias, stride=5))


def test_snake_is_its_formula_with_or_without_gradients() -> None:
    snake = Snake(3)
    with torch.no_grad():
        snake.alpha.copy_(torch.tensor([0.1, 1.0, 4.0])[None, :, None])
    x = torch.randn(2, 3, 10)
    alpha = snake.alpha.detach().double().numpy()
    wave = x.double().numpy()
    expected = wave + np.sin(alpha * wave) ** 2 / (alpha + 1e-9)
    np.testing.assert_allclose(snake(x).detach(), expected, atol=1e-5)
    with torch.no_grad():
        np.testing.assert_allclose(snake(x), expected, atol=1e-5)


def test_the_gradient_of_snake_is_the_slope_that_differences_measure() -> None:
    snake = Snake(3).double()
    with torch.no_grad():
        snake.alpha.copy_(torch.tensor([0.3, 1.0, 2.5])[None, :, None])
    x = torch.randn(2, 3, 4, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x, alpha: torch.func.functional_call(snake, {"alpha": alpha}, (x,)),
                                    (x, snake.alpha))  # fmt: skip


def test_a_folded_weight_serves_until_other_parameters_come() -> None:
    conv, x = WNConv1d(2, 2, 3), torch.randn(1, 2, 8)
    conv.eval()
    before = conv(x)
    conv.fold()
    torch.testing.assert_close(conv(x), before)
    assert sorted(conv.state_dict()) == ["bias", "weight_g", "weight_v"]
    conv.load_state_dict(WNConv1d(2, 2, 3).state_dict())
    assert not torch.allclose(conv(x), before)
    conv.fold()
    conv.train()
    conv(x).sum().backward()
    assert conv.weight_g.grad is not None
