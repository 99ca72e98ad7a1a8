"""A tiny class for the tests of training on several processes, which find it by its name: examples of every kind, and its steps."""

from __future__ import annotations

import json
import os
import signal
import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import nn

from vivavoce.model import prompt
from vivavoce.model.config import tiny
from vivavoce.model.omni import Omni
from vivavoce.model.tokenizer import Tokenizer, train_tokenizer
from vivavoce.model.train.apart.bridge import CHUNK
from vivavoce.model.train.apart.crew import Crew
from vivavoce.model.train.apart.lesson import Lesson, train_apart
from vivavoce.model.train.apart.senses import Ears, Eyes
from vivavoce.model.train.apart.shares import Shares
from vivavoce.model.train.examples import ALL, Example
from vivavoce.model.train.run import Recipe

GRID = (4, 4)
TOKENS = GRID[0] * GRID[1] // 2
WORDS = 5
STEPS = 20


def tokenizer() -> Tokenizer:
    return train_tokenizer(["USER:", "VOICE ASSISTANT:", "\n", " red", " pizza", "The circle is red."] * 20, 440)


def pupil(text: Tokenizer) -> Omni:
    torch.manual_seed(5)
    config = tiny(text.vocab_size)
    return Omni(replace(config, audio=replace(config.audio, dropout=0.1)))


def senses(omni: Omni, noise: float = 0.1) -> tuple[Ears, Eyes]:
    names = torch.randn(omni.config.vision.adaptor_dim + 1, WORDS, generator=torch.Generator().manual_seed(3))
    ears = Ears(omni.audio_encoder, omni.audio_projector, noise)
    return ears, Eyes(omni.vision_encoder, omni.vision_projector, names / 6, GRID, noise)


def examples(omni: Omni, text: Tokenizer, step: int) -> list[list[Example]]:
    """Three parts: one with all pictures, one with all sounds, most of them in one dialogue, one in writing and read aloud."""
    rng = np.random.default_rng([3, step])
    sight = [_seen(omni, text, rng) for _ in range(int(rng.integers(1, 4)))]
    sound = [_heard(omni, text, rng, rng.integers(3, 20, sounds).tolist()) for sounds in (1, 1, 7)]
    words = [_written(text, rng) for _ in range(int(rng.integers(2, 7)))]
    return [sight, sound, [*words, _aloud(text, rng)]]


def _example(text: Tokenizer, question: prompt.Rows, rng: np.random.Generator, **features: object) -> Example:
    reply = prompt.text(text, rng.choice([" red", " pizza", "The circle is red."]))
    before = prompt.join(prompt.user_start(text), question, prompt.user_end(text), prompt.generation(text))
    judged = np.r_[np.zeros(len(before), np.int8), np.full(len(reply), ALL, np.int8)]
    names = rng.permutation(np.arange(200, 200 + WORDS))
    return Example(prompt.join(before, reply), judged, **({"audio": (), "pictures": (), "names": names} | features))  # type: ignore[arg-type]


def _seen(omni: Omni, text: Tokenizer, rng: np.random.Generator) -> Example:
    """Some pictures, the first of them twice."""
    shape = GRID[0] * GRID[1], omni.config.vision.patch_width
    shots = [rng.normal(size=shape).astype(np.float16) for _ in range(int(rng.integers(1, 4)))]
    shots.append(shots[0])
    return _example(text, prompt.join(*(prompt.image(text, TOKENS) for _ in shots)), rng, pictures=tuple(shots))


def _heard(omni: Omni, text: Tokenizer, rng: np.random.Generator, lengths: list[int]) -> Example:
    sounds = tuple(rng.normal(size=(steps, omni.config.audio.input_size)).astype(np.float16) for steps in lengths)
    pads = [prompt.audio_pads(steps, opens=True, closes=True) for steps in lengths]
    return _example(text, prompt.join(*pads), rng, audio=sounds)


def _written(text: Tokenizer, rng: np.random.Generator) -> Example:
    return _example(text, prompt.text(text, rng.choice(["The circle", " pizza", " red pizza"])), rng)


def _aloud(text: Tokenizer, rng: np.random.Generator) -> Example:
    start = prompt.generation(text)
    reply = prompt.spoken_reply(text, [("The circle is red.", rng.integers(0, 25, (9, 4)))])
    judged = np.r_[np.zeros(len(start), np.int8), np.full(len(reply), ALL, np.int8)]
    return Example(prompt.join(start, reply), judged, (), (), np.zeros(WORDS, np.int64))


def lesson(
    crew: Crew, *, noise: float = 0.1, chunk: int = CHUNK, frozen: bool = False, at_home: bool = False
) -> Lesson:
    """A pupil with ears and eyes that learn along, or are only used."""
    text = tokenizer()
    omni = pupil(text)
    ears, eyes = senses(omni, noise)
    for sense in (ears, eyes):
        sense.module.requires_grad_(not frozen)
    shares = Shares(crew, nn.ModuleList([omni]))
    return Lesson(omni, shares, ears, eyes, astray=0.3, chunk=chunk, at_home=at_home)


def attend(crew: Crew, folder: Path, chunk: int, steps: int) -> None:
    """Train to the given step, as a run that was stopped there or goes on from where one was stopped."""
    text = tokenizer()
    omni = pupil(text)
    ears, eyes = senses(omni)
    recipe = Recipe("talking", STEPS, 1e-2, save_every=5, orthogonal=("o_proj.weight",), gentle=("audio_encoder",))

    def batches(step: int) -> list[list[Example]]:
        if step == steps:
            raise RuntimeError(f"the bell rings before step {step}")
        return examples(omni, text, step)

    train_apart(crew, omni, batches, recipe, folder, ears=ears, eyes=eyes, chunk=chunk)


def align(crew: Crew, folder: Path, steps: int) -> None:
    """The ears alone learn, from a language model that does not; the run is the same up to any step."""
    text = tokenizer()
    omni = pupil(text).requires_grad_(False)
    ears, _ = senses(omni)
    ears.module.requires_grad_(True)
    recipe = Recipe("talking", 6, 1e-2, save_every=2)

    def batches(step: int) -> list[list[Example]]:
        if step == steps:
            raise RuntimeError(f"the bell rings before step {step}")
        _, sound, words = examples(omni, text, step)
        return [sound, words]

    train_apart(crew, omni, batches, recipe, folder, ears=ears, bias_rate=0.0)


def one_is_killed(crew: Crew) -> None:
    """The second process, while the first waits for it."""
    if not crew.first:
        os.kill(os.getpid(), signal.SIGKILL)
    crew.total(torch.ones(1))


def wait(crew: Crew, folder: str) -> None:
    """Sign in, and for ever wait for nothing."""
    (Path(folder) / f"{os.getpid()}.pid").touch()
    threading.Event().wait()


def told(folder: Path) -> list[str]:
    """Loss and norm of every step as they are in the log, the last word on each."""
    lines = [json.loads(line) for line in (folder / "talking.jsonl").read_text().splitlines()]
    return [str({k: v for k, v in line.items() if k != "s"}) for line in {r["step"]: r for r in lines}.values()]
