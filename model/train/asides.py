"""Short sounds while somebody else speaks: "mhm", a cough, "stop"; what a network that tells them apart learns from.

Each is listened to twice while it lasts, and at its end, from shortly before it begins. What somebody says who takes the floor are
short words, such words and what follows, questions at once, and the rest of a sentence that was taken for finished.
"""

from __future__ import annotations

import random

import numpy as np

from vivavoce.model.aside import BACKCHANNEL, FRAMES, INTERRUPTION, NOISE
from vivavoce.model.train import endings, voices
from vivavoce.model.train.augment import coloured_noise
from vivavoce.model.train.listener import Excerpt, Listener

RATE = voices.USER_RATE
BACKCHANNELS = (
    "mhm;mm hm;mm hmm;hmm;hm;mm;mmm;uh huh;uh-huh;aha;ah;oh;oh okay;yeah;yeah yeah;yep;yes;yes yes;right;right right;okay;"
    "okay okay;ok;I see;oh I see;sure;got it;wow;cool;nice;great;good;alright;exactly;true;really;ha;ah okay;yeah okay"
).split(";")
STOPS = (
    "stop;stop it;stop stop;wait;wait wait;wait a minute;wait a second;no;no no;no no no;hold on;hang on;excuse me;one moment;"
    "one second;sorry;hey;listen;but;but wait;actually;what;enough;quiet;be quiet;pause;cancel;never mind;not that;shut up;"
    "please stop;no stop;okay stop;hey kitten;not so fast;I meant"
).split(";")
SHARES = (3, 1, 3)
"""Of backchannels, noises and interruptions: noise is easily told from either."""
LEAD_S = (0.06, 0.22)
"""What is heard from before the sound."""
LONGEST_S = 1.1
"""What lasts longer is listened to in its beginning only."""
ENDED = 10_000
"""Added to `at_ms` of an excerpt that was taken when the sound was over."""


def takes_floor(rng: random.Random, held: bool) -> str:
    """What somebody says who wants to speak."""
    way = rng.random()
    if way < 0.5:
        return rng.choice(STOPS)
    if way < 0.7:
        return f"{rng.choice(STOPS)}, {endings.sentences(rng, 1, held)[0]}"
    if way < 0.85:
        return endings.sentences(rng, 1, held)[0]
    return endings.parted(rng, held=held, pauses=(1,))[-1]


def made(rng: random.Random, label: int, held: bool, group: str) -> np.ndarray:
    """float32 [samples] at 16 kHz: a sound of this kind."""
    if label == NOISE:
        return noise(rng)
    if label == BACKCHANNEL and rng.random() < 0.12:
        return hum(rng, nods=rng.choice([1, 2]))
    text = rng.choice(BACKCHANNELS) if label == BACKCHANNEL else takes_floor(rng, held)
    tail = rng.choice(["", "", ",", "!" if label == INTERRUPTION else "."])
    return voices.speak(text + tail, voices.random_voice(rng, group))


def excerpts(listener: Listener, index: int, seed: int, held: bool, group: str) -> list[Excerpt]:
    """Of one sound."""
    rng = random.Random(f"aside {seed} {index}")
    label = rng.choices((BACKCHANNEL, NOISE, INTERRUPTION), SHARES)[0]
    sound = made(rng, label, held, group)
    lead, length_s = int(rng.uniform(*LEAD_S) * RATE), len(sound) / RATE
    wave = np.concatenate([np.zeros(lead), sound, np.zeros(int(0.4 * RATE))]).astype(np.float32)
    wave = endings.in_the_room(wave, seed + index)
    times = sorted(rng.uniform(0.1, min(length_s, LONGEST_S)) for _ in range(2))
    if length_s < LONGEST_S:
        times.append(length_s + rng.uniform(0.05, 0.2))
    heard = listener.at_moments(wave, [lead + int(time * RATE) for time in times])
    return [
        listener.excerpt(frames, FRAMES, label, round(time * 1000) + ENDED * (time > length_s))
        for time, frames in zip(times, heard, strict=True)
    ]


# --- sounds that nobody says --------------------------------------------------------------------------------------


