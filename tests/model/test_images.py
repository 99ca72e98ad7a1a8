"""Pictures get the size the release would give them, and patches in the order its convolution reads them."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from vivavoce.model.config import VisionConfig
from vivavoce.model.images import patchify, smart_resize, visual_tokens

RELEASE = VisionConfig()


@pytest.mark.parametrize(
    ("size", "resized", "tokens"),
    [
        ((224, 224), (336, 336), 288),
        ((100, 100), (448, 336), 384),  # the rule's own asymmetry
        ((320, 240), (448, 336), 384),
        ((640, 360), (672, 336), 576),
        ((640, 480), (672, 448), 768),
        ((1280, 720), (1232, 672), 2112),
        ((720, 1280), (672, 1232), 2112),
        ((1024, 1024), (1008, 1008), 2592),
        ((1920, 1080), (1344, 784), 2688),
        ((4000, 100), (4480, 112), 1280),
    ],
)
def test_sizes_and_costs_are_the_releases(size: tuple[int, int], resized: tuple[int, int], tokens: int) -> None:
    width, height = size
    assert smart_resize(height, width, RELEASE) == resized[::-1]
    assert visual_tokens(height, width, RELEASE) == tokens


def test_a_larger_budget_keeps_more_of_the_picture() -> None:
    assert smart_resize(1080, 1920, RELEASE, max_tokens=16384) == (1120, 1904)
    assert visual_tokens(1080, 1920, RELEASE, max_tokens=16384) == 5440


def test_the_fewest_tokens_are_those_of_a_small_picture() -> None:
    for height, width in ((336, 448), (480, 640), (720, 1280), (1080, 1920)):
        assert smart_resize(height, width, RELEASE, fewest=True) == (336, 448)
    assert smart_resize(1280, 720, RELEASE, fewest=True) == (448, 336)


@given(st.integers(1, 1500), st.integers(1, 1500))
def test_fewest_is_never_more(height: int, width: int) -> None:
    few, many = smart_resize(height, width, RELEASE, fewest=True), smart_resize(height, width, RELEASE)
    assert 0 < few[0] * few[1] <= many[0] * many[1]


@given(st.integers(1, 3000), st.integers(1, 3000))
def test_every_picture_becomes_whole_pairs_of_patches(height: int, width: int) -> None:
    rows, cols = smart_resize(height, width, RELEASE)
    assert rows > 0 and rows % 14 == 0
    assert cols > 0 and cols % 28 == 0
    assert rows * cols // 196 <= RELEASE.max_tokens


def test_patches_are_what_a_three_dimensional_convolution_reads() -> None:
    config = VisionConfig(resize_factor=2, min_tokens=4, max_tokens=24)
    rng = np.random.default_rng(0)
    first, second = rng.integers(0, 256, (2, 56, 84, 3), dtype=np.uint8)  # already a legal size: no resampling
    patches, (rows, cols) = patchify(first, second, config)
    assert (rows, cols) == (4, 6) and patches.shape == (24, 1176) and patches.dtype == np.float32

    video = torch.from_numpy(np.stack([first, second]).astype(np.float32) / 255)
    video = (video - torch.tensor(config.image_mean)) / torch.tensor(config.image_std)
    kernel = torch.randn(5, 3, 2, 14, 14)
    expected = torch.nn.functional.conv3d(video.permute(3, 0, 1, 2)[None], kernel, stride=(2, 14, 14))
    ours = torch.from_numpy(patches) @ kernel.flatten(1).T
    torch.testing.assert_close(ours, expected[0, :, 0].flatten(1).T, rtol=1e-4, atol=1e-3)


def test_a_still_is_its_own_second_frame() -> None:
    still = np.random.default_rng(1).integers(0, 256, (60, 90, 3), dtype=np.uint8)
    alone, grid = patchify(still, None, VisionConfig(resize_factor=2, min_tokens=4, max_tokens=24))
    doubled, same = patchify(still, still, VisionConfig(resize_factor=2, min_tokens=4, max_tokens=24))
    assert grid == same
    np.testing.assert_array_equal(alone, doubled)


def test_what_is_not_a_picture_is_refused() -> None:
    with pytest.raises(ValueError, match="positive sides, got 0 x 40"):
        smart_resize(0, 40, RELEASE)
    with pytest.raises(ValueError, match=r"float64 \[30, 30, 3\]"):
        patchify(np.zeros((30, 30, 3)), None, RELEASE)  # type: ignore[arg-type]
