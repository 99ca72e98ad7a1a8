"""Sentences without spaces: where their words are, and how things are counted."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from vivavoce.model.train.mandarin import lexicon as lx
from vivavoce.model.train.mandarin.pinyin import HAN, PAUSES

PUNCTUATION = PAUSES + ",.!?;: "
MEASURE = "个"
"""Of all shapes."""


def is_mandarin(text: str) -> bool:
    """There is a Chinese character in it."""
    return HAN.search(text) is not None


def quantity(n: int) -> str:
    """Number and measure word of 0..20 things: 2 is 两 alone, and 二 in 十二 and 二十."""
    return ("两" if n == 2 else lx.NUMBERS[n]) + MEASURE


def number(n: int) -> str:
    """Spoken form of -20..20."""
    return lx.NUMBERS[n] if n >= 0 else f"负{lx.NUMBERS[-n]}"


def exchanged_in(sentence: str, names: Mapping[str, str]) -> str:
    """The sentence with other words for words, all at once; of two that begin at one place the longer one is taken."""
    if not names:
        return sentence
    pattern = "|".join(re.escape(word) for word in sorted(names, key=len, reverse=True))
    return re.sub(pattern, lambda found: names[found[0]], sentence)


def in_mandarin(names: Mapping[str, str]) -> dict[str, str]:
    """Words for words, those that are English translated: colours and shapes, whose English names pictures have."""
    return {lx.ENGLISH_TO_MANDARIN.get(old, old): lx.ENGLISH_TO_MANDARIN.get(new, new) for old, new in names.items()}


def units(text: str) -> list[str]:
    """What errors are counted in, and what a sentence is cut into: words between spaces, and every Chinese character."""
    return HAN.sub(r" \g<0> ", text).split()


def contains(sentence: str, wanted: str) -> bool:
    """Mandarin words stand in a sentence, punctuation left out, and are no part of a longer number (十三个 has no 三个)."""
    said, some = ("".join(c for c in text if c not in PUNCTUATION) for text in (sentence, wanted))
    digits = "".join(lx.NUMBERS[:11]) + "两"
    before = f"(?<![{digits}])" if some[:1] in digits else ""
    after = f"(?![{digits}])" if some[-1:] in digits else ""
    return bool(some) and re.search(before + re.escape(some) + after, said) is not None


def named(sentence: str, words: Iterable[str]) -> list[str]:
    """Which of some words stand in a sentence, in its order, as often as they do."""
    return re.findall("|".join(sorted(map(re.escape, words), key=len, reverse=True)), sentence)
