"""Mean and variance, and the three kinds of file they come in."""

import struct
from pathlib import Path

import numpy as np
import pytest

from vivavoce.codecs.cmvn import Cmvn, cmvn_stats, read_cmvn, write_cmvn


def frames() -> np.ndarray:
    return np.random.default_rng(0).normal([3.0, -7.0, 100.0], [2.0, 0.5, 9.0], (500, 3)).astype(np.float32)


def kaldi_binary(stats: np.ndarray, letter: str) -> bytes:
    head = b"\0B" + letter.encode() + b"M " + struct.pack("<bibi", 4, stats.shape[0], 4, stats.shape[1])
    return head + stats.astype("<f4" if letter == "F" else "<f8").tobytes()


def test_normalised_frames_have_mean_0_and_deviation_1() -> None:
    even = Cmvn.from_stats(cmvn_stats(frames()))(frames())
    np.testing.assert_allclose(even.mean(0), 0, atol=1e-4)
    np.testing.assert_allclose(even.std(0), 1, atol=1e-3)


def test_text_written_is_the_text_read(tmp_path: Path) -> None:
    write_cmvn(tmp_path / "global_cmvn", [frames()[:100], frames()[100:]])
    cmvn = read_cmvn(tmp_path / "global_cmvn")
    np.testing.assert_allclose(cmvn.mean, frames().mean(0), rtol=1e-5)
    np.testing.assert_allclose(cmvn.scale, 1 / frames().std(0), rtol=1e-4)


@pytest.mark.parametrize("kind", ["F", "D", "npy", "text"])
def test_every_kind_of_file_says_the_same(tmp_path: Path, kind: str) -> None:
    stats = np.array([[6.0, 8.0, 2.0], [20.0, 34.0, 0.0]])  # two frames: means 3 and 4, variances 1 and 1
    path = tmp_path / "cmvn"
    if kind == "npy":
        with path.open("wb") as file:
            np.save(file, stats)
    elif kind == "text":
        path.write_text(" [\n  6 8 2 \n  20 34 0 ]\n")
    else:
        path.write_bytes(kaldi_binary(stats, kind))
    cmvn = read_cmvn(path)
    assert cmvn.mean.tolist() == [3.0, 4.0]
    assert cmvn.scale.tolist() == [1.0, 1.0]


def test_a_band_that_never_changes_is_not_divided_by_zero() -> None:
    still = Cmvn.from_stats(cmvn_stats(np.full((4, 1), 2.0, np.float32)))
    assert still(np.full((1, 1), 2.0, np.float32)).tolist() == [[0.0]]


@pytest.mark.parametrize(
    "data, said",
    [
        (b"\0BCM ", "Kaldi matrix starts with"),
        (kaldi_binary(np.ones((2, 3)), "D")[:-8], "needs 48 bytes, got 40"),
        (b" [ 1 2 3\n 4 5 ]", r"\[2, 3\]"),
        (b" [ 1 2 0\n 4 5 0 ]", "at least 1 frame, got 0"),
        (b"hello", "hello"),
    ],
)
def test_a_bad_file_is_named_with_what_is_wrong(tmp_path: Path, data: bytes, said: str) -> None:
    (tmp_path / "bad").write_bytes(data)
    with pytest.raises(ValueError, match=f"bad: .*{said}"):
        read_cmvn(tmp_path / "bad")


def test_statistics_of_nothing_are_refused() -> None:
    with pytest.raises(ValueError, match="got 0"):
        cmvn_stats([])
