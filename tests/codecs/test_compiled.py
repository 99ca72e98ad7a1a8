"""The compiled decoder against PyTorch's, stream by stream, and to the last bit against itself."""

import dataclasses
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from vivavoce.codecs.compiled import CompiledDecoder, Past
from vivavoce.codecs.config import CodecConfig
from vivavoce.codecs.decoder import SpeechDecoderNet
from vivavoce.codecs.stepping import TorchDecoder, stepper_of

KITTEN = Path(__file__).parents[2] / "model" / "kitten" / "audio_codec"
SMALL = CodecConfig(
    codec_dimension=12,
    semantic_dim=10,
    semantic_token_nums=20,
    codec_codebook_size=5,
    codec_codebook_search_dim=4,
    decoder_dim=32,
)


def loud_net(config: CodecConfig = SMALL) -> SpeechDecoderNet:
    """A decoder with weights large enough that every frame is heard."""
    torch.manual_seed(0)
    net = SpeechDecoderNet(config).eval().requires_grad_(False)
    for name, parameter in net.named_parameters():
        if name.endswith("weight_g"):
            parameter.mul_(1.5)
        if name.endswith("alpha"):
            parameter.copy_(torch.rand_like(parameter) + 0.5)
    net.remove_weight_norm()
    return net


def spoken(frames: int, streams: int = 1, stages: int = 3, seed: int = 0) -> np.ndarray:
    """int64 [frames, streams, 1 + stages]."""
    dice = np.random.default_rng(seed)
    return np.concatenate(
        [dice.integers(0, 20, (frames, streams, 1)), dice.integers(0, 25, (frames, streams, stages))], 2
    )


def said_by(decoder: CompiledDecoder, codes: np.ndarray) -> np.ndarray:
    """A stream alone: int64 [frames, 1 + stages] -> its sound."""
    past, sound = decoder.start(), []
    for frame in codes:
        (piece,), (past,) = decoder.step(frame[None], [past])
        sound.append(piece)
    return np.concatenate([*sound, decoder.flush(past)])


@pytest.mark.parametrize(
    "config",
    [
        SMALL,
        dataclasses.replace(SMALL, decoder_dim=96, codec_dimension=40),
        dataclasses.replace(SMALL, ratios=(3, 2, 5), decoder_dim=24),
        dataclasses.replace(SMALL, ratios=(16, 9), codec_codebooks=1),
    ],
    ids=["small", "wide", "short frames", "two blocks"],
)
def test_a_stream_gives_the_sound_of_the_whole_by_pytorch(config: CodecConfig) -> None:
    net, codes = loud_net(config), spoken(9, stages=config.codec_codebooks)[:, 0]
    whole = net(torch.from_numpy(codes.T[None]))[0].numpy()
    assert whole.std() > 0.01
    np.testing.assert_allclose(said_by(CompiledDecoder(net), codes), whole, atol=1e-4)


def test_sound_comes_three_frames_late_and_then_every_frame() -> None:
    decoder = CompiledDecoder(loud_net())
    past, ready = decoder.start(), []
    for frame in spoken(5):
        (sound,), (past,) = decoder.step(frame, [past])
        ready.append(len(sound))
    assert ready == [0, 0, 0, 1440, 1440]
    assert len(decoder.flush(past)) == 3 * 1440
    assert len(decoder.flush(decoder.start())) == 0


@settings(deadline=None, max_examples=20)
@given(begins=st.lists(st.integers(0, 6), min_size=2, max_size=9), turns=st.integers(4, 9))
def test_to_the_last_bit_it_does_not_matter_who_else_speaks(begins: list[int], turns: int) -> None:
    """Nor how far the others have come, nor where in memory a stream's numbers lie."""
    decoder, codes = CompiledDecoder(loud_net()), spoken(turns, len(begins))
    pasts, heard = [decoder.start() for _ in begins], [list[np.ndarray]() for _ in begins]
    for turn in range(turns):
        present = [n for n, begin in enumerate(begins) if begin <= turn]
        if not present:
            continue
        moved = [Past(shifted(pasts[n].numbers, turn), pasts[n].frames) for n in present]
        sounds, after = decoder.step(codes[turn, present], moved)
        for n, sound, past in zip(present, sounds, after, strict=True):
            heard[n].append(sound)
            pasts[n] = past
    for n, begin in enumerate(begins):
        together = np.concatenate([*heard[n], decoder.flush(pasts[n])])
        np.testing.assert_array_equal(together, said_by(decoder, codes[min(begin, turns) :, n]))


