"""Kitten is taught nothing false in Mandarin either, and English stays what it was."""

import hashlib
import random
import re

import pytest

from vivavoce.model.train import corpus, practice, skills, voices
from vivavoce.model.train.evaluate import is_right, spoken_words
from vivavoce.model.train.hearing import word_errors
from vivavoce.model.train.mandarin import lexicon as lx
from vivavoce.model.train.mandarin import words
from vivavoce.model.train.scenes import thing_is_held_out
from vivavoce.model.train.turns import Turn, about_one_thing, in_other_words

TALKS = [skills.dialogue(random.Random(i), language="zh", translations=True) for i in range(400)]
TURNS = [(talk.scene, turn) for talk in TALKS for turn in talk.turns]
LATIN = re.compile("[A-Za-z]")


def test_english_is_drawn_as_before_there_was_a_second_language():
    rng = random.Random(5)
    talks = [skills.dialogue(rng) for _ in range(100)] + [skills.recall_dialogue(rng, 3) for _ in range(20)]
    talks += [skills.quiz(rng, talk.scene, 3) for talk in talks if talk.scene is not None]
    talks += [practice.swapped(talk, rng) for talk in talks[:40]]
    told = [(t.user, t.reply, t.skill, t.slot, t.distance) for talk in talks for t in talk.turns]
    jobs = corpus._user_jobs([turn[0] for turn in told], 500, 80, 2, 2, 1)
    drawn = [voices.random_voice(rng, group) for _ in range(20) for group in voices.GROUPS]
    assert hashlib.sha256(repr((told, jobs, drawn)).encode()).hexdigest()[:16] == "f631e6a9ace3e1d5"


def test_every_reply_is_right_and_every_question_of_one_language():
    for _, turn in TURNS:
        assert is_right(turn, turn.reply), turn
        assert not LATIN.search(turn.user), turn
        assert bool(LATIN.search(turn.reply)) == (turn.skill == "translate"), turn
        assert turn.language == "zh"


def test_every_skill_of_english_is_there():
    english = [skills.dialogue(random.Random(i)) for i in range(400)]
    assert {turn.skill for _, turn in TURNS} == {t.skill for talk in english for t in talk.turns} | {"translate"}


def test_two_of_a_thing_are_liang_and_two_alone_is_er():
    assert [words.quantity(n) for n in (1, 2, 12, 20)] == ["一个", "两个", "十二个", "二十个"]
    assert [words.number(n) for n in (2, 12, -2)] == ["二", "十二", "负二"]
    for _, turn in TURNS:
        assert "二个" not in turn.reply.replace("十二个", ""), turn


def test_colours_and_counts_are_those_of_the_scene():
    for scene, turn in TURNS:
        if turn.skill == "colour":
            shape = lx.SHAPES[turn.reply.split("是")[0]]
            assert lx.COLOURS[turn.slot] in {t.colour for t in scene.things if t.shape == shape}
        if turn.skill == "count" and "形状" in turn.reply:
            assert turn.slot == words.quantity(len(scene.things))
        if turn.skill == "is there":
            colour, shape = words.named(turn.reply, lx.COLOURS)[0], words.named(turn.reply, lx.SHAPES)[0]
            there = any((t.colour, t.shape) == (lx.COLOURS[colour], lx.SHAPES[shape]) for t in scene.things)
            assert turn.reply.startswith("看到了") == there


def test_sums_are_right():
    value = {words.number(n): n for n in range(21)}
    for _, turn in TURNS:
        if turn.skill == "arithmetic":
            sum_, result = turn.reply.rstrip("。").split("等于")
            a, sign, b = re.split("(加|减)", sum_)
            assert value[result] == (value[a] + value[b] if sign == "加" else value[a] - value[b])


def test_what_is_held_out_is_never_practised():
    held = [skills.dialogue(random.Random(i), held=True, language="zh", translations=True) for i in range(400)]
    slots = {"tell name", "tell fact", "repeat", "arithmetic", "translate"}
    practised = {turn.user for _, turn in TURNS if turn.skill in slots}
    assert not practised & {t.user for talk in held for t in talk.turns if t.skill in slots}
    asked = {t.user for talk in held for t in talk.turns if t.skill == "unknown"}
    assert asked and not any(q in lx.HELD_OUT_UNKNOWN for _, turn in TURNS for q in [turn.user])
    for talk in TALKS:
        if talk.scene is not None:
            assert not any(thing_is_held_out(t.colour, t.shape) for t in talk.scene.things)


def test_a_name_told_is_the_name_recalled_five_turns_later():
    for seed in range(30):
        talk = skills.recall_dialogue(random.Random(seed), 5, language="zh")
        assert talk.turns[-1].slot.removeprefix("是") in talk.turns[0].user
        assert talk.turns[-1].distance == 5


def test_a_number_is_no_part_of_another():
    turn = Turn("有几个圆形", "有三个圆形。", "count", "三个", language="zh")
    assert is_right(turn, "有三个圆形。")
    assert not is_right(turn, "有十三个圆形。")
    total = Turn("五加五等于几", "五加五等于十。", "arithmetic", "等于十", language="zh")
    assert is_right(total, "五加五等于十。")
    assert not is_right(total, "五加五等于十八。")


def test_errors_are_counted_in_characters():
    assert word_errors("红色的圆形", "红色圆形") == (1, 5)
    assert spoken_words("好的，你最喜欢的食物是沙拉。")[:3] == ["好", "的", "你"]
    assert word_errors("the cat sat", "the bat sat down") == (2, 3)


def test_things_are_called_by_other_names_without_spaces_to_find_them_by():
    names = {"red": "blue", "blue": "red", "circle": "star", "star": "circle"}
    assert in_other_words("我看到一个红色的圆形和一个蓝色的星形。", names) == "我看到一个蓝色的星形和一个红色的圆形。"
    assert about_one_thing("圆形是红色的。")
    assert not about_one_thing("我看到一个红色的圆形和一个蓝色的星形。")
    assert len(corpus.in_every_pair("我看到一个红色的圆形。")) == len(lx.COLOURS) * len(lx.SHAPES)


def test_content_words_are_exchanged_in_question_and_answer_alike():
    talk = skills.Dialogue((Turn("我叫小明", "很高兴认识你，小明。", "tell name", "小明", language="zh"),), None)
    (turn,) = practice.swapped(talk, random.Random(1)).turns
    assert turn.slot != "小明"
    assert (turn.user, turn.reply) == (f"我叫{turn.slot}", f"很高兴认识你，{turn.slot}。")


def test_a_corpus_of_two_languages_has_as_many_dialogues_of_each():
    talks = corpus.make_dialogues(40, 10, 3, languages=("en", "zh"))
    assert sum(talk.turns[0].language == "zh" for talk in talks) == 25
    rare = corpus._with_rare_words([t.user for talk in talks for t in talk.turns], 2, random.Random(1))
    said = [t.user for talk in talks for t in talk.turns] + rare
    assert all(sum(name in text for text in said) >= 2 for name in lx.NAMES)


@pytest.mark.parametrize("word", ["red", "circle", "seven", "elephant"])
def test_a_translation_goes_there_and_back(word: str):
    assert lx.TRANSLATIONS[lx.ENGLISH_TO_MANDARIN[word]] == word
