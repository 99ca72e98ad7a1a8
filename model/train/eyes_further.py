"""The vision encoder's second schooling: from eyes that name colours, shapes and counts to those that also read and compare.

Half of every batch are pictures of the first litter, half of the second. What the eyes know stays what it was: colours are to be
what the eyes said that it began with, as in `seeing.train_grown`, and shapes are asked of `scrambled` pictures.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from vivavoce.model.train import noticing
from vivavoce.model.train.noticing import COLUMN, COLUMNS, KINDS, OLD, READ, UNKNOWN
from vivavoce.model.train.run import Recipe, train
from vivavoce.model.train.seeing import TURN, WALL_WEIGHT, flipped, scrambled
from vivavoce.model.vision_encoder import VisionEncoder, VisionProjector

SHARPNESS = 8.0
"""A whole word is that much likelier than half of one, in logits, twice over."""
WHOLE = 4.0
"""Weight of the squared distance of amounts from one or none beside the cross-entropy, which alone would have them grow."""
PRINT = COLUMN["word"]
NAMES = ("colour", "shape", "turn", "alike", "kind", "all", *noticing.NEW_NAMES)
"""Of the columns that are read."""


class Noticer(nn.Module):
    """Vision encoder, projector, and how much of every word the projector's inner layer has: `seeing.named`, but learned.

    In closed form the turn of a thing, which stands in its middle alone, came out as half a word and less, and was below that in
    four of ten middles; a head with a softmax had it in nine of ten. So amounts are learned here as they will be used.
    """

    def __init__(self, encoder: VisionEncoder, projector: VisionProjector, names: Tensor) -> None:
        """`names` [inner + 1, some] is what the eyes can name already, see `seeing.naming`: it begins with that."""
        super().__init__()
        self.encoder, self.projector = encoder, projector
        self.amounts = nn.Linear(len(names) - 1, len(noticing.SEEN_WORDS))
        with torch.no_grad():
            self.amounts.weight.zero_()
            self.amounts.bias.zero_()
            self.amounts.weight[: names.shape[1]], self.amounts.bias[: names.shape[1]] = names[:-1].T, names[-1]

    def forward(self, patches: Tensor, grid: tuple[int, int]) -> Tensor:
        """How much of each of `noticing.SEEN_WORDS` is in every token [N, T, words]."""
        hidden = self.encoder(patches, grid)
        amounts: Tensor = self.amounts(self.projector.p0(hidden.reshape(len(hidden), hidden.shape[1] // 2, -1)))
        return amounts

    @property
    def names(self) -> Tensor:
        """[inner + 1, words], for `seeing.say_what_is_seen`."""
        return torch.cat([self.amounts.weight.T, self.amounts.bias[None]]).detach()


def columns(amounts: Tensor) -> list[Tensor]:
    """Amounts [N, T, words] as logits [N, T, kinds] of every column that is read; half a word is as likely as none."""
    none = torch.full_like(amounts[..., :1], SHARPNESS / 2)
    return [torch.cat([none, SHARPNESS * some], -1) for some in amounts.split([kinds - 1 for kinds in KINDS], -1)]


@dataclass(frozen=True)
class Pictures:
    """Patches [N, P, D], on disk, and token truth [N, P / 2, columns]."""

    patches: np.ndarray
    truth: np.ndarray


def as_second(truth: np.ndarray) -> np.ndarray:
    """First truth [N, T, 7] with the columns of the second: all stands still, nothing is printed, and the rest is not known."""
    more = np.full((*truth.shape[:2], COLUMNS - OLD), UNKNOWN, truth.dtype)
    more[..., COLUMN["way"] - OLD] = truth[..., TURN] > 0
    more[..., PRINT - OLD :] = 0
    return np.concatenate([truth, more], -1)


def batch_at(
    step: int, first: Pictures, second: Pictures, grid: tuple[int, int], batch: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Patches and truth of `batch` pictures, and which of them are scrambled: half of the first, a quarter of the second."""
    rng, half = np.random.default_rng([37, step]), batch // 2
    old, new = (rng.integers(0, len(some.patches), half) for some in (first, second))
    sides = {"across": bool(rng.random() < 0.5), "down": bool(rng.random() < 0.5)}
    x, y = flipped(first.patches[np.sort(old)], first.truth[np.sort(old)], grid, **sides)
    order = np.sort(new)
    x = np.concatenate([x, second.patches[order]])
    y = np.concatenate([as_second(y), second.truth[order]]).astype(np.int64)
    without_colour = rng.random(batch) < np.r_[np.full(half, 0.5), np.full(half, 0.25)]
    if without_colour.any():
        x[without_colour] = scrambled(x[without_colour], rng)
    return x.astype(np.float32) + np.float32(rng.normal(0, 0.1)), y, without_colour


