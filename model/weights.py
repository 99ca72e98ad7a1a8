"""Checkpoints: the release's directory layout, read and written.

    config.json, model-0000i-of-0000n.safetensors, model.safetensors.index.json      the backbone
    language_model_embedding.pt                                 a copy of the text embedding; written, never read
    vision/{config.json, vision_model.pt, vision_projector.pt}
    audio/{config.json, preprocessor_config.json, audio_encoder.pt, audio_projector.pt, audio_embeddings.pt,
           audio_output_layers.pt}

Every name and shape is compared with the network before any memory is taken for it, and all disagreements are told at once.
Pickled files are opened with `weights_only`: a checkpoint cannot run code.
"""

from __future__ import annotations

import dataclasses
import json
import os
import pickle
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from vivavoce.model import fp8
from vivavoce.model.config import BackboneConfig, ConfigError, OmniConfig, load_config
from vivavoce.model.omni import Omni
from vivavoce.model.sizes import available_bytes

__all__ = ["CheckpointError", "Release", "examine", "load_omni", "save_outline", "save_release"]

INDEX = "model.safetensors.index.json"
SHARD_BYTES = 4 * 1024**3
PARTS = {
    "vision/vision_model.pt": "vision_encoder",
    "vision/vision_projector.pt": "vision_projector",
    "audio/audio_encoder.pt": "audio_encoder",
    "audio/audio_projector.pt": "audio_projector",
    "audio/audio_embeddings.pt": "audio_embeddings",
    "audio/audio_output_layers.pt": "audio_output_layers",
}
_ALWAYS_FP32 = ("router.classifier.weight", "router.e_score_correction_bias")
_EXPERT = re.compile(r"^model\.layers\.\d+\.mlp\.experts\.(\d+)\.")
_SAFETENSORS_NAMES = {torch.float32: "F32", torch.bfloat16: "BF16", torch.float16: "F16"}
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
class _Stored:
    """A tensor in a file: its shape, and how to read it."""

    file: str
    shape: tuple[int, ...]
    read: Callable[[], Tensor]
    empty: bool = False
    """A shape without numbers."""


@dataclass(frozen=True)
class Release:
    """What a directory holds, before any memory is taken for its weights."""

    root: Path
    omni: Omni
    """The network that the configuration describes, on the meta device."""
    parts: dict[str, dict[str, _Stored] | None]
    """Tensors by part and name; None for a part whose file cannot be read."""
    problems: tuple[str, ...]

    @property
    def shapes_only(self) -> str | None:
        """A file that holds shapes and no numbers, if there is one."""
        stored = (tensor for tensors in self.parts.values() for tensor in (tensors or {}).values())
        return next((tensor.file for tensor in stored if tensor.empty), None)


def examine(directory: str | Path) -> Release:
    """Compare a directory with the network that its own configuration describes.

    Raises `CheckpointError` if the configuration describes none.
    """
    root = Path(directory)
    try:
        with torch.device("meta"):
            omni = Omni(load_config(root))
    except ConfigError as error:
        raise CheckpointError(root, [str(error)]) from None
    problems: list[str] = []
    parts = {"backbone": _backbone_files(root, problems)}
    parts |= {part: _pickled(root, file, problems) for file, part in PARTS.items()}
    for part, tensors in parts.items():
        if tensors is not None:
            problems += _compare(part, getattr(omni, part), tensors, omni.config.backbone)
    return Release(root, omni, parts, tuple(problems))


def load_omni(
    directory: str | Path, dtype: torch.dtype = torch.float32, device: torch.device | str = "cpu", train: bool = False
) -> Omni:
    """The network stored in `directory`, in `dtype` (routers always fp32), in eval mode unless `train`.

    Raises `CheckpointError` listing every missing, surplus and mis-shaped tensor by file, name and both shapes; also when the
    weights need more memory than there is. Nothing is allocated before.
    """
    release, place = examine(directory), torch.device(device)
    if release.problems:
        raise CheckpointError(release.root, list(release.problems))
    if release.shapes_only is not None:
        raise CheckpointError(release.root, [f"{release.shapes_only} holds shapes only, no weights"])
    needed = sum(_bytes(name, tensor, dtype) for name, tensor in release.omni.state_dict().items())
    if needed > (there := available_bytes(place)):
        gigabytes = f"{needed / 1e9:.1f} GB, {there / 1e9:.1f} GB are free on {place}"
        raise CheckpointError(release.root, [f"its weights in {str(dtype).removeprefix('torch.')} need {gigabytes}"])
    for part, tensors in release.parts.items():
        _fill(getattr(release.omni, part), tensors or {}, dtype, place)
    return release.omni.train(train)


