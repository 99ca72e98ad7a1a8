"""What somebody says who has finished, and where others stop to think: what a network that tells them apart learns from.

A sentence of the skills is spoken in one piece, or with pauses between two words of it. In each silence, and in that behind the
last word, the encoder's newest frames are kept at several moments: just what `Scribe.weigh` looks at then. Later ones hear the same
words better, because the encoder has heard what follows them. A beginning that may stand alone ("what is your name | please") is no
pause to anybody, and is left out.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch

from vivavoce.model.judge import TOP
from vivavoce.model.tokenizer import Tokenizer
from vivavoce.model.train import augment, lexicon, skills, voices
from vivavoce.model.train.listener import Excerpt, Excerpts, Listener
from vivavoce.model.train.turns import POLITE, TAIL, plural
from vivavoce.model.turn_end import FRAMES

RATE = voices.USER_RATE
KNOWN = 40_000
"""Sentences drawn to know which beginnings are sentences themselves."""
LISTENED_S = ((0.07, 0.20), (0.25, 0.50))
"""How much silence there has been when the model is asked, at random between these."""
ADDED = frozenset("please now today tonight tomorrow in at on under near by for".split())
"""Whatever such a word begins is added to a sentence that might have ended before it."""
FOLLOW_UPS = (
    "and the {shape};and the {colour} one;what about the {shape};what about the {colour} one;is there a {shape};"
    "do you see a {shape};can you see a {shape};what is that;what is it;say it again;tell me more;one more time;"
    "what did you say;why;why not;how;go on;i don't know;could you tell me what that is;can you tell me where the {shape} is;"
    "can you tell me how old you are;i like the {colour} one;it is the {shape};i mean the {colour} {shape};"
    "my favourite is the {shape};my favourite is the {colour} one;can you help me;who is that;where is it;what do you mean;"
    "are you there;can you hear me"
).split(";")
"""Said in the middle of a conversation, and outside kitten's skills."""
REPEAT = ("repeat", "say")
"""Requests to say something end anywhere behind a noun, a verb or a number."""
MISHEARD = 0.06
"""Pieces that the CTC head is taken to miss, or to take for another."""
BLANK = 0
SLOTS = {
    **{word: "<verb>" for word in lexicon.PHRASE_VERBS},
    **{word: "<adjective>" for word in lexicon.PHRASE_ADJECTIVES},
    **{word: "<thing>" for word in lexicon.PHRASE_NOUNS},
    **{word: "<thing>" for values in lexicon.FACTS.values() for word in values},
    **{name: "<name>" for name in lexicon.NAMES},
    **{word: "<number>" for word in (*lexicon.NUMBERS, *lexicon.TENS[1:])},
    **{word: "<colour>" for word in lexicon.COLOURS},
    **{plural(word, n): f"<shape {n}>" for word in lexicon.SHAPES for n in (1, 2)},
}
"""Words any of which may stand where another of its kind does."""


def sentences(rng: random.Random, count: int, held: bool, litter: int = 1) -> list[str]:
    """What users say in conversations of the skills, and some follow-up questions."""
    said: list[str] = []
    while len(said) < count:
        if rng.random() < 0.15:
            shape, colour = rng.choice(lexicon.SHAPES), rng.choice(list(lexicon.COLOURS))
            said.append(rng.choice(FOLLOW_UPS).format(shape=shape, colour=colour))
        said += [turn.user for turn in skills.dialogue(rng, held=held, turns=2, litter=litter).turns]
    return said[:count]


def pattern(words: Sequence[str]) -> str:
    """A sentence without what politeness adds, and with its slots empty."""
    bare = list(words)
    while len(bare) > 1 and f"{bare[0]} " in POLITE:
        del bare[0]
    while len(bare) > 1 and f" {bare[-1]}" in TAIL:
        del bare[-1]
    slots = [SLOTS.get(word, "a" if word == "an" else word) for word in bare]
    return " ".join(slots)


