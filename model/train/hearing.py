"""The audio encoder's own training: CTC over the tokenizer's pieces, from log-mel frames of many degraded voices.

Blank is id 0. Targets are the words with a space before each, so that a word is one piece wherever it stands.

CTC from scratch sits on a plateau of blanks for a long time. So the first steps also ask every frame for the word that
an even spread of the sentence over its loud part puts there (`even_alignment`); that share fades out over `FLAT_START`.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from vivavoce.codecs.fbank import splice
from vivavoce.model.audio_encoder import FsmnEncoder
from vivavoce.model.config import AudioConfig
from vivavoce.model.tokenizer import Tokenizer
from vivavoce.model.train.corpus import Utterance
from vivavoce.model.train.mandarin.words import is_mandarin, units
from vivavoce.model.train.run import Recipe, batches_by_length, train

BLANK = 0
TEMPO, FORMANTS = (0.87, 1.15), (0.9, 1.1)
"""Ranges of how much faster a reading goes, and how much higher its spectrum lies: a reading costs 80 ms to make and 1 ms to
change. Jaitly and Hinton, Vocal Tract Length Perturbation, 2013."""
FLAT_START = 0.3
"""Share of the steps over which the even alignment fades out."""


class Ears:
    """Utterances as the encoder sees them: normalised, spliced, padded into batches."""

    def __init__(
        self,
        utterances: Sequence[Utterance],
        rows: np.ndarray,
        mean: np.ndarray,
        scale: np.ndarray,
        config: AudioConfig,
    ) -> None:
        self.utterances, self.rows, self.mean, self.scale, self.config = utterances, rows, mean, scale, config

    def spliced(self, index: int, rng: np.random.Generator | None, *, changed: bool = False) -> np.ndarray:
        """[tokens, input_size]; with a generator, masked in time and frequency and shifted by up to 7 frames; if `changed`,
        as another mouth would have said it."""
        u = self.utterances[index]
        start = 0 if rng is None else int(rng.integers(0, min(8, u.frames // 4)))
        frames = (self.rows[u.start + start : u.start + u.frames].astype(np.float32) - self.mean) * self.scale
        if rng is not None:
            if changed:
                frames = another_mouth(frames, rng.uniform(*TEMPO), rng.uniform(*FORMANTS))
            frames = frames + rng.normal(0, 0.25)
            for _ in range(2):
                low, width = int(rng.integers(0, 72)), int(rng.integers(0, 12))
                frames[:, low : low + width] = 0
            low, width = int(rng.integers(0, max(1, len(frames) - 15))), int(rng.integers(0, 15))
            frames[low : low + width] = 0
        c = self.config
        return np.asarray(splice(frames, c.splice_left, c.splice_right, c.stride), np.float32)

    def batch(
        self, indices: Sequence[int], rng: np.random.Generator | None, *, changed: bool = False
    ) -> tuple[Tensor, Tensor]:
        """x [B, T, input_size] and lengths [B]."""
        made = [self.spliced(i, rng, changed=changed) for i in indices]
        lengths = torch.tensor([len(m) for m in made])
        x = torch.zeros(len(made), int(lengths.max()), self.config.input_size)
        for row, m in zip(x, made, strict=True):
            row[: len(m)] = torch.from_numpy(m)
        return x, lengths


class Readings(Sequence[np.ndarray]):
    """Some utterances as the encoder takes them, [steps, input_size] each, made when they are asked for: all would be 5 GB."""

    def __init__(self, ears: Ears, indices: Sequence[int]) -> None:
        self.ears, self.indices = ears, indices

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, place: int) -> np.ndarray:  # type: ignore[override]
        return self.ears.spliced(self.indices[place], None)


def another_mouth(frames: np.ndarray, tempo: float, formants: float) -> np.ndarray:
    """Log-mel frames [F, n_mels] said `tempo` times as fast, every band `formants` times as high: [about F / tempo, n_mels]."""
    length, bands = frames.shape
    sooner = between(frames, np.arange(max(1, round(length / tempo))) * tempo)
    return between(sooner.T, np.arange(bands) / formants).T


def between(rows: np.ndarray, places: np.ndarray) -> np.ndarray:
    """Rows at fractional places, float32 [len(places), ...]; the last row from the end on."""
    places = places.clip(0, len(rows) - 1)
    low = places.astype(int)
    part = (places - low).astype(np.float32)[:, None]
    return np.asarray(rows[low] * (1 - part) + rows[np.minimum(low + 1, len(rows) - 1)] * part, np.float32)


def even_alignment(frames: np.ndarray, pieces: Sequence[int], letters: Sequence[int], stride: int) -> np.ndarray:
    """Which piece is spoken at each encoder step, if every letter took the same time; `BLANK` where it is quiet.

    Args:
        frames: log-mel rows [F, n_mels] of one utterance.
        pieces: target ids; `letters`: how many letters each has.

    Returns:
        int64 [ceil(F / stride)].
    """
    loudness = frames.astype(np.float32).mean(1)
    quiet, loud = np.percentile(loudness, [5, 95])
    voiced = np.flatnonzero(loudness > quiet + 0.45 * (loud - quiet))
    steps = -(-len(frames) // stride)
    labels = np.full(steps, BLANK, np.int64)
    if len(voiced) == 0:
        return labels
    first, last = voiced[0] / stride, (voiced[-1] + 1) / stride
    ends = first + (last - first) * np.cumsum(letters) / sum(letters)
    middles = np.arange(steps) + 0.5
    inside = (middles >= first) & (middles < last)
    labels[inside] = np.asarray(pieces)[np.searchsorted(ends, middles[inside]).clip(max=len(pieces) - 1)]
    return labels


def global_stats(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and 1/deviation [80] of log-mel rows."""
    sample = rows[:: max(1, len(rows) // 200_000)].astype(np.float64)
    return sample.mean(0).astype(np.float32), (1 / sample.std(0)).astype(np.float32)


def ctc_target(tokenizer: Tokenizer, text: str) -> list[int]:
    """Pieces that spell a text, a space before the first word, but not before a Chinese character."""
    return tokenizer.encode(text if is_mandarin(text) else " " + text)


def train_ears(
    encoder: FsmnEncoder, ears: Ears, tokenizer: Tokenizer, recipe: Recipe, folder: Path, *, tokens: int,
    flat_start: float = FLAT_START,
) -> None:  # fmt: skip
    """CTC training; `tokens` bounds the padded encoder steps of a batch. An encoder that hears already needs no `flat_start`."""
    targets = [torch.tensor(ctc_target(tokenizer, u.text)) for u in ears.utterances]
    letters = {index: len(tokenizer.decode([index])) for t in targets for index in t.tolist()}
    fading = flat_start * recipe.steps
    lengths = [u.frames // ears.config.stride + 1 for u in ears.utterances]
    per_epoch = len(batches_by_length(lengths, tokens, 0))
    epochs: dict[int, list[list[int]]] = {}

    def loss_at(step: int) -> tuple[Tensor, dict[str, float]]:
        epoch = step // per_epoch
        if epoch not in epochs:
            epochs.clear()
            epochs[epoch] = batches_by_length(lengths, tokens, epoch)
        chosen = epochs[epoch][(step % per_epoch) % len(epochs[epoch])]
        torch.manual_seed(step)
        # The even alignment knows the frames as they were read.
        x, sizes = ears.batch(chosen, np.random.default_rng([7, step]), changed=step >= fading)
        log_probs = encoder.ctc_logits(encoder(x, sizes)).log_softmax(-1)
        wanted = [targets[i] for i in chosen]
        loss = F.ctc_loss(
            log_probs.transpose(0, 1),
            torch.cat(wanted),
            sizes,
            torch.tensor([len(w) for w in wanted]),
            blank=BLANK,
            zero_infinity=True,
        )
        figures = {"epoch": float(epoch), "ctc": loss.item()}
        if step < fading:
            evenly = torch.full(log_probs.shape[:2], -100)
            for row, i, size in zip(evenly, chosen, sizes.tolist(), strict=True):
                u = ears.utterances[i]
                frames = ears.rows[u.start + max(0, u.frames - size * ears.config.stride) : u.start + u.frames]
                ids = targets[i].tolist()
                labels = even_alignment(frames, ids, [letters[t] for t in ids], ears.config.stride)
                row[: min(size, len(labels))] = torch.from_numpy(labels[:size])
            flat = F.nll_loss(log_probs.flatten(0, 1), evenly.flatten(), ignore_index=-100)
            loss = (step / fading) * loss + (1 - step / fading) * flat
            figures["flat"] = flat.item()
        return loss, figures

    encoder.train()
    train(recipe, folder, encoder, loss_at)
    encoder.eval()


def greedy(logits: Tensor) -> list[int]:
    """Best path of [T, V] logits without repeats and blanks."""
    best = logits.argmax(-1).tolist()
    return [b for i, b in enumerate(best) if b != BLANK and (i == 0 or best[i - 1] != b)]


@torch.inference_mode()
def transcribe(encoder: FsmnEncoder, ears: Ears, tokenizer: Tokenizer, indices: Sequence[int]) -> list[str]:
    """Greedy words of each utterance."""
    heard = []
    for i in indices:
        x, sizes = ears.batch([i], None)
        heard.append(tokenizer.decode(greedy(encoder.ctc_logits(encoder(x, sizes))[0])).strip())
    return heard


def word_errors(truth: str, heard: str) -> tuple[int, int]:
    """(edits, words of the truth); a Chinese character counts as a word."""
    a, b = units(truth.lower()), units(heard.lower())
    row = list(range(len(b) + 1))
    for i, word in enumerate(a, 1):
        previous, row[0] = row[0], i
        for j, other in enumerate(b, 1):
            previous, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, previous + (word != other))
    return row[-1], len(a)
