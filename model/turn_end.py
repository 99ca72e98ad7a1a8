"""Is the turn complete? A small network on the audio encoder's newest frames: how it was said, and with which words.

The last two seconds are enough: "what colour is the" and "what colour is the circle" differ there, in words and in melody.
A checkpoint has one if `turn_end.safetensors` lies beside its weights; `vivavoce train turns` makes it.
"""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

__all__ = ["FILE", "FRAMES", "TurnEnd"]

FILE = "turn_end.safetensors"
FRAMES = 24
"""Encoder frames that are looked at: 1.92 s."""


class TurnEnd(nn.Module):
    """Encoder frames of the end of what was said -> the logit of its being all of the turn."""

    mean: Tensor
    scale: Tensor

    def __init__(self, hidden: int, width: int = 64, dropout: float = 0.0) -> None:
        """`hidden`: the encoder's output width."""
        super().__init__()
        self.register_buffer("mean", torch.zeros(hidden))
        self.register_buffer("scale", torch.ones(hidden))
        self.inward = nn.Linear(hidden, width)
        self.memory = nn.GRU(width, width, batch_first=True)
        self.outward = nn.Linear(width, 1)
        self.dropout = nn.Dropout(dropout)

    def forward(self, frames: Tensor) -> Tensor:
        """[B, FRAMES, hidden] -> [B]."""
        seen = self.dropout((frames - self.mean) / self.scale)
        _, last = self.memory(self.dropout(torch.relu(self.inward(seen))))
        logits: Tensor = self.outward(self.dropout(last[0]))[:, 0]
        return logits

    @torch.inference_mode()
    def completeness(self, frames: Tensor) -> float:
        """[m, hidden], m at least 1 -> the probability 0..1 that nothing will follow."""
        return float(self(padded(frames).to(self.mean.dtype)[None]).sigmoid())

    def save(self, directory: Path) -> None:
        """Beside a checkpoint's weights."""
        save_file({name: value.contiguous() for name, value in self.state_dict().items()}, directory / FILE)

    @classmethod
    def load(cls, directory: Path) -> TurnEnd | None:
        """A checkpoint's own; None if it has none."""
        path = directory / FILE
        if not path.exists():
            return None
        weights = load_file(path)
        width, hidden = weights["inward.weight"].shape
        net = cls(hidden, width)
        net.load_state_dict(weights)
        return net.eval().requires_grad_(False)


def padded(frames: Tensor) -> Tensor:
    """[m, hidden] -> the last FRAMES of them, zeros before the first, [FRAMES, hidden]."""
    newest = frames[-FRAMES:]
    return torch.nn.functional.pad(newest, (0, 0, FRAMES - newest.shape[0], 0))
