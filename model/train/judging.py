"""Teaching a checkpoint to judge what it hears, for `turn_end.safetensors` and for `aside.safetensors`; and the examination."""

from __future__ import annotations

from typing import TypeVar

import torch
from rich.progress import track
from torch import Tensor, nn

from vivavoce.model.judge import Judge
from vivavoce.model.train.listener import Excerpts

EPOCHS, BATCH, RATE_OF_LEARNING, DROPOUT = 12, 64, 2e-3, 0.3
UNHEARD = 0.25

Net = TypeVar("Net", bound=Judge)


def fit(kind: type[Net], vocabulary: int, taught: Excerpts, written: Excerpts | None = None, seed: int = 1) -> Net:
    """A network of this kind for these examples, and as many of `written` in each epoch, which have no frames.

    Of some of the others the frames are left out as well, so that what is learned of words holds for words that are heard.
    """
    torch.manual_seed(seed)
    net = kind(taught.frames.shape[-1], vocabulary, dropout=DROPOUT)
    some = taught.frames[torch.randperm(len(taught))[:2_000], -8:].float()
    net.mean.copy_(some.mean((0, 1)))
    net.scale.copy_(some.std((0, 1)) + 1e-4)
    optimizer = torch.optim.AdamW(net.parameters(), RATE_OF_LEARNING, weight_decay=1e-2)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, EPOCHS * -(-len(taught) // BATCH))
    for _ in track(range(EPOCHS), f"learning {kind.FILE}"):
        for which in torch.randperm(len(taught)).split(BATCH):
            batch = taught.part(which)
            unheard = torch.rand(len(which), 1, 1) < (UNHEARD if written else 0)
            frames = torch.where(unheard, net.mean, batch.frames)
            loss = cross_entropy(net(frames, batch.pieces, batch.shares), batch.labels)
            if written is not None:
                text = written.part(torch.randint(len(written), (len(which),)))
                loss = loss + cross_entropy(net(net.mean.expand_as(frames), text.pieces, text.shares), text.labels)
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            schedule.step()
    return net.eval().requires_grad_(False)


def cross_entropy(logits: Tensor, labels: Tensor) -> Tensor:
    """Of one logit a sample for yes or no, or of one for each label; in nats."""
    if logits.shape[1] == 1:
        return nn.functional.binary_cross_entropy_with_logits(logits[:, 0], labels.float())
    return nn.functional.cross_entropy(logits, labels)


@torch.inference_mode()
def logits(net: Judge, asked: Excerpts) -> Tensor:
    """[n, OUTPUTS]."""
    parts = (asked.part(which) for which in torch.arange(len(asked)).split(256))
    return torch.cat([net(part.frames, part.pieces, part.shares) for part in parts])


def examine(yes: Tensor, is_so: Tensor) -> dict[str, float]:
    """How well scores [n] tell what is so, [n] of bool, from what is not.

    `area`: under the ROC curve; `found at 3 %`: of what is so, the share that scores above all but 3 % of what is not.
    """
    right, wrong = yes[is_so], yes[~is_so]
    area = (right[:, None] > wrong[None]).float().mean()
    found = (right > wrong.quantile(0.97)).float().mean()
    return {"n": len(yes), "area": round(float(area), 4), "found at 3 %": round(float(found), 3)}
