"""All pictures of a working folder as they may be shown: as they are, in a mirror and, of what moves, a single frame."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from vivavoce.model.train import noticing, seeing
from vivavoce.model.train.scenes import Scene
from vivavoce.model.train.views import glimpsed, in_a_mirror, moves


@dataclass(frozen=True)
class Taken:
    """Scenes, and their pictures as they were taken: patches [N, P, D], on disk, and truth [N, P / 2, columns]."""

    scenes: Sequence[Scene]
    patches: np.ndarray
    truth: np.ndarray


@dataclass(frozen=True)
class Wall:
    """Some of the pictures, all shown in the same way."""

    pictures: Taken
    chosen: np.ndarray
    """int64, places in `pictures`."""
    scenes: list[Scene]
    """What they show."""
    mirrored: bool = False
    still: bool = False

    @property
    def keys(self) -> list[int]:
        """What each is known by."""
        return [glimpsed(scene) if self.still else scene.seed for scene in self.scenes]

    def shown(self, some: slice, grid: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
        """Patches and truth of some of them, of the columns that the truth has."""
        chosen = self.chosen[some]
        patches, truth = self.pictures.patches[chosen], self.pictures.truth[chosen]
        patches, truth = seeing.flipped(patches, truth, grid, across=self.mirrored, down=False)
        if self.mirrored and truth.shape[-1] == noticing.COLUMNS:
            truth = noticing.in_a_mirror(truth)
        return noticing.standing(patches, truth) if self.still else (patches, truth)


class Gallery:
    """Everything there is to be shown, in a fixed order: scene by scene, all mirror images after it, then single frames."""

    def __init__(self, pictures: Iterable[Taken], grid: tuple[int, int]) -> None:
        self.grid, walls = grid, list[Wall]()
        for some in pictures:
            whole = np.arange(len(some.scenes))
            twins = [in_a_mirror(scene) for scene in some.scenes]
            turned = [(index, twin) for index, twin in enumerate(twins) if twin is not None]
            walls.append(Wall(some, whole, list(some.scenes)))
            walls.append(Wall(some, whole[[i for i, _ in turned]], [twin for _, twin in turned], mirrored=True))
        self.walls = walls + [still for wall in walls if (still := _still(wall)) is not None]
        self._place = {key: (wall, i) for wall in self.walls for i, key in enumerate(wall.keys)}

    @property
    def scenes(self) -> list[Scene]:
        """All that can be asked about: pairs of frames."""
        return [scene for wall in self.walls if not wall.still for scene in wall.scenes]

    def lots(self, size: int = 512) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Patches and truth of everything, in order."""
        for wall in self.walls:
            for begin in range(0, len(wall.scenes), size):
                yield wall.shown(slice(begin, begin + size), self.grid)

    def look(self, key: int) -> np.ndarray:
        """Patches [P, D] of what is known by a number, see `keys`."""
        wall, index = self._place[key]
        return wall.shown(slice(index, index + 1), self.grid)[0][0]


def _still(wall: Wall) -> Wall | None:
    """Single frames of what moves there."""
    going = [index for index, scene in enumerate(wall.scenes) if moves(scene)]
    scenes = [wall.scenes[index] for index in going]
    return Wall(wall.pictures, wall.chosen[going], scenes, wall.mirrored, still=True) if going else None


def keys(scenes: Sequence[Scene]) -> list[int]:
    """What everything that a gallery shows is known by, in its order, told from its scenes."""
    return [scene.seed for scene in scenes] + [glimpsed(scene) for scene in scenes if moves(scene)]
