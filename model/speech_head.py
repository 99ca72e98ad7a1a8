"""The speech streams' tables: four input embeddings, and four output heads that form a chain.

The heads are not independent. After head i has chosen an id, an embedding of that id is added to a running copy of the hidden
vector before head i + 1 reads it. In one step of the network, stream 0 is the semantic id of frame s and streams 1..3 are the
acoustic ids of frame s - 1: codes arrive here in that layout, with `code_offset` added. Parameter names are those of
`audio_embeddings.pt` and `audio_output_layers.pt`.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from vivavoce.model.config import SpeechConfig
from vivavoce.model.layers import ModuleList

__all__ = ["AudioEmbeddings", "AudioOutputLayers", "Penalty"]

Penalty = Callable[[int, Tensor], Tensor]  # (stream, logits fp32 [N, V]) -> logits fp32 [N, V]


class AudioEmbeddings(nn.Module):
    """One input table per stream."""

    def __init__(self, config: SpeechConfig, hidden_size: int) -> None:
        super().__init__()
        self.audio_embeddings = ModuleList(
            [nn.Embedding(config.audio_vocab, hidden_size) for _ in range(config.n_codebooks)]
        )
        for table in self.audio_embeddings:
            _initialise(table)

    def forward(self, stream: int, ids: Tensor) -> Tensor:
        """ids int64 [...] of one stream -> [..., hidden_size]."""
        rows: Tensor = self.audio_embeddings[stream](ids)
        return rows


class AudioOutputLayers(nn.Module):
    """The chain of output heads."""

    def __init__(self, config: SpeechConfig, hidden_size: int) -> None:
        super().__init__()
        self.config = config
        self._legal: dict[tuple[int, torch.device | None], Tensor] = {}
        self.audio_output_layers = ModuleList(
            [nn.Linear(hidden_size, config.audio_vocab, bias=False) for _ in range(config.n_codebooks)]
        )
        self.embedding = ModuleList(
            [nn.Embedding(config.audio_vocab, hidden_size) for _ in range(config.n_codebooks - 1)]
        )
        self.linear = nn.Linear(hidden_size, hidden_size, bias=False) if config.has_proj else None
        for table in self.embedding:
            _initialise(table)

    def teacher_logits(self, hidden: Tensor, codes: Tensor) -> list[Tensor]:
        """Training: hidden [..., D] and the true ids of the same steps, int64 [..., 4] -> 4 logits [..., audio_vocab].

        Head i is conditioned on the true ids of streams 0 .. i-1. Nothing is masked: the loss decides what counts.
        """
        logits = []
        for stream in range(self.config.n_codebooks):
            hidden = self._extend(hidden, stream, codes[..., stream - 1])
            logits.append(self.audio_output_layers[stream](hidden))
        return logits

    def chain(self, hidden: Tensor, penalise: Penalty | None = None) -> Tensor:
        """Inference: hidden [N, D] -> ids int64 [N, 4], the best legal id of each stream given the streams before it.

        `penalise` sees each stream's fp32 logits before the choice. Ids that stand for nothing are never chosen, whatever it
        returns: 0, 1, 3 .. code_offset - 1, ids past the stream's codebook, and the end id outside the semantic stream.
        """
        chosen: list[Tensor] = []
        for stream in range(self.config.n_codebooks):
            hidden = self._extend(hidden, stream, chosen[-1] if chosen else None)
            logits = self.audio_output_layers[stream](hidden).float()
            if penalise is not None:
                logits = penalise(stream, logits)
            legal = self.legal(stream, logits.device)
            chosen.append(logits.masked_fill(~legal, float("-inf")).argmax(dim=-1))
        return torch.stack(chosen, dim=-1)

    def legal(self, stream: int, device: torch.device | None = None) -> Tensor:
        """bool [audio_vocab]: the ids that `stream` may say."""
        cfg = self.config
        if (stream, device) not in self._legal:
            ids = torch.arange(cfg.audio_vocab, device=device)
            real = (ids >= cfg.code_offset) & (ids < cfg.code_offset + cfg.codebook_sizes[stream])
            self._legal[stream, device] = real | (ids == cfg.eos) if stream == 0 else real
        return self._legal[stream, device]

    def _extend(self, hidden: Tensor, stream: int, previous: Tensor | None) -> Tensor:
        """The running vector as head `stream` reads it, given the id that the stream before it chose."""
        if stream > 0 and previous is not None:
            hidden = hidden + self.embedding[stream - 1](previous)
        if self.linear is not None:
            hidden = self.linear(hidden)
        return hidden


def _initialise(table: nn.Embedding) -> None:
    if table.weight.device.type != "meta":
        nn.init.normal_(table.weight, std=0.5 / table.embedding_dim**0.5)
