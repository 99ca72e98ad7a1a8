"""The front door of the speech codec: load a checkpoint, then give each reply its own `SpeechDecoder`.

codec = SpeechCodec.load("audio_codec")
voice = SpeechDecoder(codec)
chunk = voice.push(SpeechFrame((17, 4, 0, 311)))      # None for the first three frames: the look-ahead
rest = voice.flush()
"""

from __future__ import annotations

import pickle
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from vivavoce.codecs.config import CONFIG_NAME, CodecConfig
from vivavoce.codecs.decoder import SpeechDecoderNet
from vivavoce.codecs.media import SPEAK_RATE, AudioChunk, SpeechFrame
from vivavoce.codecs.stepping import Float32, State, stepper_of

WEIGHTS_NAME = "decoder.pt"


class CodecError(ValueError):
    """A codec checkpoint that does not fit: which file, which tensors, and both shapes."""


def examine(folder: str | Path) -> list[str]:
    """What is wrong with a codec's folder, one phrase each; nothing is allocated for its weights."""
    try:
        cfg = CodecConfig.read(Path(folder) / CONFIG_NAME)
        with torch.device("meta"):
            net = SpeechDecoderNet(cfg)
        path = Path(folder) / Path(cfg.ckpt_path or WEIGHTS_NAME).name
        weights = _read_weights(path, mmap=True)
    except FileNotFoundError as error:
        return [f"{error.filename} is missing"]
    except (OSError, ValueError) as error:
        return [str(error)]
    return [f"{path}: {misfit}" for misfit in _misfits(net.state_dict(), weights)]


class SpeechCodec:
    """A decoder ready for speaking: in eval mode, its weight norm folded. All conversations share it, none changes it."""

    def __init__(self, net: SpeechDecoderNet) -> None:
        self.net = net.eval()
        self.net.remove_weight_norm()
        cfg = net.cfg
        self.limits = (cfg.semantic_token_nums, *[cfg.acoustic_codes] * cfg.codec_codebooks)
        """Codes of the semantic and of each acoustic stream."""
        self.stepper = stepper_of(self.net)
        """Its streams, frame by frame."""

    @classmethod
    def load(cls, folder: str | Path) -> SpeechCodec:
        """From a folder with `config.yaml` and the weights it names in `ckpt_path`.

        Raises:
            OSError: a file cannot be read.
            CodecError: the configuration or the weights are not those of a 24 kHz decoder; all misfits are named.
        """
        try:
            cfg = CodecConfig.read(Path(folder) / CONFIG_NAME)
            net = SpeechDecoderNet(cfg)
        except ValueError as error:
            raise CodecError(str(error)) from error
        path = Path(folder) / Path(cfg.ckpt_path or WEIGHTS_NAME).name
        weights = _read_weights(path)
        misfits = _misfits(net.state_dict(), weights)
        if misfits:
            raise CodecError(f"{path}: " + "; ".join(misfits))
        net.load_state_dict(weights)
        return cls(net)

    def save(self, folder: str | Path, dtype: torch.dtype = torch.float32) -> None:
        """To a folder that `load` takes, the weights in `dtype`."""
        cfg = self.net.cfg
        cfg = replace(cfg, ckpt_path=Path(cfg.ckpt_path or WEIGHTS_NAME).name)
        Path(folder).mkdir(parents=True, exist_ok=True)
        cfg.write(Path(folder) / CONFIG_NAME)
        weights = {name: tensor.to(dtype).clone() for name, tensor in self.net.state_dict().items()}
        torch.save(weights, Path(folder) / cfg.ckpt_path)

    def check(self, frame: SpeechFrame) -> None:
        """Raises ValueError if a code is none of the codec's, naming the code and the limit."""
        for stream, (code, limit) in enumerate(zip(frame.codes, self.limits, strict=False)):
            if code >= limit:
                raise ValueError(f"code {code} of stream {stream} is not below {limit}")

    def latents(self, frames: Sequence[SpeechFrame]) -> Tensor:
        """Frames -> [1, C, T]. A decoder with fewer acoustic stages than a frame has codes leaves out the last ones.

        Raises:
            ValueError: a code is none of the codec's.
        """
        for frame in frames:
            self.check(frame)
        codes = torch.tensor([frame.codes[: len(self.limits)] for frame in frames], dtype=torch.int64)
        return self.net.latents(codes.t()[None])

    def speak(self, streams: Sequence[tuple[SpeechDecoder, SpeechFrame]]) -> list[AudioChunk | None]:
        """The next 60 ms of codes of several replies at once: for each what its own `push` would have given.

        Raises:
            ValueError: a code is none of the codec's.
            RuntimeError: a stream has been flushed. Either way all streams are as before.
        """
        for decoder, frame in streams:
            decoder.expects(frame)
        if not streams:
            return []
        codes = np.array([frame.codes[: len(self.limits)] for _, frame in streams], np.int64)
        sounds, states = self.stepper.step(codes, [decoder.state for decoder, _ in streams])
        heard = zip(streams, states, sounds, strict=True)
        return [decoder.advanced(state, sound) for (decoder, _), state, sound in heard]

    @torch.inference_mode()
    def decode(self, frames: Sequence[SpeechFrame]) -> AudioChunk:
        """A whole utterance at once, 1440 samples a frame at 24 kHz.

        Raises:
            ValueError: a code is none of the codec's.
        """
        if not frames:
            return AudioChunk(np.zeros(0, dtype=np.float32), SPEAK_RATE, 0)
        wave = self.net.from_latents(self.latents(frames))[0]
        return AudioChunk(wave.float().cpu().numpy(), SPEAK_RATE, 0)


