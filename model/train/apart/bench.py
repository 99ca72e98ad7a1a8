"""How much of the throughput in writing is left when the same processes also train ears and eyes.

All kinds of step run in turn in one run, over the same number of rows of the backbone with the same number of them judged:
what differs is what the encoders do, and where. Rows are counted, not what is encoded for them. A step is everything from the
examples to the parameters on all processes; building examples is left out. Beside the time by the clock stands what the busiest
process computed, which other programs on the machine change less.
"""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import nn

from vivavoce.model.config import AudioConfig, BackboneConfig, OmniConfig, VisionConfig
from vivavoce.model.omni import AUDIO_PAD, IMAGE_PAD, Omni
from vivavoce.model.tokenizer import PAD
from vivavoce.model.train import kitten
from vivavoce.model.train.apart.crew import Crew
from vivavoce.model.train.apart.lesson import Lesson
from vivavoce.model.train.apart.microbatches import microbatches
from vivavoce.model.train.apart.senses import Ears, Eyes
from vivavoce.model.train.apart.shares import Shares
from vivavoce.model.train.examples import ALL, Example
from vivavoce.model.train.run import Recipe, optimisers_for

SIZES = ("report", "kitten")
KINDS = {
    "text": "in writing",
    "home": "mixed, encoded where it stands",
    "apart": "mixed, modality-decoupled",
    "before": "mixed, encoded before",
}
EXAMPLES, LENGTH, SENSED, JUDGED = 4, 112, 80, 16
"""Of each part, and the rows of an example: all, those that are seen or heard, and those that are judged."""
GRID = (8, 10)
FIRST_TEXT = 200
SEEN = 33
"""Words that eyes can name."""


def config(size: str) -> OmniConfig:
    """`kitten` is the embedded model; in `report` encoders are to the backbone, in multiplications, as in the report.

    LongCat-Flash-Omni, compute of a microbatch in SFT: 3.29 + 89.85 of 3531 TFLOPs, 2.6 %.
    """
    whole = kitten.config()
    if size == "kitten":
        return whole
    backbone = BackboneConfig(
        vocab_size=kitten.VOCABULARY, hidden_size=512, num_layers=3, num_attention_heads=8, q_lora_rank=128, kv_lora_rank=128,
        qk_nope_head_dim=32, qk_rope_head_dim=16, v_head_dim=32, ffn_hidden_size=1536, expert_ffn_hidden_size=384,
        n_routed_experts=6, zero_expert_num=3, moe_topk=3, routed_scaling_factor=1.5, max_position_embeddings=4096,
    )  # fmt: skip
    audio = AudioConfig(
        width=160, ffn_hidden=320, layers_causal=2, layers_lookahead=1, ctc_vocab=64, projector_hidden=256
    )
    vision = VisionConfig(
        num_hidden_layers=3, hidden_size=96, num_attention_heads=2, intermediate_size=360, adaptor_dim=128,
        resize_factor=2, min_tokens=32, max_tokens=96,
    )  # fmt: skip
    return replace(whole, backbone=backbone, audio=audio, vision=vision)


@dataclass(frozen=True)
class Speed:
    """One kind of step."""

    kind: str
    seconds: float
    """Of a step, the median."""
    busy: float
    """Seconds that the busiest process computed, the median."""
    rows_per_s: float
    of_writing: float
    """What a step in writing took, over what this one did."""
    busy_of_writing: float
    """The same of what the busiest process computed."""


def parts_of(kind: str, omni: Omni, seed: int) -> list[list[Example]]:
    """Three parts: dialogues before the camera, spoken ones, and ones in writing; rows of text, sight and sound as 5:3:3 or so."""
    return [
        [_example(sense, kind, omni, [seed, p, i]) for i in range(EXAMPLES)]
        for p, sense in enumerate(("eyes", "ears", ""))
    ]


