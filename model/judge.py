"""A small network on the audio encoder's newest frames and what its CTC head spells there: how it was said, and with which words.

`turn_end.py` asks one whether a turn is complete, `aside.py` another one what a short sound was. A checkpoint has them if their
files lie beside its weights; `vivavoce train turns` makes them.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Self

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from vivavoce.model.audio_encoder import FsmnEncoder

__all__ = ["TOP", "Judge", "Member", "padded", "spelled"]

TOP = 4
"""Pieces of each frame that are looked at."""


class Member(nn.Module):
    """One of those whose mean is a `Judge`."""

    mean: Tensor
    scale: Tensor

    def __init__(
        self, hidden: int, vocabulary: int, outputs: int, width: int, letters: int, dropout: float = 0.0
    ) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(hidden))
        self.register_buffer("scale", torch.ones(hidden))
        self.inward = nn.Linear(hidden, width)
        self.letters = nn.Embedding(vocabulary, letters)
        self.memory = nn.GRU(width + letters, width, batch_first=True)
        self.outward = nn.Linear(width, outputs)
        self.dropout = nn.Dropout(dropout)

    def forward(self, frames: Tensor, pieces: Tensor, shares: Tensor) -> Tensor:
        """[B, F, hidden], and int64 and float [B, F, TOP] of `spelled` -> [B, outputs]."""
        seen = self.dropout((frames - self.mean) / self.scale)
        read = (self.letters(pieces) * shares[..., None]).sum(-2)
        both = torch.cat([torch.relu(self.inward(seen)), read], dim=-1)
        _, last = self.memory(self.dropout(both))
        logits: Tensor = self.outward(self.dropout(last[-1]))
        return logits


class Judge(nn.Module):
    """Encoder frames of the last that was heard -> logits, the mean of a few networks'. Subclasses say what of."""

    FILE: str
    FRAMES: int
    OUTPUTS: int

    def __init__(self, members: Sequence[Member]) -> None:
        super().__init__()
        self.members = nn.ModuleList(members)

    @classmethod
    def member(cls, hidden: int, vocabulary: int, width: int = 96, letters: int = 48, dropout: float = 0.0) -> Member:
        """One that knows nothing yet. `hidden`: the encoder's output width; `vocabulary`: the CTC head's."""
        return Member(hidden, vocabulary, cls.OUTPUTS, width, letters, dropout)

    def forward(self, frames: Tensor, pieces: Tensor, shares: Tensor) -> Tensor:
        """As of a member."""
        return torch.stack([member(frames, pieces, shares) for member in self.members]).mean(0)

    @torch.inference_mode()
    def judge(self, frames: Tensor, encoder: FsmnEncoder) -> Tensor:
        """[m, hidden], m at least 1 -> [OUTPUTS] logits."""
        newest = padded(frames, self.FRAMES).float()
        pieces, shares = spelled(encoder, newest)
        logits: Tensor = self(newest[None], pieces[None], shares[None])[0]
        return logits

    def save(self, directory: Path) -> None:
        """Beside a checkpoint's weights, in half precision."""
        halves = {name: value.contiguous().half() for name, value in self.state_dict().items()}
        save_file(halves, directory / self.FILE)

    @classmethod
    def load(cls, directory: Path) -> Self | None:
        """A checkpoint's own; None if it has none."""
        path = directory / cls.FILE
        if not path.exists():
            return None
        members: dict[str, dict[str, Tensor]] = {}
        for name, value in load_file(path).items():
            _, number, part = name.split(".", 2)
            members.setdefault(number, {})[part] = value.float()
        net = cls([_member(cls, weights) for weights in members.values()])
        return net.eval().requires_grad_(False)


def _member(kind: type[Judge], weights: dict[str, Tensor]) -> Member:
    (width, hidden), (vocabulary, letters) = weights["inward.weight"].shape, weights["letters.weight"].shape
    member = kind.member(hidden, vocabulary, width, letters)
    member.load_state_dict(weights)
    return member


def spelled(encoder: FsmnEncoder, frames: Tensor) -> tuple[Tensor, Tensor]:
    """[m, hidden] -> the CTC head's likeliest pieces of each frame, and their probabilities: [m, TOP] each."""
    shares, pieces = encoder.ctc_logits(frames.to(next(encoder.parameters()).dtype)).float().softmax(-1).topk(TOP)
    return pieces, shares


def padded(frames: Tensor, length: int) -> Tensor:
    """[m, hidden] -> the last `length` of them, zeros before the first."""
    newest = frames[-length:]
    return torch.nn.functional.pad(newest, (0, 0, length - newest.shape[0], 0))
