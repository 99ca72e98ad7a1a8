"""Speech to acoustic codes, 16.67 a second: what the semantic code leaves out (pitch, loudness, colour of the voice).

The released encoder works on the waveform. Kitten's works on log-mel frames, which trains in minutes on a laptop; the
residual product quantiser behind it is the same, and the decoder cannot tell the difference.

Source: LongCat-Audio-Codec (arXiv 2510.15227), section 3.2; the mel front is ours.
"""

from __future__ import annotations

from torch import Tensor, nn

from vivavoce.codecs.semantic import FRAMES_PER_CODE


class Residual(nn.Module):
    """x + conv(gelu(conv(x))), three steps wide."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.block = nn.Sequential(
            nn.GroupNorm(1, width), nn.Conv1d(width, 2 * width, 3, padding=1), nn.GELU(), nn.Conv1d(2 * width, width, 1)
        )

    def forward(self, x: Tensor) -> Tensor:
        return x + self.block(x)  # type: ignore[no-any-return]


class MelAcousticEncoder(nn.Module):
    """Normalised log-mel frames [B, 6 T, n_mels] to latents [B, dim, T]."""

    def __init__(self, dim: int, *, width: int = 256, n_mels: int = 80, blocks: int = 3) -> None:
        super().__init__()
        self.front = nn.Conv1d(FRAMES_PER_CODE * n_mels, width, 3, padding=1)
        self.body = nn.Sequential(*(Residual(width) for _ in range(blocks)), nn.Conv1d(width, dim, 1))

    def forward(self, frames: Tensor) -> Tensor:
        """Raises ValueError when the frames do not fill whole codes."""
        batch, count, mels = frames.shape
        if count % FRAMES_PER_CODE:
            raise ValueError(f"{count} log-mel frames do not fill whole codes of {FRAMES_PER_CODE}")
        stacked = frames.reshape(batch, count // FRAMES_PER_CODE, FRAMES_PER_CODE * mels)
        return self.body(self.front(stacked.transpose(1, 2)))  # type: ignore[no-any-return]
