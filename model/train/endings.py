"""Teaching a checkpoint to tell a finished turn from a pause in the middle of one: `turn_end.safetensors`.

Sentences of the skills are spoken whole, or broken off between two words of a clause, and a breath of silence later the
encoder's newest frames are kept: just what `Scribe.weigh` looks at when a user has fallen silent. A beginning that is a sentence by
itself ("what is your name | please") is no pause to anybody, and is left out.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from rich.progress import track
from torch import Tensor, nn

from vivavoce.codecs.cmvn import read_cmvn
from vivavoce.model.senses import Ear
from vivavoce.model.train import augment, skills, voices
from vivavoce.model.turn_end import FRAMES, TurnEnd, padded
from vivavoce.model.weights import load_omni

RATE = voices.USER_RATE
KNOWN = 40_000
"""Sentences drawn to know which beginnings are sentences themselves."""
EPOCHS, BATCH, RATE_OF_LEARNING, DROPOUT = 24, 64, 2e-3, 0.3


@dataclass(frozen=True)
class Saying:
    """What somebody says: all of it, or up to where they stop to think."""

    words: tuple[str, ...]
    end: int
    before: int = 0
    """Behind how many words they did so earlier; 0: nowhere."""
    thinks: str = ""
    """Written behind the words before a pause: a comma has a synthesizer keep its voice up."""

    @property
    def complete(self) -> bool:
        return self.end == len(self.words)


def sentences(rng: random.Random, count: int, held: bool) -> list[str]:
    """What users say in conversations of the skills."""
    said: list[str] = []
    while len(said) < count:
        said += [turn.user for turn in skills.dialogue(rng, held=held, turns=2).turns]
    return said[:count]


@lru_cache(maxsize=1)
def whole() -> frozenset[str]:
    """Sentences that may stand alone."""
    return frozenset(sentences(random.Random(7), KNOWN, False) + sentences(random.Random(8), KNOWN // 8, True))


def breaks(words: Sequence[str]) -> list[int]:
    """Behind how many words somebody may stop to think, and have obviously not finished."""
    return [at for at in range(1, len(words)) if " ".join(words[:at]) not in whole()]


def sayings(rng: random.Random, count: int, *, held: bool = False) -> list[Saying]:
    """Half of them complete, half broken off; a third of either had a pause before, which so says nothing about the end."""
    made: list[Saying] = []
    for index, sentence in enumerate(sentences(rng, count, held)):
        words = tuple(sentence.split())
        places = breaks(words)
        end = rng.choice(places) if places and index % 2 else len(words)
        earlier = [place for place in places if place < end]
        paused = bool(earlier) and rng.random() < 1 / 3
        made.append(Saying(words, end, rng.choice(earlier) if paused else 0, rng.choice(["", ","])))
    return made


def spoken(saying: Saying, voice: voices.Voice, rng: random.Random) -> np.ndarray:
    """float32 [samples] at 16 kHz: a moment of silence, what is said, and the silence of a pause that has just begun."""
    parts = [words for words in (saying.words[: saying.before], saying.words[saying.before : saying.end]) if words]
    wave = np.zeros(int(0.3 * RATE), np.float32)
    for number, words in enumerate(parts):
        last = number == len(parts) - 1
        tail = saying.thinks if not (last and saying.complete) else ""
        silence = rng.uniform(0.08, 0.17) if last else rng.uniform(0.25, 1.5)
        wave = np.concatenate([wave, voices.speak(" ".join(words) + tail, voice), np.zeros(int(silence * RATE))])
    return wave.astype(np.float32)


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


class Listener:
    """A checkpoint's ear, for its newest frames."""

    def __init__(self, checkpoint: Path) -> None:
        self._omni = load_omni(checkpoint)
        self._omni.eval().requires_grad_(False)
        self._ear = Ear(self._omni, read_cmvn(checkpoint / "audio" / "global_cmvn"), spells=False)

    @property
    def width(self) -> int:
        """Of a frame."""
        return self._omni.config.audio.ffn_hidden

    def frames(self, wave: np.ndarray) -> Tensor:
        """float32 [samples] at 16 kHz -> [FRAMES, width]."""
        heard, state = self._ear.hear(wave, self._ear.start())
        return padded(torch.cat([heard.hidden, self._ear.finish(state).hidden]))


def corpus(listener: Listener, count: int, seed: int, *, held: bool, group: str) -> tuple[Tensor, Tensor]:
    """[n, FRAMES, width] and [n] of 1 for complete, 0 for broken off; `group` of voices as in `voices.GROUPS`."""
    said = sayings(random.Random(seed), count, held=held)

    def say(index: int) -> np.ndarray:
        rng = random.Random(f"{seed} {index}")
        voice = voices.random_voice(rng, group)
        return in_the_room(spoken(said[index], voice, rng), seed + index)

    frames = torch.zeros(count, FRAMES, listener.width)
    with ThreadPoolExecutor(2) as pool:
        waves = pool.map(say, range(count))
        for index, wave in enumerate(track(waves, f"listening to voices: {group}", total=count)):
            frames[index] = listener.frames(wave)
    return frames, torch.tensor([float(saying.complete) for saying in said])


def fit(frames: Tensor, labels: Tensor, seed: int = 1) -> TurnEnd:
    """A network for these examples."""
    torch.manual_seed(seed)
    net = TurnEnd(frames.shape[-1], dropout=DROPOUT)
    net.mean.copy_(frames[:, -8:].mean((0, 1)))
    net.scale.copy_(frames.std((0, 1)) + 1e-4)
    optimizer = torch.optim.AdamW(net.parameters(), RATE_OF_LEARNING, weight_decay=1e-2)
    steps = EPOCHS * (-(-len(frames) // BATCH))
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    for _ in track(range(EPOCHS), "learning"):
        for batch in torch.randperm(len(frames)).split(BATCH):
            loss = nn.functional.binary_cross_entropy_with_logits(net(frames[batch]), labels[batch])
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            schedule.step()
    return net.eval().requires_grad_(False)


@torch.inference_mode()
def examine(net: TurnEnd, frames: Tensor, labels: Tensor) -> dict[str, float]:
    """How well it tells them apart.

    `area`: under the ROC curve; `found at 3 %`: complete turns that are likelier than all but 3 % of the broken ones; `loss`:
    mean cross entropy in nats, 0.69 for one who knows nothing.
    """
    logits = torch.cat([net(part) for part in frames.split(256)])
    complete, broken = logits[labels == 1], logits[labels == 0]
    area = (complete[:, None] > broken[None]).float().mean()
    found = (complete > broken.quantile(0.97)).float().mean()
    loss = nn.functional.binary_cross_entropy_with_logits(logits, labels)
    return {
        "n": len(labels),
        "area": round(float(area), 4),
        "found at 3 %": round(float(found), 3),
        "loss": round(float(loss), 3),
    }
