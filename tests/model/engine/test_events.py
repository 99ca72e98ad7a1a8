"""Sampling as a checkpoint asks for it."""

import pytest

from vivavoce.model.engine.events import MissingChunks, Sampling


def test_text_is_greedy_unless_the_checkpoint_samples() -> None:
    assert Sampling.from_generation_config({"top_k": 50, "temperature": 0.7}).top_k == 1
    drawn = Sampling.from_generation_config({"do_sample": True, "top_k": 50, "temperature": 0.7, "top_p": 0.9})
    assert (drawn.top_k, drawn.temperature, drawn.top_p) == (50, 0.7, 0.9)


def test_codes_are_penalised_unless_the_checkpoint_says_otherwise() -> None:
    assert Sampling.from_generation_config({}).audio_repetition_penalty == 1.1
    asked = Sampling.from_generation_config({"audio_repetition_penalty": 1.0, "audio_rep_penalty_window": 10})
    assert (asked.audio_repetition_penalty, asked.window) == (1.0, 10)


@pytest.mark.parametrize(
    "wrong",
    [{"max_tokens": 0}, {"temperature": -1.0}, {"top_p": 0.0}, {"audio_repetition_penalty": 0.0}, {"top_k": -1}],
)
def test_impossible_sampling_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError):
        Sampling(**wrong)  # type: ignore[arg-type]


def test_missing_rows_are_named() -> None:
    assert MissingChunks(["x", "y"]).keys == ("x", "y")
    assert str(MissingChunks(["x", "y"])) == "no rows are stored under x, y"
