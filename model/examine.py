"""What a checkpoint directory holds, and all that is wrong with it, before any memory is taken for its weights.

    config.json, model-0000i-of-0000n.safetensors, model.safetensors.index.json      the backbone
    language_model_embedding.pt                                 a copy of the text embedding; the server does not read it
    tokenizer.json, generation_config.json
    vision/{config.json, vision_model.pt, vision_projector.pt}
    audio/{config.json, preprocessor_config.json, global_cmvn, audio_encoder.pt, audio_projector.pt, audio_embeddings.pt,
           audio_output_layers.pt}
    audio_codec/{config.yaml, the weights that it names}, audio_codec/voices/NAME/{the same}

Names, shapes and types are read from the files' headers and compared with the network that the configuration describes; all
disagreements are told at once. Pickled files are opened with `weights_only`: a checkpoint cannot run code.
"""

from __future__ import annotations

import dataclasses
import json
import pickle
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from vivavoce.model import fp8
from vivavoce.model.config import BackboneConfig, ConfigError, OmniConfig, load_config
from vivavoce.model.mtp import EMBEDDING as MTP_EMBEDDING
from vivavoce.model.mtp import PREFIX as MTP
from vivavoce.model.omni import Omni
from vivavoce.model.sizes import parameters

__all__ = ["INDEX", "PARTS", "CheckpointError", "Release", "Stored", "examine"]

INDEX = "model.safetensors.index.json"
PARTS = {
    "vision/vision_model.pt": "vision_encoder",
    "vision/vision_projector.pt": "vision_projector",
    "audio/audio_encoder.pt": "audio_encoder",
    "audio/audio_projector.pt": "audio_projector",
    "audio/audio_embeddings.pt": "audio_embeddings",
    "audio/audio_output_layers.pt": "audio_output_layers",
}
EMBEDDING = "language_model_embedding.pt"
EMBEDDING_NAME = "word_embeddings.weight"
_EXPERT = re.compile(r"^model\.layers\.\d+\.mlp\.experts\.(\d+)\.")
_TYPES = ("F32", "BF16", "F16")
_QUANTISED = "F8_E4M3"
_TYPE_NAMES = {torch.float32: "F32", torch.bfloat16: "BF16", torch.float16: "F16", torch.float8_e4m3fn: _QUANTISED}
_FAR_TOO_LARGE = 8
"""A configuration that describes so many times the values that the files hold is not worth building."""
_SHOWN = 20


class CheckpointError(ValueError):
    """A directory that is not a checkpoint of the network its configuration describes.

    problems: one sentence each. The first line of the message stands by itself.
    """

    def __init__(self, directory: Path, problems: list[str]) -> None:
        self.problems = tuple(problems)
        lines = list(problems[:_SHOWN])
        if len(problems) > _SHOWN:
            lines.append(f"... and {len(problems) - _SHOWN} more")
        count = "1 problem" if len(problems) == 1 else f"{len(problems)} problems"
        super().__init__(f"{directory} is not a usable checkpoint ({count}): " + "\n  ".join(lines))


@dataclass(frozen=True)
class Stored:
    """A tensor in a file: its shape and type, and how to read it."""

    file: str
    shape: tuple[int, ...]
    type: str
    """As safetensors writes it: F32, BF16, F16, F8_E4M3; anything else is no weight."""
    read: Callable[[], Tensor]
    empty: bool = False
    """A shape without numbers."""


@dataclass(frozen=True)
class Release:
    """What a directory holds, before any memory is taken for its weights."""

    root: Path
    omni: Omni
    """The network that the configuration describes, on the meta device; with a next-token-prediction head if one is stored."""
    parts: dict[str, dict[str, Stored] | None]
    """Tensors by part and name; None for a part whose files cannot all be read."""
    problems: tuple[str, ...]

    @property
    def shapes_only(self) -> str | None:
        """A file that holds shapes and no numbers, if there is one."""
        stored = (tensor for tensors in self.parts.values() for tensor in (tensors or {}).values())
        return next((tensor.file for tensor in stored if tensor.empty), None)


