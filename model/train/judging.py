"""Teaching a checkpoint to judge what it hears, for `turn_end.safetensors` and for `aside.safetensors`; and the examination."""

from __future__ import annotations

from typing import TypeVar

import torch
from rich.progress import track
from torch import Tensor, nn

from vivavoce.model.judge import Judge, Member
from vivavoce.model.train.listener import Excerpts

EPOCHS, BATCH, RATE_OF_LEARNING, DROPOUT = 6, 128, 3e-3, 0.3
UNHEARD = 0.25
"""Share of the examples with a voice of which only the words are shown."""

Net = TypeVar("Net", bound=Judge)


def fit(
    kind: type[Net],
    vocabulary: int,
    taught: Excerpts,
    written: Excerpts | None = None,
    *,
    members: int = 2,
    seed: int = 1,
) -> Net:
    """A judge for these examples, and as many of `written` in each epoch, which have no frames.

    Of some of the others the frames are left out as well, so that what is learned of words holds for words that are heard.
    """
    made = [learn(kind, vocabulary, taught, written, f"{seed}{number}") for number in range(members)]
    return kind(made).eval().requires_grad_(False)


def learn(kind: type[Net], vocabulary: int, taught: Excerpts, written: Excerpts | None, seed: str) -> Member:
    """One member."""
    torch.manual_seed(int(seed))
    net = kind.member(taught.frames.shape[-1], vocabulary, dropout=DROPOUT)
    some = taught.frames[torch.randperm(len(taught))[:2_000], -8:].float()
    net.mean.copy_(some.mean((0, 1)))
    net.scale.copy_(some.std((0, 1)) + 1e-4)
    optimizer = torch.optim.AdamW(net.parameters(), RATE_OF_LEARNING, weight_decay=1e-2)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, EPOCHS * -(-len(taught) // BATCH))
    for _ in track(range(EPOCHS), f"learning {kind.FILE}"):
        for which in torch.randperm(len(taught)).split(BATCH):
            loss = mistakes(net, taught.part(which), written)
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            schedule.step()
    return net


def mistakes(net: Member, batch: Excerpts, written: Excerpts | None) -> Tensor:
    """The loss on a batch, and on as many examples of `written`."""
    if written is None:
        return cross_entropy(net(batch.frames, batch.pieces, batch.shares), batch.labels)
    unheard = torch.rand(len(batch), 1, 1) < UNHEARD
    frames = torch.where(unheard, net.mean, batch.frames)
    text = written.part(torch.randint(len(written), (len(batch),)))
    loss = cross_entropy(net(frames, batch.pieces, batch.shares), batch.labels)
    return loss + cross_entropy(net(net.mean.expand_as(frames), text.pieces, text.shares), text.labels)


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
