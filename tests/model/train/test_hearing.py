"""Words counted as a person would count them."""

import numpy as np
import torch

from vivavoce.model.config import AudioConfig
from vivavoce.model.train import augment
from vivavoce.model.train.corpus import Utterance
from vivavoce.model.train.evaluate import is_right
from vivavoce.model.train.hearing import Ears, another_mouth, greedy, word_errors
from vivavoce.model.train.turns import Turn
from vivavoce.model.train.voices import Voice, trim


def test_word_errors_of_textbook_examples():
    assert word_errors("the cat sat", "the cat sat") == (0, 3)
    assert word_errors("the cat sat", "the bat sat down") == (2, 3)
    assert word_errors("what colour is it", "") == (4, 4)


def test_best_path_drops_repeats_and_blanks():
    logits = torch.nn.functional.one_hot(torch.tensor([0, 5, 5, 0, 5, 7, 7, 0]), 9).float()
    assert greedy(logits) == [5, 5, 7]


def test_an_answer_is_right_by_whole_words():
    turn = Turn("what is three plus four", "Three plus four is seven.", "arithmetic", "seven")
    assert is_right(turn, "Three plus four is seven.")
    assert not is_right(turn, "Three plus four is seventeen.")


def test_batches_are_spliced_frames_padded_with_zeros():
    rows = np.random.default_rng(0).normal(size=(50, 80)).astype(np.float16)
    voice = Voice("espeak", "en-us")
    config = AudioConfig()
    ears = Ears([Utterance("a", voice, 0, 34), Utterance("b", voice, 34, 16)], rows, np.zeros(80), np.ones(80), config)
    x, lengths = ears.batch([0, 1], None)
    assert lengths.tolist() == [5, 2]  # ceil(frames / 8)
    assert x.shape == (2, 5, config.input_size)
    assert (x[1, 2:] == 0).all()
    middle = x[0, 1].view(15, 80)[7]
    assert torch.allclose(middle, torch.from_numpy(rows[8].astype(np.float32)))


def test_a_faster_mouth_says_the_same_in_less_time_and_a_smaller_one_higher():
    frames = np.random.default_rng(2).normal(size=(40, 80)).astype(np.float32)
    assert np.allclose(another_mouth(frames, 1.0, 1.0), frames, atol=1e-6)
    times, bands = np.arange(40), np.arange(80)
    made = another_mouth(frames, 1.25, 1.1)
    assert made.shape == (32, 80)
    faster = np.stack([np.interp(np.arange(32) * 1.25, times, band) for band in frames.T], 1)
    assert np.allclose(made, np.stack([np.interp(bands / 1.1, bands, row) for row in faster]), atol=1e-4)


def test_noise_is_as_loud_as_asked():
    rng = np.random.default_rng(1)
    wave = np.sin(np.arange(32_000) * 0.1).astype(np.float32)
    noise = augment.add_noise(wave, 10.0, rng) - wave
    assert abs(10 * np.log10((wave**2).mean() / (noise**2).mean()) - 10) < 0.2


def test_degraded_speech_is_finite_and_in_range():
    wave = np.sin(np.arange(16_000) * 0.2).astype(np.float32) * 0.5
    for seed in range(20):
        made = augment.degrade(wave, np.random.default_rng(seed))
        assert np.isfinite(made).all()
        assert np.abs(made).max() <= 1.0001
        assert len(made) > len(wave) * 0.8


def test_trimming_keeps_the_lead_it_is_asked_for():
    wave = np.r_[np.zeros(5000), np.full(1000, 0.4), np.zeros(5000)].astype(np.float32)
    cut = trim(wave, 10_000, lead=0.02, tail=0.1)
    assert len(cut) == 200 + 1000 + 1000
    assert np.abs(cut).max() == 0.5
