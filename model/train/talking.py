"""The language model's training: hear, look, remember, answer in text and codes.

Encoders are trained before (`hearing.py`, `seeing.py`) and stay as they are, so their outputs are computed once. A dialogue
becomes the rows the server would have built, and the loss counts only what the model says: text ids of replies and codec ids.

`recipe.py` trains dialogues in writing first, which need neither ears nor eyes nor voice, and then whole ones. For these the
projected sound is fitted to the words heard in it (`hear_in_words`), and pictures are the words for what they show.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from vivavoce.model import prompt
from vivavoce.model.omni import Omni
from vivavoce.model.tokenizer import EOS, PAD, Tokenizer
from vivavoce.model.train.collage import Collage
from vivavoce.model.train.hearing import BLANK
from vivavoce.model.train.run import Recipe, train
from vivavoce.model.train.seeing import SEEN_WORDS
from vivavoce.model.train.turns import Dialogue

TEXT_WEIGHT, AUDIO_WEIGHT, FIRST_AUDIO_WEIGHT = 1.5, 0.8, 0.1
"""Loss weights; the report's stage 1 has 1.5, 0.25 and 0.1, and kitten must learn to speak in minutes."""

HEARD_LOUDNESS, QUIET_SHARE, SHARPNESS, READINGS = 1.2, 0.3, 40.0, 130
"""Of words in projected sound; the share of frames without a word; the steepness of the cross-entropy; readings of a step."""

LOUDNESS = 1.5
"""What the sum of the words for what is seen is multiplied by; the text around it is not as plain."""
WATCHED = 0.9
"""Share of seconds with the camera on that have a picture."""
COLLAGES = 0.4
"""Share of spoken questions that are put together even if somebody has read them."""

STRANGE = 0.5
"""Share of spoken answers whose text is learned beside the codes of another answer.

A sentence has few recordings, so its first codes tell which sentence it is: with them at hand all names told by the
user were answered right; when the codes were the model's own, what had been told was recalled in 25 %, names always as Robert.
"""

T = TypeVar("T")

SKIP = -100
CODES, ALL, WORDS = 1, 2, 3

INSTRUCTIONS = (
    "You are a helpful assistant.",
    "You are Kitten, a small voice assistant. Answer briefly.",
    "Be kind and short.",
    "You are a friendly voice assistant who can see through a camera.",
)
"""Kitten does not follow instructions; it learns that they do not change what is true."""


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
class Batch:
    """Examples padded on the right, and what their slots stand for, in order."""

    rows: Tensor
    """int64 [B, T, 5]"""
    judged: Tensor
    """int8 [B, T]"""
    audio: Tensor
    """[Na, H]"""
    pictures: Tensor
    """[Np, tokens, K]"""
    names: Tensor
    """int64 [Np, K]"""


