"""What was a short sound of the user's during an answer: the beginning of an interruption, a "mhm", or a cough?"""

from __future__ import annotations

from torch import Tensor

from vivavoce.model.audio_encoder import FsmnEncoder
from vivavoce.model.judge import Judge

__all__ = ["BACKCHANNEL", "FRAMES", "INTERRUPTION", "NOISE", "Aside"]

FRAMES = 16
"""Encoder frames that are looked at: 1.28 s."""
BACKCHANNEL, NOISE, INTERRUPTION = range(3)
"""What there is."""


class Aside(Judge):
    """Logits of what a sound is, or is about to become."""

    FILE, FRAMES, OUTPUTS = "aside.safetensors", FRAMES, 3

    def interrupting(self, frames: Tensor, encoder: FsmnEncoder) -> float:
        """[m, hidden], m at least 1, from shortly before the sound -> the probability 0..1 of an interruption."""
        return float(self.judge(frames, encoder).softmax(-1)[INTERRUPTION])
