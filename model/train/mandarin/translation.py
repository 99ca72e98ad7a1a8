"""A word of one language in the other. Asked in one, answered in the other: every sentence is of one language, as its voice is."""

from __future__ import annotations

from vivavoce.model.train.mandarin import lexicon as lx
from vivavoce.model.train.scenes import Scene
from vivavoce.model.train.turns import Memory, Rng, Turn, is_held_out
from vivavoce.model.train.turns import polite as politely

INTO_MANDARIN = (
    "how do you say {} in chinese",
    "what is {} in chinese",
    "what is the chinese word for {}",
    "say {} in chinese",
    "translate {} into chinese",
    "what does {} mean in chinese",
    "tell me the chinese for {}",
    "can you say {} in chinese",
)
INTO_ENGLISH = (
    "{}用英语怎么说",
    "{}的英语是什么",
    "{}用英文怎么说",
    "英语里{}怎么说",
    "把{}翻译成英语",
    "{}的英文怎么说",
    "用英语说{}",
    "你能用英语说{}吗",
)


def into_mandarin(rng: Rng, memory: Memory, scene: Scene | None, index: int, held: bool) -> Turn | None:
    """An English question about an English word. Held out are words in a wording; which words there are, one has to learn."""
    pattern = rng.choice(INTO_MANDARIN)
    words = [word for word in lx.ENGLISH_TO_MANDARIN if is_held_out("into zh", word, pattern) == held]
    if not words:
        return None
    word = rng.choice(words)
    there = lx.ENGLISH_TO_MANDARIN[word]
    return Turn(politely(rng, pattern.format(word)), f"{there}。", "translate", there)


def into_english(rng: Rng, memory: Memory, scene: Scene | None, index: int, held: bool) -> Turn | None:
    """A Mandarin question about a Mandarin word."""
    pattern = rng.choice(INTO_ENGLISH)
    words = [word for word in lx.TRANSLATIONS if is_held_out("into en", word, pattern) == held]
    if not words:
        return None
    word = rng.choice(words)
    there = lx.TRANSLATIONS[word]
    user = rng.choice(("", "", "", "嗨", "好的", "那么")) + pattern.format(word)
    return Turn(user, f"{there[0].upper()}{there[1:]}.", "translate", there, language="zh")
