"""What the eyes learn to say of the second litter's pictures: where a thing is, how big, how it moves, and what is printed.

As in `seeing.py` the truth is dense: in the middle of a thing its place, its size among the others, how many have its colour,
and its way; on all of a line of print, the word, or the first and the last digit.
"""

from __future__ import annotations

import random

import numpy as np

from vivavoce.model.config import VisionConfig
from vivavoce.model.images import patchify
from vivavoce.model.train import seeing
from vivavoce.model.train.lexicon import NUMBERS
from vivavoce.model.train.printing import PRINTED_WORDS
from vivavoce.model.train.scenes import Scene
from vivavoce.model.train.views import (
    WAYS,
    View,
    across,
    down,
    photographer_of,
    random_comparison,
    random_motion,
    random_reading,
    size,
)

ACROSS, DOWN, SIZES, MOVING = (
    ("left", "middle", "right"),
    ("top", "middle", "bottom"),
    ("smallest", "between", "biggest"),
    ("still", *WAYS),
)
NEW_NAMES: dict[str, tuple[str, ...]] = {
    "across": ("news", "game", "light"),
    "down": ("market", "life", "root"),
    "size": ("cost", "salt", "great"),
    "kin": ("born", "meaning", "stock", "president", "advice"),
    "way": ("married", "tallest", "recipe", "weather", "tomorrow"),
    "word": tuple(PRINTED_WORDS),
    "tens": tuple(NUMBERS[10:]),
    "units": tuple(NUMBERS[:10]),
}
"""Truth column to the words that stand for its values. Where nothing is to be copied they are borrowed: words of the shipped
tokenizer that are one piece, each another, and that no question about a picture has. `kin` is how many have the colour of a
thing; `way` and the places are in the order of `MOVING`, `ACROSS` and `DOWN`; of `tens` the last means that there is one digit."""
SEEN_WORDS = (*seeing.SEEN_WORDS, *(word for words in NEW_NAMES.values() for word in words))
KINDS = (*seeing.KINDS, *(len(words) + 1 for words in NEW_NAMES.values()))
"""Values of each truth column that is read, in the order of the names."""
OLD = len(seeing.KINDS) + 1
"""Columns of `seeing.token_truth`; those of `NEW_NAMES` follow."""
COLUMN = {name: OLD + index for index, name in enumerate(NEW_NAMES)}
COLUMNS = OLD + len(NEW_NAMES)
READ = tuple(column for column in range(COLUMNS) if column != seeing.MIRRORED_TURN)
"""Truth columns that are read, in the order of `KINDS`."""
SECONDS = 3
"""Of which one is filmed; by its seed."""
UNKNOWN = -1
"""What a column has where the truth is on a border: nobody is asked."""
COVERED = 0.3
"""Share of a token's cell that something covers before it is said there."""


