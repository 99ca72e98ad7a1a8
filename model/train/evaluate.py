"""How well a checkpoint does what it should, through the same host that serves people.

Questions are spoken by voices of each group, never a sentence slot or scene that training had, sent as chunks of sound and
frames, and the answer is judged by its slot: the word or words that make it right. The reply's waveform is judged by an
independent recogniser that chooses among candidate sentences.
"""

from __future__ import annotations

import json
import random
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np
from rich.progress import track

from vivavoce.codecs.media import AudioChunk, MediaChunk, VideoFrame
from vivavoce.model.functions import Call
from vivavoce.model.host import Host
from vivavoce.model.messages import (
    AddText,
    Answer,
    Called,
    Close,
    Cut,
    Ended,
    Failed,
    Function,
    Listen,
    Open,
    Spoke,
    Transcribed,
)
from vivavoce.model.train import augment, voices
from vivavoce.model.train.examples import UNHEARD
from vivavoce.model.train.hearing import word_errors
from vivavoce.model.train.mandarin.pinyin import PAUSES
from vivavoce.model.train.mandarin.words import contains, is_mandarin, units
from vivavoce.model.train.sayings import LONG
from vivavoce.model.train.scenes import Photographer
from vivavoce.model.train.talk_skills import UNKNOWN_REPLY
from vivavoce.model.train.turns import Dialogue, Turn
from vivavoce.model.train.views import photographer_of

Recognise: TypeAlias = Callable[[np.ndarray, int], str]
"""(wave, rate) -> words."""

RATE = 16_000
KEPT, KEPT_MS = 4, 2000
"""Pictures that the server keeps from between two turns, and how far they are apart."""
ANSWER, LONG_ANSWER = 160, 600
"""Most steps of an answer, one for 60 ms of sound; of a story, and of what comes of a call."""
WHOLE = 0.6, 1.7
"""How long an answer's sound may last beside the source voice's, if nothing of it is missing and nothing repeated."""


@dataclass
class Said:
    """What came back for one question."""

    text: str = ""
    heard: str = ""
    sound: list[np.ndarray] = field(default_factory=list)
    calls: list[Call] = field(default_factory=list)
    """Functions that were called before it."""
    ended: str = ""

    @property
    def wave(self) -> np.ndarray:
        """float32 [samples] at 24 kHz."""
        return np.concatenate(self.sound) if self.sound else np.zeros(0, np.float32)


class Caller:
    """One session with a host, synchronously."""

    def __init__(
        self,
        host: Host,
        session: str = "eval",
        *,
        in_writing: bool = False,
        instructions: str = "",
        functions: tuple[Function, ...] = (),
        voice: str = "",
    ) -> None:
        """`in_writing`: answers are text alone; else `voice` speaks them."""
        self.host, self.session, self.turn, self.clock_ms = host, session, 0, 0
        self.in_writing, self.functions, self.voice = in_writing, functions, voice
        host.handle(Open(session, instructions, functions=functions))

    def ask(self, wave: np.ndarray, photographer: Photographer | None = None, *, max_tokens: int = ANSWER) -> Said:
        """Speak `wave` (16 kHz), show the scene at 2 frames a second, and wait for the whole reply."""
        for start in range(0, len(wave), RATE):
            at = self.clock_ms + start * 1000 // RATE
            frames = () if photographer is None else tuple(
                VideoFrame(photographer.at(at, k), at + 500 * k) for k in range(2)
            )  # fmt: skip
            self.host.handle(
                Listen(self.session, MediaChunk(at, AudioChunk(wave[start : start + RATE], RATE, start), frames, True))
            )
        said = self._answer(Said(), max_tokens)
        self.clock_ms += len(wave) * 1000 // RATE + 2500
        return said

    def give_back(self, returned: str, said: Said) -> Said:
        """What the function that was called has returned; adds to `said` what comes of it."""
        self.host.handle(AddText(self.session, "tool", returned))
        return self._answer(said, LONG_ANSWER)

    def interrupt(self, turn: Turn, said: Said) -> None:
        """The user has heard `turn.heard` of the reply, and the model is told what they have not."""
        assert turn.heard is not None
        whole_ms = len(said.wave) * 1000 // voices.OWN_RATE
        heard_ms = round(whole_ms * len(turn.heard) / max(1, len(turn.reply)))
        rest = turn.reply.removeprefix(turn.heard).strip()
        self.host.handle(Cut(self.session, self.turn, heard_ms))
        self.host.handle(AddText(self.session, "system", UNHEARD.format(rest)))

    def _answer(self, said: Said, max_tokens: int) -> Said:
        self.turn += 1
        said.ended = ""
        asked = Answer(
            self.session,
            self.turn,
            max_tokens=max_tokens,
            text_only=self.in_writing,
            functions=self.functions,
            voice=self.voice,
        )
        messages = list(self.host.handle(asked))
        while True:
            for message in messages:
                if isinstance(message, Spoke):
                    said.text += message.text
                    said.sound.append(message.pcm)
                elif isinstance(message, Called):
                    said.calls.append(Call(message.name, message.arguments))
                elif isinstance(message, Transcribed):
                    said.heard = message.text
                elif isinstance(message, Ended):
                    said.ended = message.reason
                elif isinstance(message, Failed):
                    said.ended = message.message
            if said.ended or not self.host.busy:
                return said
            messages = list(self.host.step())

    def watch(self, photographer: Photographer) -> None:
        """Say nothing for a while before the camera: what the server keeps of it."""
        for k in range(KEPT):
            frame = VideoFrame(photographer.shoot(k % 6 + 10)[0], self.clock_ms)
            self.host.handle(Listen(self.session, MediaChunk(self.clock_ms, None, (frame,), False)))
            self.clock_ms += KEPT_MS

    def close(self) -> None:
        self.host.handle(Close(self.session))


