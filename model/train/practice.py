"""What the language model practises on: batches of dialogues, drawn from the step number alone.

Sentences are cheap and voices are not. So dialogues in writing are made anew at every step and never come twice, while
spoken ones are put together from the readings there are: a turn nobody has read stays in writing.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from vivavoce.model.train import lexicon as lx
from vivavoce.model.train import skills, talk_skills, watch_skills
from vivavoce.model.train.examples import WATCHED, Example, Stage, up_to_the_last_reply
from vivavoce.model.train.lexicon import SHAPES
from vivavoce.model.train.mandarin import lexicon as zh
from vivavoce.model.train.mandarin.words import exchanged_in, is_mandarin
from vivavoce.model.train.printing import PRINTED_WORDS
from vivavoce.model.train.scenes import Scene
from vivavoce.model.train.seeing import COLOUR_NAMES
from vivavoce.model.train.turns import Dialogue, Memory, Turn, about_one_thing, exchanged, in_other_words
from vivavoce.model.train.views import View

LONGEST = 7
"""Turns of the longest dialogue."""
PARTS = 3
"""Batches of a step."""
TYPED = {"drill": 0.3, "talk": 0.3, "look": 0.3, "quiz": 0.3, "spoken": 0.0, "lesson": 0.3, "errand": 0.3}
"""Share of batches whose questions are written."""
QUIZ = 6
"""Questions of a quiz."""
ERRANDS = 5
"""Turns of a dialogue with functions to call."""
CLEAR = 0.35
"""Share of quizzes about pictures as eyes would see them that never err: how to count is learned sooner if the counts are right."""
ANSWERS = 0.55
"""Share of the replies read aloud that are about one thing; of all replies they are few, of those that people hear many."""
PLAIN = 0.25
"""Share of pictures that are called what they are."""
AGAIN = 0.3
"""Share of dialogues in which something is asked again, its answer of before, with its sound, in the context."""
ASKED = {"talk": 0.4, "look": 0.25, "quiz": 0.35}
"""What kinds of dialogues questions are taken from that the model is to answer by itself."""
SHOWS = 0.15
"""Share of conversations before the camera in which that shows one thing after another."""
CHANGED = 0.6
"""Share of these in which it is asked what has changed; in the others, what was shown meanwhile."""
SEEN = (
    *("colour", "shape", "count", "is there", "describe", "where", "beside", "bigger", "same", "more"),
    *("read", "does it say", "way", "does it move"),
)
"""Skills of answers about a scene that stays."""
LASTING = (*SEEN, "arithmetic", "repeat")
"""Skills whose answers stay true; what has been told may have been told anew since."""


def _in(turn: Turn, changed: Callable[[str], str]) -> Turn:
    return replace(turn, user=changed(turn.user), reply=changed(turn.reply), slot=changed(turn.slot))


def swapped(talk: Dialogue, rng: random.Random) -> Dialogue:
    """The same dialogue with its content words exchanged among each other: it can only be answered by copying."""
    words = [w for w in lx.CONTENT if " " not in w]
    other = dict(zip(words, rng.sample(words, len(words)), strict=True))
    mandarin = exchanged(zh.CONTENT, rng) if talk.turns[0].language == "zh" else {}

    def changed(sentence: str) -> str:
        if is_mandarin(sentence):
            return exchanged_in(sentence, mandarin)
        made = []
        for word in sentence.split(" "):
            bare = word.rstrip(".,!?")
            twin = other.get(bare) or other.get(bare.lower(), "").capitalize() or bare
            made.append(twin + word[len(bare) :])
        return " ".join(made)

    return replace(talk, turns=tuple(turn if turn.exact else _in(turn, changed) for turn in talk.turns))


def renamed(talk: Dialogue, names: Mapping[str, str]) -> Dialogue:
    """The same dialogue with other words for things, in singular and plural, and the articles to match."""

    def changed(sentence: str) -> str:
        return in_other_words(sentence, names)

    return replace(talk, turns=tuple(turn if turn.exact else _in(turn, changed) for turn in talk.turns))


def asked_again(talk: Dialogue, rng: random.Random) -> Dialogue:
    """The same dialogue, one of its questions asked once or twice more, in the same words, at its end."""
    lasting = [turn for turn in talk.turns if turn.skill in LASTING]
    if not lasting or talk.changes:
        return talk
    return replace(talk, turns=talk.turns + (rng.choice(lasting),) * rng.randint(1, 2))


def summed(rng: random.Random) -> Turn:
    """A sum or a difference."""
    while True:
        turn = talk_skills.arithmetic(rng, Memory(), None, 0, False)
        if turn is not None:
            return turn


class Practice:
    """Steps of at most `rows` rows."""

    def __init__(
        self,
        stage: Stage,
        scenes: Sequence[Scene],
        recorded: Sequence[Dialogue],
        rows: int,
        clear: Stage | None = None,
        litter: int = 1,
        changes: Sequence[tuple[Scene, Scene]] = (),
    ) -> None:
        """
        Args:
            scenes: scenes whose pictures `stage` has.
            recorded: dialogues without a camera whose turns have been read and whose replies have codes.
            clear: the same stage with eyes that never err, for a share `CLEAR` of the quizzes.
            litter: whose skills are practised.
            changes: scenes before and after something has changed, whose pictures it has as well.
        """
        self.changes = changes
        self.litter = litter
        self.stage, self.scenes, self.rows, self.clear = stage, scenes, rows, clear or stage
        self.recorded: dict[int, list[Dialogue]] = {}
        for talk in recorded:
            self.recorded.setdefault(len(talk.turns), []).append(talk)
        self.aloud = sorted(stage.codes, key=lambda saying: (len(stage.codes[saying][0]), saying))
        self.answers = [saying for saying in self.aloud if about_one_thing(saying.text)] or self.aloud

    def batches(
        self, step: int, shares: Mapping[str, float], *, voiced: float, typed: Mapping[str, float] = TYPED
    ) -> list[list[Example]]:
        """What one step learns from: `PARTS` batches, each of one kind drawn by its share; a share `voiced` of them has spoken
        answers, and of each kind a share `typed` has written questions. Several kinds keep a step from unlearning what another
        taught."""
        rng = _dice(step)
        return [self._batch(kind, rng, voiced, typed) for kind in _kinds(rng, shares)]

    @staticmethod
    def kinds(step: int, shares: Mapping[str, float]) -> list[str]:
        """Of the step's batches, one after the other."""
        return _kinds(_dice(step), shares)

    def _batch(self, kind: str, rng: random.Random, voiced: float, in_writing: Mapping[str, float]) -> list[Example]:
        """One kind of dialogue, all with the same number of turns."""
        turns = rng.choices(range(1, LONGEST + 1), [6, 5, 4, 3, 2, 2, 2])[0]
        if kind == "aloud":
            turns = rng.randrange(len(self.aloud))
        typed = 0.95 if rng.random() < in_writing.get(kind, 0.0) else 0.05
        written = 0.1 if rng.random() < voiced else 1.0
        stage = self.clear if kind == "quiz" and rng.random() < CLEAR else self.stage
        make: dict[str, Callable[[random.Random, int], tuple[Dialogue, Mapping[str, str]]]] = {
            "drill": self._drill,
            "talk": self._talk,
            "look": self._look,
            "quiz": self._quiz,
            "spoken": self._spoken,
            "lesson": self._lesson,
            "errand": self._errand,
        }

        def example() -> Example:
            if kind == "aloud":
                return self._aloud(rng, turns)
            talk, names = make[kind](rng, turns)
            if kind not in ("drill", "lesson", "errand") and len(talk.turns) < LONGEST and rng.random() < AGAIN:
                talk = asked_again(talk, rng)
            watched = 0.0 if kind == "quiz" else WATCHED
            seed = rng.randrange(2**31)
            return stage.dialogue(talk, seed, typed=typed, written=written, names=names, watched=watched)

        examples = [example()]
        while True:
            another = example()
            if max(len(e.rows) for e in (*examples, another)) * (len(examples) + 1) > self.rows // PARTS:
                return examples
            examples.append(another)

    def question(self, number: int) -> tuple[Example, Turn]:
        """A dialogue up to where its last turn's answer begins, which is to be spoken, and that turn; drawn from `number`."""
        rng = random.Random(f"question {number}")
        kind = rng.choices(list(ASKED), list(ASKED.values()))[0]
        made = {"talk": self._talk, "look": self._look, "quiz": self._quiz}[kind](
            rng, rng.choices((1, 2, 3, 4), (5, 3, 2, 1))[0]
        )
        talk, names = made
        if kind == "quiz":
            talk = replace(talk, turns=talk.turns[: rng.randint(1, 3)])
        watched = 0.0 if kind == "quiz" else WATCHED
        whole = self.stage.dialogue(talk, rng.randrange(2**31), typed=0.2, written=0.0, names=names, watched=watched)
        return up_to_the_last_reply(whole), talk.turns[-1]

    def _aloud(self, rng: random.Random, near: int) -> Example:
        """A reply of about a given length, read aloud."""
        if rng.random() < ANSWERS:
            return self.stage.reading(rng.choice(self.answers), rng.randrange(2**31))
        index = min(len(self.aloud) - 1, max(0, near + rng.randint(-200, 200)))
        return self.stage.reading(self.aloud[index], rng.randrange(2**31))

    def _drill(self, rng: random.Random, turns: int) -> tuple[Dialogue, Mapping[str, str]]:
        """One short turn: words to copy, or a sum. In a long context the path from a word to itself takes far longer to find."""
        kind = rng.random()
        if kind < 0.4:
            turn = summed(rng)
        elif kind < 0.65:
            count = rng.choices(range(1, 9), [3, 5, 5, 4, 3, 2, 1, 1])[0]
            turn = talk_skills.repeat_words(rng, rng.choices(lx.WORDS, k=count))
        else:
            turn = talk_skills.told(rng)
        return swapped(Dialogue((turn,), None), rng), {}

    def _talk(self, rng: random.Random, turns: int) -> tuple[Dialogue, Mapping[str, str]]:
        """A new dialogue, half of them with other words in it than what is true in the world."""
        talk = skills.recall_dialogue(rng, turns - 1, litter=self.litter) if turns > 1 and rng.random() < 0.35 else None
        talk = talk or skills.dialogue(rng, turns=turns, camera=0.0, litter=self.litter)
        return (swapped(talk, rng) if rng.random() < 0.5 else talk), {}

    def _look(self, rng: random.Random, turns: int) -> tuple[Dialogue, Mapping[str, str]]:
        """A new dialogue before the camera."""
        if self.changes and rng.random() < SHOWS:
            return self._called_otherwise(self._show(rng), rng)
        talk = skills.dialogue(rng, turns=(turns + 1) // 2, camera=1.0, scenes=self.scenes, litter=self.litter)
        return self._called_otherwise(talk, rng)

    def _quiz(self, rng: random.Random, turns: int) -> tuple[Dialogue, Mapping[str, str]]:
        """Many questions about a single picture: four times as many in as many rows."""
        return self._called_otherwise(skills.quiz(rng, rng.choice(self.scenes), QUIZ, litter=self.litter), rng)

    def _show(self, rng: random.Random) -> Dialogue:
        """The camera shows one scene and then another."""
        if rng.random() < CHANGED:
            return watch_skills.asked_what_changed(rng, *rng.choice(self.changes))
        scene, _ = rng.choice(self.changes)
        if rng.random() < watch_skills.NOTHING:
            return watch_skills.asked_what_was_shown(rng, scene, None)
        while True:
            other = rng.choice(self.scenes)
            if watch_skills.another(scene, other):
                return watch_skills.asked_what_was_shown(rng, scene, other)

    def _lesson(self, rng: random.Random, turns: int) -> tuple[Dialogue, Mapping[str, str]]:
        """One subject of the litter's own, and nothing else."""
        return skills.lesson(rng, (turns + 1) // 2, litter=self.litter), {}

    def _errand(self, rng: random.Random, turns: int) -> tuple[Dialogue, Mapping[str, str]]:
        """The same with functions to call. They take long to read, so they are called often."""
        return skills.lesson(rng, ERRANDS, litter=self.litter, errands=True), {}

    def _called_otherwise(self, talk: Dialogue, rng: random.Random) -> tuple[Dialogue, Mapping[str, str]]:
        """Most pictures are called by other names than in the world.

        Training has no blue square, so a model soon knows that squares are not blue. Where the words for colours and those for
        shapes are exchanged at random, it gains nothing by knowing which go together, and has to look.
        """
        if rng.random() < PLAIN:
            return talk, {}
        names = {**exchanged(COLOUR_NAMES, rng), **exchanged(SHAPES, rng)}
        if _reads(talk):
            names |= exchanged(PRINTED_WORDS, rng)
        return renamed(talk, names), names

    def _spoken(self, rng: random.Random, turns: int) -> tuple[Dialogue, Mapping[str, str]]:
        return rng.choice(self.recorded[turns]), {}


def _reads(talk: Dialogue) -> bool:
    """There is print before the camera, and the talk is of nothing else than what is there: the words may be any."""
    prints = isinstance(talk.scene, View) and talk.scene.prints
    return bool(prints) and all(turn.skill in SEEN and turn.language == "en" for turn in talk.turns)


def _dice(step: int) -> random.Random:
    return random.Random(step * 7919 + 13)


def _kinds(rng: random.Random, shares: Mapping[str, float]) -> list[str]:
    return rng.choices(list(shares), list(shares.values()), k=PARTS)