def save_release(omni: Omni, directory: str | Path, dtype: torch.dtype = torch.bfloat16) -> None:
    """Write the network's configuration and weights, in `dtype` (routers always fp32). Each file appears whole or not at all."""
    root = Path(directory)
    _save_config(omni.config, root)
    weight_map: dict[str, str] = {}
    shards = list(_shards(omni.backbone, dtype))
    for number, names in enumerate(shards, start=1):
        file = f"model-{number:05d}-of-{len(shards):05d}.safetensors"
        state = omni.backbone.state_dict()
        tensors = {name: _stored_form(name, state[name], dtype) for name in names}
        _whole(root / file, lambda path, tensors=tensors: save_file(tensors, path, metadata={"format": "pt"}))  # type: ignore[misc]
        weight_map |= dict.fromkeys(names, file)
    _save_index(root, omni.backbone, weight_map, dtype)
    embedding = omni.backbone.model.embed_tokens.weight
    _save_pickled(root / "language_model_embedding.pt", {"word_embeddings.weight": embedding}, dtype)
    for file, part in PARTS.items():
        _save_pickled(root / file, getattr(omni, part).state_dict(), dtype)


def save_outline(omni: Omni, directory: str | Path, dtype: torch.dtype = torch.bfloat16) -> None:
    """Names and shapes of a network, which may be on the meta device, as a release without numbers.

    Safetensors files get their header and a hole of the right length, which takes no room on file systems that know holes;
    `.pt` files hold meta tensors. `examine` reads it like any release, `load_omni` refuses it.
    """
    root = Path(directory)
    _save_config(omni.config, root)
    shards, state = list(_shards(omni.backbone, dtype)), omni.backbone.state_dict()
    weight_map: dict[str, str] = {}
    for number, names in enumerate(shards, start=1):
        file = f"model-{number:05d}-of-{len(shards):05d}.safetensors"
        _whole(root / file, partial(_write_hollow, {name: state[name] for name in names}, dtype))
        weight_map |= dict.fromkeys(names, file)
    _save_index(root, omni.backbone, weight_map, dtype)
    for file, part in PARTS.items():
        outline = {name: t.to("meta", dtype) for name, t in getattr(omni, part).state_dict().items()}
        _whole(root / file, partial(torch.save, outline))


