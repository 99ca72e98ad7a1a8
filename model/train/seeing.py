"""The vision encoder's own training: every visual token says what lies under it.

Rendered scenes come with their truth, so the signal can be dense: from each token linear heads read which colour and which
shape covers most of its cell (or none), and where a thing has its middle also its turn in a description and how many there
are: just like it, of its shape, and in all. Encoder and projector trained this way hand the language model tokens in which
all that stands plainly. The heads are thrown away.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
import torch
from rich.progress import track
from torch import Tensor, nn
from torch.nn import functional as F

from vivavoce.model.config import VisionConfig
from vivavoce.model.images import patchify
from vivavoce.model.train.lexicon import COLOURS, NUMBERS, PHRASE_ADJECTIVES, PHRASE_VERBS, SHAPES
from vivavoce.model.train.run import Recipe, train
from vivavoce.model.train.scenes import MOST_THINGS, Photographer, Scene, close_up, random_scene
from vivavoce.model.vision_encoder import VisionEncoder, VisionProjector

COLOUR_NAMES = tuple(COLOURS)
TURNS, ALIKE, ALL = PHRASE_VERBS[:MOST_THINGS], PHRASE_ADJECTIVES[:MOST_THINGS], PHRASE_VERBS[MOST_THINGS:]
"""Words borrowed for what has no word of its own; any would do that no question about a picture has."""
SEEN_WORDS = (*COLOUR_NAMES, *SHAPES, *TURNS, *ALIKE, *NUMBERS[1 : MOST_THINGS + 1], *ALL)
"""What a visual token can say: the colour and the shape under it and, in the middle of a thing, in which turn a description
names it, how many are just like it, how many have its shape (the answer to "how many", in its own words) and how many there are."""
KINDS = (len(COLOURS) + 1, len(SHAPES) + 1, *(MOST_THINGS + 1,) * 4)
"""Values of each truth column that is read."""
TURN, MIRRORED_TURN = 2, len(KINDS)
"""Truth columns: the turn, and what it is in a mirror."""
WALL_WEIGHT = 0.1
"""What a token of bare wall counts beside one of a thing, when shapes are judged."""
WALL_SHARE = 0.3
"""The same, when the projector is set to say what is seen."""
OFF = 0.05
"""How much of a last layer may be no words; that of the shipped checkpoint, in 16 bits, is off by 0.0015."""


def photograph(job: tuple[Scene, int, VisionConfig]) -> tuple[np.ndarray, np.ndarray]:
    """(scene, shot, config) to patches float16 [P, D] of one frame pair and token truth int64 [P / 2, 7].

    Truth columns: colour + 1 or 0 for wall, shape + 1 or 0, and where a thing has its middle `roles`, elsewhere 0.
    """
    scene, shot, config = job
    photographer = Photographer(scene)
    first, truth = photographer.shoot(2 * shot)
    second, _ = photographer.shoot(2 * shot + 1)
    patches, (rows, columns) = patchify(first, second, config)
    return np.asarray(patches, np.float16), token_truth(scene, truth, rows, columns // 2)


def token_truth(scene: Scene, truth: np.ndarray, rows: int, columns: int) -> np.ndarray:
    """Per-cell majority of a truth picture [H, W], int64 [rows * columns, 7]."""
    height, width = truth.shape
    labels = np.zeros((rows, columns, len(KINDS) + 1), np.int64)
    told = roles(scene)
    for r in range(rows):
        for c in range(columns):
            cell = truth[
                r * height // rows : (r + 1) * height // rows, c * width // columns : (c + 1) * width // columns
            ]
            counts = np.bincount(cell.ravel() + 1, minlength=len(scene.things) + 1)
            index = int(counts[1:].argmax()) if len(counts) > 1 else 0
            if counts[1:].max(initial=0) > 0.3 * cell.size:
                thing = scene.things[index]
                labels[r, c, :2] = COLOUR_NAMES.index(thing.colour) + 1, SHAPES.index(thing.shape) + 1
    for index in range(len(scene.things)):
        ys, xs = np.nonzero(truth == index)
        if len(ys):
            r, c = int(ys.mean() * rows / height), int(xs.mean() * columns / width)
            labels[min(rows - 1, r), min(columns - 1, c), TURN:] = told[index]
    return labels.reshape(rows * columns, -1)


def roles(scene: Scene) -> np.ndarray:
    """What is said in the middle of each thing, int64 [things, 5]: its turn, how many are just like it, of its shape, in all,
    and its turn in a mirror. A description goes from the left and names things that are alike once."""
    pairs = [(t.colour, t.shape) for t in scene.things]
    shapes = [shape for _, shape in pairs]
    turns, mirrored = list(dict.fromkeys(pairs)), list(dict.fromkeys(reversed(pairs)))
    told = [(turns.index(p) + 1, pairs.count(p), shapes.count(p[1]), len(pairs), mirrored.index(p) + 1) for p in pairs]
    return np.array(told, np.int64).reshape(-1, 5)


def random_scenes(count: int, seed: int, *, held: bool) -> list[Scene]:
    rng = random.Random(seed)
    return [random_scene(rng, held=held) for _ in range(count)]


def crowded(count: int, seed: int) -> list[Scene]:
    """As many scenes with one thing as with five: what is rare is not learned, and a scene of five is one in eleven."""
    rng, made = random.Random(seed), list[Scene]()
    while len(made) < count:
        scene = random_scene(rng)
        if len(scene.things) == len(made) % MOST_THINGS + 1:
            made.append(scene)
    return made


def close_ups(count: int, seed: int) -> list[Scene]:
    rng = random.Random(seed)
    return [close_up(rng) for _ in range(count)]


def make_pictures(
    scenes: Sequence[Scene],
    config: VisionConfig,
    folder: Path,
    *,
    workers: int,
    prefix: str = "",
    camera: Callable[[tuple[Scene, int, VisionConfig]], tuple[np.ndarray, np.ndarray]] = photograph,
    seconds: int = 1,
) -> None:
    """Take a picture of each scene, of `seconds` seconds the one that its seed draws: `<prefix>pictures.npy`, patches [count, P, D]
    each, and `<prefix>truth.npy`, [count, P / 2, columns], in `folder`."""
    jobs = [(scene, scene.seed % seconds, config) for scene in scenes]
    first, _ = camera(jobs[0])
    path, shape = folder / f"{prefix}pictures.npy", (len(jobs), *first.shape)
    patches = np.lib.format.open_memmap(path, "w+", np.float16, shape)  # type: ignore[no-untyped-call]
    truth = []
    with ProcessPoolExecutor(workers) as pool:
        for index, made in enumerate(track(pool.map(camera, jobs, chunksize=32), "pictures", len(jobs))):
            patches[index] = made[0]
            truth.append(made[1])
    patches.flush()
    np.save(folder / f"{prefix}truth.npy", np.stack(truth))


class Reader(nn.Module):
    """Vision encoder, projector and the throw-away heads."""

    def __init__(self, encoder: VisionEncoder, projector: VisionProjector, width: int) -> None:
        super().__init__()
        self.encoder, self.projector = encoder, projector
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, sum(KINDS))

    def forward(self, patches: Tensor, grid: tuple[int, int]) -> tuple[Tensor, ...]:
        """Logits of colour [N, T, 9], shape [N, T, 6] and of the four numbers [N, T, 6] each, the first of each for none."""
        logits: Tensor = self.head(self.norm(self.projector(self.encoder(patches, grid))))
        return logits.split(KINDS, -1)


def train_eyes(
    reader: Reader,
    patches: np.ndarray,
    truth: np.ndarray,
    grid: tuple[int, int],
    recipe: Recipe,
    folder: Path,
    *,
    batch: int,
    close_ups: int,
) -> None:
    """Dense supervision on prepared pictures, the last `close_ups` of them close-ups; batches are mirrored, across and down.

    A small encoder learns pairs: of a blue circle, when blue is never round in training, it read the shape right in 18 % of
    tokens, against 79 %. So shapes are asked of pictures with `scrambled` colours, and colours of pictures with `shuffled`
    tokens, 40 % of a batch each. The rest are as they are, and only asked what stands in the middles of things. Half of the
    pictures that are asked for colours are close-ups: without them patches of nothing but blue, which only circles and
    squares fill, were never seen, and 37 % of blue tokens were called orange, purple or bare wall.
    """
    some = 2 * batch // 5

    def loss_at(step: int) -> tuple[Tensor, dict[str, float]]:
        rng = np.random.default_rng([17, step])
        chosen = rng.integers(0, len(patches) - close_ups, batch)
        if close_ups:
            near = slice(some, some + some // 2)
            chosen[near] = rng.integers(len(patches) - close_ups, len(patches), some // 2)
        x, y = flipped(patches[chosen], truth[chosen], grid, across=rng.random() < 0.5, down=rng.random() < 0.5)
        x[:some] = scrambled(x[:some], rng)
        x[some : 2 * some], y[some : 2 * some] = shuffled(x[some : 2 * some], y[some : 2 * some], rng)
        target = torch.from_numpy(y)
        colour, shape, *numbers = reader(torch.from_numpy(x).float() + float(rng.normal(0, 0.1)), grid)
        shape, shapes = shape[:some], target[:some, :, 1]
        colour, colours = colour[some : 2 * some], target[some : 2 * some, :, 0]
        whole = torch.cat([torch.arange(some), torch.arange(2 * some, batch)])
        losses = [
            F.cross_entropy(colour.flatten(0, 1), colours.flatten()),
            _unevenly(shape, shapes),
            *(_unevenly(number[whole], target[whole, :, i]) for i, number in enumerate(numbers, TURN)),
        ]
        right = {"colour": _right(colour, colours), "shape": _right(shape, shapes)}
        right |= {f"number{i}": _right(number[whole], target[whole, :, i]) for i, number in enumerate(numbers, TURN)}
        return sum(losses, torch.zeros(())), right

    train(recipe, folder, reader, loss_at)


def grown(small: Reader, large: Reader) -> Reader:
    """`large`, which has more layers, made to see just what `small` sees: the layers it has more add nothing yet."""
    with torch.no_grad():
        for index in range(small.encoder.config.num_hidden_layers, large.encoder.config.num_hidden_layers):
            block = large.encoder.encoder.layers[index]
            for silent in (block.attn.proj.weight, block.attn.proj.bias, block.mlp.fc2.weight, block.mlp.fc2.bias):
                silent.zero_()
    large.load_state_dict(large.state_dict() | small.state_dict())
    return large


def train_grown(
    reader: Reader,
    teacher: Reader,
    patches: np.ndarray,
    truth: np.ndarray,
    grid: tuple[int, int],
    recipe: Recipe,
    folder: Path,
    *,
    batch: int,
    close_ups: int,
) -> None:
    """Go on with more layers, which the numbers need, on whole pictures, half of them `scrambled` and asked for shapes.

    Colours are to be what `teacher` says, whatever the picture: the layers that came later learned to tell pictures with
    `shuffled` tokens from whole ones, and to keep the colours only of the former. On whole pictures of pairs never seen, colours
    had fallen from 91 % to 77 %.
    """
    some, near = batch // 2, batch // 10

    def loss_at(step: int) -> tuple[Tensor, dict[str, float]]:
        rng = np.random.default_rng([18, step])
        chosen = rng.integers(0, len(patches) - close_ups, batch)
        if close_ups:
            chosen[batch - near :] = rng.integers(len(patches) - close_ups, len(patches), near)
        x, y = flipped(patches[chosen], truth[chosen], grid, across=rng.random() < 0.5, down=rng.random() < 0.5)
        x[:some] = scrambled(x[:some], rng)
        target, seen = torch.from_numpy(y), torch.from_numpy(x).float() + float(rng.normal(0, 0.1))
        with torch.no_grad():
            known = teacher(seen, grid)[0].log_softmax(-1).flatten(0, 1)
        colour, shape, *numbers = reader(seen, grid)
        apart = F.kl_div(colour.log_softmax(-1).flatten(0, 1), known, log_target=True, reduction="none").sum(-1)
        thing = target[..., 0].flatten() > 0
        losses = [
            (apart * torch.where(thing, 1.0, WALL_WEIGHT)).sum() / thing.sum().clamp(min=1),
            _unevenly(shape[:some], target[:some, :, 1]),
            *(_unevenly(number, target[..., i]) for i, number in enumerate(numbers, TURN)),
        ]
        right = {"apart": losses[0].item(), "shape": _right(shape[:some], target[:some, :, 1])}
        right |= {f"number{i}": _right(number, target[..., i]) for i, number in enumerate(numbers, TURN)}
        return sum(losses, torch.zeros(())), right

    train(recipe, folder, reader, loss_at)


def _unevenly(logits: Tensor, true: Tensor) -> Tensor:
    """Cross-entropy of [N, T, K] against [N, T] in which tokens without a value count little."""
    weight = torch.tensor([WALL_WEIGHT] + [1.0] * (logits.shape[-1] - 1))
    return F.cross_entropy(logits.flatten(0, 1), true.flatten(), weight)


def _right(logits: Tensor, true: Tensor) -> float:
    """Share of the tokens with a value that got it."""
    return (logits.argmax(-1) == true)[true > 0].float().mean().item()


def shuffled(patches: np.ndarray, truth: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Pictures [N, P, D] and truth [N, P / 2, 7], the tokens (pairs of patches) of each in another order: no shape is left."""
    count, tokens, _ = truth.shape
    order = rng.permuted(np.tile(np.arange(tokens), (count, 1)), axis=1)[..., None]
    pairs = np.take_along_axis(patches.reshape(count, tokens, -1), order, 1)
    return pairs.reshape(patches.shape), np.take_along_axis(truth, order, 1)