@lru_cache(maxsize=2)
def whole(litter: int = 1) -> frozenset[str]:
    """Patterns of sentences that may stand alone."""
    said = sentences(random.Random(7), KNOWN, False, litter) + sentences(random.Random(8), KNOWN // 8, True, litter)
    return frozenset(pattern(sentence.split()) for sentence in said)


def stands_alone(words: Sequence[str], litter: int = 1) -> bool:
    """Nobody would wait for more."""
    told = pattern(words)
    requests = not set(words).isdisjoint(REPEAT)
    return told in whole(litter) or (requests and told.endswith(("<thing>", "<verb>", "<number>")))


def breaks(words: Sequence[str], litter: int = 1) -> list[int]:
    """Behind how many words somebody may stop to think, and have obviously not finished."""
    return [at for at in range(1, len(words)) if words[at] not in ADDED and not stands_alone(words[:at], litter)]


def parted(rng: random.Random, *, held: bool, pauses: Sequence[int] = (0, 1, 1, 2), litter: int = 1) -> list[str]:
    """A sentence in the parts that it is said in; `pauses`: how many there may be, each as likely as the others."""
    while True:
        words = sentences(rng, 1, held, litter)[0].split()
        places = breaks(words, litter)
        wanted = rng.choice(pauses)
        if places or not wanted:
            chosen = sorted(rng.sample(places, min(len(places), wanted)))
            return [" ".join(words[begin:end]) for begin, end in zip([0, *chosen], [*chosen, len(words)], strict=True)]


@dataclass(frozen=True)
class Silence:
    """One silence of a recording, in samples: where the voice ends, when it is listened to, and whether it is the end."""

    begin: int
    moments: tuple[int, ...]
    complete: bool


def spoken(parts: Sequence[str], voice: voices.Voice, rng: random.Random) -> tuple[np.ndarray, list[Silence]]:
    """float32 [samples] at 16 kHz, a moment of silence, the parts with pauses between them, silence; and what to listen to."""
    wave, silences = np.zeros(int(0.3 * RATE), np.float32), []
    thinks = rng.choice(["", ","])  # a comma has a synthesizer keep its voice up
    for number, part in enumerate(parts):
        complete = number == len(parts) - 1
        wave = np.concatenate([wave, voices.speak(part if complete else part + thinks, voice)])
        silent_s = 0.6 if complete else rng.uniform(0.3, 1.2)
        asked = [rng.uniform(*span) for span in LISTENED_S]
        moments = tuple(len(wave) + int(after * RATE) for after in asked if after < silent_s)
        silences.append(Silence(len(wave), moments, complete))
        wave = np.concatenate([wave, np.zeros(int(silent_s * RATE), np.float32)])
    return wave.astype(np.float32), silences


def in_the_room(wave: np.ndarray, seed: int) -> np.ndarray:
    """As a microphone hears it: some rooms echo, all of them hum, and people sit near or far."""
    rng = np.random.default_rng(seed)
    if rng.random() < 0.25:
        wave = augment.room(wave, rng)
    if rng.random() < 0.3:
        wave = augment.filtered(wave, rng)
    wave = augment.add_noise(wave, rng.uniform(12, 45), rng)
    peak = max(1e-6, float(np.abs(wave).max()))
    return (wave / peak * 10 ** (rng.uniform(-18, 0) / 20)).astype(np.float32)


def excerpts(listener: Listener, index: int, seed: int, held: bool, group: str, litter: int = 1) -> list[Excerpt]:
    """Of one recording; `held`: a sentence with held-out slots, `group` of voices as in `voices.GROUPS`."""
    rng = random.Random(f"{seed} {index}")
    wave, silences = spoken(parted(rng, held=held, litter=litter), voices.random_voice(rng, group), rng)
    moments = [(moment, silence) for silence in silences for moment in silence.moments]
    heard = listener.at_moments(in_the_room(wave, seed + index), [moment for moment, _ in moments])
    return [
        listener.excerpt(frames, FRAMES, int(silence.complete), (moment - silence.begin) * 1000 // RATE)
        for (moment, silence), frames in zip(moments, heard, strict=True)
    ]


# --- the same without a voice -------------------------------------------------------------------------------------


def written(tokenizer: Tokenizer, count: int, seed: int, litter: int = 1) -> Excerpts:
    """What the CTC head would spell of `count` silences in sentences that nobody says; their frames are zeros.

    Sentences are endless, voices are slow to make: this is where a network learns which words end one.
    """
    rng = random.Random(f"written {seed}")
    pieces, shares = np.zeros((count, FRAMES, TOP), np.int16), np.zeros((count, FRAMES, TOP), np.float16)
    labels = np.zeros(count, np.int64)
    for index in range(count):
        words = sentences(rng, 1, False, litter)[0].split()
        places = breaks(words, litter)
        labels[index] = not places or rng.random() < 0.5
        end = len(words) if labels[index] else rng.choice(places)
        row = spelling(tokenizer.encode(" " + " ".join(words[:end])), tokenizer.vocab_size, rng)
        fits = min(FRAMES, len(row))
        for at, (piece, share) in enumerate(row[len(row) - fits :], FRAMES - fits):
            pieces[index, at, :2], shares[index, at, :2] = (piece, BLANK), (share, 1 - share)
    return Excerpts(
        torch.zeros(count, 1, 1, dtype=torch.float16),
        torch.from_numpy(pieces),
        torch.from_numpy(shares),
        torch.from_numpy(labels),
        torch.zeros(count, dtype=torch.long),
    )


def spelling(ids: Sequence[int], vocabulary: int, rng: random.Random) -> list[tuple[int, float]]:
    """A piece and its probability for every frame: pieces, some of them misheard, blanks between them, and a silence behind."""
    pace, frames = rng.uniform(0.8, 2.2), [(BLANK, 1.0)] * rng.randint(0, 6)
    for piece in ids:
        if rng.random() < MISHEARD:
            piece = rng.choice((BLANK, rng.randrange(vocabulary)))
        certain = rng.random() < 0.7
        frames += [(piece, 1.0 if certain else rng.uniform(0.4, 1))] * rng.choice((1, 1, 1, 2))
        frames += [(BLANK, 1.0)] * max(0, round(rng.gauss(pace, 1)))
    return frames + [(BLANK, 1.0)] * rng.randint(1, 6)