def losses(
    amounts: Tensor, known: Tensor, taught: Tensor, truth: Tensor, without_colour: Tensor
) -> tuple[Tensor, dict[str, float]]:
    """Sum over the columns, and the share of the tokens with a value that got it.

    Args:
        known: the log-probabilities of colours that the eyes had at first, for the pictures `taught`.
        truth: int64 [N, T, 15]
        without_colour: bool [N], pictures that are scrambled.
    """
    logits = columns(amounts)
    parts, right = [_apart(logits[0][taught], known, truth[taught])], {"apart": 0.0}
    right["apart"] = parts[0].item()
    for name, column, some in zip(NAMES[1:], READ[1:], logits[1:], strict=True):
        target = truth[..., column]
        if name == "shape":
            target = torch.where(without_colour[:, None] | (truth[..., PRINT:] > 0).any(-1), target, UNKNOWN)
        elif name == "kin":
            target = torch.where(without_colour[:, None], UNKNOWN, target)
        if (target >= 0).any():
            parts.append(_told(some, target))
        if (target > 0).any():
            right[name] = (some.argmax(-1) == target)[target > 0].float().mean().item()
    return torch.stack(parts).sum(), right


def _told(logits: Tensor, target: Tensor) -> Tensor:
    """Cross-entropy of [N, T, K] against [N, T], and squared distance of the amounts; where there is nothing counts little."""
    weight = torch.tensor([WALL_WEIGHT] + [1.0] * (logits.shape[-1] - 1))
    crossed = F.cross_entropy(logits.flatten(0, 1), target.flatten(), weight, ignore_index=UNKNOWN)
    true = F.one_hot(target.clamp(min=0), logits.shape[-1])[..., 1:]
    each = torch.where(target < 0, 0.0, weight[target.clamp(min=0)])
    off = (logits[..., 1:] / SHARPNESS - true).square().sum(-1)
    return crossed + WHOLE * (off * each).sum() / each.sum()


def _apart(colour: Tensor, known: Tensor, truth: Tensor) -> Tensor:
    """How far colours are from what they were; print has none."""
    printed = (truth[..., PRINT:] > 0).any(-1).flatten()
    weight = torch.where(truth[..., 0].flatten() > 0, 1.0, WALL_WEIGHT)
    said = colour.log_softmax(-1).flatten(0, 1)
    apart = F.kl_div(said, known.flatten(0, 1), log_target=True, reduction="none").sum(-1)
    return (torch.where(printed, -said[:, 0], apart) * weight).sum() / weight.sum()


def train_further(
    noticer: Noticer,
    first: Pictures,
    second: Pictures,
    grid: tuple[int, int],
    recipe: Recipe,
    folder: Path,
    *,
    batch: int = 32,
    after: Callable[[int], None] | None = None,
) -> None:
    """Go on from the eyes that `noticer` has. Of every second picture the colours are held to what they were; none is mirrored of
    the second, for print cannot be read then."""
    teacher = copy.deepcopy(noticer).eval().requires_grad_(False)
    taught = torch.arange(0, batch, 2)

    def loss_at(step: int) -> tuple[Tensor, dict[str, float]]:
        x, y, without_colour = batch_at(step, first, second, grid, batch)
        patches, truth = torch.from_numpy(x), torch.from_numpy(y)
        with torch.no_grad():
            known = columns(teacher(patches[taught], grid))[0].log_softmax(-1)
        return losses(noticer(patches, grid), known, taught, truth, torch.from_numpy(without_colour))

    train(recipe, folder, noticer, loss_at, after=after)


@torch.inference_mode()
def examine(noticer: Noticer, pictures: Pictures, grid: tuple[int, int]) -> dict[str, float]:
    """Share of the tokens with a value that get it, by column, and of those without print in which none is read."""
    said = [
        [some.argmax(-1).numpy() for some in columns(noticer(torch.from_numpy(part.astype(np.float32)), grid))]
        for part in np.array_split(pictures.patches, max(1, len(pictures.patches) // 64))
    ]
    figures = {}
    for name, column, some in zip(NAMES, READ, zip(*said, strict=True), strict=True):
        true, told = pictures.truth[..., column], np.concatenate(some)
        figures[name] = float((told == true)[true > 0].mean()) if (true > 0).any() else float("nan")
        figures[f"{name}, of none"] = float((told == true)[true == 0].mean()) if (true == 0).any() else float("nan")
    return figures