def is_right(turn: Turn, reply: str) -> bool:
    """The slot's words stand in the reply, as words; an "unknown" reply must be that very refusal."""
    if is_mandarin(turn.slot):
        return contains(reply, turn.slot)
    said = spoken_words(reply)
    if turn.skill == "unknown":
        return "know" in said and "don't" in said
    return f" {' '.join(spoken_words(turn.slot))} " in f" {' '.join(said)} "


def is_called(turn: Turn, calls: Sequence[Call]) -> bool:
    """The function that should be called, and no other, with the same arguments in whatever order; mostly that is none."""

    def told(call: Call) -> tuple[str, str]:
        return call.name, json.dumps(json.loads(call.arguments), sort_keys=True)

    return [told(call) for call in calls] == [told(call) for call in (turn.called,) if call is not None]


def spoken_words(text: str) -> list[str]:
    """Lower case, without punctuation; a Chinese character counts as a word."""
    for mark in ",.!?" + PAUSES:
        text = text.replace(mark, " ")
    return units(text.lower())


def spoken_question(text: str, group: str, seed: int, snr_db: float | None) -> np.ndarray:
    """A voice of `group` says `text`; light room noise unless `snr_db` asks for more."""
    language = "zh" if is_mandarin(text) else "en"
    wave = voices.speak(text, voices.random_voice(random.Random(seed), group, language))
    return with_room(wave, seed, snr_db)


def with_room(wave: np.ndarray, seed: int, snr_db: float | None = None) -> np.ndarray:
    """Quiet at both ends, and noise over all of it."""
    rng = np.random.default_rng([seed, 99])
    wave = np.pad(wave, (int(0.25 * RATE), int(0.25 * RATE)))
    return augment.add_noise(wave, 32.0 if snr_db is None else snr_db, rng)


@dataclass(frozen=True)
class Outcome:
    """One judged turn."""

    group: str
    turn: Turn
    said: Said

    @property
    def right(self) -> bool:
        return is_called(self.turn, self.said.calls) and is_right(self.turn, self.said.text)

    @property
    def refused(self) -> bool:
        """It said that it does not know, of something that it should know."""
        return self.turn.skill != "unknown" and spoken_words(self.said.text) == spoken_words(UNKNOWN_REPLY)

    @property
    def whole(self) -> bool:
        """Its sound lasts about as long as the same words do in the source voice."""
        words = self.said.text.strip()
        least, most = WHOLE
        return bool(words) and least < len(self.said.wave) / len(voices.own_voice(words)) < most


