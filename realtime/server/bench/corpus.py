"""What the bench's users say: a folder of sound files and `labels.json`, or one that espeak-ng and a seed make.

`labels.json` holds `{"clips": [{"file", "kind", "text", "speech": [[first, behind], ...]}]}`, positions in samples of the file.
Files that it does not name, or that no labels are beside, are questions, and silero says where somebody speaks in them.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import soundfile  # type: ignore[import-untyped]

from vivavoce.codecs.pcm import resample
from vivavoce.realtime.config import INPUT_RATE_HZ, VAD_WINDOW, SessionConfig
from vivavoce.realtime.server.bench.script import BACKCHANNEL, INTERRUPTION, KINDS, NOISE, PAUSING, QUESTION, Clip
from vivavoce.realtime.server.bench.sound import RATE_HZ, Float32, Span, audible, merged, samples
from vivavoce.realtime.server.serving import Unusable
from vivavoce.realtime.server.speech import Silero, SpeechMeter
from vivavoce.realtime.server.talk import one_line, read_question

Json = dict[str, Any]

LABELS = "labels.json"
VERSION = 3
"""Of the recipe below; a folder made by another is made again."""
SUFFIXES = (".wav", ".flac", ".ogg", ".opus")
VOICES = ("en-us+m3", "en-us+f2", "en-gb+m1", "en-gb+f4", "en-us+m7", "en-gb-scotland+m2")
QUESTIONS = (
    "what is your name",
    "who are you",
    "what is three plus four",
    "what is nine minus two",
    "what colour is the circle",
    "how many shapes are there",
    "describe what you see",
    "is there a red square",
    "what can you do",
    "what is seven plus eight",
)
THOUGHTFUL = (
    ("what is", "three plus four"),
    ("and what colour", "is the circle"),
    ("can you tell me", "how many shapes there are"),
    ("could you", "tell me", "what your name is"),
    ("what is twelve", "minus", "five"),
    ("my favourite animal", "is the", "cat"),
    ("is there", "a red square"),
    ("please", "describe what you see"),
)
"""Said with a pause to think between the parts, none of which but the last is a whole sentence."""
PAUSE_MS = (300, 1_500)
BACKCHANNELS = ("mhm", "uh huh", "yeah", "right", "okay", "I see")
INTERRUPTIONS = (
    "wait, what is your name",
    "no, what is two plus two",
    "stop, I have another question",
    "hold on, who are you",
    "sorry, how many shapes are there",
    "hey, listen to me for a moment",
)
BACKCHANNEL_DB, NOISE_DB = -6.0, -26.0
"""A backchannel beside a question; and the loudness (RMS) of a noise, of full scale."""
SPEECH_DB = -23.0
"""Loudness (RMS) of what is said."""
TAIL = samples(100)


@dataclass(frozen=True)
class Corpus:
    """Clips, in the order of the folder."""

    name: str
    clips: tuple[Clip, ...]

    def of(self, kind: str) -> list[Clip]:
        """Clips of a kind.

        Raises:
            Unusable: there are none.
        """
        found = [clip for clip in self.clips if clip.kind == kind]
        if not found:
            raise Unusable(f"the corpus {self.name} has no clip of the kind {kind!r}")
        return found


def shuffled(clips: Sequence[Clip], count: int, seed: int) -> list[Clip]:
    """`count` of them; each as often as any other, or once more."""
    dice = np.random.default_rng(seed)
    made: list[Clip] = []
    while len(made) < count:
        made += [clips[n] for n in dice.permutation(len(clips))]
    return made[:count]


# --- a folder -----------------------------------------------------------------------------------------------------


def read_corpus(folder: Path) -> Corpus:
    """The sound files of a folder.

    Raises:
        Unusable: no folder, no sound in it, or labels that do not fit it.
    """
    try:
        labels = json.loads((folder / LABELS).read_text())["clips"] if (folder / LABELS).exists() else []
        named = {str(label["file"]): label for label in labels}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise Unusable(f"{folder / LABELS} cannot be read: {one_line(error)}") from None
    files = sorted(path for path in folder.glob("*") if path.suffix in SUFFIXES)
    if not files:
        raise Unusable(f"{folder} holds no sound files ({', '.join(SUFFIXES)})")
    return Corpus(folder.name, tuple(read_clip(file, named.get(file.name, {})) for file in files))


def read_clip(file: Path, label: Json) -> Clip:
    """One of them, with what is known of it."""
    pcm = read_question(file)
    kind = str(label.get("kind", QUESTION))
    if kind not in KINDS:
        raise Unusable(f"{file.name} is of the kind {kind!r}, expected one of {', '.join(KINDS)}")
    if "speech" in label:
        scale = RATE_HZ / soundfile.info(file).samplerate
        speech = [(round(first * scale), min(len(pcm), round(behind * scale))) for first, behind in label["speech"]]
    else:
        speech = spoken(pcm)
    if not speech or any(first >= behind for first, behind in speech):
        raise Unusable(f"nobody speaks in {file}, expected some sound between two positions")
    return Clip(file.stem, kind, pcm, tuple(speech), str(label.get("text", "")))


def spoken(pcm: Float32) -> list[Span]:
    """Where silero hears somebody, edges drawn in to where it can be heard; pauses under 100 ms are none."""
    meter, config = SpeechMeter(Silero.shared()), SessionConfig()
    judged = meter.push(np.pad(resample(pcm, RATE_HZ, INPUT_RATE_HZ), (0, 2 * VAD_WINDOW)))
    window = VAD_WINDOW * RATE_HZ // INPUT_RATE_HZ
    likely = [(n * window, (n + 1) * window) for n, p in enumerate(judged) if p >= config.vad.threshold]
    loud = audible(pcm)
    spans = []
    for first, behind in merged(likely, samples(100)):
        inside = [(max(a, first - window), min(b, behind + window)) for a, b in loud]
        inside = [(a, b) for a, b in inside if a < b]
        if inside:
            spans.append((inside[0][0], inside[-1][1]))
    return merged(spans, samples(100))


# --- the one of its own -------------------------------------------------------------------------------------------


def own_corpus(folder: Path, seed: int = 5) -> Corpus:
    """The folder's, made first if it is not there, or was made by an older recipe.

    Raises:
        Unusable: there is no espeak-ng, or no room.
    """
    made = f"espeak-{VERSION}-{seed}"
    where = folder / made
    if not (where / LABELS).exists():
        if shutil.which("espeak-ng") is None:
            raise Unusable("the bench needs somebody to speak: name a folder of recordings, or install espeak-ng")
        try:
            where.mkdir(parents=True, exist_ok=True)
            clips = [*questions(seed), *asides(seed), *noises(seed)]
            for clip in clips:
                soundfile.write(where / f"{clip.name}.wav", clip.pcm, RATE_HZ, subtype="PCM_16")
            (where / LABELS).write_text(json.dumps({"schema": 1, "rate": RATE_HZ, "clips": [label(c) for c in clips]}))
        except OSError as error:
            raise Unusable(f"{where} cannot be written: {one_line(error)}") from None
    return read_corpus(where)


def label(clip: Clip) -> Json:
    """What `labels.json` says of it."""
    return {"file": f"{clip.name}.wav", "kind": clip.kind, "text": clip.text, "speech": [list(s) for s in clip.speech]}


def questions(seed: int) -> list[Clip]:
    """Plain ones, and some with pauses to think, evenly spread over `PAUSE_MS`."""
    dice = np.random.default_rng(seed)
    made = [
        joined(f"question-{n:02}", QUESTION, [say(text, VOICES[n % len(VOICES)])], [], text)
        for n, text in enumerate(QUESTIONS)
    ]
    rounds = 3
    lengths = iter(dice.permutation(np.linspace(*PAUSE_MS, sum(len(p) - 1 for p in THOUGHTFUL) * rounds)))
    for n, parts in enumerate(THOUGHTFUL * rounds):
        voice = VOICES[(n + n // len(THOUGHTFUL)) % len(VOICES)]
        between = [samples(next(lengths)) for _ in parts[1:]]
        made.append(joined(f"pausing-{n:02}", PAUSING, [say(p, voice) for p in parts], between, " ... ".join(parts)))
    return made


def asides(seed: int) -> list[Clip]:
    """What is said while the other speaks."""
    made = []
    for kind, texts, db in ((BACKCHANNEL, BACKCHANNELS, BACKCHANNEL_DB), (INTERRUPTION, INTERRUPTIONS, 0.0)):
        for n, text in enumerate(texts):
            pcm = say(text, VOICES[(n + seed) % len(VOICES)]) * np.float32(10 ** (db / 20))
            made.append(joined(f"{kind}-{n:02}", kind, [pcm], [], text))
    return made


def noises(seed: int) -> list[Clip]:
    """A knock, a door, keys, paper, a cough-like burst: shaped noise, which is no speech. `speech` says where it sounds."""
    dice = np.random.default_rng(seed)
    shapes = (("knock", 60, 0.02, 3), ("door", 250, 0.12, 1), ("keys", 40, 0.01, 6), ("paper", 400, 0.3, 1))
    made = []
    for n, (name, length_ms, fall_s, times) in enumerate((*shapes, ("burst", 180, 0.08, 2))):
        length = samples(length_ms)
        one = dice.standard_normal(length) * np.exp(-np.arange(length) / RATE_HZ / fall_s)
        if name in ("door", "knock"):
            one = np.convolve(one, np.hanning(48), "same")
        pcm = np.concatenate([np.pad(one, (0, samples(120))) for _ in range(times)])
        made.append(joined(f"noise-{n:02}-{name}", NOISE, [levelled(pcm, NOISE_DB)], [], name))
    return made


def joined(name: str, kind: str, parts: Sequence[Float32], between: Sequence[int], text: str) -> Clip:
    """Parts, without what cannot be heard at their ends, with so many samples of silence between them."""
    pcm, speech = np.zeros(0, np.float32), []
    for whole, gap in zip(parts, [*between, TAIL], strict=True):
        heard = audible(whole)
        part = whole[heard[0][0] : heard[-1][1]]
        speech.append((len(pcm), len(pcm) + len(part)))
        pcm = np.concatenate([pcm, part, np.zeros(gap, np.float32)])
    return Clip(name, kind, pcm, tuple(speech), text)


def say(text: str, voice: str) -> Float32:
    """By espeak-ng: float32 [samples]."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "said.wav"
        command = ["espeak-ng", "-v", voice, "-s", "160", "-w", str(file), text]
        subprocess.run(command, check=True, stdin=subprocess.DEVNULL)
        pcm = read_question(file)
    return levelled(pcm, SPEECH_DB)


def levelled(pcm: np.ndarray, db: float) -> Float32:
    """At this loudness: RMS of its audible part."""
    spans = audible(pcm.astype(np.float32))
    heard = pcm[spans[0][0] : spans[-1][1]]
    scaled = pcm * (10 ** (db / 20) / np.sqrt(np.mean(heard**2)))
    return np.clip(scaled, -0.99, 0.99).astype(np.float32)
