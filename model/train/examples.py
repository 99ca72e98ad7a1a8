"""Dialogues as the language model learns from them: the rows the server would have built, and what of them is judged."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np

from vivavoce.model import prompt
from vivavoce.model.functions import Call, described
from vivavoce.model.tokenizer import EOS, Tokenizer
from vivavoce.model.train import calling
from vivavoce.model.train.camera import Camera
from vivavoce.model.train.collage import Collage
from vivavoce.model.train.sayings import STYLES, Saying, sayings
from vivavoce.model.train.seeing import SEEN_WORDS
from vivavoce.model.train.turns import Dialogue, Turn

WATCHED = 0.9
"""Share of seconds with the camera on that have a picture."""
COLLAGES = 0.4
"""Share of spoken questions that are put together even if somebody has read them."""

STRANGE = 0.5
"""Share of spoken answers whose text is learned beside the codes of another answer.

A sentence has few recordings, so its first codes tell which sentence it is: with them at hand all names told by the
user were answered right; when the codes were the model's own, what had been told was recalled in 25 %, names always as Robert.
"""

UNHEARD = "The user interrupted, and has not heard: {}"
"""What the server tells the model after an interruption, if it is asked to."""
NOTED = 0.7
"""Share of interruptions after which it does."""

BRIEF = 0.5
"""Share of sessions with functions that leave out what is always said around them, 270 of 450 positions: calls are learned
sooner."""

T = TypeVar("T")

CODES, ALL, WORDS = 1, 2, 3
"""What of a reply counts; see `Example.judged`."""

INSTRUCTIONS = (
    "You are a helpful assistant.",
    "You are Kitten, a small voice assistant. Answer briefly.",
    "Be kind and short.",
    "You are a friendly voice assistant who can see through a camera.",
)
"""Kitten does not follow these; it learns that they do not change what is true."""


@dataclass(frozen=True)
class Example:
    """One dialogue as rows, with the features its slots stand for."""

    rows: np.ndarray
    """int64 [T, 5]"""
    judged: np.ndarray
    """int8 [T]: 0 outside replies, `CODES` where only the codes count (text that is read aloud), `WORDS` where only the text
    does (beside the codes of something else), `ALL` where both do."""
    audio: tuple[np.ndarray, ...]
    """Audio-encoder outputs float16 [tokens, H] of each user turn."""
    pictures: tuple[np.ndarray, ...]
    """How much of each seen word is in every token of each frame pair, in order: float16 [tokens, K]; see `seeing.named`."""
    names: np.ndarray
    """int64 [K]: the text ids that stand for the seen words in this dialogue."""


@dataclass(frozen=True)
class _Said:
    """Rows behind a question, and what of them counts."""

    rows: prompt.Rows
    judged: np.ndarray


class Stage:
    """Builds examples: which reading of each sentence is drawn from a seed."""

    def __init__(
        self,
        tokenizer: Tokenizer,
        heard: Mapping[str, Sequence[np.ndarray]],
        codes: Mapping[Saying, Sequence[np.ndarray]],
        shots: Callable[[int], np.ndarray],
        visual_tokens: int,
        collage: Collage | None = None,
        words: Sequence[str] = SEEN_WORDS,
    ) -> None:
        """
        Args:
            heard: user text to the encoder outputs of its readings.
            codes: what is said, and how, to the codes [frames, 4] of its recordings.
            shots: scene seed to what its tokens say [visual_tokens, K]; for a single frame of what moves, see `views.glimpsed`.
            visual_tokens: tokens of one frame pair.
            collage: speaks what nobody has read.
            words: [K], what is seen.
        """
        self.tokenizer, self.heard, self.codes, self.collage = tokenizer, heard, codes, collage
        self.shots, self.visual_tokens, self.words = shots, visual_tokens, words
        self._all, self._by_first_word = sorted(codes), dict[str, list[Saying]]()
        for saying in self._all:
            self._by_first_word.setdefault(saying.text.split(" ")[0], []).append(saying)

    def reading(self, saying: Saying, seed: int) -> Example:
        """A reply by itself, in one of its recordings; how it is to be spoken, the session says."""
        codes = _one_of(self.codes[saying], np.random.default_rng([23, seed]))
        reply = prompt.spoken_reply(self.tokenizer, [(saying.text, codes)])
        asked = f"Speak {STYLES[saying.style].adverb}." if saying.style else ""
        system = prompt.text_turn(self.tokenizer, "SYSTEM", asked) if asked else prompt.text_ids([])
        start = prompt.join(system, prompt.generation(self.tokenizer))
        return Example(prompt.join(start, reply), _judged(len(start), len(reply) - 1, CODES), (), (), self._names({}))

    def dialogue(
        self,
        talk: Dialogue,
        seed: int,
        *,
        typed: float,
        written: float,
        names: Mapping[str, str] | None = None,
        watched: float = WATCHED,
    ) -> Example:
        """A whole conversation, laid out as the server would.

        A share `typed` of the questions and `written` of the answers is text, and so are questions without a recording; the
        rest is spoken, an answer beside the codes of another if it has none of its own. Some scenes are still pictures, and
        some conversations open with instructions. `names` are other words for what is seen; `watched` is the share of
        seconds that have a picture, but for the first, which always has one.
        """
        rng = np.random.default_rng([19, seed])
        tok = self.tokenizer
        system = self._system(talk, rng)
        rows, judged = ([system], [_judged(len(system), 0)]) if len(system) else ([], [])
        audio, pictures = [], list[np.ndarray]()
        named = len(talk.functions) > 1
        scene, seen = talk.scene, None
        for turn in talk.turns:
            before, scene = scene, turn.scene or scene
            camera = None if scene is None else Camera(self, scene, before, turn.kept, rng, watched, scene != seen)
            sound = None if rng.random() < typed else self._sound(turn.user, rng)
            if sound is None:
                question = self._typed(turn.user, camera, rng)
            else:
                audio.append(sound)
                question = self._question(len(sound), camera, rng)
            if camera is not None and camera.shots:
                pictures += camera.shots
                seen = scene
            rows.append(prompt.join(prompt.user_start(tok), question, prompt.user_end(tok)))
            judged.append(_judged(len(rows[-1]), 0))
            for said in self._said(turn, rng, written, named=named):
                rows.append(said.rows)
                judged.append(said.judged)
        return Example(
            prompt.join(*rows), np.concatenate(judged), tuple(audio), tuple(pictures), self._names(names or {})
        )

    def _system(self, talk: Dialogue, rng: np.random.Generator) -> prompt.Rows:
        """What the session says, if anything: its functions and instructions in one turn, as it is opened, or in two, as it is
        updated."""
        told, tok = described(talk.functions), self.tokenizer
        if told and rng.random() < BRIEF:
            told = calling.brief(told)
        words = INSTRUCTIONS[int(rng.integers(len(INSTRUCTIONS)))]
        if rng.random() >= 0.15:
            words = talk.instructions
        elif talk.instructions:
            words = f"{words} {talk.instructions}"
        turns = [told, words] if told and words and rng.random() < 0.5 else [told + words]
        return prompt.join(*(prompt.text_turn(tok, "SYSTEM", words) for words in turns if words))

    def _said(self, turn: Turn, rng: np.random.Generator, written: float, *, named: bool) -> list[_Said]:
        """All that a turn has behind its question: the reply, or a call, what it returned and the reply."""
        made = []
        if turn.called is not None:
            call = self._call(turn.called, voice=rng.random() >= written, named=named)
            made += [call, self._unsaid("TOOL", turn.returned)]
        if turn.heard is None:
            return [*made, self._answer(turn, rng, written)]
        rest = turn.reply.removeprefix(turn.heard).strip()
        told = [self._unsaid("SYSTEM", UNHEARD.format(rest))] if rng.random() < NOTED else []
        return [*made, self._answer(replace(turn, reply=turn.heard), rng, written, cut=True), *told]

    def _answer(self, turn: Turn, rng: np.random.Generator, written: float, *, cut: bool = False) -> _Said:
        """The reply; if it was cut, its end is nothing to learn."""
        reply, voice, what = self._reply(turn, rng, written)
        header = prompt.generation(self.tokenizer, voice=voice)
        judged = _judged(len(header), len(reply) - 1, what)
        if cut:
            judged[len(header) + int(np.flatnonzero(reply[:, 0] == EOS)[-1]) :] = 0
        return _Said(prompt.join(header, reply), judged)

    def _unsaid(self, role: str, text: str) -> _Said:
        rows = prompt.text_turn(self.tokenizer, role, text)
        return _Said(rows, _judged(len(rows), 0))

    def _call(self, call: Call, *, voice: bool, named: bool = True) -> _Said:
        """A call as the model makes it; `named`: there is more than one function, so its name has to be chosen."""
        rows, is_open = calling.rows_of(self.tokenizer, call, voice=voice, named=named)
        header = prompt.generation(self.tokenizer, voice=voice)
        judged = _judged(len(header), len(rows))
        judged[len(header) : -1] *= is_open
        return _Said(prompt.join(header, rows, prompt.text(self.tokenizer, "\n")), judged)

    def _reply(self, turn: Turn, rng: np.random.Generator, written: float) -> tuple[prompt.Rows, bool, int]:
        """Its rows, whether they are spoken, and what of them counts."""
        if rng.random() < written or not self.codes:
            return self._written(turn.reply), False, ALL
        pieces = sayings(turn.reply, turn.style)
        if all(piece in self.codes for piece in pieces) and rng.random() >= STRANGE:
            spoken = [(piece.text, _one_of(self.codes[piece], rng)) for piece in pieces]
            return prompt.spoken_reply(self.tokenizer, spoken), True, ALL
        spoken = [(piece.text, self._astray(piece.text, rng)) for piece in pieces]
        return prompt.spoken_reply(self.tokenizer, spoken), True, WORDS

    def _astray(self, text: str, rng: np.random.Generator) -> np.ndarray:
        """Codes of another answer. Only the text is learned, so they need not go on for longer than it does."""
        frames = len(self.tokenizer.encode(text)) + 1
        codes = self._beginning_like(text, rng)
        return np.concatenate([codes] * -(-frames // len(codes)))[:frames]

    def _beginning_like(self, text: str, rng: np.random.Generator) -> np.ndarray:
        """Codes of an answer with the same first word, or of any."""
        alike = self._by_first_word.get(text.split(" ")[0]) or self._all
        return _one_of(self.codes[_one_of(alike, rng)], rng)

    def _names(self, other: Mapping[str, str]) -> np.ndarray:
        return np.array([self.tokenizer.encode(f" {other.get(word, word)}")[0] for word in self.words])

    def _sound(self, text: str, rng: np.random.Generator) -> np.ndarray | None:
        """Encoder outputs of a reading of `text`, or of a collage; None where there is neither."""
        readings = self.heard.get(text, ())
        if self.collage is not None and (not readings or rng.random() < COLLAGES):
            made = self.collage.say(text, rng)
            if made is not None:
                return made
        return _one_of(readings, rng) if readings else None

    def _written(self, reply: str) -> prompt.Rows:
        return prompt.join(
            prompt.text(self.tokenizer, reply), prompt.text_ids([EOS]), prompt.text(self.tokenizer, "\n")
        )

    def _typed(self, words: str, camera: Camera | None, rng: np.random.Generator) -> prompt.Rows:
        """A question in writing, behind a still picture if there is a scene."""
        shown = camera.beside_writing() if camera is not None else []
        if rng.random() < 0.5:
            words = words[0].upper() + words[1:] + ("?" if rng.random() < 0.7 else ".")
        return prompt.join(*shown, prompt.text(self.tokenizer, words))

    def _question(self, tokens: int, camera: Camera | None, rng: np.random.Generator) -> prompt.Rows:
        """The interleaved seconds of one user turn: stamp and picture, then 12 or 13 audio slots; stamps count from its start."""
        parts = camera.before_sound() if camera is not None else []
        index, left = 0, tokens
        while left > 0:
            if camera is not None:
                parts += camera.second(index)
            count = min(left, prompt.pads_in_chunk(index))
            left -= count
            parts.append(prompt.audio_pads(count, opens=index == 0, closes=left == 0))
            index += 1
        return prompt.join(*parts)


def up_to_the_last_reply(example: Example) -> Example:
    """A dialogue without its last answer and what follows; nothing of it is judged."""
    said = example.judged > 0
    start = int(np.flatnonzero(said & ~np.r_[False, said[:-1]])[-1])
    return replace(example, rows=example.rows[:start], judged=np.zeros(start, np.int8))


def _one_of(some: Sequence[T], rng: np.random.Generator) -> T:
    return some[int(rng.integers(len(some)))]


def _judged(before: int, said: int, what: int = ALL) -> np.ndarray:
    """`before` rows of prompt, `said` rows of reply, and the newline behind it."""
    return np.r_[np.zeros(before, np.int8), np.full(said, what, np.int8), np.zeros(int(said > 0), np.int8)]
