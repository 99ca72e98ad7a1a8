"""How well a checkpoint does what it should, through the same host that serves people.

Questions are spoken by voices of each group, never a sentence slot or scene that training had, sent as chunks of sound and
frames, and the answer is judged by its slot: the word or words that make it right. The reply's waveform is judged by an
independent recogniser that chooses among candidate sentences.
"""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from rich.progress import track

from vivavoce.codecs.media import AudioChunk, MediaChunk, VideoFrame
from vivavoce.model.host import Host
from vivavoce.model.messages import Answer, Close, Ended, Failed, Listen, Open, Spoke, Transcribed
from vivavoce.model.train import augment, skills, talk_skills, voices
from vivavoce.model.train.hearing import word_errors
from vivavoce.model.train.scenes import Photographer, random_scene
from vivavoce.model.train.turns import Dialogue, Memory, Turn
from vivavoce.model.train.views import photographer_of

RATE = 16_000
KEPT, KEPT_MS = 4, 2000
"""Pictures that the server keeps from between two turns, and how far they are apart."""
ROUND = 5
"""Questions about one scene before they are asked again."""
WHOLE = 0.6, 1.7
"""How long an answer's sound may last beside the source voice's, if nothing of it is missing and nothing repeated."""


@dataclass
class Said:
    """What came back for one question."""

    text: str = ""
    heard: str = ""
    sound: list[np.ndarray] = field(default_factory=list)
    ended: str = ""

    @property
    def wave(self) -> np.ndarray:
        """float32 [samples] at 24 kHz."""
        return np.concatenate(self.sound) if self.sound else np.zeros(0, np.float32)


class Caller:
    """One session with a host, synchronously."""

    def __init__(self, host: Host, session: str = "eval", *, in_writing: bool = False) -> None:
        """`in_writing`: answers are text alone."""
        self.host, self.session, self.turn, self.clock_ms = host, session, 0, 0
        self.in_writing = in_writing
        host.handle(Open(session))

    def ask(self, wave: np.ndarray, photographer: Photographer | None = None, *, max_tokens: int = 160) -> Said:
        """Speak `wave` (16 kHz), show the scene at 2 frames a second, and wait for the whole reply."""
        for start in range(0, len(wave), RATE):
            at = self.clock_ms + start * 1000 // RATE
            frames = () if photographer is None else tuple(
                VideoFrame(photographer.at(at, k), at + 500 * k) for k in range(2)
            )  # fmt: skip
            self.host.handle(
                Listen(self.session, MediaChunk(at, AudioChunk(wave[start : start + RATE], RATE, start), frames, True))
            )
        self.turn += 1
        said = Said()
        messages = list(
            self.host.handle(Answer(self.session, self.turn, max_tokens=max_tokens, text_only=self.in_writing))
        )
        while True:
            for message in messages:
                if isinstance(message, Spoke):
                    said.text += message.text
                    said.sound.append(message.pcm)
                elif isinstance(message, Transcribed):
                    said.heard = message.text
                elif isinstance(message, Ended):
                    said.ended = message.reason
                elif isinstance(message, Failed):
                    said.ended = message.message
            if said.ended or not self.host.busy:
                break
            messages = list(self.host.step())
        self.clock_ms += len(wave) * 1000 // RATE + 2500
        return said

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
    said = spoken_words(reply)
    if turn.skill == "unknown":
        return "know" in said and "don't" in said
    return f" {' '.join(spoken_words(turn.slot))} " in f" {' '.join(said)} "


def spoken_words(text: str) -> list[str]:
    """Lower case, without punctuation."""
    return text.lower().replace(",", " ").replace(".", " ").replace("!", " ").replace("?", " ").split()


def spoken_question(text: str, group: str, seed: int, snr_db: float | None) -> np.ndarray:
    """A voice of `group` says `text`; light room noise unless `snr_db` asks for more."""
    wave = voices.speak(text, voices.random_voice(random.Random(seed), group))
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
        return is_right(self.turn, self.said.text)

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
    what: str = "",
    photographer_of: Callable[[Any], Photographer] = photographer_of,
) -> list[Outcome]:
    """Hold every dialogue and judge every turn. `watching`: nobody says anything for a while before every turn but the first."""
    made = []
    for number, talk in enumerate(track(list(dialogues), what or group)):
        caller = Caller(host, f"{group}-{number}", in_writing=in_writing)
        photographer = None if talk.scene is None else photographer_of(talk.scene)
        for index, turn in enumerate(talk.turns):
            if watching and index and photographer is not None:
                caller.watch(photographer)
            wave = spoken_question(turn.user, group, seed * 100_003 + number * 31 + index, snr_db)
            made.append(Outcome(group, turn, caller.ask(wave, photographer)))
        caller.close()
    return made


