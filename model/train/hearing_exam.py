"""How well ears spell what they hear, by language and group of voices: sentences and voices that training never had.

English errors are counted in words, Mandarin ones in characters.
"""

from __future__ import annotations

import random

import numpy as np
import torch

from vivavoce.codecs.fbank import FbankConfig, fbank
from vivavoce.model.audio_encoder import FsmnEncoder
from vivavoce.model.train import skills
from vivavoce.model.train.corpus import Utterance, read_aloud
from vivavoce.model.train.evaluate import with_room
from vivavoce.model.train.hearing import transcribe, word_errors
from vivavoce.model.train.pantry import Pantry
from vivavoce.model.train.voices import GROUPS, Voice


def readings(language: str, group: str, count: int, seed: int) -> tuple[list[Utterance], np.ndarray]:
    """Held-out turns of users, read in light noise by voices of a group, and their log-mel frames."""
    rng, made, rows, start = random.Random(seed), list[Utterance](), list[np.ndarray](), 0
    while len(made) < count:
        turn = skills.dialogue(rng, held=True, turns=1, camera=0.5, language=language, translations=True).turns[0]
        voice, wave = read_aloud(turn.user, rng.randrange(2**31), group)
        frames = fbank(with_room(wave, rng.randrange(2**31)), FbankConfig()).astype(np.float16)
        made.append(Utterance(turn.user, voice, start, len(frames)))
        rows.append(frames)
        start += len(frames)
    return made, np.concatenate(rows)


def encoder_of(pantry: Pantry, stage: str = "ears") -> FsmnEncoder:
    """The audio encoder of a stage, finished or not. Raises FileNotFoundError."""
    encoder = FsmnEncoder(pantry.config.audio)
    encoder.load_state_dict(torch.load(pantry.folder / f"{stage}.pt", weights_only=True)["modules"])
    return encoder.eval()


def examine(
    pantry: Pantry, encoder: FsmnEncoder, language: str, group: str, count: int, seed: int = 77
) -> tuple[float, list[tuple[Voice, str, str]]]:
    """Errors for each word or character, and who was asked to say what, and what was heard."""
    utterances, rows = readings(language, group, count, seed)
    heard = transcribe(encoder, pantry.ears(utterances, rows), pantry.tokenizer(), range(count))
    counted = [word_errors(u.text, text) for u, text in zip(utterances, heard, strict=True)]
    told = [(u.voice, u.text, text) for u, text in zip(utterances, heard, strict=True)]
    return sum(e for e, _ in counted) / sum(n for _, n in counted), told


def table(pantry: Pantry, count: int, stage: str = "ears") -> dict[str, dict[str, float]]:
    """Language to group to errors."""
    encoder = encoder_of(pantry, stage)
    return {
        language: {group: round(examine(pantry, encoder, language, group, count)[0], 4) for group in GROUPS}
        for language in pantry.plan.languages
    }
