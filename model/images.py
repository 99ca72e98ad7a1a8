"""Pictures to patches: the release's size rule, bicubic resize, normalisation and the patch order. numpy and Pillow only.

Two frames make one *temporal pair* (a still is its own second frame); a pair becomes one grid of patches, and the projector
merges horizontal neighbours, so a pair costs `rows * cols / 2` positions of context.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
from PIL import Image

from vivavoce.model.config import VisionConfig

__all__ = ["patchify", "smart_resize", "visual_tokens"]


def smart_resize(
    height: int, width: int, config: VisionConfig, max_tokens: int | None = None, *, fewest: bool = False
) -> tuple[int, int]:
    """The (height, width) in pixels that a picture of height x width is resized to.

    Both become multiples of `patch_size * resize_factor`, holding between `min_tokens` and `max_tokens` patches, at about the
    same aspect ratio. `max_tokens` overrides the config's, for budgets shared by several pictures. `fewest`: a picture of
    whatever size becomes about as small as the smallest, unless it is too narrow for that.
    Raises ValueError if a side is not positive.
    """
    if height <= 0 or width <= 0:
        raise ValueError(f"a picture needs positive sides, got {height} x {width}")
    factor = config.patch_size * config.resize_factor
    lowest = config.min_tokens * config.patch_size**2
    highest = (max_tokens or config.max_tokens) * config.patch_size**2
    if height < factor:
        height, width = factor, int(width * factor / height) + 1
    if width < factor:
        height, width = int(height * factor / width) + 1, factor
    rows, cols = round(height / factor) * factor, round(width / factor) * factor
    if rows * cols > highest:
        shrink = math.sqrt(height * width / highest)
        rows, cols = (math.floor(side / shrink / factor) * factor for side in (height, width))
    elif rows * cols < lowest:
        grow = math.sqrt(lowest / (height * width))
        rows, cols = (math.ceil(side * grow / factor) * factor for side in (height, width))
    if rows == 0:
        rows, cols = factor, highest // factor
    elif cols == 0:
        rows, cols = highest // factor, factor
    if fewest and rows * cols > lowest:
        shrink = math.sqrt(lowest / (height * width))
        small = math.ceil(height * shrink / factor) * factor, math.ceil(width * shrink / factor) * factor
        rows, cols = min((rows, cols), small, key=math.prod)
    return rows // config.patch_size * config.patch_size, cols // (2 * config.patch_size) * (2 * config.patch_size)


def visual_tokens(height: int, width: int, config: VisionConfig, max_tokens: int | None = None) -> int:
    """Positions of context that a still, or a pair of frames, of this size costs."""
    rows, cols = smart_resize(height, width, config, max_tokens)
    return (rows // config.patch_size) * (cols // config.patch_size) // 2


def patchify(
    first: npt.NDArray[np.uint8],
    second: npt.NDArray[np.uint8] | None,
    config: VisionConfig,
    max_tokens: int | None = None,
    *,
    fewest: bool = False,
) -> tuple[npt.NDArray[np.float32], tuple[int, int]]:
    """Two RGB frames as the encoder's input rows.

    first, second: uint8 [H, W, 3]; None doubles the first. Both are resized to the size that suits the first, see
    `smart_resize`.
    Returns (patches float32 [rows * cols, 3 * 2 * patch * patch], (rows, cols)): patches in row-major order, values inside a
    patch ordered channel, frame, row, column.
    """
    height, width = smart_resize(first.shape[0], first.shape[1], config, max_tokens, fewest=fewest)
    planes = [_normalised(first, height, width, config)]
    planes.append(planes[0] if second is None else _normalised(second, height, width, config))
    patch = config.patch_size
    rows, cols = height // patch, width // patch
    pair = np.stack(planes).reshape(2, 3, rows, patch, cols, patch)
    patches = pair.transpose(2, 4, 1, 0, 3, 5).reshape(rows * cols, -1)
    return np.ascontiguousarray(patches), (rows, cols)


def _normalised(rgb: npt.NDArray[np.uint8], height: int, width: int, config: VisionConfig) -> npt.NDArray[np.float32]:
    """One frame, bicubically resized, as float32 [3, height, width] with the training mean and deviation taken out."""
    if rgb.ndim != 3 or rgb.shape[2] != 3 or rgb.dtype != np.uint8:
        raise ValueError(f"a frame is uint8 [H, W, 3], got {rgb.dtype} {list(rgb.shape)}")
    picture = Image.fromarray(np.ascontiguousarray(rgb)).resize((width, height), Image.Resampling.BICUBIC)
    values = np.asarray(picture, dtype=np.float32) / np.float32(255)
    mean, std = np.asarray(config.image_mean, np.float32), np.asarray(config.image_std, np.float32)
    return ((values - mean) / std).transpose(2, 0, 1)
