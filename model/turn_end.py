"""Is the turn complete?

The last two and a half seconds are enough: "what colour is the" and "what colour is the circle" differ there, in words and
in melody.
"""

from __future__ import annotations

from torch import Tensor

from vivavoce.model.audio_encoder import FsmnEncoder
from vivavoce.model.judge import Judge

__all__ = ["FRAMES", "TurnEnd"]

FRAMES = 32
"""Encoder frames that are looked at: 2.56 s."""


class TurnEnd(Judge):
    """The logit of what was said being all of the turn."""

    FILE, FRAMES, OUTPUTS = "turn_end.safetensors", FRAMES, 1

    def completeness(self, frames: Tensor, encoder: FsmnEncoder) -> float:
        """[m, hidden], m at least 1 -> the probability 0..1 that nothing will follow."""
        return float(self.judge(frames, encoder).sigmoid())
