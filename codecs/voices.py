"""The voices of a checkpoint: decoders that speak the same codes, each its own way.

    audio_codec/config.yaml, its weights                     who speaks unless another is asked for
    audio_codec/voices/NAME/config.yaml, its weights         the others

The model chooses codes and knows nothing of voices; every conversation has its own, and all are decoded together.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch

from vivavoce.codecs import codec
from vivavoce.codecs.codec import CodecError, SpeechCodec, SpeechDecoder
from vivavoce.codecs.config import CONFIG_NAME, CodecConfig, voice_folders, voice_names
from vivavoce.codecs.decoder import SpeechDecoderNet
from vivavoce.codecs.media import AudioChunk, SpeechFrame

__all__ = ["Voices", "examine", "needed_bytes"]


def examine(folder: str | Path) -> list[str]:
    """What is wrong with a codec's folder and its voices, one phrase each; nothing is allocated for their weights."""
    problems = [problem for found in voice_folders(folder) for problem in codec.examine(found)]
    if problems:
        return problems
    try:
        voice_names(folder)
    except ValueError as error:
        return [str(error)]
    return []


def needed_bytes(folder: str | Path) -> int:
    """What the voices of a folder that has been examined take in memory: weights in fp32, and once more as they are packed."""
    with torch.device("meta"):
        nets = [SpeechDecoderNet(CodecConfig.read(found / CONFIG_NAME)) for found in voice_folders(folder)]
    return sum(2 * 4 * tensor.numel() for net in nets for tensor in net.state_dict().values())


class Voices:
    """At least one, the first for whoever asks for none. All conversations share them.

    Raises:
        CodecError: two have one name, or they speak other codes than the first.
    """

    def __init__(self, *codecs: SpeechCodec) -> None:
        self._codecs = {each.net.cfg.voice: each for each in codecs}
        if len(self._codecs) < len(codecs):
            raise CodecError(f"of {len(codecs)} voices only {len(self._codecs)} have a name of their own")
        first = codecs[0]
        for name, each in self._codecs.items():
            if each.limits != first.limits:
                raise CodecError(f"voice {name} speaks {each.limits} codes, the first one {first.limits}")

    @classmethod
    def load(cls, folder: str | Path) -> Voices:
        """All of a checkpoint's. Raises what `SpeechCodec.load` does."""
        return cls(*(SpeechCodec.load(found) for found in voice_folders(folder)))

    @property
    def names(self) -> tuple[str, ...]:
        """Whom one may ask for."""
        return tuple(self._codecs)

    def begin(self, name: str = "") -> SpeechDecoder:
        """A reply in this voice, or in the first.

        Raises:
            ValueError: there is no such voice; says which there are.
        """
        name = name or self.names[0]
        if name not in self._codecs:
            raise ValueError(f"there is no voice {name!r}, there are {', '.join(self.names)}")
        return SpeechDecoder(self._codecs[name])

    @staticmethod
    def speak(streams: Sequence[tuple[SpeechDecoder, SpeechFrame]]) -> list[AudioChunk | None]:
        """The next 60 ms of codes of several replies at once, whatever their voices: see `SpeechCodec.speak`."""
        for decoder, frame in streams:
            decoder.expects(frame)
        made: dict[int, AudioChunk | None] = {}
        for each in {id(decoder.codec): decoder.codec for decoder, _ in streams}.values():
            own = [number for number, (decoder, _) in enumerate(streams) if decoder.codec is each]
            made |= zip(own, each.speak([streams[number] for number in own]), strict=True)
        return [made[number] for number in range(len(streams))]
