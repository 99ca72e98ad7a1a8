"""Training a checkpoint further: its parts become the finished stages of a working folder, and only practice is left to do."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch
from torch import nn

from vivavoce.model.omni import Omni
from vivavoce.model.tokenizer import Tokenizer
from vivavoce.model.train import kitten, vocabulary
from vivavoce.model.train.run import cast, save
from vivavoce.model.weights import load_omni

STAGES = ("corpus", "codes", "sounds", "further_eyes", "sights", "growth", "talking")
"""What a checkpoint that is trained further goes through; it stands for all other stages of the recipe itself, but may be given
another second voice (`--only second_voice`)."""


def stages(languages: Sequence[str], litter: int = 1) -> tuple[str, ...]:
    """The same for words that are new to it, of a language or a litter: its ears have to learn as well."""
    return (STAGES[0], "ears", *STAGES[1:]) if new_words(languages, litter) else STAGES


def new_words(languages: Sequence[str], litter: int) -> bool:
    """Whether there may be words that the checkpoint has no pieces for, or has never heard."""
    return "zh" in languages or litter > 1


def take(checkpoint: Path, folder: Path, languages: Sequence[str] = ("en",), litter: int = 1) -> None:
    """Lay out the checkpoint's parts in `folder` as the stages that made them would have left them. For Mandarin it gets pieces for
    Chinese characters, for a litter those for its words, where it has none, and ears that are still to learn (`young_ears.pt`).

    Raises:
        CheckpointError: the checkpoint cannot be read.
        ValueError: it is of other sizes than the recipe's, its number of layers aside.
    """
    omni = load_omni(checkpoint)
    expected = kitten.config(omni.config.backbone.vocab_size)
    deep = replace(expected, backbone=replace(expected.backbone, num_layers=omni.config.backbone.num_layers))
    if omni.config != deep:
        raise ValueError(
            f"{checkpoint}: not of the sizes in model/train/kitten.py, which the recipe trains; only layers may differ"
        )
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer = Tokenizer.load(checkpoint)
    if "zh" in languages:
        tokenizer = vocabulary.extended(tokenizer, vocabulary.characters())
    tokenizer = vocabulary.with_words(tokenizer, vocabulary.words(tokenizer, litter))
    if tokenizer.vocab_size > omni.config.backbone.vocab_size:
        omni = vocabulary.grown(omni, tokenizer.vocab_size)
    tokenizer.save(folder)
    shutil.copy(checkpoint / "audio" / "global_cmvn", folder)
    shutil.copytree(checkpoint / "audio_codec", folder / "audio_codec", dirs_exist_ok=True)
    encoder = torch.load(checkpoint / "audio_codec" / "encoder.pt", weights_only=True)
    save(folder / "codec_encoder.pt", cast(encoder, torch.float32))
    _stage(folder, "young_ears" if new_words(languages, litter) else "ears", omni.audio_encoder)
    _stage(folder, "eyes", nn.ModuleDict({"encoder": omni.vision_encoder, "projector": omni.vision_projector}))
    _stage(folder, "writing", nn.ModuleDict(speaking_parts(omni)))


def speaking_parts(omni: Omni) -> dict[str, nn.Module]:
    """All that learns to talk: everything but ears and eyes."""
    return {k: m for k, m in omni.named_children() if k not in ("audio_encoder", "vision_encoder")}


def _stage(folder: Path, name: str, modules: nn.Module) -> None:
    save(folder / f"{name}.pt", {"modules": modules.state_dict()})
