"""How kitten's own voice speaks: in styles that can be measured, and letters as letters."""

import numpy as np
import pytest

from vivavoce.model.train import prosody, voices

SENTENCE = "Your favourite animal is elephant."


@pytest.fixture(scope="module")
def spoken():
    pytest.importorskip("hibari")
    styles = ("", *voices.STYLES)
    return {style: prosody.measure(voices.own_voice(SENTENCE, 1.0, style), voices.OWN_RATE) for style in styles}


def test_every_style_can_be_told_from_the_usual_one(spoken):
    usual = spoken[""]
    assert spoken["slow"].seconds > 1.3 * usual.seconds
    assert spoken["fast"].seconds < 0.8 * usual.seconds
    assert spoken["loud"].level_db > usual.level_db + 4
    assert spoken["quiet"].level_db < usual.level_db - 8
    assert spoken["cheerful"].pitch_hz > 1.1 * usual.pitch_hz


def test_a_style_changes_what_it_should_and_leaves_the_rest(spoken):
    usual = spoken[""]
    assert abs(spoken["quiet"].seconds - usual.seconds) < 0.1
    assert abs(spoken["slow"].pitch_hz / usual.pitch_hz - 1) < 0.12


def test_a_reply_in_a_style_is_found_to_be_so_and_one_as_usual_is_not(spoken):
    for style in voices.STYLES:
        assert prosody.is_in_style(style, spoken[style], spoken[""], spoken[style])
        assert not prosody.is_in_style(style, spoken[""], spoken[""], spoken[style])


def test_the_letter_a_is_no_article():
    assert voices.in_letters("what word is C A T") == "what word is C eh T"
    assert voices.in_letters("A, N, N, A.") == "eh, N, N, eh."
    assert voices.in_letters("A cat, and Anna. I see a star.") == "A cat, and Anna. I see a star."


def test_pitch_level_and_length_of_a_known_sound():
    time = np.arange(24_000) / 24_000
    voice = sum(np.sin(2 * np.pi * 200 * k * time) / k for k in range(1, 8)).astype(np.float32)
    found = prosody.measure(np.pad(0.1 * voice, 12_000), 24_000)
    assert found.pitch_hz == pytest.approx(200, rel=0.02)
    assert found.seconds == pytest.approx(1.0, abs=0.1)
    assert found.level_db == pytest.approx(10 * np.log10(np.mean((0.1 * voice) ** 2)), abs=1)
    assert found.lively < 0.05
    rising = np.sin(2 * np.pi * np.cumsum(np.geomspace(150, 300, 24_000)) / 24_000).astype(np.float32)
    assert prosody.measure(rising, 24_000).lively == pytest.approx(0.8, abs=0.1)
    assert prosody.measure(np.zeros(24_000, np.float32), 24_000).seconds == 0
