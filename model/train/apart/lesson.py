"""A training step of the language model with encoders that learn along, on any number of processes.

1. Every process encodes some lots of sound and pictures, about as much as the others, whoever's sequences they stand in.
2. The rows go to the processes that need them, a chunk at a time.
3. Every process runs the backbone over its microbatches, forward and backward, down to the rows.
4. The rows' gradients go back the same way, and the encoders' backward follows, lot by lot.
5. All gradients are added up in one order, each parameter's owner takes its step (`shares.py`).

The losses are the same to the last bit for any number of processes. Sound and pictures that were encoded before, because their
encoders stay as they are, have no part in this. LongCat-Flash-Omni report, modality-decoupled parallelism.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor, nn

from vivavoce.model.omni import Omni
from vivavoce.model.train.apart.bridge import CHUNK
from vivavoce.model.train.apart.crew import Crew
from vivavoce.model.train.apart.errands import Errand, errands
from vivavoce.model.train.apart.microbatches import Microbatch, microbatches
from vivavoce.model.train.apart.senses import Ears, Eyes, Sense
from vivavoce.model.train.apart.shares import Shares, fair
from vivavoce.model.train.examples import Example
from vivavoce.model.train.run import Recipe, train
from vivavoce.model.train.talking import ASTRAY, Targets, collate, hidden_states, led_astray, weighted

FIGURES = ("loss", "text", "audio0", "audio1", "audio2", "audio3", "z")
SEEDS = 1 << 12
"""Seeds of a step: more than it has microbatches or lots of one kind."""


class Lesson:
    """The steps of one run."""

    def __init__(
        self,
        omni: Omni,
        shares: Shares,
        ears: Ears | None = None,
        eyes: Eyes | None = None,
        *,
        noise: float = 0.0,
        astray: float = 0.0,
        hidden_z: float = 0.0,
        chunk: int = CHUNK,
        at_home: bool = False,
    ) -> None:
        """
        Args:
            ears, eyes: encoders that run within the step; None where the examples hold what they have made.
            noise, astray: see `talking.hidden_states`; the noise of what is encoded here belongs to `ears` and `eyes`.
            hidden_z: weight of the hidden z-loss.
            at_home: encode where the sequences are, to be compared with.
        """
        self.omni, self.shares, self.crew, self.ears, self.eyes = omni, shares, shares.crew, ears, eyes
        self.noise, self.astray, self.hidden_z = noise, astray, hidden_z
        self.chunk, self.at_home = chunk, at_home
        senses: tuple[Sense | None, ...] = ears, eyes
        self.senses = [sense for sense in senses if sense is not None]
        apart = {p for sense in self.senses for p in sense.module.parameters()}
        self.params = [p for p in shares.params if p not in apart]
        self.patch_width = None if eyes is None else eyes.encoder.config.patch_width

    def step(self, number: int, parts: Sequence[Sequence[Example]]) -> tuple[Tensor, dict[str, float]]:
        """Loss of the step's parts and what it is made of, on all processes; the owners of the parameters have the gradients."""
        step = microbatches(parts, self.patch_width)
        mine = fair([m.rows for m in step], self.crew.size)
        away = errands(self.crew, self.senses, step, mine, chunk=self.chunk, at_home=self.at_home)
        for kind, errand in enumerate(away):
            errand.encode(SEEDS * (3 * number + kind + 1))
        for errand in away:
            errand.send()
        figures = torch.zeros(len(step), len(FIGURES), dtype=torch.float64, device=self.crew.device)

        def gradients() -> Iterator[Sequence[Tensor | None]]:
            for home in mine[self.crew.rank]:
                torch.manual_seed(3 * SEEDS * number + home)
                yield self._microbatch(home, step[home], away, figures[home])

        sums = []
        if self.params:
            sums.append(self.shares.summed(self.params, mine, gradients()))
        else:  # nothing but encoders learns: their rows' gradients are all that is wanted
            deque(gradients(), maxlen=0)
        learning = [errand for errand in away if errand.params]
        for errand in learning:
            errand.send_back()
        sums += [self.shares.summed(errand.params, errand.makers, errand.learn()) for errand in learning]
        self.shares.add_up(sums)
        self._count()
        return self._told(step, self.crew.total(figures))

    def _microbatch(
        self, home: int, microbatch: Microbatch, away: Sequence[Errand], figures: Tensor
    ) -> Sequence[Tensor | None]:
        """Gradients of `params`; those of encoded rows go to their errands."""
        batch = collate(microbatch.examples, audio=self.ears is None, pictures=not microbatch.encoded_pictures)
        targets = Targets.of(batch.to(self.crew.device))
        batch = replace(batch, rows=led_astray(batch.rows, self.astray)).to(self.crew.device)
        there = {errand: rows for errand in away if (rows := errand.rows(home)) is not None}
        heard = seen = None
        for errand, rows in there.items():
            if isinstance(errand.sense, Ears):
                heard = rows
            elif isinstance(errand.sense, Eyes):
                shots = rows.unflatten(0, (-1, errand.sense.tokens))
                seen = shots[torch.from_numpy(microbatch.which).to(rows.device)]
        hidden = hidden_states(self.omni, batch, self.noise, heard=heard, seen=seen)
        loss, parts = weighted(self.omni, hidden, targets, microbatch.counts, self.hidden_z)
        loss = loss * microbatch.share
        for i, name in enumerate(FIGURES):
            figures[i] = loss.item() if name == "loss" else parts.get(name, 0.0)
        leaves = [(errand, rows) for errand, rows in there.items() if rows.requires_grad]
        wanted = [*self.params, *(rows for _, rows in leaves)]
        # A microbatch in which nobody speaks has nothing to teach the ears.
        made = torch.autograd.grad(loss, wanted, allow_unused=True) if wanted else ()
        for (errand, rows), gradient in zip(leaves, made[len(self.params) :], strict=True):
            errand.give_back(home, torch.zeros_like(rows) if gradient is None else gradient)
        return made[: len(self.params)]

    def _count(self) -> None:
        """Let every process know how busy the experts were on all of them."""
        for layer in self.omni.backbone.model.layers:
            counts = torch.tensor([*layer.mlp.load.tolist(), layer.mlp.tokens], device=self.crew.device)
            *load, tokens = self.crew.total(counts).tolist()
            layer.mlp.reset_load()
            layer.mlp.count(load, tokens)

    def _told(self, step: Sequence[Microbatch], figures: Tensor) -> tuple[Tensor, dict[str, float]]:
        """The figures of all microbatches as those of the step: each over the parts that have it."""
        sums = dict(zip(FIGURES, map(sum, zip(*figures.tolist(), strict=True)), strict=True))
        judged = {m.part: m.counts for m in step}.values()
        texts, voices = sum(c.words > 0 for c in judged), sum(c.codes[0] > 0 for c in judged)
        told = {"text": sums["text"] / texts} if texts else {}
        told |= {f"audio{i}": sums[f"audio{i}"] / voices for i in range(4)} if voices else {}
        told |= {"z": sums["z"] / len(judged)} if self.hidden_z else {}
        return torch.tensor(sums["loss"], dtype=torch.float64), told