def shifted(numbers: np.ndarray, by: int) -> np.ndarray:
    """The same numbers, elsewhere."""
    room = np.empty(len(numbers) + by, np.float32)
    room[by:] = numbers
    return room[by:]


def test_a_kept_state_is_a_copy_of_the_stream() -> None:
    decoder, codes = CompiledDecoder(loud_net()), spoken(9)
    past = decoder.start()
    for frame in codes[:5]:
        _, (past,) = decoder.step(frame, [past])
    before = past.numbers.copy()
    first, other = decoder.step(codes[5], [past]), decoder.step(codes[6], [past])
    decoder.flush(past)
    np.testing.assert_array_equal(past.numbers, before)
    assert not np.array_equal(first[0][0], other[0][0])
    np.testing.assert_array_equal(first[0][0], decoder.step(codes[5], [past])[0][0])


def test_loud_sound_and_steep_snakes_stay_near() -> None:
    """Snake's angle is many turns large."""
    net = loud_net()
    for name, parameter in net.named_parameters():
        if name.endswith("alpha"):
            parameter.mul_(30)
        if "dequant" in name or "codebook" in name:
            parameter.mul_(20)
    codes = spoken(6)[:, 0]
    exact = net.double()(torch.from_numpy(codes.T[None]))[0].numpy()
    np.testing.assert_allclose(said_by(CompiledDecoder(net.float()), codes), exact, atol=2e-3)


def test_pytorch_steps_in_where_the_compiled_loops_do_not_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "get_num_threads", lambda: 1)
    net = loud_net()
    assert isinstance(stepper_of(net), CompiledDecoder)
    assert isinstance(stepper_of(loud_net().to(torch.bfloat16)), TorchDecoder)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 8)
    assert isinstance(stepper_of(net), TorchDecoder)


@settings(deadline=None, max_examples=10)
@given(begins=st.lists(st.integers(0, 4), min_size=1, max_size=4))
def test_pytorch_steps_streams_together_too(begins: list[int]) -> None:
    net, codes = loud_net(), spoken(6, len(begins))
    torch_one, compiled = TorchDecoder(net), CompiledDecoder(net)
    theirs, ours = [torch_one.start() for _ in begins], [compiled.start() for _ in begins]
    for turn in range(6):
        present = [n for n, begin in enumerate(begins) if begin <= turn]
        if present:
            heard, after = torch_one.step(codes[turn, present], [theirs[n] for n in present])
            said, going_on = compiled.step(codes[turn, present], [ours[n] for n in present])
            for index, n in enumerate(present):
                np.testing.assert_allclose(said[index], heard[index], atol=1e-4)
                theirs[n], ours[n] = after[index], going_on[index]
    for state, past in zip(theirs, ours, strict=True):
        np.testing.assert_allclose(compiled.flush(past), torch_one.flush(state), atol=1e-4)


def test_who_compiles_it_first_says_the_same_as_who_finds_it_compiled(tmp_path):
    """A recording is made by a process that has compiled the decoder, and replayed by one that reads it from the disk."""
    script = """
import sys, hashlib, numpy as np, torch
from pathlib import Path
from vivavoce.codecs.codec import SpeechCodec
from vivavoce.codecs.stepping import stepper_of
torch.set_num_threads(1)
decoder = stepper_of(SpeechCodec.load(Path(sys.argv[1])).net)
rng, state, said = np.random.default_rng(1), decoder.start(), []
for _ in range(12):
    (sound,), (state,) = decoder.step(rng.integers(0, 200, (1, 4)), [state])
    said.append(sound)
print(hashlib.sha256(np.concatenate([*said, decoder.flush(state)]).tobytes()).hexdigest())
"""
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path)}
    command = [sys.executable, "-c", script, str(KITTEN)]
    first, second = (
        subprocess.run(command, env=environment, capture_output=True, text=True, check=False) for _ in range(2)
    )
    assert first.returncode == 0, first.stderr
    assert any(tmp_path.rglob("*.nbc")), "it was compiled, and kept"
    assert first.stdout == second.stdout != ""