def scene_questions(count: int, seed: int) -> list[Dialogue]:
    """One-turn dialogues about held-out scenes."""
    rng, made = random.Random(seed), list[Dialogue]()
    while len(made) < count:
        talk = skills.dialogue(rng, held=True, turns=1, camera=1.0)
        if talk.turns[0].skill in ("colour", "shape", "count", "is there", "describe"):
            made.append(talk)
    return made


def rounds(count: int, seed: int) -> list[Dialogue]:
    """`ROUND` questions about a held-out scene, and then the same ones again."""
    made = []
    for number in range(count):
        rng = random.Random(f"{seed} {number}")
        scene, turns = random_scene(rng, held=True), list[Turn]()
        while len(turns) < ROUND:
            turn = rng.choice(list(skills.LOOK.values()))[0](rng, Memory(), scene, len(turns), True)
            turns += [turn] if turn is not None else []
        made.append(Dialogue((*turns, *turns), scene))
    return made


def skill_questions(count: int, seed: int) -> list[Dialogue]:
    """One-turn dialogues without a camera, held-out slots."""
    rng = random.Random(seed)
    return [skills.dialogue(rng, held=True, turns=1, camera=0.0) for _ in range(count)]


def unknown_questions(count: int, seed: int) -> list[Dialogue]:
    """Questions outside the skills, none of them in training."""
    rng, made = random.Random(seed), list[Dialogue]()
    for _ in range(count):
        turn = talk_skills.unknown(rng, Memory(), None, 0, True)
        assert turn is not None
        made.append(Dialogue((turn,), None))
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


def judged_by_recogniser(outcomes: Sequence[Outcome], candidates: Sequence[str]) -> dict[str, float]:
    """Word errors of an independent recogniser (pocketsphinx, grammar of `candidates`) on the generated and on the source voice.

    The truth is the text the model wrote with the sound, so this judges speaking alone.
    """
    recognise = grammar_recogniser(sorted({*candidates, *(o.said.text.strip() for o in outcomes)}))
    made = source = words = 0
    for o in track([o for o in outcomes if o.said.text.strip()], "recogniser"):
        truth = " ".join(spoken_words(o.said.text))
        errors, n = word_errors(truth, recognise(o.said.wave, voices.OWN_RATE))
        made, words = made + errors, words + n
        source += word_errors(truth, recognise(voices.own_voice(o.said.text.strip()), voices.OWN_RATE))[0]
    return {"generated": round(made / max(1, words), 4), "source": round(source / max(1, words), 4), "words": words}


def grammar_recogniser(sentences: Sequence[str]):  # type: ignore[no-untyped-def]
    """(wave, rate) -> words, choosing among `sentences`. Words pocketsphinx cannot pronounce make their sentence drop out."""
    import soxr
    from pocketsphinx import Decoder

    decoder = Decoder(samprate=16000, loglevel="FATAL", lm=None)
    known = [" ".join(spoken_words(s)) for s in sentences]
    known = [s for s in dict.fromkeys(known) if s and all(decoder.lookup_word(w) for w in s.split())]
    decoder.add_jsgf_string("replies", "#JSGF V1.0; grammar g; public <s> = " + " | ".join(known) + ";")
    decoder.activate_search("replies")

    def recognise(wave: np.ndarray, rate: int) -> str:
        narrow = np.asarray(soxr.resample(wave, rate, 16_000), np.float32)
        narrow = np.pad(narrow, 3200)
        decoder.start_utt()
        decoder.process_raw((np.clip(narrow, -1, 1) * 32767).astype(np.int16).tobytes(), full_utt=True)
        decoder.end_utt()
        found = decoder.hyp()
        return found.hypstr if found else ""

    return recognise