def _example(sense: str, kind: str, omni: Omni, seed: list[int]) -> Example:
    rng = np.random.default_rng(seed)
    rows = np.full((LENGTH, 5), PAD, np.int64)
    rows[:, 0] = rng.integers(FIRST_TEXT, kitten.VOCABULARY, LENGTH)
    judged = np.zeros(LENGTH, np.int8)
    judged[-JUDGED:] = ALL
    names = rng.integers(FIRST_TEXT, kitten.VOCABULARY, SEEN)
    audio: tuple[np.ndarray, ...] = ()
    pictures: tuple[np.ndarray, ...] = ()
    if sense and kind != "text":
        rows[8 : 8 + SENSED, 0] = IMAGE_PAD if sense == "eyes" else AUDIO_PAD
    if sense == "eyes" and kind != "text":
        tokens, width = GRID[0] * GRID[1] // 2, omni.config.vision.patch_width
        shape = (tokens, SEEN) if kind == "before" else (2 * tokens, width)
        pictures = tuple(rng.normal(size=shape).astype(np.float16) for _ in range(SENSED // tokens))
    elif sense == "ears" and kind != "text":
        width = omni.config.audio.ffn_hidden if kind == "before" else omni.config.audio.input_size
        audio = tuple(rng.normal(size=(SENSED // 2, width)).astype(np.float16) for _ in range(2))
    return Example(rows, judged, audio, pictures, names)


def pupil(size: str) -> tuple[Omni, tuple[Ears, Eyes]]:
    """A network of random weights, the same in every process, and its encoders."""
    torch.manual_seed(0)
    omni = Omni(config(size))
    omni.backbone.lm_head.weight = omni.backbone.model.embed_tokens.weight
    omni.audio_encoder.output.requires_grad_(False)
    names = torch.randn(omni.config.vision.adaptor_dim + 1, SEEN) / 100
    ears = Ears(omni.audio_encoder, omni.audio_projector)
    return omni, (ears, Eyes(omni.vision_encoder, omni.vision_projector, names, GRID))


def measure(crew: Crew, size: str, rounds: int, out: Path) -> None:
    """Every kind of step in turn, `rounds` times after one that is not counted; the first process writes what came of it."""
    omni, (ears, eyes) = pupil(size)
    omni.to(crew.device).train()
    shares = Shares(crew, nn.ModuleList([omni]))
    optimisers = optimisers_for(omni, Recipe("bench", 1, 1e-4))
    lessons = {
        "text": Lesson(omni, shares),
        "home": Lesson(omni, shares, ears, eyes, at_home=True),
        "apart": Lesson(omni, shares, ears, eyes),
        "before": Lesson(omni, shares),
    }
    took: dict[str, list[float]] = {kind: [] for kind in KINDS}
    busy: dict[str, list[float]] = {kind: [] for kind in KINDS}
    for number in range(rounds + 1):
        for kind in (*KINDS, *KINDS)[number % len(KINDS) :][: len(KINDS)]:
            lesson = lessons[kind]
            parts = parts_of(kind, omni, number)
            crew.total(torch.zeros(1, device=crew.device)).item()
            started, before = time.perf_counter(), time.process_time()
            omni.zero_grad(set_to_none=True)
            lesson.step(number, parts)
            shares.clip(1.0)
            for optimiser in optimisers:
                optimiser.step()
            shares.spread()
            each = torch.zeros(crew.size, device=crew.device)
            each[crew.rank] = time.process_time() - before
            busy[kind].append(crew.total(each).max().item())
            took[kind].append(time.perf_counter() - started)
    if crew.first:
        told = {"encoders": encoders_cost(omni, (ears, eyes))} | {
            name: {kind: some[1:] for kind, some in all_of.items()}
            for name, all_of in (("seconds", took), ("busy", busy))
        }
        out.write_text(json.dumps(told))


def encoders_cost(omni: Omni, senses: Sequence[Ears | Eyes]) -> float:
    """Multiplications of the encoders over those of the backbone, in a mixed step; attention's own are left out on both sides."""
    step = microbatches(parts_of("apart", omni, 0), omni.config.vision.patch_width)
    rows = sum(len(e.rows) for m in step for e in m.examples)
    encoded = sum(s.row_cost * item.rows for s in senses for h, m in enumerate(step) for item in s.items(h, m))
    c, stack = omni.config.backbone, omni.backbone.model
    experts = sum(p.numel() for layer in stack.layers for p in layer.mlp.experts.parameters())
    body = sum(p.numel() for p in stack.layers.parameters()) - experts
    return encoded / (rows * (body + experts * c.moe_topk * 2 / 3 / c.n_routed_experts))


def speeds(seconds: dict[str, list[float]], busy: dict[str, list[float]]) -> list[Speed]:
    """The medians. Shares are taken within each round, whose steps follow one another: the machine changes from round to round."""
    rows, middle = 3 * EXAMPLES * LENGTH, statistics.median

    def share(took: dict[str, list[float]], kind: str) -> float:
        return middle(text / mixed for text, mixed in zip(took["text"], took[kind], strict=True))

    return [
        Speed(k, middle(seconds[k]), middle(busy[k]), rows / middle(seconds[k]), share(seconds, k), share(busy, k))
        for k in KINDS
    ]
