"""The language model's training: hear, look, remember, answer in text and codes.

Encoders are trained before (`hearing.py`, `seeing.py`) and stay as they are, so their outputs are computed once. The loss counts
only what the model says of the rows that a dialogue becomes (`examples.py`): text ids of replies and codec ids.

`recipe.py` trains dialogues in writing first, which need neither ears nor eyes nor voice, and then whole ones. For these the
projected sound is fitted to the words heard in it (`hear_in_words`), and pictures are the words for what they show.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from vivavoce.model.omni import Omni
from vivavoce.model.prompt import CODE_OFFSET
from vivavoce.model.tokenizer import PAD
from vivavoce.model.train.examples import ALL, CODES, WORDS, Example
from vivavoce.model.train.hearing import BLANK
from vivavoce.model.train.lagging import Lagging
from vivavoce.model.train.run import Recipe, train

TEXT_WEIGHT, AUDIO_WEIGHT, FIRST_AUDIO_WEIGHT = 1.5, 0.9, 0.1
"""Loss weights; the report's stage 1 has 1.5, 0.25 and 0.1, and kitten must learn to speak in minutes."""

HEARD_LOUDNESS, QUIET_SHARE, SHARPNESS, READINGS = 1.2, 0.3, 40.0, 130
"""Of words in projected sound; the share of frames without a word; the steepness of the cross-entropy; readings of a step."""

LOUDNESS = 1.5
"""What the sum of the words for what is seen is multiplied by; the text around it is not as plain."""
ASTRAY, SPAN = 0.3, 4
"""Share of a reply's frames that are read as those of another, and how many follow one another.

Left to its own codes the network soon spoke what it had been trained on instead of what it had written: its last codes had always
been a better guide than the text. Where they cannot be trusted it has to read.
"""

SKIP = -100


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

    def to(self, device: torch.device) -> Batch:
        return Batch(*(getattr(self, field.name).to(device) for field in fields(self)))


def collate(examples: Sequence[Example], *, audio: bool = True, pictures: bool = True) -> Batch:
    """One batch of examples; without sound or pictures where these are encoded elsewhere."""
    longest = max(len(e.rows) for e in examples)
    rows = torch.full((len(examples), longest, 5), PAD)
    judged = torch.zeros(len(examples), longest, dtype=torch.int8)
    for i, e in enumerate(examples):
        rows[i, : len(e.rows)] = torch.from_numpy(e.rows)
        judged[i, : len(e.rows)] = torch.from_numpy(e.judged)
    heard = [a for e in examples for a in e.audio] if audio else []
    seen = [p for e in examples for p in e.pictures] if pictures else []
    names = [e.names for e in examples for _ in e.pictures]
    return Batch(
        rows,
        judged,
        torch.from_numpy(np.concatenate(heard)).float() if heard else torch.zeros(0, 1),
        torch.from_numpy(np.stack(seen)).float() if seen else torch.zeros(0, 1, 1),
        torch.from_numpy(np.stack(names)) if names else torch.zeros(0, 1, dtype=torch.long),
    )


def led_astray(rows: Tensor, share: float) -> Tensor:
    """Rows [B, T, 5] with a share of the frames' codes from other places in the batch, some at a time; the text stays.

    How many a reply has of them is drawn anew for each: none at all, up to twice the share.
    """
    spoken = rows[..., 1] >= CODE_OFFSET
    codes = rows[..., 1:][spoken]
    if share == 0 or len(codes) < 2:
        return rows
    begins = torch.rand(spoken.shape) < torch.rand(len(rows), 1) * 2 * share / SPAN
    wrong = F.max_pool1d(F.pad(begins.float(), (SPAN - 1, 0))[:, None], SPAN, 1)[:, 0] > 0
    others = codes.roll(int(torch.randint(1, len(codes), ())), 0)
    mixed = rows.clone()
    mixed[..., 1:][spoken] = torch.where(wrong[spoken][:, None], others, codes)
    return mixed