def film(job: tuple[Scene, int, VisionConfig]) -> tuple[np.ndarray, np.ndarray]:
    """(scene or view, second, config) to patches float16 [P, D] of that second's pair and token truth int8 [P / 2, 15]."""
    scene, second, config = job
    photographer = photographer_of(scene)
    (first, was), (then, now) = (photographer.shoot(2 * second + frame) for frame in range(2))
    patches, (rows, columns) = patchify(first, then, config)
    return np.asarray(patches, np.float16), token_truth(scene, [was, now], rows, columns // 2)


def token_truth(scene: Scene, truths: list[np.ndarray], rows: int, columns: int) -> np.ndarray:
    """int8 [rows * columns, 15] of what the pixels [H, W] of a pair show: things have their number, print has those after."""
    count = len(scene.things)
    labels = np.zeros((rows, columns, COLUMNS), np.int64)
    labels[..., :OLD] = seeing.token_truth(scene, np.where(truths[0] < count, truths[0], -1), rows, columns).reshape(
        rows, columns, OLD
    )
    labels[..., 2:OLD] = 0
    told, more = seeing.roles(scene), noticed(scene)
    for index in range(count):
        ys, xs = (np.concatenate(some) for some in zip(*(np.nonzero(truth == index) for truth in truths), strict=True))
        if len(ys):
            height, width = truths[0].shape
            r, c = min(rows - 1, int(ys.mean() * rows / height)), min(columns - 1, int(xs.mean() * columns / width))
            labels[r, c, 2:OLD], labels[r, c, OLD : COLUMN["word"]] = told[index], more[index]
    for index, printed in enumerate(scene.prints if isinstance(scene, View) else (), count):
        labels[covered(truths[0] == index, rows, columns), COLUMN["word"] :] = letters(printed.text)
    return labels.reshape(rows * columns, -1).astype(np.int8)


def covered(mask: np.ndarray, rows: int, columns: int) -> np.ndarray:
    """bool [rows, columns] of a mask [H, W]: the cells that it covers, or its middle's if it is smaller than that."""
    height, width = mask.shape
    edges = [np.arange(n + 1) * side // n for n, side in ((rows, height), (columns, width))]
    sums = np.add.reduceat(np.add.reduceat(mask.astype(np.int64), edges[0][:-1], 0), edges[1][:-1], 1)
    there = np.asarray(sums > COVERED * np.outer(np.diff(edges[0]), np.diff(edges[1])))
    if not there.any() and mask.any():
        there[np.unravel_index(sums.argmax(), sums.shape)] = True
    return there


def noticed(scene: Scene) -> np.ndarray:
    """int64 [things, 5]: place across and down, size, how many have its colour, and its way; `UNKNOWN` on borders."""
    colours = [t.colour for t in scene.things]
    made = []
    for index, thing in enumerate(scene.things):
        way = scene.way(index) if isinstance(scene, View) else None
        alone = len(scene.things) == 1
        places = (
            UNKNOWN if way else _place(across(thing.x), ACROSS),  # of what moves nobody asks where it is
            UNKNOWN if way else _place(down(thing.y), DOWN),
            0 if alone else _place(size(scene.things, index), SIZES),
        )
        made.append((*places, colours.count(thing.colour), MOVING.index(way or "still") + 1))
    return np.array(made, np.int64).reshape(-1, 5)


def _place(name: str | None, names: tuple[str, ...]) -> int:
    return UNKNOWN if name is None else names.index(name) + 1


def letters(text: str) -> tuple[int, int, int]:
    """Values of the columns word, tens and units."""
    if not text.isdigit():
        return PRINTED_WORDS.index(text) + 1, 0, 0
    tens, units = divmod(int(text), 10)
    return 0, (tens if len(text) > 1 else len(NUMBERS[10:]) - 1) + 1, units + 1


def spelled(truth: np.ndarray) -> np.ndarray:
    """What eyes would name that never err: float16 [N, tokens, names] of token truth [N, tokens, 15]."""
    values = [
        np.eye(kinds, dtype=np.float16)[np.maximum(truth[..., i], 0)][..., 1:]
        for i, kinds in zip(READ, KINDS, strict=True)
    ]
    return np.concatenate(values, -1)


def random_views(count: int, seed: int, *, held: bool) -> list[View]:
    """Four in ten to read, three whose things may move, three to compare."""
    rng, kinds = random.Random(seed), (random_reading, random_motion, random_comparison)
    return [rng.choices(kinds, (4, 3, 3))[0](rng, held=held) for _ in range(count)]


def with_more(truth: np.ndarray, scene: Scene, grid: tuple[int, int]) -> np.ndarray:
    """Token truth [T, 7] of a first picture with the columns of the second [T, 15], told in the middle of each thing."""
    made = np.zeros((len(truth), COLUMNS), truth.dtype)
    made[:, :OLD] = truth
    wide, more = grid[1] // 2, noticed(scene)
    things = np.array([(t.x * 3 / 4 * wide, t.y * grid[0]) for t in scene.things])
    for token in np.flatnonzero(truth[:, seeing.TURN] > 0):
        middle = token % wide + 0.5, token // wide + 0.5
        made[token, OLD : COLUMN["word"]] = more[np.square(things - middle).sum(1).argmin()]
    return made


def in_a_mirror(truth: np.ndarray) -> np.ndarray:
    """Token truth [N, T, 15] of pictures that `seeing.flipped` has mirrored, all but left and right, with these exchanged."""
    made = truth.copy()
    for name, words in (("across", ACROSS), ("way", MOVING)):
        values = [words.index(side) + 1 for side in ("left", "right")]
        for value, other in zip(values, values[::-1], strict=True):
            made[..., COLUMN[name]] = np.where(truth[..., COLUMN[name]] == value, other, made[..., COLUMN[name]])
    return made


def standing(patches: np.ndarray, truth: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Pictures [N, P, 3 * 2 * p * p] and their truth [N, P / 2, 15] as of one frame alone, which shows no motion."""
    frames = patches.reshape(*patches.shape[:2], 3, 2, -1)
    still = truth.copy()
    still[..., COLUMN["way"]] = np.where(truth[..., COLUMN["way"]] > 0, MOVING.index("still") + 1, 0)
    return np.repeat(frames[:, :, :, :1], 2, axis=3).reshape(patches.shape), still
