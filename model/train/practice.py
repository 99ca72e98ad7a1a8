"""What the language model practises on: batches of dialogues, drawn from the step number alone.

Sentences are cheap and voices are not. So dialogues in writing are made anew at every step and never come twice, while
spoken ones are put together from the readings there are: a turn nobody has read stays in writing.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np

from vivavoce.model.tokenizer import PAD
from vivavoce.model.train import lexicon as lx
from vivavoce.model.train import skills, talk_skills
from vivavoce.model.train.lexicon import SHAPES
from vivavoce.model.train.scenes import Scene
from vivavoce.model.train.seeing import COLOUR_NAMES
from vivavoce.model.train.talking import Example, Stage
from vivavoce.model.train.turns import Dialogue, Memory, Turn, article, plural

LONGEST = 7
"""Turns of the longest dialogue."""
PARTS = 3
"""Batches of a step."""
MISSED = 0.08
"""Share of colours and shapes that an imagined picture lacks, as eyes miss some."""

CONTENT = tuple(
    dict.fromkeys(
        [
            *lx.NAMES,
            *(value for kind, values in lx.FACTS.items() if kind not in ("colour", "number") for value in values),
            *lx.PHRASE_ADJECTIVES,
            *lx.PHRASE_NOUNS,
            *lx.PHRASE_VERBS,
        ]
    )
)
"""Words that stand for nothing but themselves: whichever is told must be given back."""

WORDS = (*(w for w in CONTENT if " " not in w), *lx.NUMBERS, *lx.COLOURS, *lx.SHAPES)


def swapped(talk: Dialogue, rng: random.Random) -> Dialogue:
    """The same dialogue with its content words exchanged among each other: it can only be answered by copying."""
    words = [w for w in CONTENT if " " not in w]
    other = dict(zip(words, rng.sample(words, len(words)), strict=True))

    def changed(sentence: str) -> str:
        made = []
        for word in sentence.split(" "):
            bare = word.rstrip(".,!?")
            twin = other.get(bare) or other.get(bare.lower(), "").capitalize() or bare
            made.append(twin + word[len(bare) :])
        return " ".join(made)

    turns = tuple(replace(t, user=changed(t.user), reply=changed(t.reply), slot=changed(t.slot)) for t in talk.turns)
    return replace(talk, turns=turns)


def renamed(talk: Dialogue, names: Mapping[str, str]) -> Dialogue:
    """The same dialogue with other words for things, in singular and plural, and the articles to match."""
    plurals = {plural(word, 2): f"{new}s" for word, new in names.items()}

    def changed(sentence: str) -> str:
        made: list[str] = []
        for word in sentence.split(" "):
            bare = word.rstrip(".,!?")
            new = names.get(bare) or plurals.get(bare) or bare
            if made and made[-1] in ("a", "an"):
                made[-1] = article(new).split(" ")[0]
            made.append(new + word[len(bare) :])
        return " ".join(made)

    turns = tuple(replace(t, user=changed(t.user), reply=changed(t.reply), slot=changed(t.slot)) for t in talk.turns)
    return replace(talk, turns=turns)


def told(rng: random.Random) -> Turn:
    """A name or a favourite, told."""
    while True:
        turn = rng.choice([talk_skills.tell_name, talk_skills.tell_fact])(rng, Memory(), None, 0, False)
        if turn is not None:
            return turn


def summed(rng: random.Random) -> Turn:
    """A sum or a difference."""
    while True:
        turn = talk_skills.arithmetic(rng, Memory(), None, 0, False)
        if turn is not None:
            return turn


class Practice:
    """Steps of at most `rows` rows."""

    def __init__(
        self, stage: Stage, scenes: Sequence[Scene], truth: np.ndarray, recorded: Sequence[Dialogue], rows: int
    ) -> None:
        """
        Args:
            scenes: scenes whose pictures `stage` has.
            truth: [N, tokens, 3], what lies under every token of the first N of them; see `seeing.photograph`.
            recorded: dialogues without a camera whose turns have been read and whose replies have codes.
        """
        self.stage, self.scenes, self.truth, self.rows = stage, scenes, truth, rows
        self.at = {scene.seed: index for index, scene in enumerate(scenes)}
        others = (word for word in CONTENT if " " not in word and word not in (*COLOUR_NAMES, *SHAPES))
        self.nameable = [word for word in others if len(stage.tokenizer.encode(f" {word}")) == 1]
        self.recorded: dict[int, list[Dialogue]] = {}
        for talk in recorded:
            self.recorded.setdefault(len(talk.turns), []).append(talk)
        self.aloud = sorted(stage.codes, key=lambda text: (len(stage.codes[text]), text))

    def batches(self, step: int, shares: Mapping[str, float]) -> list[list[Example]]:
        """What one step learns from: `PARTS` batches, each of one kind drawn by its share. Several kinds keep a step from
        unlearning what another taught."""
        rng = random.Random(step * 7919 + 13)
        kinds = rng.choices(list(shares), list(shares.values()), k=PARTS)
        return [self._batch(kind, rng) for kind in kinds]

    def _batch(self, kind: str, rng: random.Random) -> list[Example]:
        """One kind of dialogue, all with the same number of turns."""
        turns = rng.choices(range(1, LONGEST + 1), [6, 5, 4, 3, 2, 2, 2])[0]
        make: dict[str, Callable[[random.Random, int], Example]] = {
            "aloud": self._aloud,
            "drill": self._drill,
            "writing": self._writing,
            "looking": self._looking,
            "imagined": self._imagined,
            "spoken": self._spoken,
            "camera": self._camera,
        }
        if kind == "aloud":
            turns = rng.randrange(len(self.aloud))
        examples = [make[kind](rng, turns)]
        while True:
            another = make[kind](rng, turns)
            if max(len(e.rows) for e in (*examples, another)) * (len(examples) + 1) > self.rows // PARTS:
                return examples
            examples.append(another)

    def _aloud(self, rng: random.Random, near: int) -> Example:
        """A reply of about a given length, read aloud."""
        index = min(len(self.aloud) - 1, max(0, near + rng.randint(-200, 200)))
        return self.stage.reading(self.aloud[index])

    def _drill(self, rng: random.Random, turns: int) -> Example:
        """One short turn: words to copy, or a sum. In a long context the path from a word to itself takes far longer to find."""
        kind = rng.random()
        if kind < 0.4:
            turn = summed(rng)
        elif kind < 0.65:
            count = rng.choices(range(2, 9), [5, 4, 3, 2, 2, 1, 1])[0]
            turn = talk_skills.repeat_words(rng, rng.choices(WORDS, k=count))
        else:
            turn = told(rng)
        talk = swapped(Dialogue((turn,), None), rng)
        return self.stage.dialogue(talk, rng.randrange(2**31), typed=1.0, written=1.0)

    def _writing(self, rng: random.Random, turns: int) -> Example:
        talk = skills.recall_dialogue(rng, turns - 1) if turns > 1 and rng.random() < 0.35 else None
        talk = talk or skills.dialogue(rng, turns=turns, camera=0.0)
        if rng.random() < 0.5:
            talk = swapped(talk, rng)
        return self.stage.dialogue(talk, rng.randrange(2**31), typed=1.0, written=1.0)

    def _looking(self, rng: random.Random, turns: int) -> Example:
        talk = skills.dialogue(rng, turns=(turns + 1) // 2, camera=1.0, scenes=self.scenes)
        return self.stage.dialogue(talk, rng.randrange(2**31), typed=1.0, written=1.0)

    def _imagined(self, rng: random.Random, turns: int) -> Example:
        """A picture of words: where the true one has a blue square, this one may have a blue river, or a pizza square.

        Colours or shapes or both have other names, so whoever knows which go together in training gains nothing by it.
        """
        scene = rng.choice(self.scenes[: len(self.truth)])
        talk = skills.dialogue(rng, turns=(turns + 1) // 2, camera=1.0, scenes=[scene])
        changing = rng.choice([COLOUR_NAMES, SHAPES, (*COLOUR_NAMES, *SHAPES)])
        names = dict(zip(changing, rng.sample(self.nameable, len(changing)), strict=True))
        ids = [self._word_id(names.get(word, word)) for word in (*COLOUR_NAMES, *SHAPES)]
        colours, shapes = np.r_[PAD, ids[: len(COLOUR_NAMES)]], np.r_[PAD, ids[len(COLOUR_NAMES) :]]
        truth = self.truth[self.at[scene.seed]]
        token_words = np.stack([colours[truth[:, 0]], shapes[truth[:, 1]]], 1)
        blind = np.random.default_rng(rng.randrange(2**31)).random(token_words.shape) < MISSED
        picture = np.where(blind, PAD, token_words)
        stage = Stage(self.stage.tokenizer, {}, {}, lambda _: picture, self.stage.visual_tokens)
        return stage.dialogue(renamed(talk, names), rng.randrange(2**31), typed=1.0, written=1.0)

    def _word_id(self, word: str) -> int:
        return self.stage.tokenizer.encode(f" {word}")[0]

    def _spoken(self, rng: random.Random, turns: int) -> Example:
        talk = rng.choice(self.recorded[turns])
        return self.stage.dialogue(talk, rng.randrange(2**31), typed=0.1, written=0.3)

    def _camera(self, rng: random.Random, turns: int) -> Example:
        talk = skills.dialogue(rng, turns=min(turns, 4), camera=1.0, scenes=self.scenes)
        return self.stage.dialogue(talk, rng.randrange(2**31), typed=0.1, written=0.3)
