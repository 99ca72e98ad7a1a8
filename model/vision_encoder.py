"""Sight: patches of a pair of frames in, one embedding for every two neighbouring patches out. LongCat-ViT and projector.

A block is `x += ls1 * attn(norm1(x)); x += ls2 * mlp(norm2(x))`, full attention inside one grid, two-dimensional rotary
positions, no class token, no absolute position and no final norm. Parameter names are those of the release's
`vision_model.pt` and `vision_projector.pt`.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vivavoce.model.config import VisionConfig
from vivavoce.model.layers import ModuleList, RMSNorm

__all__ = ["VisionEncoder", "VisionProjector"]


class Attention(nn.Module):
    """Bidirectional attention. Rotation comes first; then q and k are normalised over all heads together."""

    def __init__(self, config: VisionConfig) -> None:
        super().__init__()
        width = config.hidden_size
        self.heads, self.head_dim = config.num_attention_heads, config.head_dim
        self.qkv = nn.Linear(width, 3 * width, bias=config.qkv_bias)
        self.proj = nn.Linear(width, width)
        self.q_norm = RMSNorm(width, config.layer_norm_eps)
        self.k_norm = RMSNorm(width, config.layer_norm_eps)

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        """x [N, P, width]; cos, sin fp32 [P, 1, head_dim]."""
        batch, length, width = x.shape
        q, k, v = self.qkv(x).view(batch, length, 3, self.heads, self.head_dim).unbind(2)
        q = self.q_norm(_rotate(q, cos, sin).flatten(2)).view_as(q)
        k = self.k_norm(_rotate(k, cos, sin).flatten(2)).view_as(k)
        mixed = F.scaled_dot_product_attention(q.transpose(1, 2), k.transpose(1, 2), v.transpose(1, 2))
        out: Tensor = self.proj(mixed.transpose(1, 2).reshape(batch, length, width))
        return out


class Mlp(nn.Module):
    """`fc2(norm(silu(fc1 x) * fc3 x))`, all with biases."""

    def __init__(self, config: VisionConfig) -> None:
        super().__init__()
        self.fc1 = nn.Linear(config.hidden_size, config.inner)
        self.fc2 = nn.Linear(config.inner, config.hidden_size)
        self.fc3 = nn.Linear(config.hidden_size, config.inner)
        self.norm = RMSNorm(config.inner, config.layer_norm_eps)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.fc2(self.norm(F.silu(self.fc1(x)) * self.fc3(x)))
        return out


class Block(nn.Module):
    """One transformer block with a learned scale on each of its two branches."""

    def __init__(self, config: VisionConfig) -> None:
        super().__init__()
        self.attn = Attention(config)
        self.mlp = Mlp(config)
        self.norm1 = RMSNorm(config.hidden_size, config.layer_norm_eps)
        self.norm2 = RMSNorm(config.hidden_size, config.layer_norm_eps)
        self.ls1 = nn.Parameter(torch.full((config.hidden_size,), config.layer_scale_init))
        self.ls2 = nn.Parameter(torch.full((config.hidden_size,), config.layer_scale_init))

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        x = x + self.ls1 * self.attn(self.norm1(x), cos, sin)
        seen: Tensor = self.mlp(self.norm2(x))
        return x + self.ls2 * seen


class Embeddings(nn.Module):
    """One linear map per patch, kept in the shape of the 3-D convolution it is."""

    def __init__(self, config: VisionConfig) -> None:
        super().__init__()
        kernel = (config.temporal_patch_size, config.patch_size, config.patch_size)
        self.patch_embedding = nn.Conv3d(config.in_channels, config.hidden_size, kernel, stride=kernel)

    def forward(self, patches: Tensor) -> Tensor:
        return F.linear(patches, self.patch_embedding.weight.flatten(1), self.patch_embedding.bias)


class Layers(nn.Module):
    """The stack, under the release's name `encoder.layers`."""

    def __init__(self, config: VisionConfig) -> None:
        super().__init__()
        self.layers = ModuleList([Block(config) for _ in range(config.num_hidden_layers)])


class VisionEncoder(nn.Module):
    """LongCat-ViT."""

    def __init__(self, config: VisionConfig) -> None:
        super().__init__()
        self.config = config
        self.embeddings = Embeddings(config)
        self.encoder = Layers(config)

    def forward(self, patches: Tensor, grid: tuple[int, int]) -> Tensor:
        """Encode N pairs of frames of one size.

        patches: [N, rows * cols, patch_width] as `images.patchify` orders them. grid: (rows, cols).
        Returns [N, rows * cols, hidden_size]. Raises ValueError if the patches do not fill the grid.
        """
        rows, cols = grid
        if patches.shape[1] != rows * cols:
            raise ValueError(f"a grid of {rows} x {cols} has {rows * cols} patches, got {patches.shape[1]}")
        cos, sin = self._angles(rows, cols, patches.device)
        hidden: Tensor = self.embeddings(patches)
        for block in self.encoder.layers:
            hidden = block(hidden, cos, sin)
        return hidden

    def _angles(self, rows: int, cols: int, device: torch.device) -> tuple[Tensor, Tensor]:
        """cos and sin [P, 1, head_dim]: row angles then column angles, the whole repeated for the second half of a head."""
        half = self.config.head_dim // 2
        inverse = self.config.rope_theta ** -(torch.arange(0, half, 2, device=device, dtype=torch.float32) / half)
        row = torch.arange(rows, device=device).repeat_interleave(cols)
        col = torch.arange(cols, device=device).repeat(rows)
        angles = torch.cat([row[:, None] * inverse, col[:, None] * inverse], dim=-1).repeat(1, 2)[:, None]
        return angles.cos(), angles.sin()


class VisionProjector(nn.Module):
    """Merges patches (2c, 2c + 1) of a row and maps them to backbone embeddings."""

    def __init__(self, config: VisionConfig, hidden_size: int) -> None:
        super().__init__()
        merged = 2 * config.hidden_size
        self.p0 = nn.Sequential(
            nn.LayerNorm(merged),
            nn.Linear(merged, config.adaptor_dim),
            nn.GELU(),
            nn.Linear(config.adaptor_dim, config.adaptor_dim),
            nn.GELU(),
        )
        self.proj = nn.Linear(config.adaptor_dim, hidden_size)

    def forward(self, hidden: Tensor) -> Tensor:
        """[N, P, width] of grids with an even number of columns -> [N, P / 2, hidden_size], row-major."""
        batch, length, width = hidden.shape
        rows: Tensor = self.proj(self.p0(hidden.reshape(batch, length // 2, 2 * width)))
        return rows


def _rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Rotate dimension d with d + head_dim / 2 in fp32, and cast back."""
    first, second = x.float().chunk(2, dim=-1)
    turned = torch.cat([-second, first], dim=-1)
    return (x.float() * cos + turned * sin).to(x.dtype)
