"""FP8 weights come back as block scale times value, whatever the shape, and a release may hold them."""

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from vivavoce.model import fp8
from vivavoce.model.config import tiny
from vivavoce.model.examine import CheckpointError
from vivavoce.model.omni import Omni
from vivavoce.model.weights import load_omni, save_release


@pytest.mark.parametrize("shape", [(128, 128), (130, 257), (5, 300)])
def test_every_value_is_its_own_times_the_scale_of_its_block(shape) -> None:
    torch.manual_seed(0)
    weight, scales = torch.randn(shape).to(torch.float8_e4m3fn), torch.rand(fp8.scales_shape(shape)) + 0.5
    made, w, s = fp8.dequantise(weight, scales).numpy(), weight.float().numpy().astype(np.float64), scales.numpy()
    for row in range(0, shape[0], 7):
        for column in range(0, shape[1], 11):
            assert made[row, column] == pytest.approx(w[row, column] * s[row // 128, column // 128], rel=1e-6)


def test_scales_that_do_not_fit_are_named() -> None:
    with pytest.raises(ValueError, match=r"\[2, 1\].*\[1, 1\]"):
        fp8.dequantise(torch.zeros(200, 100), torch.ones(1, 1))


@pytest.fixture
def quantised(tmp_path: Path) -> tuple[Omni, Path]:
    """A release whose experts are FP8 with scales."""
    torch.manual_seed(0)
    omni = Omni(tiny()).eval()
    save_release(omni, tmp_path, dtype=torch.float32)
    file = tmp_path / "model-00001-of-00001.safetensors"
    tensors = load_file(file)
    for name in [n for n in tensors if ".experts." in n]:
        tensors[name], tensors[name + fp8.SCALES] = fp8.quantise(tensors[name])
    save_file(tensors, file)
    return omni, file


def test_an_fp8_release_is_read(quantised: tuple[Omni, Path]) -> None:
    omni, file = quantised
    back = load_omni(file.parent)
    for name, tensor in omni.backbone.state_dict().items():
        error = (back.backbone.state_dict()[name] - tensor).abs().max()
        assert error <= (tensor.abs().max() * 2**-4 if ".experts." in name else 0), name


def test_scales_of_another_shape_are_told_with_both_shapes(quantised: tuple[Omni, Path]) -> None:
    _, file = quantised
    tensors = load_file(file)
    name = next(n for n in tensors if n.endswith(fp8.SCALES))
    save_file(tensors | {name: torch.ones(2, 3)}, file)
    with pytest.raises(CheckpointError, match=r"is \[2, 3\], expected \[1, 1\]"):
        load_omni(file.parent)