def examine(directory: str | Path) -> Release:
    """Compare a directory's weights with the network that its own configuration describes.

    Raises `CheckpointError` if the configuration describes none, or one that these files cannot be.
    """
    root = Path(directory)
    try:
        config = load_config(root)
    except ConfigError as error:
        raise CheckpointError(root, [str(error)]) from None
    problems: list[str] = []
    parts = {"backbone": _backbone_files(root, problems)}
    _check_magnitude(root, config.backbone, parts["backbone"])
    parts |= {part: _pickled(root, file, problems) for file, part in PARTS.items()}
    with torch.device("meta"):
        omni = Omni(config)
        parts |= _apart(parts, omni)
    for part, tensors in parts.items():
        if tensors is not None:
            problems += _compare(part, getattr(omni, part), tensors, config.backbone)
    problems += _embedding(root, config)
    return Release(root, omni, parts, tuple(problems))


def _check_magnitude(root: Path, config: BackboneConfig, stored: dict[str, Stored] | None) -> None:
    """A configuration that asks for a network of another size altogether is not built, not even its shapes."""
    if stored is None:
        return
    there = sum(torch.Size(tensor.shape).numel() for tensor in stored.values())
    if (asked := parameters(config)) > _FAR_TOO_LARGE * there:
        told = f"config.json describes a backbone of {asked:,} parameters, the files hold {there:,}"
        raise CheckpointError(root, [told])


def _apart(parts: dict[str, dict[str, Stored] | None], omni: Omni) -> dict[str, dict[str, Stored] | None]:
    """The next-token-prediction head as a part of its own, if it is stored; `omni` gets one then."""
    stored = parts["backbone"]
    head = {name: tensor for name, tensor in (stored or {}).items() if name.startswith(MTP)}
    if stored is None or not head:
        return {}
    omni.add_mtp()
    rest = {name: tensor for name, tensor in stored.items() if name not in head}
    return {"backbone": rest, "mtp": {name.removeprefix(MTP): tensor for name, tensor in head.items()}}


def _embedding(root: Path, config: OmniConfig) -> list[str]:
    """What is wrong with the copy of the text embedding; it is for clients that embed by themselves, and may be missing."""
    if not (root / EMBEDDING).exists():
        return []
    problems: list[str] = []
    stored = _pickled(root, EMBEDDING, problems)
    expected = (config.backbone.vocab_size, config.backbone.hidden_size)
    if stored is not None and {name: tensor.shape for name, tensor in stored.items()} != {EMBEDDING_NAME: expected}:
        found = ", ".join(f"{name} {list(tensor.shape)}" for name, tensor in stored.items()) or "nothing"
        problems.append(f"{EMBEDDING} holds {found}, expected {EMBEDDING_NAME} {list(expected)}")
    return problems


def _backbone_files(root: Path, problems: list[str]) -> dict[str, Stored] | None:
    """The tensors of all shards that the index names (or of a single unsharded file); None if one cannot be read."""
    try:
        index = json.loads((root / INDEX).read_text(encoding="utf-8"))["weight_map"]
        files = sorted(set(index.values()))
    except FileNotFoundError:
        index, files = {}, ["model.safetensors"]
    except (ValueError, KeyError, AttributeError, TypeError):
        problems.append(f"{INDEX} is not an index of shards")
        return None
    found: dict[str, Stored] = {}
    unread = len(problems)
    for file in files:
        try:
            found |= _shard(root, file)
        except FileNotFoundError:
            problems.append(f"{file} is missing")
        except (SafetensorError, OSError) as error:
            problems.append(f"{file} cannot be read, it is cut short or no safetensors file: {error}")
    if len(problems) > unread:
        return None
    for name, file in index.items():
        if name in found and found[name].file != file:
            problems.append(f"{INDEX} has {name} in {file}, it is in {found[name].file}")
    return _with_scales(found, problems)


def _shard(root: Path, file: str) -> dict[str, Stored]:
    with safe_open(root / file, framework="pt") as opened:
        slices = {name: opened.get_slice(name) for name in opened.keys()}
        return {
            name: Stored(file, tuple(part.get_shape()), part.get_dtype(), _reader(root / file, name))
            for name, part in slices.items()
        }