def _write_hollow(tensors: dict[str, Tensor], dtype: torch.dtype, path: Path) -> None:
    """A safetensors file of the right header and length."""
    header: dict[str, object] = {"__metadata__": {"format": "pt"}}
    end = 0
    for name, tensor in tensors.items():
        start, end = end, end + _bytes(name, tensor, dtype)
        kind = "F32" if name.endswith(_ALWAYS_FP32) else _SAFETENSORS_NAMES[dtype]
        header[name] = {"dtype": kind, "shape": list(tensor.shape), "data_offsets": [start, end]}
    text = json.dumps(header).encode()
    with path.open("wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        file.truncate(8 + len(text) + end)


def _save_index(root: Path, backbone: nn.Module, weight_map: dict[str, str], dtype: torch.dtype) -> None:
    size = sum(_bytes(name, tensor, dtype) for name, tensor in backbone.state_dict().items())
    index = json.dumps({"metadata": {"total_size": size}, "weight_map": weight_map}, indent=1) + "\n"
    _whole(root / INDEX, lambda path: path.write_text(index, encoding="utf-8"))


def _save_config(config: OmniConfig, root: Path) -> None:
    """The JSON files that `load_config` reads."""
    main = {"architectures": ["LongcatFlashForCausalLM"], "model_type": "longcat_flash"}
    main |= dataclasses.asdict(config.backbone) | {"speech": dataclasses.asdict(config.speech)}
    audio = dataclasses.asdict(config.audio)
    splice = {name: audio.pop(name) for name in ("splice_left", "splice_right", "stride")}
    files = {
        "config.json": main,
        "audio/preprocessor_config.json": {"fbank": audio.pop("fbank"), "splice": splice},
        "audio/config.json": audio,
        "vision/config.json": dataclasses.asdict(config.vision),
    }
    for file, data in files.items():
        text = json.dumps(data, indent=2) + "\n"
        _whole(root / file, lambda path, text=text: path.write_text(text, encoding="utf-8"))  # type: ignore[misc]


def _backbone_files(root: Path, problems: list[str]) -> dict[str, _Stored] | None:
    """The tensors of all shards that the index names (or of a single unsharded file)."""
    try:
        files = sorted(set(json.loads((root / INDEX).read_text(encoding="utf-8"))["weight_map"].values()))
    except FileNotFoundError:
        files = ["model.safetensors"]
    except (ValueError, KeyError, AttributeError):
        problems.append(f"{INDEX} is not an index of shards")
        return None
    found: dict[str, _Stored] = {}
    for file in files:
        try:
            with safe_open(root / file, framework="pt") as opened:
                for name in opened.keys():
                    shape = tuple(opened.get_slice(name).get_shape())
                    found[name] = _Stored(file, shape, _reader(root / file, name))
        except FileNotFoundError:
            problems.append(f"{file} is missing")
        except (SafetensorError, OSError) as error:
            problems.append(f"{file} cannot be read: {error}")
    return _with_scales(found, problems) or None


def _with_scales(found: dict[str, _Stored], problems: list[str]) -> dict[str, _Stored]:
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
        whole[name.removesuffix(fp8.SCALES)] = dataclasses.replace(weight, read=read)
    return whole


def _dequantised(weight: Callable[[], Tensor], scales: Callable[[], Tensor]) -> Tensor:
    return fp8.dequantise(weight(), scales())


def _reader(path: Path, name: str) -> Callable[[], Tensor]:
    def read() -> Tensor:
        with safe_open(path, framework="pt") as opened:
            tensor: Tensor = opened.get_tensor(name)
        return tensor

    return read


def _pickled(root: Path, file: str, problems: list[str]) -> dict[str, _Stored] | None:
    """The tensors of a .pt file, mapped rather than read."""
    try:
        state = torch.load(root / file, map_location="cpu", weights_only=True, mmap=True)
    except FileNotFoundError:
        problems.append(f"{file} is missing")
        return None
    except (RuntimeError, OSError, EOFError, ValueError, pickle.UnpicklingError) as error:
        problems.append(f"{file} cannot be read: {str(error).splitlines()[0] if str(error) else type(error).__name__}")
        return None
    if not isinstance(state, dict) or not all(isinstance(value, Tensor) for value in state.values()):
        problems.append(f"{file} does not hold a plain state dict")
        return None
    return {name: _Stored(file, tuple(t.shape), lambda t=t: t, t.is_meta) for name, t in state.items()}  # type: ignore[misc]


def _compare(part: str, module: nn.Module, stored: dict[str, _Stored], config: BackboneConfig) -> list[str]:
    """What differs between a module and the tensors meant for it, one sentence each."""
    expected = {name: tuple(tensor.shape) for name, tensor in module.state_dict().items()}
    problems = [f"{part}: {name} {list(shape)} is missing" for name, shape in expected.items() if name not in stored]
    for name, tensor in stored.items():
        if name not in expected:
            if not (part == "backbone" and _ignorable(name, config)):
                problems.append(f"{tensor.file}: {name} {list(tensor.shape)} is surplus")
        elif tensor.shape != expected[name]:
            problems.append(f"{tensor.file}: {name} is {list(tensor.shape)}, expected {list(expected[name])}")
    return problems


def _ignorable(name: str, config: BackboneConfig) -> bool:
    """Tensors known to sit in good checkpoints though the forward pass has no use for them.

    The next-token-prediction head, and rows that transformers writes for zero experts, which have no weights.
    """
    expert = _EXPERT.match(name)
    return name.startswith("model.mtp.") or (expert is not None and int(expert[1]) >= config.n_routed_experts)


def _fill(module: nn.Module, stored: dict[str, _Stored], dtype: torch.dtype, device: torch.device) -> None:
    """Replace the module's shapes-only tensors by the stored ones."""
    state = {}
    for name in module.state_dict():
        wanted = torch.float32 if name.endswith(_ALWAYS_FP32) else dtype
        state[name] = stored[name].read().to(device=device, dtype=wanted, copy=True)
    module.load_state_dict(state, strict=True, assign=True)


def _shards(module: nn.Module, dtype: torch.dtype) -> Iterator[list[str]]:
    """The module's tensor names, in groups of at most SHARD_BYTES (a larger tensor is a group of its own)."""
    names: list[str] = []
    total = 0
    for name, tensor in module.state_dict().items():
        size = _bytes(name, tensor, dtype)
        if names and total + size > SHARD_BYTES:
            yield names
            names, total = [], 0
        names.append(name)
        total += size
    yield names


def _bytes(name: str, tensor: Tensor, dtype: torch.dtype) -> int:
    return tensor.numel() * (torch.float32 if name.endswith(_ALWAYS_FP32) else dtype).itemsize


def _stored_form(name: str, tensor: Tensor, dtype: torch.dtype) -> Tensor:
    return tensor.detach().to("cpu", torch.float32 if name.endswith(_ALWAYS_FP32) else dtype).contiguous()


def _save_pickled(path: Path, state: dict[str, Tensor], dtype: torch.dtype) -> None:
    plain = {name: _stored_form(name, tensor, dtype) for name, tensor in state.items()}
    _whole(path, lambda partial: torch.save(plain, partial))


def _whole(path: Path, write: Callable[[Path], object]) -> None:
    """Let `write` make a file beside `path`, then put it in its place in one move."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(path.name + ".partial")
    write(partial)
    os.replace(partial, path)