def run_dialogues(
    host: Host,
    dialogues: Iterable[Dialogue],
    group: str,
    *,
    seed: int,
    snr_db: float | None = None,
    in_writing: bool = False,
    watching: bool = False,
    voice: str = "",
    what: str = "",
    photographer_of: Callable[[Any], Photographer] = photographer_of,
) -> list[Outcome]:
    """Hold every dialogue and judge every turn. `watching`: nobody says anything for a while before every turn but the first;
    `voice` answers, the first one if none is named."""
    made = []
    for number, talk in enumerate(track(list(dialogues), what or group)):
        name = f"{group}-{number}"
        told, functions = talk.instructions, talk.functions
        caller = Caller(host, name, in_writing=in_writing, instructions=told, functions=functions, voice=voice)
        photographer = None if talk.scene is None else photographer_of(talk.scene)
        for index, turn in enumerate(talk.turns):
            if turn.kept is not None:
                caller.watch(photographer_of(turn.kept))
            if turn.scene is not None:
                photographer = photographer_of(turn.scene)
            if watching and index and photographer is not None:
                caller.watch(photographer)
            wave = spoken_question(turn.user, group, seed * 100_003 + number * 31 + index, snr_db)
            most = LONG_ANSWER if len(turn.reply) > LONG else ANSWER
            said = caller.ask(wave, photographer, max_tokens=most)
            if said.calls:
                said = caller.give_back(turn.returned, said)
            if turn.heard is not None:
                caller.interrupt(turn, said)
            made.append(Outcome(group, turn, said))
        caller.close()
    return made


def share(outcomes: Sequence[Outcome]) -> float:
    return round(sum(o.right for o in outcomes) / max(1, len(outcomes)), 4)


def by_skill(outcomes: Sequence[Outcome]) -> dict[str, dict[str, float]]:
    """Skill to share of right answers and number of turns."""
    groups: dict[str, list[Outcome]] = defaultdict(list)
    for o in outcomes:
        groups[o.turn.skill].append(o)
    return {skill: {"right": share(some), "n": len(some)} for skill, some in sorted(groups.items())}


def hearing_errors(outcomes: Sequence[Outcome]) -> float:
    """Word error rate of the CTC head's transcripts."""
    pairs = [word_errors(o.turn.user, o.said.heard) for o in outcomes]
    return round(sum(e for e, _ in pairs) / max(1, sum(n for _, n in pairs)), 4)


def judged_by_recogniser(
    outcomes: Sequence[Outcome], candidates: Sequence[str], source: Callable[[str], np.ndarray] = voices.own_voice
) -> dict[str, float]:
    """Word errors of an independent recogniser, pocketsphinx, on the generated voice and on the one it learned from (`source`):
    choosing among `candidates`, and as free dictation, where any word may follow any other and the source is misheard too.

    The truth is the text the model wrote with the sound, so this judges speaking alone.
    """
    ways = {
        "": grammar_recogniser(sorted({*candidates, *(o.said.text.strip() for o in outcomes)})),
        ", free dictation": recogniser(),
    }
    wrong, words = dict.fromkeys((f"{who}{way}" for way in ways for who in ("generated", "source")), 0), 0
    for o in track([o for o in outcomes if o.said.text.strip()], "recogniser"):
        truth = " ".join(spoken_words(o.said.text))
        words += len(truth.split())
        for who, wave in (("generated", o.said.wave), ("source", source(o.said.text.strip()))):
            for way, recognise in ways.items():
                wrong[f"{who}{way}"] += word_errors(american(truth), american(recognise(wave, voices.OWN_RATE)))[0]
    return {what: round(errors / max(1, words), 4) for what, errors in wrong.items()} | {"words": words}


def american(text: str) -> str:
    """As the recogniser's dictionary spells: it has no other word for the same sound."""
    return text.replace("favourite", "favorite").replace("colour", "color").replace("grey", "gray")


def recogniser() -> Recognise:
    """Free dictation of any English, by pocketsphinx's own language model."""
    from pocketsphinx import Decoder

    return _listening(Decoder(samprate=16000, loglevel="FATAL"))


def grammar_recogniser(sentences: Sequence[str]) -> Recognise:
    """Choosing among `sentences`. Words pocketsphinx cannot pronounce make their sentence drop out."""
    from pocketsphinx import Decoder

    decoder = Decoder(samprate=16000, loglevel="FATAL", lm=None)
    known = [" ".join(spoken_words(s)) for s in sentences]
    known = [s for s in dict.fromkeys(known) if s and all(decoder.lookup_word(w) for w in s.split())]
    decoder.add_jsgf_string("replies", "#JSGF V1.0; grammar g; public <s> = " + " | ".join(known) + ";")
    decoder.activate_search("replies")
    return _listening(decoder)


def _listening(decoder: Any) -> Recognise:
    import soxr

    def recognise(wave: np.ndarray, rate: int) -> str:
        narrow = np.asarray(soxr.resample(wave, rate, 16_000), np.float32)
        narrow = np.pad(narrow, 3200)
        decoder.start_utt()
        decoder.process_raw((np.clip(narrow, -1, 1) * 32767).astype(np.int16).tobytes(), full_utt=True)
        decoder.end_utt()
        found = decoder.hyp()
        return found.hypstr if found else ""

    return recognise
