"""What the stages have left in the working folder, as the next ones want it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from vivavoce.codecs.codec import SpeechCodec
from vivavoce.codecs.decoder import SpeechDecoderNet
from vivavoce.codecs.fbank import read_cmvn
from vivavoce.model.images import smart_resize
from vivavoce.model.omni import Omni
from vivavoce.model.tokenizer import Tokenizer
from vivavoce.model.train import corpus, growth, hearing, kitten, seeing, speaking
from vivavoce.model.train.corpus import Utterance
from vivavoce.model.train.further import speaking_parts
from vivavoce.model.train.plan import Plan
from vivavoce.model.train.scenes import Scene
from vivavoce.model.train.turns import Dialogue

HEIGHT, WIDTH = 240, 320
"""Pixels of a training picture."""


TALKERS = ("writing", "grown", "talking", "dpo", "alignment")
"""Stages that leave a language model, each beginning with the last of those before it that there are."""


class Pantry:
    """One working folder, seen by the stages. What is missing raises FileNotFoundError, but for pictures, which are made."""

    def __init__(self, folder: Path, plan: Plan) -> None:
        self.folder, self.plan = folder, plan

    def scenes(self) -> list[Scene]:
        some = seeing.random_scenes(self.plan.pictures, self.plan.seed + 5, held=False)
        return some + seeing.crowded(self.plan.crowded, self.plan.seed + 7)

    def pictures(self) -> tuple[np.ndarray, np.ndarray]:
        """Patches, on disk, and truth; those of `_scenes` come first, then close-ups."""
        if not (self.folder / "truth.npy").exists():
            scenes = self.scenes() + seeing.close_ups(self.plan.close_ups, self.plan.seed + 6)
            seeing.make_pictures(scenes, kitten.config().vision, self.folder, workers=self.plan.workers)
        return np.load(self.folder / "pictures.npy", mmap_mode="r"), np.load(self.folder / "truth.npy")

    @property
    def grid(self) -> tuple[int, int]:

        vision = kitten.config().vision
        height, width = smart_resize(HEIGHT, WIDTH, vision)
        return height // vision.patch_size, width // vision.patch_size

    def talk(self) -> list[Dialogue]:
        return corpus.load(self.folder / "dialogues.pkl")  # type: ignore[no-any-return]

    def tokenizer(self) -> Tokenizer:
        return Tokenizer.load(self.folder)

    def recordings(self, scaling: tuple[np.ndarray, np.ndarray] | None = None) -> speaking.Recordings:
        return speaking.Recordings(corpus.load(self.folder / "replies.pkl"), scaling)

    @property
    def taken(self) -> bool:
        """The voice is that of a checkpoint that is trained further."""
        return (self.folder / "audio_codec").exists()

    def codec(self) -> SpeechCodec:
        if self.taken:
            return SpeechCodec.load(self.folder / "audio_codec")
        return SpeechCodec(self.decoder("voice.pt"))

    def codes(self) -> dict[str, list[np.ndarray]]:
        if not hasattr(self, "_cached_codes"):
            self._cached_codes: dict[str, list[np.ndarray]] = corpus.load(self.folder / "codes.pkl")
        return self._cached_codes

    def users(self) -> tuple[Sequence[Utterance], np.ndarray]:
        return corpus.load(self.folder / "users.pkl"), np.load(self.folder / "users.npy", mmap_mode="r")

    def ears(self, utterances: Sequence[Utterance], rows: np.ndarray) -> hearing.Ears:
        cmvn = read_cmvn(self.folder / "global_cmvn")
        return hearing.Ears(
            utterances,
            rows,
            np.asarray(cmvn.mean, np.float32),
            np.asarray(cmvn.scale, np.float32),
            kitten.config().audio,
        )

    def unheard(self) -> dict[str, hearing.Readings]:
        """What the ears are given of every user utterance, by text, in the order of `heard.pkl`."""
        utterances, rows = self.users()
        by_text: dict[str, list[int]] = {}
        for index, utterance in enumerate(utterances):
            by_text.setdefault(utterance.text, []).append(index)
        ears = self.ears(utterances, rows)
        return {text: hearing.Readings(ears, indices) for text, indices in by_text.items()}

    def unseen(self, at: Mapping[int, int]) -> Callable[[int], np.ndarray]:
        """Scene seed to what the eyes are given, the same array as long as it is asked for again and again.

        Args:
            at: place of every scene in `scenes.pkl`, whose second half are mirror images.
        """
        (patches, truth), count = self.pictures(), len(at) // 2

        @lru_cache(maxsize=64)
        def look(seed: int) -> np.ndarray:
            some = slice(at[seed] % count, at[seed] % count + 1)
            across = at[seed] >= count
            return seeing.flipped(patches[some], truth[some], self.grid, across=across, down=False)[0][0]

        return look

    def reader(self, layers: int | None = None) -> seeing.Reader:
        """Untrained eyes, of so many layers if not of all."""
        torch.manual_seed(self.plan.seed)
        config = kitten.config()
        if layers is not None:
            config = replace(config, vision=replace(config.vision, num_hidden_layers=layers))
        omni = Omni(config)
        return seeing.Reader(omni.vision_encoder, omni.vision_projector, omni.config.backbone.hidden_size)

    def decoder(self, file: str) -> SpeechDecoderNet:
        decoder = SpeechDecoderNet(kitten.codec_config())
        saved = torch.load(self.folder / file, weights_only=True)
        decoder.load_state_dict(saved.get("decoder") or saved["modules"])
        return decoder

    def omni(self, *stages: str) -> Omni:
        """A network with the given stages' parts filled in, in this order, and as deep as they are."""
        parts = {stage: torch.load(self.folder / f"{stage}.pt", weights_only=True)["modules"] for stage in stages}
        config = kitten.config()
        layers = max(map(growth.depth, parts.values()), default=0) or config.backbone.num_layers
        torch.manual_seed(self.plan.seed)
        omni = Omni(replace(config, backbone=replace(config.backbone, num_layers=layers)))
        loaders: dict[str, Callable[[dict[str, Any]], Any]] = {
            "ears": omni.audio_encoder.load_state_dict,
            "eyes": self._load_eyes(omni),
        }
        for stage, part in parts.items():
            loaders.get(stage, self._load_talk(omni))(part)
        return omni.eval()

    def last(self, before: str = "") -> str:
        """The last stage that has left a language model, of those before another or of all.

        Raises FileNotFoundError if none has.
        """
        earlier = TALKERS[: TALKERS.index(before)] if before else TALKERS
        for stage in reversed(earlier):
            if (self.folder / f"{stage}.pt").exists():
                return stage
        raise FileNotFoundError(f"{self.folder}: none of {', '.join(f'{stage}.pt' for stage in earlier)}")

    @staticmethod
    def _load_talk(omni: Omni) -> Callable[[dict[str, Any]], Any]:
        def load(state: dict[str, Any]) -> None:
            along = {k: m for k, m in omni.named_children() if any(key.startswith(f"{k}.") for key in state)}
            nn.ModuleDict(speaking_parts(omni) | along).load_state_dict(state)

        return load

    @staticmethod
    def _load_eyes(omni: Omni) -> Callable[[dict[str, Any]], Any]:
        def load(state: dict[str, Any]) -> None:
            for part, module in (("encoder.", omni.vision_encoder), ("projector.", omni.vision_projector)):
                module.load_state_dict({k.removeprefix(part): v for k, v in state.items() if k.startswith(part)})

        return load
