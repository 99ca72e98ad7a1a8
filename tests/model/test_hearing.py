"""The compiled audio encoder against PyTorch's over whole clips, and to the last bit against itself."""

import dataclasses

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from vivavoce.model.config import AudioConfig, tiny
from vivavoce.model.hearing import CompiledHearing, TorchHearing, hearing_of
from vivavoce.model.omni import Omni


def network(audio: AudioConfig | None = None, dtype: torch.dtype = torch.float32) -> Omni:
    """Random weights; rounded to `dtype`, as those of a published checkpoint are."""
    torch.manual_seed(0)
    made = Omni(dataclasses.replace(tiny(), audio=audio or tiny().audio)).eval().requires_grad_(False)
    for tensor in made.state_dict().values():
        tensor.copy_((tensor + 0.1 * torch.randn_like(tensor)).to(dtype))
    return made


def clip(omni: Omni, frames: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(frames, omni.config.audio.input_size)).astype(np.float32)


def heard(hearing: CompiledHearing, frames: np.ndarray, cuts: list[int]) -> torch.Tensor:
    """A stream alone, in pieces, and its end."""
    state, made, at = hearing.start(), [], 0
    for length in cuts:
        ((hidden, state),) = hearing.step([frames[at : at + length]], [state])
        made.append(hidden)
        at += length
    return torch.cat([*made, hearing.finish(frames[at:], state)])


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize(
    "change",
    [
        {},
        {"width": 20, "ffn_hidden": 37},
        {"right_order": 2},
        {"layers_causal": 0},
        {"activation": "relu"},
        {"activation": "relu2"},
    ],
    ids=str,
)
@settings(max_examples=10, deadline=None)
@given(cuts=st.lists(st.integers(0, 9), max_size=5), rest=st.integers(0, 9))
def test_a_stream_in_pieces_is_the_whole_clip_by_pytorch(
    dtype: torch.dtype, change: dict[str, object], cuts: list[int], rest: int
) -> None:
    omni = network(dataclasses.replace(tiny().audio, **change), dtype)
    frames = clip(omni, sum(cuts) + rest)
    hidden = heard(CompiledHearing(omni), frames, cuts)
    whole = omni.audio_encoder(torch.from_numpy(frames)[None])[0]
    torch.testing.assert_close(hidden, whole, rtol=1e-4, atol=1e-4)


@settings(max_examples=15, deadline=None)
@given(st.lists(st.lists(st.integers(0, 9), min_size=3, max_size=3), min_size=2, max_size=5))
def test_to_the_last_bit_it_does_not_matter_who_else_is_heard(cuts: list[list[int]]) -> None:
    omni = network()
    hearing = CompiledHearing(omni)
    clips = [clip(omni, sum(lengths) + 2, seed) for seed, lengths in enumerate(cuts)]
    states, made, at = [hearing.start() for _ in cuts], [list[torch.Tensor]() for _ in cuts], [0] * len(cuts)
    for turn in range(3):
        pieces = [frames[a : a + lengths[turn]] for frames, a, lengths in zip(clips, at, cuts, strict=True)]
        for n, (hidden, state) in enumerate(hearing.step(pieces, states)):
            made[n].append(hidden)
            states[n], at[n] = state, at[n] + len(pieces[n])
    for n, frames in enumerate(clips):
        together = torch.cat([*made[n], hearing.finish(frames[at[n] :], states[n])])
        assert torch.equal(together, heard(hearing, frames, cuts[n]))


def test_embeddings_and_letters_are_pytorchs() -> None:
    omni = network()
    hidden = omni.audio_encoder(torch.from_numpy(clip(omni, 20))[None])[0]
    for spells in (True, False):
        rows, letters = CompiledHearing(omni).read(hidden, spells)
        expected, spelled = TorchHearing(omni).read(hidden, spells)
        torch.testing.assert_close(rows, expected, rtol=1e-4, atol=1e-5)
        assert letters == spelled and bool(letters) == spells
    assert CompiledHearing(omni).read(hidden[:0], True)[1] == []


def test_pytorch_hears_where_the_compiled_loops_do_not_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "get_num_threads", lambda: 1)
    assert isinstance(hearing_of(network()), CompiledHearing)
    assert isinstance(hearing_of(network().to(torch.bfloat16)), TorchHearing)
