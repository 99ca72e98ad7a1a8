"""Mirrored pictures keep their truth."""

import numpy as np

from vivavoce.model.train.seeing import flipped


def test_mirroring_moves_pixels_and_truth_alike():
    """A picture whose pixels hold their own column, and a truth that holds its token's column."""
    rows, columns, side = 2, 4, 14
    picture = np.tile(np.arange(columns * side), (rows * side, 1))
    patches = (
        picture.reshape(rows, side, columns, side).transpose(0, 2, 1, 3).reshape(1, rows * columns, 1, side * side)
    )
    patches = np.repeat(patches, 6, axis=2).reshape(1, rows * columns, -1)
    truth = np.tile(np.arange(columns // 2)[None, :, None], (rows, 1, 3)).reshape(1, -1, 3)
    x, y = flipped(patches, truth, (rows, columns), across=True, down=False)
    mirrored = x.reshape(rows, columns, 6, side, side)[:, :, 0].transpose(0, 2, 1, 3).reshape(rows * side, -1)
    assert (mirrored == picture[:, ::-1]).all()
    assert (y.reshape(rows, 2, 3)[:, :, 0] == [1, 0]).all()


def test_mirrored_twice_is_the_same():
    rng = np.random.default_rng(0)
    patches, truth = rng.normal(size=(2, 8, 1176)), rng.integers(0, 5, (2, 4, 3))
    x, y = flipped(*flipped(patches, truth, (2, 4), across=True, down=True), (2, 4), across=True, down=True)
    assert (x == patches).all()
    assert (y == truth).all()