class SpeechDecoder:
    """One reply's voice: 60 ms of codes in, 60 ms of sound out, three frames later."""

    def __init__(self, codec: SpeechCodec) -> None:
        self.codec = codec
        self.state = codec.stepper.start()
        self._start = 0
        self._flushed = False

    def push(self, frame: SpeechFrame) -> AudioChunk | None:
        """The next 60 ms of codes -> the 24 kHz sound that became ready; None while the look-ahead fills.

        Raises:
            ValueError: a code is none of the codec's; the stream is as before.
            RuntimeError: the stream has been flushed.
        """
        return self.codec.speak([(self, frame)])[0]

    def expects(self, frame: SpeechFrame) -> None:
        """Raises what `push` would."""
        if self._flushed:
            raise RuntimeError(f"the speech stream was flushed after {self._start} samples and takes no more frames")
        self.codec.check(frame)

    def advanced(self, state: State, sound: Float32) -> AudioChunk | None:
        """Go on from `state`, which gave `sound` [n]; None for none."""
        self.state = state
        return self._chunk(sound) if len(sound) else None

    def flush(self) -> AudioChunk:
        """The end of the reply: the sound held back, at most 180 ms. A second flush gives none."""
        sound = np.zeros(0, np.float32) if self._flushed else self.codec.stepper.flush(self.state)
        self._flushed = True
        return self._chunk(sound)

    def copy(self) -> SpeechDecoder:
        """A second stream that goes on from here by itself."""
        twin = SpeechDecoder.__new__(SpeechDecoder)
        twin.__dict__.update(self.__dict__)  # the state is a value, so sharing it is safe
        return twin

    def _chunk(self, sound: Float32) -> AudioChunk:
        chunk = AudioChunk(sound, SPEAK_RATE, self._start)
        self._start = chunk.end
        return chunk


def _read_weights(path: Path, *, mmap: bool = False) -> dict[str, Tensor]:
    try:
        weights = torch.load(path, map_location="cpu", weights_only=True, mmap=mmap)
    except OSError:
        raise
    except pickle.UnpicklingError:
        raise CodecError(f"{path}: it holds more than tensors, and is not read: it could run code") from None
    except Exception as error:  # a pickle of rubbish may raise anything
        reason = (str(error).splitlines() or [""])[0]
        raise CodecError(f"{path}: not a file of weights ({type(error).__name__}: {reason})") from error
    if not isinstance(weights, dict) or not all(isinstance(value, Tensor) for value in weights.values()):
        raise CodecError(f"{path}: not a table of tensors")
    return weights


def _misfits(expected: Mapping[str, Tensor], found: Mapping[str, Tensor]) -> list[str]:
    """What is missing, surplus or of another shape, one phrase each."""
    missing = [f"{name} {list(expected[name].shape)} is missing" for name in expected if name not in found]
    surplus = [f"{name} {list(found[name].shape)} is not the decoder's" for name in found if name not in expected]
    shapes = [
        f"{name} should be {list(expected[name].shape)}, is {list(found[name].shape)}"
        for name in expected
        if name in found and found[name].shape != expected[name].shape
    ]
    return missing + surplus + shapes