def scrambled(patches: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Pictures [N, P, 3 * 2 * p * p], each with its three channels mixed by a random matrix: edges stay, colours go."""
    mixing = rng.normal(0, 0.7, (len(patches), 3, 3))
    mixing /= np.linalg.norm(mixing, axis=2, keepdims=True) / rng.uniform(0.6, 1.2, (len(patches), 1, 1))
    channels = patches.reshape(*patches.shape[:2], 3, -1).astype(np.float32)
    return np.einsum("nij,npjk->npik", mixing.astype(np.float32), channels).reshape(patches.shape).astype(patches.dtype)


def flipped(
    patches: np.ndarray, truth: np.ndarray, grid: tuple[int, int], *, across: bool, down: bool
) -> tuple[np.ndarray, np.ndarray]:
    """Pictures [N, P, 3 * 2 * p * p] and their token truth [N, P / 2, 7], mirrored; across, the last thing becomes the first."""
    count, side = len(patches), int((patches.shape[-1] / 6) ** 0.5)
    x = patches.reshape(count, *grid, 6, side, side)
    y = truth.reshape(count, grid[0], grid[1] // 2, -1)
    if across:
        x, y = x[:, :, ::-1, :, :, ::-1], y[:, :, ::-1].copy()
        y[..., [TURN, MIRRORED_TURN]] = y[..., [MIRRORED_TURN, TURN]]
    if down:
        x, y = x[:, ::-1, :, :, ::-1], y[:, ::-1]
    return np.ascontiguousarray(x).reshape(patches.shape), np.ascontiguousarray(y).reshape(truth.shape)


def what_is_named(
    encoder: VisionEncoder, projector: VisionProjector, names: Tensor, pictures: np.ndarray, grid: tuple[int, int]
) -> Tensor:
    """`named` of prepared patches [N, P, D]."""
    return named(projector, torch.from_numpy(features(encoder, pictures, grid)).float(), names)


def features(encoder: VisionEncoder, pictures: np.ndarray, grid: tuple[int, int]) -> np.ndarray:
    """Encoder outputs float16 [N, P, width] of prepared patches [N, P, D]."""
    with torch.inference_mode():
        return np.concatenate(
            [
                encoder(torch.from_numpy(p.astype(np.float32)), grid).half().numpy()
                for p in np.array_split(pictures, max(1, len(pictures) // 64))
            ]
        )


@torch.no_grad()
def naming(projector: VisionProjector, seen: Tensor, truth: Tensor) -> Tensor:
    """What the projector's inner layer tells of the things seen: [inner + 1, 33], one column for each of `SEEN_WORDS`.

    Least squares in closed form, the last row for a constant; a token of bare wall counts `WALL_SHARE` of one of a thing.

    Args:
        seen: encoder outputs [N, P, width].
        truth: [N, P / 2, 7], see `photograph`.
    """
    x, labels = inner(projector, seen).flatten(0, 1), truth.flatten(0, 1)
    named = [F.one_hot(labels[:, i], kinds)[:, 1:] for i, kinds in enumerate(KINDS)]
    weight = torch.where(labels[:, :1] > 0, 1.0, WALL_SHARE)
    ridge = 1e-2 * torch.eye(x.shape[1])
    return torch.linalg.solve((x * weight).T @ x + ridge, (x * weight).T @ torch.cat(named, 1).float())


@torch.no_grad()
def named(projector: VisionProjector, seen: Tensor, names: Tensor) -> Tensor:
    """How much of each of `SEEN_WORDS` is in every token: [N, P / 2, 33] of encoder outputs [N, P, width]."""
    return inner(projector, seen) @ names


def spelled(truth: np.ndarray) -> np.ndarray:
    """What eyes would name that never err: float16 [N, tokens, 33] of token truth [N, tokens, 7]."""
    values = [np.eye(kinds, dtype=np.float16)[truth[..., i]][..., 1:] for i, kinds in enumerate(KINDS)]
    return np.concatenate(values, -1)


def inner(projector: VisionProjector, seen: Tensor) -> Tensor:
    """The projector's inner layer [N, P / 2, inner + 1], the last column one."""
    hidden: Tensor = projector.p0(seen.reshape(len(seen), seen.shape[1] // 2, -1))
    return torch.cat([hidden, torch.ones_like(hidden[..., :1])], -1)


@torch.no_grad()
def say_what_is_seen(projector: VisionProjector, names: Tensor, words: Tensor) -> None:
    """Set the projector's last layer so that a token is the sum of the words for what it shows, and bare wall is zero.

    A model that can copy words from a question can then copy them from a picture. `names` comes from `naming`; `words`
    [33, D] are the rows that stand for `SEEN_WORDS`.
    """
    solved = names @ words
    projector.proj.weight.copy_(solved[:-1].T)
    projector.proj.bias.copy_(solved[-1])


@torch.no_grad()
def said_in(projector: VisionProjector, words: Tensor) -> Tensor | None:
    """The `names` [inner + 1, words] with which `say_what_is_seen` has set the projector's last layer; None if it says something
    else than these `words` [words, D]. Of rows that are alike only the sum is known."""
    solved = torch.cat([projector.proj.weight.T, projector.proj.bias[None]])
    names: Tensor = solved @ torch.linalg.pinv(words)
    return names if (names @ words - solved).norm() < OFF * solved.norm() else None
