"""Speech codes to 24 kHz sound: whole, or frame by frame with three frames of look-ahead (180 ms).

    codes [B, 1 + n, T] -> latents [B, C, T] -> two LSTMs -> convolution over 7 frames, 3 of them ahead
                        -> 4 upsampling blocks (8 * 6 * 6 * 5 = 1440) -> wave [B, T * 1440] in -1..1

All but the one look-ahead is causal, so decoding in a stream equals decoding the whole. Parameter names are the
release's. Source: LongCat-Audio-Codec, the "24k" decoder.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vivavoce.codecs import streaming
from vivavoce.codecs.config import CodecConfig as CodecConfig
from vivavoce.codecs.layers import CausalPad, Snake, WeightNormed, WNConv1d, WNUpsample
from vivavoce.codecs.quantizer import ResidualProductQuantizer
from vivavoce.codecs.streaming import Chain, State

LOOKAHEAD = 3
"""Frames the first convolution reads ahead, and as many behind."""

KERNEL = 7
DILATIONS = (1, 3, 9)


class ResidualUnit(nn.Module):
    """[B, C, T] -> the same: x + conv1(Snake(causal conv7(Snake(x))))."""

    def __init__(self, channels: int, dilation: int) -> None:
        super().__init__()
        self.block = Chain(
            Snake(channels),
            CausalPad(channels, (KERNEL - 1) * dilation),
            WNConv1d(channels, channels, KERNEL, dilation),
            Snake(channels),
            WNConv1d(channels, channels, 1),
        )

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.block(x)
        return y + x

    def initial_state(self, batch: int, like: Tensor) -> State:
        return self.block.initial_state(batch, like)

    def step(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        y, state = self.block.step(x, state)
        return y + x, state


class UpBlock(nn.Module):
    """[B, C, T] -> [B, C / 2, T * stride]."""

    def __init__(self, channels: int, stride: int) -> None:
        super().__init__()
        half = channels // 2
        units = (ResidualUnit(half, dilation) for dilation in DILATIONS)
        self.block = Chain(Snake(channels), WNUpsample(channels, half, stride), *units)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.block(x)
        return y

    def initial_state(self, batch: int, like: Tensor) -> State:
        return self.block.initial_state(batch, like)

    def step(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        return self.block.step(x, state)


class Memory(nn.Module):
    """[B, C, T] -> the same: two LSTMs, each followed by a LayerNorm."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.lstm_list1 = nn.ModuleList([nn.LSTM(channels, channels, batch_first=True)])
        self.ln1 = nn.LayerNorm(channels)
        self.lstm_list2 = nn.ModuleList([nn.LSTM(channels, channels, batch_first=True)])
        self.ln2 = nn.LayerNorm(channels)

    def forward(self, x: Tensor) -> Tensor:
        return self.step(x, self.initial_state(len(x), x))[0]

    def initial_state(self, batch: int, like: Tensor) -> State:
        """Hidden and cell state [batch, C] of each LSTM."""
        zero = like.new_zeros(batch, self.ln1.normalized_shape[0])
        return (zero, zero), (zero, zero)

    def step(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        y, first = _run(self.lstm_list1[0], x.transpose(1, 2), state[0])
        y, second = _run(self.lstm_list2[0], self.ln1(y), state[1])
        return self.ln2(y).transpose(1, 2), (first, second)


def _run(lstm: nn.Module, x: Tensor, state: State) -> tuple[Tensor, State]:
    """An LSTM over [B, T, C]; torch keeps its layers before the batch, a `State` has the batch first."""
    y, (hidden, cell) = lstm(x, (state[0][None], state[1][None]))
    return y, (hidden[0], cell[0])


def _layers(cfg: CodecConfig) -> Iterator[nn.Module]:
    """The convolutional part; the place of each layer in it is part of its parameters' names."""
    yield WNConv1d(cfg.latent_dim, cfg.decoder_dim, 2 * LOOKAHEAD + 1)
    channels = cfg.decoder_dim
    for stride in cfg.ratios:
        yield UpBlock(channels, stride)
        channels //= 2
    yield Snake(channels)
    yield CausalPad(channels, KERNEL - 1)
    yield WNConv1d(channels, 1, KERNEL)
    yield nn.Tanh()


class Decoder(nn.Module):
    """Latents to sound; see `SpeechDecoderNet`, which owns the codes as well."""

    def __init__(self, cfg: CodecConfig) -> None:
        super().__init__()
        self.mem_layers = nn.ModuleList([Memory(cfg.latent_dim)])
        self.model = Chain(*_layers(cfg))

    @property
    def memory(self) -> Memory:
        """The recurrent part; its parameters live under the release's name, `mem_layers.0`."""
        return cast(Memory, self.mem_layers[0])

    @property
    def upsampling(self) -> Chain:
        """Everything behind the first convolution, which alone looks ahead."""
        return cast(Chain, self.model[1:])

    def forward(self, latents: Tensor) -> Tensor:
        """[B, C, T] -> [B, 1, T * frame_samples]."""
        y: Tensor = self.model(F.pad(self.memory(latents), (LOOKAHEAD, LOOKAHEAD)))
        return y


class SemanticDequantizer(nn.Module):
    """int64 [B, T] -> [B, semantic_dim, T]: the entry of each semantic code."""

    def __init__(self, cfg: CodecConfig) -> None:
        super().__init__()
        self.dequant = nn.Embedding(cfg.semantic_token_nums, cfg.semantic_dim)

    def forward(self, codes: Tensor) -> Tensor:
        entries: Tensor = self.dequant(codes)
        return entries.transpose(1, 2)


@dataclass(frozen=True, eq=False)
class DecoderState:
    """What a stream of speech remembers between steps. A value: keeping it is a copy of the stream."""

    memory: State
    """Hidden and cell state of both LSTMs."""

    window: Tensor
    """[B, C, 3..6]: the frames behind the LSTMs that the first convolution still needs."""

    model: State
    """The past of every causal convolution."""

    @staticmethod
    def stacked(streams: Sequence[DecoderState]) -> DecoderState:
        """Several streams as one batch; their windows must be equally long."""
        parts = [(stream.memory, stream.window, stream.model) for stream in streams]
        return DecoderState(*streaming.stacked(parts))

    def parted(self) -> list[DecoderState]:
        """Each stream of the batch by itself."""
        return [
            DecoderState(*part) for part in streaming.parted((self.memory, self.window, self.model), len(self.window))
        ]


class SpeechDecoderNet(nn.Module):
    """The whole 24 kHz decoder.

    Raises:
        ValueError: the configuration is for another decoder; only "24k" is causal.
    """

    def __init__(self, cfg: CodecConfig) -> None:
        super().__init__()
        if cfg.decoder_type != "24k":
            raise ValueError(f'only the "24k" decoder can stream, got decoder_type "{cfg.decoder_type}"')
        self.cfg = cfg
        self.semantic_dequantizer = SemanticDequantizer(cfg)
        self.acoustic_quantizer = ResidualProductQuantizer(
            cfg.codec_dimension, cfg.codec_codebook_size, cfg.codec_codebook_search_dim, cfg.codec_codebooks
        )
        self.decoder = Decoder(cfg)

    def latents(self, codes: Tensor) -> Tensor:
        """int64 [B, 1 + n, T], semantic first and n acoustic stages -> [B, C, T].

        Raises:
            ValueError: no acoustic stage, or more than the decoder has.
        """
        semantic = self.semantic_dequantizer(codes[:, 0])
        return torch.cat([semantic, self.acoustic_quantizer.decode(codes[:, 1:])], dim=1)

    def from_latents(self, latents: Tensor) -> Tensor:
        """[B, C, T] -> [B, T * frame_samples] in -1..1."""
        y: Tensor = self.decoder(latents)
        return y[:, 0]

    def forward(self, codes: Tensor) -> Tensor:
        """int64 [B, 1 + n, T] -> [B, T * frame_samples] in -1..1."""
        return self.from_latents(self.latents(codes))

    def remove_weight_norm(self) -> None:
        """Fold every weight norm for inference; loading parameters or training brings it back."""
        for module in self.modules():
            if isinstance(module, WeightNormed):
                module.fold()

    def initial_state(self, batch: int = 1) -> DecoderState:
        """The start of `batch` streams: zeros everywhere."""
        like = self.semantic_dequantizer.dequant.weight.detach()
        window = like.new_zeros(batch, self.cfg.latent_dim, LOOKAHEAD)
        memory, model = (
            self.decoder.memory.initial_state(batch, like),
            self.decoder.upsampling.initial_state(batch, like),
        )
        return DecoderState(memory, window, model)

    def step(self, latents: Tensor, state: DecoderState) -> tuple[Tensor, DecoderState]:
        """[B, C, k] -> wave [B, m * frame_samples] and the next state; sound comes three frames late, so m <= k."""
        frames, memory = self.decoder.memory.step(latents, state.memory)
        return self._sound(frames, memory, state)

    def flush(self, state: DecoderState) -> Tensor:
        """The sound still held back, at most three frames: [B, m * frame_samples]."""
        silence = state.window.new_zeros(*state.window.shape[:2], LOOKAHEAD)
        return self._sound(silence, state.memory, state)[0]

    def _sound(self, frames: Tensor, memory: State, state: DecoderState) -> tuple[Tensor, DecoderState]:
        window = torch.cat([state.window, frames], dim=-1)
        kept = window[..., max(0, window.shape[-1] - 2 * LOOKAHEAD) :]
        if window.shape[-1] <= 2 * LOOKAHEAD:
            return window.new_zeros(len(window), 0), DecoderState(memory, kept, state.model)
        y, model = self.decoder.upsampling.step(self.decoder.model[0](window), state.model)
        return y[:, 0], DecoderState(memory, kept, model)
