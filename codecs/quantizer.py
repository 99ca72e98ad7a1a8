"""Acoustic codes: what is left of a latent, stage by stage, each stage a pair of entries from two small codebooks.

A stage projects the residual to two short vectors, finds for each the entry of its codebook with the nearest direction,
projects the entries back to half the latent each, and subtracts. The code is a * size + b, of 90 * 90 = 8100 in the
release.

Source: LongCat-Audio-Codec, acoustic quantiser; the search is the improved RVQGAN's (Kumar et al., 2023).
"""

from __future__ import annotations

from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vivavoce.codecs.layers import WNConv1d

COMMITMENT = 0.25
"""How much the encoder is pulled towards the entries, against the entries towards the encoder."""


class ProductQuantizer(nn.Module):
    """One stage: [B, dim, T] as one of codebook_size ** 2 codes per column."""

    def __init__(self, dim: int, codebook_size: int, search_dim: int) -> None:
        super().__init__()
        self.codebook_size = codebook_size
        self.in_proj_a = WNConv1d(dim, search_dim, 1)
        self.in_proj_b = WNConv1d(dim, search_dim, 1)
        self.out_proj_a = WNConv1d(search_dim, dim // 2, 1)
        self.out_proj_b = WNConv1d(search_dim, dim // 2, 1)
        self.codebook_a = nn.Embedding(codebook_size, search_dim)
        self.codebook_b = nn.Embedding(codebook_size, search_dim)

    def forward(self, z: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """[B, dim, T] -> quantised [B, dim, T] (gradients pass straight through), codes [B, T], loss (a scalar)."""
        half_a, index_a, loss_a = self._search(self.in_proj_a(z), self.codebook_a.weight)
        half_b, index_b, loss_b = self._search(self.in_proj_b(z), self.codebook_b.weight)
        quantised = torch.cat([self.out_proj_a(half_a), self.out_proj_b(half_b)], dim=1)
        return quantised, index_a * self.codebook_size + index_b, loss_a + loss_b

    def decode(self, codes: Tensor) -> Tensor:
        """int64 [B, T] -> [B, dim, T]."""
        half_a = self.codebook_a(codes.div(self.codebook_size, rounding_mode="floor")).transpose(1, 2)
        half_b = self.codebook_b(codes.remainder(self.codebook_size)).transpose(1, 2)
        return torch.cat([self.out_proj_a(half_a), self.out_proj_b(half_b)], dim=1)

    @staticmethod
    def _search(query: Tensor, entries: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Query [B, d, T] and entries [n, d] -> the nearest entries [B, d, T], their numbers [B, T], the loss."""
        with torch.no_grad():
            alike = F.normalize(entries, dim=1) @ F.normalize(query, dim=1)
            index = alike.argmax(dim=1)
        found = F.embedding(index, entries).transpose(1, 2)
        loss = F.mse_loss(found, query.detach()) + COMMITMENT * F.mse_loss(query, found.detach())
        return query + (found - query).detach(), index, loss


class ResidualProductQuantizer(nn.Module):
    """`n_codebooks` stages, each on what the earlier ones left over.

    Raises:
        ValueError: an odd dim, which two halves cannot make up.
    """

    def __init__(self, dim: int, codebook_size: int, search_dim: int, n_codebooks: int) -> None:
        super().__init__()
        if dim % 2:
            raise ValueError(f"a product quantiser needs an even dim, got {dim}")
        self.codebook_size = codebook_size
        self.quantizers = nn.ModuleList(ProductQuantizer(dim, codebook_size, search_dim) for _ in range(n_codebooks))

    def forward(self, z: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """[B, dim, T] -> quantised [B, dim, T] with straight-through gradients, codes [B, n, T], loss (a scalar).

        The loss is the codebook loss plus 0.25 times the commitment loss, summed over the stages.
        """
        residual, total = z, torch.zeros_like(z)
        loss = z.new_zeros(())
        codes: list[Tensor] = []
        for quantizer in self.quantizers:
            quantised, code, stage_loss = quantizer(residual)
            residual, total, loss = residual - quantised, total + quantised, loss + stage_loss
            codes.append(code)
        return total, torch.stack(codes, dim=1), loss

    @torch.no_grad()
    def encode(self, z: Tensor) -> Tensor:
        """[B, dim, T] -> int64 codes [B, n_codebooks, T], each 0..codebook_size ** 2 - 1."""
        codes: Tensor = self(z)[1]
        return codes

    def decode(self, codes: Tensor) -> Tensor:
        """int64 [B, n, T] -> [B, dim, T]; n may be less than `n_codebooks`, the missing stages are not added.

        Raises:
            ValueError: no stage, or more than there are.
        """
        if not 1 <= codes.shape[1] <= len(self.quantizers):
            raise ValueError(f"{len(self.quantizers)} acoustic stages cannot decode {codes.shape[1]}")
        stages = cast(list[ProductQuantizer], list(self.quantizers)[: codes.shape[1]])
        return torch.stack([stage.decode(codes[:, i]) for i, stage in enumerate(stages)]).sum(dim=0)
