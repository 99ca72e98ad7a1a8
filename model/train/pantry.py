"""What the stages have left in the working folder, as the next ones want it."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from vivavoce.codecs.codec import SpeechCodec
from vivavoce.codecs.config import voice_folders
from vivavoce.codecs.decoder import SpeechDecoderNet
from vivavoce.codecs.fbank import read_cmvn
from vivavoce.model.config import OmniConfig
from vivavoce.model.images import smart_resize
from vivavoce.model.omni import Omni
from vivavoce.model.tokenizer import Tokenizer
from vivavoce.model.train import corpus, growth, hearing, kitten, noticing, seeing, speaking, voices
from vivavoce.model.train.corpus import Utterance
from vivavoce.model.train.further import speaking_parts
from vivavoce.model.train.gallery import Gallery, Taken
from vivavoce.model.train.plan import Plan
from vivavoce.model.train.sayings import Saying
from vivavoce.model.train.scenes import Scene
from vivavoce.model.train.turns import Dialogue
from vivavoce.model.train.watch_skills import random_change

HEIGHT, WIDTH = 240, 320
"""Pixels of a training picture."""


TALKERS = ("writing", "grown", "talking", "dpo", "alignment")
"""Stages that leave a language model, each beginning with the last of those before it that there are."""


def lower(pcm: np.ndarray) -> np.ndarray:
    """A recording of the first voice, int16 [samples], as the second one's."""
    return np.round(voices.revoiced(pcm.astype(np.float32) / 32768, *kitten.LOWER) * 32767).astype(np.int16)


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
            seeing.make_pictures(scenes, self.config.vision, self.folder, workers=self.plan.workers)
        return np.load(self.folder / "pictures.npy", mmap_mode="r"), np.load(self.folder / "truth.npy")

    @property
    def config(self) -> OmniConfig:
        """Kitten's sizes, with the vocabulary that lies in the folder, if one does."""
        known = (self.folder / "tokenizer.json").exists()
        return kitten.config(self.tokenizer().vocab_size) if known else kitten.config()

    @property
    def grid(self) -> tuple[int, int]:

        vision = self.config.vision
        height, width = smart_resize(HEIGHT, WIDTH, vision)
        return height // vision.patch_size, width // vision.patch_size

    def talk(self) -> list[Dialogue]:
        return corpus.load(self.folder / "dialogues.pkl")  # type: ignore[no-any-return]

    def tokenizer(self) -> Tokenizer:
        return Tokenizer.load(self.folder)

    def recordings(self, scaling: tuple[np.ndarray, np.ndarray] | None = None) -> speaking.Recordings:
        return speaking.Recordings(corpus.recordings(self.folder), scaling)

    @property
    def taken(self) -> bool:
        """The voice is that of a checkpoint that is trained further."""
        return (self.folder / "audio_codec").exists()

    def codec(self) -> SpeechCodec:
        if self.taken:
            return SpeechCodec.load(self.folder / "audio_codec")
        return SpeechCodec(self.decoder("voice.pt"))

    def first_voice(self) -> SpeechDecoderNet:
        """Its decoder, to be trained."""
        net = SpeechDecoderNet(kitten.codec_config(kitten.SECOND_VOICE))
        net.load_state_dict(self.codec().net.state_dict())
        return net

    def voices(self) -> list[SpeechCodec]:
        """The first voice, and the others that there are."""
        if (self.folder / "second_voice.pt").exists():
            second = [SpeechCodec(self.decoder("second_voice.pt", kitten.SECOND_VOICE))]
        else:
            second = [SpeechCodec.load(found) for found in voice_folders(self.folder / "audio_codec")[1:]]
        return [self.codec(), *second]

    def revoiced(self) -> list[tuple[np.ndarray, np.ndarray]]:
        """Codes of the first voice, int64 [T, 4], and what the second says there, int16 [samples]; made once."""
        path = self.folder / "revoiced.pkl"
        if not path.exists():
            replies, codes = corpus.recordings(self.folder), self.codes()
            rng = random.Random(self.plan.seed + 11)
            every = [(saying, number) for saying in sorted(replies) for number in range(len(replies[saying]))]
            chosen = rng.sample(every, min(self.plan.second_readings, len(every)))
            with ProcessPoolExecutor(self.plan.workers) as pool:
                spoken = (replies[saying][number] for saying, number in chosen)
                made = list(pool.map(lower, spoken, chunksize=16))
            pairs = [(codes[saying][number], wave) for (saying, number), wave in zip(chosen, made, strict=True)]
            corpus.save(path, pairs)
        return corpus.load(path)  # type: ignore[no-any-return]

    def codes(self) -> dict[Saying, list[np.ndarray]]:
        if not hasattr(self, "_cached_codes"):
            kept = corpus.load(self.folder / "codes.pkl")
            self._cached_codes: dict[Saying, list[np.ndarray]] = {Saying.of(key): some for key, some in kept.items()}
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
            self.config.audio,
        )

    def unheard(self) -> dict[str, hearing.Readings]:
        """What the ears are given of every user utterance, by text, in the order of `heard.pkl`."""
        utterances, rows = self.users()
        by_text: dict[str, list[int]] = {}
        for index, utterance in enumerate(utterances):
            by_text.setdefault(utterance.text, []).append(index)
        ears = self.ears(utterances, rows)
        return {text: hearing.Readings(ears, indices) for text, indices in by_text.items()}

    def filmed(self, name: str, scenes: Callable[[], list[Scene]]) -> Taken:
        """Pictures of other scenes, in `<name>_pictures.npy` and `<name>_truth.npy`; the scenes beside them are drawn once."""
        kept = self.folder / f"{name}_scenes.pkl"
        if not kept.exists():
            corpus.save(kept, scenes())
        some = corpus.load(kept)
        if not (self.folder / f"{name}_truth.npy").exists():
            seeing.make_pictures(
                some,
                self.config.vision,
                self.folder,
                workers=self.plan.workers,
                prefix=f"{name}_",
                camera=noticing.film,
                seconds=noticing.SECONDS,
            )
        patches = np.load(self.folder / f"{name}_pictures.npy", mmap_mode="r")
        return Taken(some, patches, np.load(self.folder / f"{name}_truth.npy"))

    def second_pictures(self) -> Taken:
        """What only the second litter is shown."""
        return self.filmed(
            "second", lambda: list(noticing.random_views(self.plan.views, self.plan.seed + 9, held=False))
        )

    def changes(self) -> Taken:
        """Scenes in pairs, each before and after something has changed."""

        def pairs() -> list[Scene]:
            rng = random.Random(self.plan.seed + 10)
            return [scene for _ in range(self.plan.changes) for scene in random_change(rng)]

        return self.filmed("change", pairs)

    def gallery(self) -> Gallery:
        """Every picture that the litter is asked about. The second one's truth has more columns, of old pictures as well."""
        scenes, (patches, truth) = self.scenes(), self.pictures()
        if self.plan.litter < 2:
            return Gallery([Taken(scenes, patches, truth[: len(scenes)])], self.grid)
        more = [noticing.with_more(some, scene, self.grid) for some, scene in zip(truth, scenes, strict=False)]
        return Gallery([Taken(scenes, patches, np.stack(more)), self.second_pictures(), self.changes()], self.grid)

    def unseen(self) -> Callable[[int], np.ndarray]:
        """What a picture is known by to what the eyes are given, the same array as long as it is asked for again and again."""
        return lru_cache(maxsize=64)(self.gallery().look)

    @property
    def eyes(self) -> str:
        """The last stage that has left eyes."""
        return "further_eyes" if (self.folder / "further_eyes.pt").exists() else "eyes"

    def reader(self, layers: int | None = None) -> seeing.Reader:
        """Untrained eyes, of so many layers if not of all."""
        torch.manual_seed(self.plan.seed)
        config = self.config
        if layers is not None:
            config = replace(config, vision=replace(config.vision, num_hidden_layers=layers))
        omni = Omni(config)
        return seeing.Reader(omni.vision_encoder, omni.vision_projector, omni.config.backbone.hidden_size)

    def decoder(self, file: str, voice: str = kitten.VOICE) -> SpeechDecoderNet:
        decoder = SpeechDecoderNet(kitten.codec_config(voice))
        saved = torch.load(self.folder / file, weights_only=True)
        decoder.load_state_dict(saved.get("decoder") or saved["modules"])
        return decoder

    def omni(self, *stages: str) -> Omni:
        """A network with the given stages' parts filled in, in this order, and as deep as they are."""
        parts = {stage: torch.load(self.folder / f"{stage}.pt", weights_only=True)["modules"] for stage in stages}
        config = self.config
        layers = max(map(growth.depth, parts.values()), default=0) or config.backbone.num_layers
        torch.manual_seed(self.plan.seed)
        omni = Omni(replace(config, backbone=replace(config.backbone, num_layers=layers)))
        loaders: dict[str, Callable[[dict[str, Any]], Any]] = {
            "ears": omni.audio_encoder.load_state_dict,
            "eyes": self._load_eyes(omni),
            "further_eyes": self._load_eyes(omni),
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
