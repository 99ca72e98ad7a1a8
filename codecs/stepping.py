"""What the codec asks of a decoder, frame by frame, and the two that answer: compiled for a CPU, and PyTorch for everything."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol, TypeAlias

import numpy as np
import numpy.typing as npt
import torch

from vivavoce.codecs.compiled import CompiledDecoder, fits
from vivavoce.codecs.decoder import DecoderState, SpeechDecoderNet

__all__ = ["State", "Stepper", "TorchDecoder", "stepper_of"]

Float32 = npt.NDArray[np.float32]
State: TypeAlias = Any
"""Where a stream of speech is; a value."""


class Stepper(Protocol):
    """A decoder made ready for streams."""

    def start(self) -> State:
        """A stream that has said nothing."""

    def step(self, codes: npt.NDArray[np.int64], states: Sequence[State]) -> tuple[list[Float32], list[State]]:
        """int64 [N, 1 + n], the next frame of N streams -> of each float32 [samples], none in its first three, and its state."""

    def flush(self, state: State) -> Float32:
        """The sound still held back, at most three frames."""


def stepper_of(net: SpeechDecoderNet) -> Stepper:
    """The fastest that can run this decoder where it is."""
    return CompiledDecoder(net) if fits(net) else TorchDecoder(net)


class TorchDecoder:
    """Any device, any type."""

    def __init__(self, net: SpeechDecoderNet) -> None:
        self._net = net

    def start(self) -> DecoderState:
        return self._net.initial_state()

    @torch.inference_mode()
    def step(
        self, codes: npt.NDArray[np.int64], states: Sequence[DecoderState]
    ) -> tuple[list[Float32], list[DecoderState]]:
        made: dict[int, tuple[Float32, DecoderState]] = {}
        # A stream whose look-ahead is still filling has less behind it, and is stepped with its like.
        behind = [state.window.shape[-1] for state in states]
        device = self._net.semantic_dequantizer.dequant.weight.device
        for length in sorted(set(behind)):
            group = [index for index, other in enumerate(behind) if other == length]
            latents = self._net.latents(torch.from_numpy(codes[group]).to(device)[:, :, None])
            wave, after = self._net.step(latents, DecoderState.stacked([states[index] for index in group]))
            made |= zip(group, zip(wave.float().cpu().numpy(), after.parted(), strict=True), strict=True)
        return [made[index][0] for index in range(len(states))], [made[index][1] for index in range(len(states))]

    @torch.inference_mode()
    def flush(self, state: DecoderState) -> Float32:
        sound: Float32 = self._net.flush(state)[0].float().cpu().numpy()
        return sound
