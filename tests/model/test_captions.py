"""A reply's words as they are made: only what is certain is shown."""

import pytest

from vivavoce.model.captions import Captions


class Bytes:
    """A tokenizer whose ids are bytes."""

    def decode(self, ids: list[int]) -> str:
        return bytes(ids).decode("utf-8", errors="replace")


def shown(text: str) -> list[str]:
    captions = Captions(Bytes())
    return [*(captions.word(byte) for byte in text.encode()), captions.end()]


def test_words_appear_as_they_come() -> None:
    assert shown("Hi you") == ["H", "i", "", " y", "o", "u", ""]


def test_half_a_character_is_held_back() -> None:
    assert shown("né") == ["n", "", "é", ""]


@pytest.mark.parametrize("text", ["a picture: 🦊!", "红色的圆。", "two  words"])
def test_what_is_shown_adds_up(text: str) -> None:
    assert "".join(shown(text)) == text


def test_white_space_around_a_reply_is_not_shown() -> None:
    assert "".join(shown("  yes \n")) == "yes"


def test_a_pause_is_a_space_after_a_full_stop_and_nothing_elsewhere() -> None:
    captions = Captions(Bytes())
    said = [captions.word(b) for b in b"Red."] + [captions.pause()] + [captions.word(b) for b in b"And"]
    said += [captions.pause()] + [captions.word(b) for b in b"so"]
    assert "".join(said) == "Red. Andso" == captions.text


def test_a_piece_that_brings_its_own_space_gets_no_second_one() -> None:
    captions = Captions(Bytes())
    said = [captions.word(b) for b in b"Red."] + [captions.pause()] + [captions.word(b) for b in b" And"]
    assert "".join(said) == "Red. And"


def test_bytes_that_never_become_a_character_show_at_the_end() -> None:
    captions = Captions(Bytes())
    assert captions.word(0xE2) == ""
    assert captions.end() == "\N{REPLACEMENT CHARACTER}"
