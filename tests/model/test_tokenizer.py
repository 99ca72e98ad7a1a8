"""Ids that other programs rely on, and text that comes back as it went in."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vivavoce.model.tokenizer import (
    AUDIO_END,
    AUDIO_PAD,
    AUDIO_START,
    EOS,
    IMAGE_PAD,
    PAUSE,
    Tokenizer,
    reserved_tokens,
    train_tokenizer,
)

TOKENIZER = train_tokenizer(["what colour is the circle", "The circle is red."] * 20, 480)


def test_reserved_ids_are_where_the_release_has_them():
    names = reserved_tokens()
    assert len(names) == 144
    assert names[:4] == ["<longcat_unk>", "<longcat_s>", "</longcat_s>", "<longcat_pad>"]
    assert names[134] == "<mask_110>"  # seen in a log of the released model's client


def test_markers_are_one_id_each_in_their_readable_spelling():
    spelled = "<|audio|><|audio_pad|><|/audio|></pause><|image_pad|></longcat_s>"
    ids = TOKENIZER.encode(spelled)
    assert ids == [AUDIO_START, AUDIO_PAD, AUDIO_END, PAUSE, IMAGE_PAD, EOS]
    assert TOKENIZER.decode(ids) == spelled


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=60).filter(lambda s: "<" not in s))
def test_any_text_comes_back(text):
    assert TOKENIZER.decode(TOKENIZER.encode(text)) == text


def test_nothing_is_added_around_a_text():
    assert all(i >= 144 for i in TOKENIZER.encode("what colour is it"))


def test_a_directory_without_a_tokenizer_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"tokenizer\.json"):
        Tokenizer.load(tmp_path)


def test_a_tokenizer_without_the_reserved_ids_is_refused(tmp_path):
    from tokenizers import Tokenizer as Plain
    from tokenizers import models

    Plain(models.BPE({"a": 0, "b": 1, "c": 2, "d": 3}, [])).save(str(tmp_path / "tokenizer.json"))
    with pytest.raises(ValueError, match=r"id 1 is 'b', expected '<longcat_s>'"):
        Tokenizer.load(tmp_path)


def test_saved_and_loaded_it_is_the_same(tmp_path):
    TOKENIZER.save(tmp_path)
    again = Tokenizer.load(tmp_path)
    assert again.encode("The circle is red.") == TOKENIZER.encode("The circle is red.")
    assert again.vocab_size == TOKENIZER.vocab_size