def hidden_states(
    omni: Omni,
    batch: Batch,
    noise: float = 0.0,
    astray: float = 0.0,
    *,
    heard: Tensor | None = None,
    seen: Tensor | None = None,
) -> Tensor:
    """The backbone's output [B, T, D], before the final norm.

    `noise` is in deviations of the sound, and in words of the pictures; `astray`: see `led_astray`. `heard` [Na, D] and `seen`
    [Np, tokens, K] are what encoders that learn along have made of sound and pictures.
    """
    return omni.backbone.last_layer(inputs(omni, batch, noise, astray, heard=heard, seen=seen))


def inputs(
    omni: Omni,
    batch: Batch,
    noise: float = 0.0,
    astray: float = 0.0,
    *,
    heard: Tensor | None = None,
    seen: Tensor | None = None,
) -> Tensor:
    """What the backbone reads of it [B, T, D]; see `hidden_states`."""
    audio, pictures = batch.audio, batch.pictures
    if heard is None and len(audio):
        heard = omni.audio_projector(audio + noise * audio.std() * torch.randn_like(audio))
    if seen is None and len(pictures):
        seen = pictures + noise * torch.randn_like(pictures)
    visual_rows = None if seen is None else seen_rows(omni, seen, batch.names)
    return omni.embed_prompt(led_astray(batch.rows, astray), heard, visual_rows)


def seen_rows(omni: Omni, pictures: Tensor, names: Tensor) -> Tensor:
    """Rows [Np * tokens, D]: the words for what each token shows. `seeing.say_what_is_seen` lets the projector say just that."""
    return LOUDNESS * (pictures @ omni.backbone.model.embed_tokens(names)).flatten(0, 1)


@dataclass(frozen=True)
class Counts:
    """How many targets of each kind there are; the sums of losses are divided by them."""

    words: int
    codes: tuple[int, ...]
    """Of each stream."""
    rows: int


@dataclass(frozen=True)
class Targets:
    """What of a batch is judged. A row is judged by the row before it."""

    said: Tensor
    """bool [B, T - 1]: rows whose successor is judged; N of them."""
    rows: Tensor
    """int64 [N, 5]: the successors."""
    worded: Tensor
    """bool [N]: the text id counts."""
    voiced: Tensor
    """bool [N]: the codes count."""

    @classmethod
    def of(cls, batch: Batch) -> Targets:
        said = batch.judged[:, 1:] > 0
        rows, what = batch.rows[:, 1:][said], batch.judged[:, 1:][said]
        return cls(said, rows, (rows[:, 0] != PAD) & (what != CODES), (rows[:, 1] != PAD) & (what != WORDS))

    @property
    def codes(self) -> Tensor:
        """int64 [voiced, 4], `SKIP` where there is none."""
        codes = self.rows[self.voiced, 1:]
        return codes.masked_fill(codes == PAD, SKIP)

    @property
    def counts(self) -> Counts:
        return Counts(int(self.worded.sum()), tuple((self.codes != SKIP).sum(0).tolist()), len(self.rows))


def losses(
    omni: Omni, examples: Sequence[Example], *, noise: float = 0.0, astray: float = 0.0, hidden_z: float = 0.0
) -> tuple[Tensor, dict[str, float]]:
    """Weighted loss of a batch and its parts."""
    batch = collate(examples)
    targets = Targets.of(batch)
    return weighted(omni, hidden_states(omni, batch, noise, astray), targets, targets.counts, hidden_z)


