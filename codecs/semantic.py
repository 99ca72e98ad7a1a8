"""Speech to semantic codes, 16.67 a second: the tokenizer side of the codec, needed to train a voice and never to serve one.

A convolution over log-mel frames takes one step per 60 ms, a bidirectional Transformer trained with CTC reads it, and the
nearest of `token_nums` k-means centroids of its L2-normalised output is the code.

Source: LongCat-Audio-Codec (arXiv 2510.15227), section 3.1, and its released encoder.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

FRAMES_PER_CODE = 6
"""Log-mel frames (10 ms each) in one code (60 ms)."""


@dataclass(frozen=True)
class SemanticConfig:
    """Sizes; the defaults are the release's."""

    dim: int = 1280
    layers: int = 26
    heads: int = 20
    ffn: int = 5120
    token_nums: int = 8192
    n_mels: int = 80
    channels: int = 32
    ctc_vocab: int = 0
    """Width of the CTC output used in training; 0 for none."""


class Subsampling(nn.Module):
    """[B, F, n_mels] frames to [B, ceil(ceil(F / 2) / 3), dim]."""

    def __init__(self, config: SemanticConfig) -> None:
        super().__init__()
        c = config.channels
        self.conv = nn.ModuleDict(
            {"subsampling/conv0": nn.Conv2d(1, c, 3, (2, 1)), "subsampling/conv1": nn.Conv2d(c, c, 3, (3, 1))}
        )
        self.affine = nn.Linear(c * (config.n_mels - 4), config.dim)
        self.norm = nn.LayerNorm(config.dim)

    def forward(self, frames: Tensor) -> Tensor:
        x = frames.unsqueeze(1)
        for conv in self.conv.values():
            x = F.relu(conv(F.pad(x, (0, 0, 2, 0))))  # two rows of past silence, none of future
        return self.norm(self.affine(x.transpose(1, 2).flatten(2)))  # type: ignore[no-any-return]


class SemanticLayer(nn.Module):
    """Pre-norm Transformer layer with one more norm at its end."""

    def __init__(self, config: SemanticConfig) -> None:
        super().__init__()
        self.self_attn = nn.MultiheadAttention(config.dim, config.heads, batch_first=True)
        self.norm1, self.norm2, self.norm3 = (nn.LayerNorm(config.dim) for _ in range(3))
        self.linear1, self.linear2 = nn.Linear(config.dim, config.ffn), nn.Linear(config.ffn, config.dim)

    def forward(self, x: Tensor, padding: Tensor | None) -> Tensor:
        y = self.norm1(x)
        x = x + self.self_attn(y, y, y, key_padding_mask=padding, need_weights=False)[0]
        x = x + self.linear2(F.gelu(self.linear1(self.norm2(x))))
        return self.norm3(x)  # type: ignore[no-any-return]


class SemanticEncoder(nn.Module):
    """Normalised log-mel frames to features and codes."""

    def __init__(self, config: SemanticConfig) -> None:
        super().__init__()
        self.config = config
        self.subsampling = Subsampling(config)
        self.layers = nn.ModuleList(SemanticLayer(config) for _ in range(config.layers))
        self.codebook: Tensor
        self.register_buffer("codebook", torch.zeros(config.dim, config.token_nums))
        self.output = nn.Linear(config.dim, config.ctc_vocab) if config.ctc_vocab else None

    def forward(self, frames: Tensor, lengths: Tensor | None = None) -> Tensor:
        """[B, F, n_mels] to [B, T, dim]; `lengths` counts the valid steps T of each item."""
        x = self.subsampling(frames)
        padding = None if lengths is None else torch.arange(x.shape[1])[None] >= lengths[:, None]
        x = math.sqrt(self.config.dim) * x + positions(x.shape[1], self.config.dim).to(x)
        for layer in self.layers:
            x = layer(x, padding)
        return x

    def ctc_logits(self, features: Tensor) -> Tensor:
        """[B, T, ctc_vocab]. Raises ValueError when built without a CTC output."""
        if self.output is None:
            raise ValueError("this semantic encoder has no CTC output: ctc_vocab is 0")
        return self.output(features)  # type: ignore[no-any-return]

    def encode(self, features: Tensor) -> Tensor:
        """Features [*, dim] to codes [*]: the nearest centroid of the L2-normalised feature."""
        points = F.normalize(features, dim=-1).flatten(0, -2)
        distances = (self.codebook**2).sum(0) - 2 * points @ self.codebook
        return distances.argmin(-1).view(features.shape[:-1])

    @torch.no_grad()
    def fit_codebook(self, features: Tensor, *, rounds: int = 30, seed: int = 0) -> float:
        """k-means of L2-normalised features [N, dim]; empty centroids are drawn anew. Returns the mean squared distance."""
        points = F.normalize(features, dim=-1)
        generator = torch.Generator().manual_seed(seed)
        count = self.config.token_nums
        centroids = points[torch.randperm(len(points), generator=generator)[:count]].clone()
        for _ in range(rounds):
            nearest = ((centroids**2).sum(1) - 2 * points @ centroids.T).argmin(1)
            sums = torch.zeros_like(centroids).index_add_(0, nearest, points)
            sizes = torch.bincount(nearest, minlength=count)
            fresh = points[torch.randint(len(points), (count,), generator=generator)]
            centroids = torch.where(sizes[:, None] > 0, sums / sizes.clamp(min=1)[:, None], fresh)
        self.codebook.copy_(centroids.T)
        return float(((points - centroids[self.encode(features)]) ** 2).sum(1).mean())


def positions(length: int, dim: int) -> Tensor:
    """Sinusoids, sine on even and cosine on odd dimensions, [length, dim]."""
    angle = torch.arange(length)[:, None] * torch.exp(torch.arange(0, dim, 2) * (-math.log(10_000.0) / dim))[None]
    return torch.stack([angle.sin(), angle.cos()], -1).flatten(1)