class Stage:
    """Builds examples: which reading of each sentence is drawn from a seed."""

    def __init__(
        self,
        tokenizer: Tokenizer,
        heard: Mapping[str, Sequence[np.ndarray]],
        codes: Mapping[str, Sequence[np.ndarray]],
        shots: Callable[[int], np.ndarray],
        visual_tokens: int,
        collage: Collage | None = None,
    ) -> None:
        """
        Args:
            heard: user text to the encoder outputs of its readings.
            codes: reply text to the codes [frames, 4] of its recordings.
            shots: scene seed to what its tokens say [visual_tokens, K].
            visual_tokens: tokens of one frame pair.
            collage: speaks what nobody has read.
        """
        self.tokenizer, self.heard, self.codes, self.collage = tokenizer, heard, codes, collage
        self.shots, self.visual_tokens = shots, visual_tokens
        self._all, self._by_first_word = sorted(codes), dict[str, list[str]]()
        for text in self._all:
            self._by_first_word.setdefault(text.split(" ")[0], []).append(text)

    def reading(self, text: str, seed: int) -> Example:
        """A reply by itself, in one of its recordings."""
        codes = _one_of(self.codes[text], np.random.default_rng([23, seed]))
        reply = prompt.spoken_reply(self.tokenizer, [(text, codes)])
        start = prompt.generation(self.tokenizer)
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
        system = prompt.text_turn(tok, "SYSTEM", INSTRUCTIONS[int(rng.integers(len(INSTRUCTIONS)))])
        rows, judged = ([system], [_judged(len(system), 0)]) if rng.random() < 0.15 else ([], [])
        audio, pictures = [], list[np.ndarray]()
        for turn in talk.turns:
            sound = None if rng.random() < typed else self._sound(turn.user, rng)
            if sound is None:
                show = talk.scene is not None and (not pictures or rng.random() < watched / 3)
                question, shots = self._typed(turn.user, talk if show else replace(talk, scene=None), rng)
            else:
                audio.append(sound)
                question, shots = self._question(len(sound), talk, rng, watched, first=not pictures)
            pictures += shots
            reply, voice, what = self._reply(turn.reply, rng, written)
            before = prompt.join(
                prompt.user_start(tok), question, prompt.user_end(tok), prompt.generation(tok, voice=voice)
            )
            rows += [before, reply]
            judged.append(_judged(len(before), len(reply) - 1, what))
        return Example(
            prompt.join(*rows), np.concatenate(judged), tuple(audio), tuple(pictures), self._names(names or {})
        )

    def _reply(self, text: str, rng: np.random.Generator, written: float) -> tuple[prompt.Rows, bool, int]:
        """Its rows, whether they are spoken, and what of them counts."""
        if rng.random() < written or not self.codes:
            return self._written(text), False, ALL
        if text in self.codes and rng.random() >= STRANGE:
            return prompt.spoken_reply(self.tokenizer, [(text, _one_of(self.codes[text], rng))]), True, ALL
        # Only the text is learned, so the codes need not go on for longer than it does.
        frames = len(self.tokenizer.encode(text)) + 1
        codes = self._beginning_like(text, rng)
        codes = np.concatenate([codes] * -(-frames // len(codes)))[:frames]
        return prompt.spoken_reply(self.tokenizer, [(text, codes)]), True, WORDS

    def _beginning_like(self, text: str, rng: np.random.Generator) -> np.ndarray:
        """Codes of an answer with the same first word, or of any."""
        alike = self._by_first_word.get(text.split(" ")[0]) or self._all
        return _one_of(self.codes[_one_of(alike, rng)], rng)

    def _names(self, other: Mapping[str, str]) -> np.ndarray:
        return np.array([self.tokenizer.encode(f" {other.get(word, word)}")[0] for word in SEEN_WORDS])

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

    def _typed(self, words: str, talk: Dialogue, rng: np.random.Generator) -> tuple[prompt.Rows, list[np.ndarray]]:
        """A question in writing, behind a still picture if there is a scene."""
        if rng.random() < 0.5:
            words = words[0].upper() + words[1:] + ("?" if rng.random() < 0.7 else ".")
        rows = prompt.text(self.tokenizer, words)
        if talk.scene is None:
            return rows, []
        return prompt.join(prompt.image(self.tokenizer, self.visual_tokens), rows), [self.shots(talk.scene.seed)]

    def _question(
        self, tokens: int, talk: Dialogue, rng: np.random.Generator, watched: float, first: bool
    ) -> tuple[prompt.Rows, list[np.ndarray]]:
        """The interleaved seconds of one user turn: stamp and picture, then 12 or 13 audio slots; stamps count from its start."""
        parts: list[prompt.Rows] = []
        shots: list[np.ndarray] = []

        def picture(seconds: float) -> None:
            assert talk.scene is not None
            parts.extend([prompt.stamp(self.tokenizer, seconds), prompt.visual(self.visual_tokens)])
            shots.append(self.shots(talk.scene.seed))

        base = 0.0
        still = talk.scene is not None and rng.random() < 0.12 and (first or rng.random() < watched)
        if still:
            parts.append(prompt.image(self.tokenizer, self.visual_tokens))
            shots.append(self.shots(talk.scene.seed))  # type: ignore[union-attr]
        elif talk.scene is not None and rng.random() < watched / 3:  # kept from while the model spoke: before any sound
            for i in range(int(rng.integers(1, 3))):
                picture(2.0 * i)
            base = 2.0 * int(rng.integers(1, 6)) + float(rng.integers(0, 20)) / 10
        index, left = 0, tokens
        while left > 0:
            if talk.scene is not None and not still and ((first and index == 0) or rng.random() < watched):
                picture(base + index + float(rng.integers(0, 5)) / 10)
            count = min(left, prompt.pads_in_chunk(index))
            left -= count
            parts.append(prompt.audio_pads(count, opens=index == 0, closes=left == 0))
            index += 1
        return prompt.join(*parts), shots


def _one_of(some: Sequence[T], rng: np.random.Generator) -> T:
    return some[int(rng.integers(len(some)))]


def _judged(before: int, said: int, what: int = ALL) -> np.ndarray:
    """`before` rows of prompt, `said` rows of reply, and the newline behind it."""
    return np.r_[np.zeros(before, np.int8), np.full(said, what, np.int8), np.zeros(int(said > 0), np.int8)]


def collate(examples: Sequence[Example]) -> Batch:
    """One batch of examples."""
    longest = max(len(e.rows) for e in examples)
    rows = torch.full((len(examples), longest, 5), PAD)
    judged = torch.zeros(len(examples), longest, dtype=torch.int8)
    for i, e in enumerate(examples):
        rows[i, : len(e.rows)] = torch.from_numpy(e.rows)
        judged[i, : len(e.rows)] = torch.from_numpy(e.judged)
    audio = [a for e in examples for a in e.audio]
    pictures = [p for e in examples for p in e.pictures]
    names = [e.names for e in examples for _ in e.pictures]
    return Batch(
        rows,
        judged,
        torch.from_numpy(np.concatenate(audio)).float() if audio else torch.zeros(0, 1),
        torch.from_numpy(np.stack(pictures)).float() if pictures else torch.zeros(0, 1, 1),
        torch.from_numpy(np.stack(names)) if names else torch.zeros(0, 1, dtype=torch.long),
    )


def hidden_states(omni: Omni, batch: Batch, noise: float = 0.0) -> Tensor:
    """The backbone's output [B, T, D].

    `noise` is in deviations of the sound, and in words of the pictures.
    """
    audio, pictures = batch.audio, batch.pictures
    width = omni.config.backbone.hidden_size
    audio_rows, visual_rows = torch.zeros(0, width), torch.zeros(0, width)
    if len(audio):
        audio_rows = omni.audio_projector(audio + noise * audio.std() * torch.randn_like(audio))
    if len(pictures):
        visual_rows = seen_rows(omni, pictures + noise * torch.randn_like(pictures), batch.names)
    hidden: Tensor = omni.backbone(omni.embed_prompt(batch.rows, audio_rows, visual_rows))
    return hidden


def seen_rows(omni: Omni, pictures: Tensor, names: Tensor) -> Tensor:
    """Rows [Np * tokens, D]: the words for what each token shows. `seeing.say_what_is_seen` lets the projector say just that."""
    return LOUDNESS * (pictures @ omni.backbone.model.embed_tokens(names)).flatten(0, 1)


def losses(omni: Omni, examples: Sequence[Example], *, noise: float = 0.0) -> tuple[Tensor, dict[str, float]]:
    """Weighted loss of a batch and its parts. A row is judged by the row before it."""
    batch = collate(examples)
    hidden = hidden_states(omni, batch, noise)
    said = batch.judged[:, 1:] > 0
    h, target = hidden[:, :-1][said], batch.rows[:, 1:][said]
    figures: dict[str, float] = {}
    total = h.new_zeros(())
    what = batch.judged[:, 1:][said]
    worded = (target[:, 0] != PAD) & (what != CODES)
    if worded.any():
        text = F.cross_entropy(omni.backbone.lm_head(h[worded]), target[worded, 0])
        total = total + TEXT_WEIGHT * text
        figures["text"] = text.item()
    voiced = (target[:, 1] != PAD) & (what != WORDS)
    if voiced.any():
        targets = target[voiced, 1:].masked_fill(target[voiced, 1:] == PAD, SKIP)
        logits = omni.audio_output_layers.teacher_logits(h[voiced], target[voiced, 1:])
        streams = [F.cross_entropy(scores, targets[:, i], ignore_index=SKIP) for i, scores in enumerate(logits)]
        total = total + AUDIO_WEIGHT * torch.stack(streams).mean() + FIRST_AUDIO_WEIGHT * streams[0]
        figures |= {f"audio{i}": s.item() for i, s in enumerate(streams)}
    return total, figures


def distance_to_words(omni: Omni, audio: Tensor, audio_rows: Tensor) -> Tensor:
    """How far projected sound [N, D] is from the words that the CTC head hears in it [N, ffn]: variances, and a cross-entropy.

    A model that can copy words it has read can then copy words it has heard; finding that out from answers alone takes many
    times as long. Most frames hold no word (blank); they are pulled to zero and count less, or they would be all that counts.
    """
    table = omni.backbone.model.embed_tokens.weight.detach()
    with torch.no_grad():
        heard = omni.audio_encoder.ctc_logits(audio).softmax(-1)
        words = heard[:, BLANK + 1 :] @ table[BLANK + 1 :] * HEARD_LOUDNESS
        best = heard.argmax(-1)
    spoken = best != BLANK
    weight = torch.where(spoken, 1.0, QUIET_SHARE)
    distance = ((audio_rows - words).square().mean(1) * weight).mean() / table.var()
    if not spoken.any():
        return distance
    nearest = F.cross_entropy(SHARPNESS * audio_rows[spoken] @ table.T, best[spoken])
    return distance + 0.1 * nearest


def hear_in_words(omni: Omni, heard: Mapping[str, Sequence[np.ndarray]], recipe: Recipe, folder: Path) -> None:
    """Train the audio projector alone, until projected sound is the words heard in it (`distance_to_words`)."""
    texts = sorted(heard)

    def loss_at(step: int) -> tuple[Tensor, dict[str, float]]:
        rng = np.random.default_rng([29, step])
        readings = [heard[texts[i]] for i in rng.integers(0, len(texts), READINGS)]
        chosen = [some[int(rng.integers(len(some)))] for some in readings]
        audio = torch.from_numpy(np.concatenate(chosen)).float()
        return distance_to_words(omni, audio, omni.audio_projector(audio)), {}

    train(recipe, folder, omni.audio_projector, loss_at)


def train_talk(
    omni: Omni,
    batches_at: Callable[[int], Sequence[list[Example]]],
    recipe: Recipe,
    folder: Path,
    *,
    bias_rate: float = 1e-2,
    noise: float = 0.0,
) -> None:
    """Train whatever of backbone, projectors, tables and heads is not frozen; `batches_at(step)` gives what a step learns
    from, in equal parts.

    While they train, text head and text embeddings are one tensor: what is read can then be said without learning for every
    word by itself which row of the head it is. They are saved as the two that the release has.
    """
    omni.backbone.lm_head.weight = omni.backbone.model.embed_tokens.weight
    trained = nn.ModuleDict({k: m for k, m in omni.named_children() if k not in ("audio_encoder", "vision_encoder")})
    mean_ffn = omni.config.backbone.moe_topk * 2 / 3

    def loss_at(step: int) -> tuple[Tensor, dict[str, float]]:
        torch.manual_seed(step)
        parts = [losses(omni, batch, noise=noise) for batch in batches_at(step)]
        figures = {name: value for _, some in parts for name, value in some.items()}
        return torch.stack([total for total, _ in parts]).mean(), figures

    def taken(step: int) -> None:
        omni.backbone.update_router_bias(bias_rate, mean_ffn)

    omni.train()
    omni.audio_encoder.eval()
    omni.vision_encoder.eval()
    train(recipe, folder, trained, loss_at, after=taken)
    omni.eval()


@torch.inference_mode()
def answered(omni: Omni, examples: Sequence[Example]) -> list[list[bool]]:
    """For every reply of every example, whether each of its text ids is the likeliest after the true ones before it."""
    batch = collate(examples)
    best = omni.backbone.logits(hidden_states(omni, batch))[:, :-1].argmax(-1)
    right = (best == batch.rows[:, 1:, 0]) | (batch.rows[:, 1:, 0] == PAD)
    said = batch.judged[:, 1:] >= ALL
    replies = []
    for r, s in zip(right.numpy(), said.numpy(), strict=True):
        edges = np.flatnonzero(np.diff(np.r_[0, s.astype(np.int8), 0]))
        replies.append([bool(r[a:b].all()) for a, b in zip(edges[::2], edges[1::2], strict=True)])
    return replies