def train_apart(
    crew: Crew,
    omni: Omni,
    batches_at: Callable[[int], Sequence[list[Example]]],
    recipe: Recipe,
    folder: Path,
    *,
    ears: Ears | None = None,
    eyes: Eyes | None = None,
    noise: float = 0.0,
    hidden_z: float = 0.0,
    bias_rate: float = 1e-2,
    chunk: int = CHUNK,
) -> None:
    """`talking.train_talk` on all processes of a crew, with `ears` and `eyes` learning along where they are given."""
    omni.backbone.lm_head.weight = omni.backbone.model.embed_tokens.weight
    omni.to(crew.device).train()
    resting = {"audio_encoder": ears is None, "vision_encoder": eyes is None}
    trained = nn.ModuleDict({k: m for k, m in omni.named_children() if not resting.get(k)})
    for name, rests in resting.items():
        getattr(omni, name).train(not rests)
    shares = Shares(crew, trained)
    lesson = Lesson(omni, shares, ears, eyes, noise=noise, astray=ASTRAY, hidden_z=hidden_z, chunk=chunk)
    mean_ffn = omni.config.backbone.moe_topk * 2 / 3

    def taken(step: int) -> None:
        omni.backbone.update_router_bias(bias_rate, mean_ffn)

    train(recipe, folder, trained, lambda step: lesson.step(step, batches_at(step)), after=taken, shares=shares)
    omni.eval()