def noise(rng: random.Random) -> np.ndarray:
    """A knock, keys, a cough, a hum, a breath, a phone, laughter."""
    return rng.choice([bursts, bursts, cough, cough, hum, breath, beep])(rng)


def bursts(rng: random.Random) -> np.ndarray:
    """Knocks, claps, keys, a door: noise that falls off, once or several times."""
    dice, parts = np.random.default_rng(rng.randrange(2**32)), []
    length, fall_s = int(rng.uniform(0.03, 0.35) * RATE), rng.uniform(0.008, 0.12)
    for _ in range(rng.randint(1, 5)):
        one = coloured_noise(length, dice) * np.exp(-np.arange(length) / RATE / fall_s)
        parts.append(np.pad(one * rng.uniform(0.4, 1), (0, int(rng.uniform(0.04, 0.25) * RATE))))
    return levelled(np.concatenate(parts))


def cough(rng: random.Random) -> np.ndarray:
    """A throat: a burst through resonances, with some voice in it, once to three times."""
    dice, parts = np.random.default_rng(rng.randrange(2**32)), []
    peaks = [rng.uniform(400, 900), rng.uniform(1_000, 2_000), rng.uniform(2_200, 3_500)]
    for _ in range(rng.randint(1, 3)):
        length = int(rng.uniform(0.1, 0.3) * RATE)
        t = np.arange(length) / RATE
        source = dice.standard_normal(length) + rng.uniform(0, 2) * pulses(
            rng.uniform(80, 260), rng.uniform(0.6, 1), length
        )
        spectrum, hertz = np.fft.rfft(source), np.fft.rfftfreq(length, 1 / RATE)
        spectrum *= sum(1 / (1 + ((hertz - peak) / rng.uniform(80, 300)) ** 2) for peak in peaks)
        envelope = np.minimum(1, t / rng.uniform(0.002, 0.02)) * np.exp(-t / rng.uniform(0.05, 0.2))
        parts.append(np.pad(np.fft.irfft(spectrum, length) * envelope, (0, int(rng.uniform(0.03, 0.25) * RATE))))
    return levelled(np.concatenate(parts))


def hum(rng: random.Random, nods: int = 1) -> np.ndarray:
    """A closed mouth: pulses without their upper half, which swell `nods` times."""
    length = int(rng.uniform(0.18, 0.4) * RATE) * nods
    source = pulses(rng.uniform(85, 260), rng.uniform(0.8, 1.35), length)
    spectrum, hertz = np.fft.rfft(source), np.fft.rfftfreq(length, 1 / RATE)
    spectrum *= 1 / (1 + (hertz / rng.uniform(250, 700)) ** rng.uniform(2, 4))
    swell = np.abs(np.sin(np.pi * nods * np.arange(length) / length)) ** rng.uniform(0.3, 1)
    return levelled(np.fft.irfft(spectrum, length) * swell)


def breath(rng: random.Random) -> np.ndarray:
    """In or out, or paper."""
    length = int(rng.uniform(0.2, 1.0) * RATE)
    swell = np.sin(np.pi * np.arange(length) / length) ** rng.uniform(0.5, 2)
    return levelled(coloured_noise(length, np.random.default_rng(rng.randrange(2**32))) * swell)


def beep(rng: random.Random) -> np.ndarray:
    """A phone, or a machine."""
    length = int(rng.uniform(0.08, 0.8) * RATE)
    t = np.arange(length) / RATE
    tone = sum(np.sin(2 * np.pi * rng.uniform(250, 2_500) * t) for _ in range(rng.randint(1, 3)))
    return levelled(tone * np.minimum(1, np.minimum(t, t[::-1]) / 0.01))


def pulses(pitch: float, glide: float, length: int) -> np.ndarray:
    """A voice before the mouth: harmonics of a pitch in Hz that moves to `glide` times itself."""
    phase = np.cumsum(pitch * np.linspace(1, glide, length)) / RATE
    return 2 * (phase % 1) - 1


def levelled(wave: np.ndarray) -> np.ndarray:
    """float32 with a peak of 0.5, as `voices.speak` has it."""
    return (wave * (0.5 / max(1e-9, float(np.abs(wave).max())))).astype(np.float32)