def _with_scales(found: dict[str, Stored], problems: list[str]) -> dict[str, Stored]:
    """Weights in FP8 and their block scales (`X.weight` and `X.weight_scale_inv`) become one tensor each."""
    whole = {name: tensor for name, tensor in found.items() if not name.endswith(fp8.SCALES)}
    for name, scales in found.items():
        weight = found.get(name.removesuffix(fp8.SCALES))
        if weight is scales or weight is None:
            continue
        expected = fp8.scales_shape(weight.shape)
        if scales.shape != expected:
            problems.append(f"{scales.file}: {name} is {list(scales.shape)}, expected {list(expected)}")
        read = partial(_dequantised, weight.read, scales.read)
        kind = "F32" if weight.type == _QUANTISED else weight.type
        whole[name.removesuffix(fp8.SCALES)] = dataclasses.replace(weight, type=kind, read=read)
    return whole


def _dequantised(weight: Callable[[], Tensor], scales: Callable[[], Tensor]) -> Tensor:
    return fp8.dequantise(weight(), scales())


def _reader(path: Path, name: str) -> Callable[[], Tensor]:
    def read() -> Tensor:
        with safe_open(path, framework="pt") as opened:
            tensor: Tensor = opened.get_tensor(name)
        return tensor

    return read


def _pickled(root: Path, file: str, problems: list[str]) -> dict[str, Stored] | None:
    """The tensors of a .pt file, mapped rather than read."""
    try:
        state = torch.load(root / file, map_location="cpu", weights_only=True, mmap=True)
    except FileNotFoundError:
        problems.append(f"{file} is missing")
        return None
    except pickle.UnpicklingError:
        problems.append(f"{file} holds more than tensors, and is not read: it could run code")
        return None
    except (RuntimeError, OSError, EOFError, ValueError):
        problems.append(f"{file} cannot be read, it is cut short or no file of tensors")
        return None
    if not isinstance(state, dict) or not all(isinstance(value, Tensor) for value in state.values()):
        problems.append(f"{file} does not hold a plain state dict")
        return None
    return {name: _mapped(file, tensor) for name, tensor in state.items()}


def _mapped(file: str, tensor: Tensor) -> Stored:
    kind = _TYPE_NAMES.get(tensor.dtype, str(tensor.dtype).removeprefix("torch."))
    return Stored(file, tuple(tensor.shape), kind, lambda: tensor, tensor.is_meta)


def _compare(part: str, module: nn.Module, stored: dict[str, Stored], config: BackboneConfig) -> list[str]:
    """What differs between a module and the tensors meant for it, one sentence each."""
    below = MTP if part == "mtp" else ""
    expected = {name: tuple(tensor.shape) for name, tensor in module.state_dict().items()}
    absent = [name for name in expected if name not in stored]
    problems = [f"{part}: {below}{name} {list(expected[name])} is missing" for name in absent]
    for name, tensor in stored.items():
        at = f"{tensor.file}: {below}{name}"
        if name not in expected:
            if not _ignorable(part, name, config):
                problems.append(f"{at} {list(tensor.shape)} is surplus")
        elif tensor.shape != expected[name]:
            problems.append(f"{at} is {list(tensor.shape)}, expected {list(expected[name])}")
        elif tensor.type == _QUANTISED:
            problems.append(f"{at} is {tensor.type} without {name}{fp8.SCALES}")
        elif tensor.type not in _TYPES:
            problems.append(f"{at} is of type {tensor.type}, expected one of {', '.join(_TYPES)}")
    return problems


def _ignorable(part: str, name: str, config: BackboneConfig) -> bool:
    """Tensors known to sit in good checkpoints though the forward pass has no use for them.

    The next-token-prediction head's copy of the embedding, and rows that transformers writes for zero experts, which have none.
    """
    expert = _EXPERT.match(name)
    surplus = expert is not None and int(expert[1]) >= config.n_routed_experts
    return (part == "backbone" and surplus) or (part == "mtp" and name == MTP_EMBEDDING)
