"""Edges of chunks: a click there is found, and sound that was never cut has none."""

import numpy as np
import torch

from vivavoce.model.train.edges import CHUNK, standing_out
from vivavoce.model.train.speaking import texture


def noise(seed: int, chunks: int = 100) -> np.ndarray:
    """Hiss that swells and fades, as speech does."""
    rng = np.random.default_rng(seed)
    loud = 0.02 + 0.1 * np.abs(np.sin(np.arange(chunks * CHUNK) / 9_001))
    return (loud * rng.normal(0, 1, chunks * CHUNK)).astype(np.float32)


def test_sound_that_was_never_cut_has_no_edges() -> None:
    told = standing_out(noise(seed) for seed in range(4))
    assert told["chunks"] > 300
    assert abs(told["energy at edges, dB"]) < 0.4
    assert abs(told["spectral flux at edges, dB"]) < 0.2


def test_a_click_at_every_edge_stands_out() -> None:
    wave = noise(1)
    wave[CHUNK::CHUNK] += 0.5
    told = standing_out([wave])
    assert told["energy at edges, dB"] > 3 > 1 > told["energy elsewhere, dB"]


def test_silence_and_next_to_nothing_have_nothing_to_tell() -> None:
    assert standing_out([np.zeros(20 * CHUNK, np.float32), noise(1)[:CHUNK]]) == {"chunks": 0}


def test_what_hisses_at_one_place_of_every_code_has_a_texture() -> None:
    real = torch.from_numpy(noise(2, 40)).view(4, -1)
    assert texture(real, real) == 0
    uneven = real.clone().view(4, -1, CHUNK)
    uneven[..., 300:420] *= 3
    assert texture(uneven.flatten(1), real) > 0.2
    louder = 3 * real
    assert texture(louder, real) < 0.05, "loudness as such is another loss's"