def weighted(
    omni: Omni, hidden: Tensor, targets: Targets, counts: Counts, hidden_z: float = 0.0
) -> tuple[Tensor, dict[str, float]]:
    """The same of `hidden_states` [B, T, D]; `counts` are of all that the loss is shared with."""
    last = hidden[:, :-1][targets.said]
    h = omni.backbone.model.norm(last)
    figures: dict[str, float] = {}
    total = h.new_zeros(())
    if hidden_z:
        large = largeness(last) / counts.rows
        total = total + hidden_z * large
        figures["z"] = large.item()
    if targets.worded.any():
        worded = targets.worded
        text = F.cross_entropy(omni.backbone.lm_head(h[worded]), targets.rows[worded, 0], reduction="sum")
        text = text / counts.words
        total = total + TEXT_WEIGHT * text
        figures["text"] = text.item()
    if targets.voiced.any():
        codes, true = targets.codes, targets.rows[targets.voiced, 1:]
        logits = omni.audio_output_layers.teacher_logits(h[targets.voiced], true)
        streams = [
            F.cross_entropy(scores, codes[:, i], ignore_index=SKIP, reduction="sum") / max(1, counts.codes[i])
            for i, scores in enumerate(logits)
        ]
        total = total + AUDIO_WEIGHT * torch.stack(streams).mean() + FIRST_AUDIO_WEIGHT * streams[0]
        figures |= {f"audio{i}": s.item() for i, s in enumerate(streams)}
    return total, figures


def largeness(hidden: Tensor) -> Tensor:
    """Sum over rows [N, D] of the squared log-sum-exp of their absolute values; kept small, no value grows out of proportion.

    LongCat-Flash report, hidden z-loss.
    """
    return hidden.float().abs().logsumexp(-1).square().sum()


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
    hidden_z: float = 0.0,
    kinds_at: Callable[[int], Sequence[str]] | None = None,
    lagging: Lagging | None = None,
) -> None:
    """Train whatever of backbone, projectors, tables and heads is not frozen; `batches_at(step)` gives what a step learns
    from, in equal parts.

    While they train, text head and text embeddings are one tensor: what is read can then be said without learning for every
    word by itself which row of the head it is. They are saved as the two that the release has.

    `kinds_at(step)` names the kind of each of the step's batches, and `lagging` is told how it fares with each.
    """
    omni.backbone.lm_head.weight = omni.backbone.model.embed_tokens.weight
    trained = nn.ModuleDict({k: m for k, m in omni.named_children() if k not in ("audio_encoder", "vision_encoder")})
    mean_ffn = omni.config.backbone.moe_topk * 2 / 3

    def loss_at(step: int) -> tuple[Tensor, dict[str, float]]:
        torch.manual_seed(step)
        parts = [losses(omni, b, noise=noise, astray=ASTRAY, hidden_z=hidden_z) for b in batches_at(step)]
        figures = {name: value for _, some in parts for name, value in some.items()}
        if lagging is not None and kinds_at is not None:
            figures |= lagging.note(step, by_kind(kinds_at(step), [some for _, some in parts]))
        return torch.stack([total for total, _ in parts]).mean(), figures

    def taken(step: int) -> None:
        omni.backbone.update_router_bias(bias_rate, mean_ffn)

    omni.train()
    omni.audio_encoder.eval()
    omni.vision_encoder.eval()
    train(recipe, folder, trained, loss_at, after=taken)
    omni.eval()


def by_kind(kinds: Sequence[str], parts: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Nats of a step's batches by their kinds: of a word, or of the semantic code where no word counts."""
    told: dict[str, list[float]] = {}
    for kind, figures in zip(kinds, parts, strict=True):
        nats = figures.get("text", figures.get("audio0"))
        if nats is not None:
            told.setdefault(kind, []).append(nats)
    return {kind: sum(some) / len(some) for kind, some in told.items()}


@torch.inference_mode()
def answered(omni: Omni, examples: Sequence[Example]) -> list[list[bool]]:
    """For every reply of every example, whether each of its text ids is the likeliest after the true ones before it."""
    batch = collate(examples)
    hidden = omni.backbone.model.norm(hidden_states(omni, batch))
    best = omni.backbone.logits(hidden)[:, :-1].argmax(-1)
    right = (best == batch.rows[:, 1:, 0]) | (batch.rows[:, 1:, 0] == PAD)
    said = batch.judged[:, 1:] >= ALL
    replies = []
    for r, s in zip(right.numpy(), said.numpy(), strict=True):
        edges = np.flatnonzero(np.diff(np.r_[0, s.astype(np.int8), 0]))
        replies.append([bool(r[a:b].all()) for a, b in zip(edges[::2], edges[1::2], strict=True)])
    return replies
