"""A host small enough for tests: random weights, a byte tokenizer, and, where a story needs one, a scripted mouth.

The script replaces only the choice of ids. Everything before it (encoders, prompt, cache) and behind it (state machine,
layout, speech decoder) is the real thing, so what the host has in its cache can be compared with an offline pass.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from vivavoce.codecs.cmvn import Cmvn
from vivavoce.codecs.codec import SpeechCodec
from vivavoce.codecs.config import CodecConfig
from vivavoce.codecs.decoder import SpeechDecoderNet
from vivavoce.codecs.media import AudioChunk, MediaChunk, VideoFrame
from vivavoce.model import prompt
from vivavoce.model.config import tiny
from vivavoce.model.engine import engine as engine_module
from vivavoce.model.engine.engine import Engine
from vivavoce.model.engine.machine import Codes
from vivavoce.model.engine.sampling import Speaker
from vivavoce.model.host import Host
from vivavoce.model.messages import Reply, Request
from vivavoce.model.omni import Omni
from vivavoce.model.prompt import Rows
from vivavoce.model.tokenizer import EOS, PAUSE, Tokenizer, train_tokenizer

VOCABULARY = 400
CODEC = CodecConfig(
    codec_dimension=12,
    semantic_dim=10,
    semantic_token_nums=32,
    codec_codebook_size=5,
    codec_codebook_search_dim=4,
    decoder_dim=32,
)
Mouth = list[tuple[int, Codes]]


class Toy:
    """A host and the parts it was made of."""

    def __init__(self, seed: int = 7, max_tokens: int = 8192) -> None:
        torch.manual_seed(seed)
        config = tiny(VOCABULARY)
        self.omni = Omni(replace(config, audio=replace(config.audio, ctc_vocab=VOCABULARY))).eval()
        self.tokenizer: Tokenizer = train_tokenizer(["a red circle. yes, it is red."], VOCABULARY)
        self.codec = SpeechCodec(SpeechDecoderNet(CODEC))
        mels = self.omni.config.audio.fbank.n_mels
        self.cmvn = Cmvn(np.full(mels, 10, np.float32), np.full(mels, 0.3, np.float32))
        self.host = Host(self.omni, self.tokenizer, self.codec, self.cmvn, max_tokens=max_tokens)

    @property
    def engine(self) -> Engine:
        return self.host._engine

    @torch.inference_mode()
    def tell(self, request: Request) -> list[Reply]:
        """A request, and what the encoders make of it at once; the engine takes no step."""
        replies = self.host.handle(request)
        while self.host._intake:
            replies += self.host._sense(None)
        return replies

    def run(self, steps: int | None = None) -> list[Reply]:
        """Step until nothing is left to do, or so many times."""
        said: list[Reply] = []
        while self.host.busy and steps != 0:
            said += self.host.step()
            steps = None if steps is None else steps - 1
        return said

    def hidden(self, session: str) -> Tensor:
        """[D]: what the model has in mind after all that the session has in its cache."""
        hidden = self.engine._sessions[session].hidden
        assert hidden is not None
        return hidden

    def offline(self, rows: Rows, sound: Tensor | None = None, vision: Tensor | None = None) -> Tensor:
        """[D]: the same after these prompt rows, in one pass without a cache."""
        with torch.inference_mode():
            embeds = self.omni.embed_prompt(torch.from_numpy(rows), sound, vision)
            return self.omni.backbone(embeds[None])[0, -1]

    def remembers(self, session: str, *rows: Rows, sound: Tensor | None = None, vision: Tensor | None = None) -> None:
        """Assert that the session's cache holds exactly these rows."""
        self.run()
        expected = prompt.join(*rows)
        assert self.engine.position(session) == len(expected)
        torch.testing.assert_close(self.hidden(session), self.offline(expected, sound, vision), atol=1e-4, rtol=1e-4)

    def text(self, string: str) -> Rows:
        return prompt.text(self.tokenizer, string)

    def says(self, monkeypatch: pytest.MonkeyPatch, *mouths: Mouth) -> None:
        """The replies to come say these steps, one reply after another."""
        lines: dict[int, list[tuple[int, Codes]]] = {}
        waiting = [list(mouth) for mouth in mouths]
        alive: list[Speaker] = []  # so that none is given the id of one that is gone

        def choose(
            omni: Omni, hidden: Tensor, speakers: Sequence[Speaker], wants_text: Sequence[bool]
        ) -> list[tuple[int, Codes | None]]:
            chosen: list[tuple[int, Codes | None]] = []
            for speaker in speakers:
                line = lines.setdefault(id(speaker), []) or waiting.pop(0)
                lines[id(speaker)] = line
                alive.append(speaker)
                text, codes = line.pop(0)
                chosen.append((text, None if speaker.silent else codes))
            return chosen

        monkeypatch.setattr(engine_module, "choose", choose)


def codes_of(frames: int, seed: int = 0) -> np.ndarray:
    """int64 [frames, 4] without offset."""
    dice = np.random.default_rng(seed)
    return np.column_stack([dice.integers(0, 32, frames), dice.integers(0, 25, (frames, 3))])


def spoken(tokenizer: Tokenizer, *pieces: tuple[str, np.ndarray]) -> Mouth:
    """The steps that a model trained on the layout would make to say these pieces."""
    mouth: Mouth = []
    for index, (words, codes) in enumerate(pieces):
        ids = [*tokenizer.encode(words), PAUSE if index + 1 < len(pieces) else EOS]
        for row in prompt.spoken_piece(ids, codes):
            mouth.append((int(row[0]), (int(row[1]), *(max(32, int(c)) for c in row[2:]))))
    return mouth


def sound(ms: int, start_ms: int = 0, seed: int = 0) -> AudioChunk:
    """A voice-like noise, the same for the same seed."""
    wave = np.random.default_rng(seed).standard_normal((start_ms + ms) * 16) * 0.1
    return AudioChunk(wave[start_ms * 16 :].astype(np.float32), 16_000, start_ms * 16)


def picture(at_ms: int, shade: int = 120) -> VideoFrame:
    rgb = np.full((60, 80, 3), shade, np.uint8)
    rgb[20:40, 30:50] = (200, 10, 10)
    return VideoFrame(rgb, at_ms)


def chunk(start_ms: int, ms: int = 1000, frames: int = 0) -> MediaChunk:
    """A second of one long noise, with frames half a second apart."""
    seen = tuple(picture(start_ms + 500 * i, 100 + start_ms // 100 + i) for i in range(frames))
    return MediaChunk(start_ms, sound(ms, start_ms) if ms else None, seen, dense=bool(ms))
