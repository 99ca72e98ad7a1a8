"""Direct preference optimisation over all that the model says: its text head and its four speech heads together.

For a question with a chosen and a rejected answer, each head h has the summed log-probability of what it said in either. The
loss is the sum over heads of

    weight_h * -log sigmoid(BETA * ((chosen_h - rejected_h) - (the same of the frozen model it began as)))

Rafailov et al., 2023; LongCat-Flash-Omni report: one such term for the text and one for every audio head, regulariser 0.1.
Words and codes of one answer stand in the same rows, so a head learns of an answer beside what the others said in it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from vivavoce.model import prompt
from vivavoce.model.omni import Omni
from vivavoce.model.prompt import Rows
from vivavoce.model.tokenizer import PAD
from vivavoce.model.train import talking
from vivavoce.model.train.examples import ALL, Example
from vivavoce.model.train.preferences import Pair
from vivavoce.model.train.run import Recipe, train

BETA = 0.1
"""How far from where it began; the smaller, the farther."""
WEIGHTS = (1.5, 0.25 / 4 + 0.1, 0.25 / 4, 0.25 / 4, 0.25 / 4)
"""Of text and the four streams: those of the report's first stage, text beside speech 1.5, the mean of the streams 0.25 and the
semantic one once more 0.1."""
PAIRS = 6
"""Of a step."""


def answered(question: Example, answer: Rows) -> Example:
    """The question and one answer to it, which is judged."""
    judged = np.r_[np.zeros(len(question.rows), np.int8), np.full(len(answer), ALL, np.int8)]
    return replace(question, rows=prompt.join(question.rows, answer), judged=judged)


def log_probabilities(omni: Omni, examples: Sequence[Example]) -> Tensor:
    """[N, 5]: of all text ids that are judged, and of each stream's codes, summed over an example."""
    batch = talking.collate(examples)
    targets = talking.Targets.of(batch)
    h = omni.backbone.model.norm(talking.hidden_states(omni, batch)[:, :-1][targets.said])
    whose = torch.arange(len(examples))[:, None].expand_as(targets.said)[targets.said]
    logits = [omni.backbone.lm_head(h), *omni.audio_output_layers.teacher_logits(h, targets.rows[:, 1:])]
    sums = []
    for head, scores in enumerate(logits):
        ids = targets.rows[:, head]
        said = -F.cross_entropy(scores, ids, reduction="none") * (ids != PAD)
        sums.append(scores.new_zeros(len(examples)).index_add(0, whose, said))
    return torch.stack(sums, 1)


def both(omni: Omni, pairs: Sequence[Pair]) -> Tensor:
    """[N, 2, 5]: log-probabilities of chosen and rejected answers."""
    examples = [answered(pair.question, answer) for pair in pairs for answer in (pair.chosen, pair.rejected)]
    return log_probabilities(omni, examples).view(-1, 2, 5)


def preference(said: Tensor, reference: Tensor, beta: float = BETA) -> tuple[Tensor, dict[str, float]]:
    """Loss of log-probabilities [N, 2, 5] beside the reference's, and what it is made of."""
    weights = said.new_tensor(WEIGHTS)
    gained = beta * (said - reference)
    margins = gained[:, 0] - gained[:, 1]
    loss = (F.softplus(-margins) * weights).sum(1).mean()
    figures = {
        "preferred": (margins.detach() @ weights > 0).float().mean().item(),
        "text margin": margins[:, 0].mean().item(),
        "audio margin": margins[:, 1:].mean().item(),
        "chosen": (gained[:, 0].detach() @ weights).mean().item(),
    }
    return loss, figures


def train_preferences(omni: Omni, pairs: Sequence[Pair], recipe: Recipe, folder: Path, each: int = PAIRS) -> None:
    """Train whatever is not frozen of the parts that talk; `omni` is as the reference is. Routers keep their bias.

    Raises ValueError without pairs.
    """
    if not pairs:
        raise ValueError(f"{folder}: no pair of answers to prefer one of; ask more questions")
    omni.backbone.lm_head.weight = omni.backbone.model.embed_tokens.weight
    omni.eval()
    with torch.no_grad():
        # One pair by itself, so that nothing depends on who shares a batch.
        reference = torch.cat([both(omni, [pair]) for pair in pairs])
    trained = nn.ModuleDict({k: m for k, m in omni.named_children() if k not in ("audio_encoder", "vision_encoder")})

    def loss_at(step: int) -> tuple[Tensor, dict[str, float]]:
        some = [_drawn(step * each + i, len(pairs)) for i in range(each)]
        return preference(both(omni, [pairs[i] for i in some]), reference[some])

    train(recipe, folder, trained, loss_at)


def _drawn(count: int, of: int) -> int:
    """The `count`-th pair: all of them in one order, then all in another."""
    rounds, place = divmod(count, of)
    return int(np.random.default_rng([31, rounds]).permutation(of)[place])
