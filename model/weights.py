"""Checkpoints in the release's layout, loaded and written. What must be where, and what is wrong, `examine.py` says."""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from vivavoce.model.config import OmniConfig
from vivavoce.model.examine import EMBEDDING, EMBEDDING_NAME, INDEX, PARTS, CheckpointError, Release, Stored, examine
from vivavoce.model.mtp import EMBEDDING as MTP_EMBEDDING
from vivavoce.model.mtp import PREFIX as MTP
from vivavoce.model.omni import Omni
from vivavoce.model.sizes import Sizes, available_bytes

__all__ = ["load", "load_omni", "packed", "save_outline", "save_release"]

SHARD_BYTES = 4 * 1024**3
_ALWAYS_FP32 = ("router.classifier.weight", "router.e_score_correction_bias")
_SAFETENSORS_NAMES = {torch.float32: "F32", torch.bfloat16: "BF16", torch.float16: "F16"}


def load_omni(
    directory: str | Path, dtype: torch.dtype = torch.float32, device: torch.device | str = "cpu", train: bool = False
) -> Omni:
    """The network stored in `directory`, in `dtype` (routers always fp32), in eval mode unless `train`.

    Raises `CheckpointError` listing every missing, surplus and mis-shaped tensor by file, name and both shapes; also when the
    weights need more memory than there is. Nothing is allocated before.
    """
    return load(examine(directory), dtype, device).train(train)


def load(
    release: Release,
    dtype: torch.dtype = torch.float32,
    device: torch.device | str = "cpu",
    cache: int = 0,
    beside: int = 0,
) -> Omni:
    """The same from a directory that has been examined, for an engine with a cache of so many positions, if any. That must fit
    beside the weights, and on a CPU the weights once more, as the engine packs them; and `beside` bytes for its voices.
    """
    from vivavoce.model.fused import fits_on  # it brings a compiler along

    place = torch.device(device)
    if release.problems:
        raise CheckpointError(release.root, list(release.problems))
    needed = sum(_bytes(name, tensor, dtype) for name, tensor in release.omni.state_dict().items())
    sizes = Sizes.of(release.omni)
    needed += cache * (sizes.cache_bytes(dtype.itemsize) + sizes.mtp_cache_bytes(dtype.itemsize))
    needed += beside + (packed(release) if cache and fits_on(place, dtype) else 0)
    if needed > (there := available_bytes(place)):
        what = f"its weights in {str(dtype).removeprefix('torch.')}" + (
            f", {cache:,} cached tokens and its voices" if cache else ""
        )
        told = f"{what} need {needed / 1e9:,.1f} GB, {there / 1e9:,.1f} GB are free on {place}"
        raise CheckpointError(release.root, [told])
    if release.shapes_only is not None:
        raise CheckpointError(release.root, [f"{release.shapes_only} holds shapes only, no weights"])
    for part, tensors in release.parts.items():
        _fill(getattr(release.omni, part), tensors or {}, dtype, place)
    return release.omni.eval()


def packed(release: Release) -> int:
    """Bytes of the weights once more, as an engine on a CPU packs them."""
    from vivavoce.model.packing import packed_bytes

    stored = (release.parts["backbone"] or {}) | (release.parts["audio_output_layers"] or {})
    half = all(tensor.type == "BF16" for name, tensor in stored.items() if not name.endswith(_ALWAYS_FP32))
    return packed_bytes(release.omni, half=half)


def save_release(omni: Omni, directory: str | Path, dtype: torch.dtype = torch.bfloat16) -> None:
    """Write the network's configuration and weights, in `dtype` (routers always fp32). Each file appears whole or not at all."""
    root = Path(directory)

    def write(tensors: dict[str, Tensor], path: Path) -> None:
        save_file({name: _stored_form(name, t, dtype) for name, t in tensors.items()}, path, metadata={"format": "pt"})

    _save(omni, root, dtype, write, lambda name, tensor: _stored_form(name, tensor, dtype))


def save_outline(omni: Omni, directory: str | Path, dtype: torch.dtype = torch.bfloat16) -> None:
    """Names and shapes of a network, which may be on the meta device, as a release without numbers.

    Safetensors files get their header and a hole of the right length, which takes no room on file systems that know holes;
    `.pt` files hold meta tensors. `examine` reads it like any release, `load_omni` refuses it.
    """

    def write(tensors: dict[str, Tensor], path: Path) -> None:
        _write_hollow(tensors, dtype, path)

    _save(omni, Path(directory), dtype, write, lambda _, tensor: tensor.to("meta", dtype))


def _save(
    omni: Omni,
    root: Path,
    dtype: torch.dtype,
    write: Callable[[dict[str, Tensor], Path], object],
    stored: Callable[[str, Tensor], Tensor],
) -> None:
    """`write` makes a safetensors file of some tensors; `stored` is the form in which one goes into a `.pt` file."""
    _save_config(omni.config, root)
    state = _safetensors(omni)
    shards = list(_shards(state, dtype))
    weight_map: dict[str, str] = {}
    for number, names in enumerate(shards, start=1):
        file = f"model-{number:05d}-of-{len(shards):05d}.safetensors"
        _whole(root / file, partial(write, {name: state[name] for name in names}))
        weight_map |= dict.fromkeys(names, file)
    size = sum(_bytes(name, tensor, dtype) for name, tensor in state.items())
    index = json.dumps({"metadata": {"total_size": size}, "weight_map": weight_map}, indent=1) + "\n"
    _whole(root / INDEX, lambda path: path.write_text(index, encoding="utf-8"))
    pickled = {EMBEDDING: {EMBEDDING_NAME: omni.backbone.model.embed_tokens.weight}}
    pickled |= {file: getattr(omni, part).state_dict() for file, part in PARTS.items()}
    for file, tensors in pickled.items():
        plain = {name: stored(name, tensor) for name, tensor in tensors.items()}
        _whole(root / file, partial(torch.save, plain))


def _safetensors(omni: Omni) -> dict[str, Tensor]:
    """What goes into the safetensors files, by the release's names."""
    state: dict[str, Tensor] = omni.backbone.state_dict()
    if omni.mtp is not None:
        head = {MTP_EMBEDDING: omni.backbone.model.embed_tokens.weight} | omni.mtp.state_dict()
        state |= {MTP + name: tensor for name, tensor in head.items()}
    return state


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


def _fill(module: nn.Module, stored: dict[str, Stored], dtype: torch.dtype, device: torch.device) -> None:
    """Replace the module's shapes-only tensors by the stored ones."""
    state = {}
    for name in module.state_dict():
        wanted = torch.float32 if name.endswith(_ALWAYS_FP32) else dtype
        state[name] = stored[name].read().to(device=device, dtype=wanted, copy=True)
    module.load_state_dict(state, strict=True, assign=True)


def _shards(state: dict[str, Tensor], dtype: torch.dtype) -> Iterator[list[str]]:
    """The tensors' names, in groups of at most SHARD_BYTES (a larger tensor is a group of its own)."""
    names: list[str] = []
    total = 0
    for name, tensor in state.items():
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


def _whole(path: Path, write: Callable[[Path], object]) -> None:
    """Let `write` make a file beside `path`, then put it in its place in one move."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(path.name + ".partial")
    write(partial)
    os.replace(partial, path)
