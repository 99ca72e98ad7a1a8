"""Codes to sound: against a float64 rendering of the design, against the release's size, and stream against whole."""

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from vivavoce.codecs.config import CodecConfig
from vivavoce.codecs.decoder import DecoderState, SpeechDecoderNet

SMALL = CodecConfig(
    codec_dimension=12,
    semantic_dim=10,
    semantic_token_nums=20,
    codec_codebook_size=5,
    codec_codebook_search_dim=4,
    decoder_dim=32,
)


def small_net() -> SpeechDecoderNet:
    """A decoder with weights large enough that every frame is heard."""
    torch.manual_seed(0)
    net = SpeechDecoderNet(SMALL).eval()
    with torch.no_grad():
        for name, parameter in net.named_parameters():
            if name.endswith("weight_g"):
                parameter.mul_(1.5)
            if name.endswith("alpha"):
                parameter.copy_(torch.rand_like(parameter) + 0.5)
    return net


def codes(frames: int, batch: int = 1) -> Tensor:
    semantic = torch.randint(0, 20, (batch, 1, frames))
    return torch.cat([semantic, torch.randint(0, 25, (batch, 3, frames))], dim=1)


def reference(weights: dict[str, Tensor], spoken: Tensor) -> Tensor:
    """The 24 kHz decoder as its description reads, in float64, from nothing but named tensors."""
    w = {name: tensor.double() for name, tensor in weights.items()}

    def normed(name: str) -> Tensor:
        v = w[f"{name}.weight_v"]
        return w[f"{name}.weight_g"] * v / v.square().sum(dim=(1, 2), keepdim=True).sqrt()

    def conv(x: Tensor, name: str, left: int = 0, right: int = 0, dilation: int = 1) -> Tensor:
        return F.conv1d(F.pad(x, (left, right)), normed(name), w[f"{name}.bias"], dilation=dilation)

    def snake(x: Tensor, name: str) -> Tensor:
        alpha = w[f"{name}.alpha"]
        return x + torch.sin(alpha * x) ** 2 / (alpha + 1e-9)

    def lstm(x: Tensor, name: str) -> Tensor:
        h = c = torch.zeros(len(x), x.shape[2], dtype=torch.float64)
        out = []
        for t in range(x.shape[1]):
            gates = x[:, t] @ w[f"{name}.weight_ih_l0"].T + w[f"{name}.bias_ih_l0"]
            gates = gates + h @ w[f"{name}.weight_hh_l0"].T + w[f"{name}.bias_hh_l0"]
            i, f, g, o = gates.chunk(4, dim=1)
            c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
            h = torch.sigmoid(o) * torch.tanh(c)
            out.append(h)
        return torch.stack(out, dim=1)

    def norm(x: Tensor, name: str) -> Tensor:
        return F.layer_norm(x, x.shape[-1:], w[f"{name}.weight"], w[f"{name}.bias"])

    acoustic = torch.zeros(len(spoken), 12, spoken.shape[2], dtype=torch.float64)
    for q in range(3):
        stage = f"acoustic_quantizer.quantizers.{q}"
        halves = {"a": spoken[:, q + 1] // 5, "b": spoken[:, q + 1] % 5}
        acoustic += torch.cat(
            [conv(w[f"{stage}.codebook_{s}.weight"][n].mT, f"{stage}.out_proj_{s}") for s, n in halves.items()], dim=1
        )
    x = torch.cat([w["semantic_dequantizer.dequant.weight"][spoken[:, 0]].mT, acoustic], dim=1).mT
    x = norm(lstm(x, "decoder.mem_layers.0.lstm_list1.0"), "decoder.mem_layers.0.ln1")
    x = norm(lstm(x, "decoder.mem_layers.0.lstm_list2.0"), "decoder.mem_layers.0.ln2").mT
    x = conv(x, "decoder.model.0", left=3, right=3)
    for i, stride in enumerate((8, 6, 6, 5), start=1):
        block = f"decoder.model.{i}.block"
        x = snake(x, f"{block}.0")
        x = F.conv_transpose1d(x, normed(f"{block}.1"), w[f"{block}.1.bias"], stride=stride)
        for unit, dilation in ((2, 1), (3, 3), (4, 9)):
            name = f"{block}.{unit}.block"
            y = conv(snake(x, f"{name}.0"), f"{name}.2", left=6 * dilation, dilation=dilation)
            x = x + conv(snake(y, f"{name}.3"), f"{name}.4")
    return torch.tanh(conv(snake(x, "decoder.model.5"), "decoder.model.7", left=6))[:, 0]


@torch.no_grad()
def test_sound_equals_the_description_worked_in_float64() -> None:
    net, spoken = small_net(), codes(7, batch=2)
    wave = net(spoken)
    assert wave.shape == (2, 7 * 1440)
    assert wave.std() > 0.01
    torch.testing.assert_close(wave.double(), reference(net.state_dict(), spoken), atol=1e-4, rtol=0)


def test_the_full_size_has_the_released_number_of_parameters() -> None:
    """The released file is 603.6 MB of float32, 150.9 million."""
    with torch.device("meta"):
        net = SpeechDecoderNet(CodecConfig())
    assert round(sum(p.numel() for p in net.parameters()) / 1e6, 1) == 150.9
    shapes = {name: list(tensor.shape) for name, tensor in net.state_dict().items()}
    assert shapes["decoder.mem_layers.0.lstm_list2.0.weight_hh_l0"] == [4 * 2304, 2304]
    assert shapes["decoder.model.0.weight_v"] == [1536, 2304, 7]
    assert shapes["decoder.model.1.block.1.weight_v"] == [1536, 768, 8]
    assert shapes["decoder.model.1.block.1.weight_g"] == [1536, 1, 1]
    assert shapes["decoder.model.4.block.4.block.4.weight_g"] == [96, 1, 1]
    assert shapes["decoder.model.7.weight_v"] == [1, 96, 7]
    assert shapes["acoustic_quantizer.quantizers.2.in_proj_b.weight_v"] == [8, 1024, 1]
    assert shapes["acoustic_quantizer.quantizers.2.codebook_a.weight"] == [90, 8]
    assert shapes["semantic_dequantizer.dequant.weight"] == [8192, 1280]


@given(sizes=st.lists(st.integers(1, 5), min_size=1, max_size=5))
@torch.no_grad()
def test_a_stream_gives_the_sound_of_the_whole(sizes: list[int]) -> None:
    net, spoken = small_net(), codes(sum(sizes), batch=2)
    state, sound = net.initial_state(2), []
    for piece in net.latents(spoken).split(sizes, dim=-1):
        wave, state = net.step(piece, state)
        sound.append(wave)
    sound.append(net.flush(state))
    torch.testing.assert_close(torch.cat(sound, dim=1), net(spoken), atol=1e-4, rtol=0)


@torch.no_grad()
def test_sound_comes_three_frames_late_and_then_every_frame() -> None:
    net = small_net()
    state, ready = net.initial_state(), []
    for frame in net.latents(codes(5)).split(1, dim=-1):
        wave, state = net.step(frame, state)
        ready.append(wave.shape[1])
    assert ready == [0, 0, 0, 1440, 1440]
    assert net.flush(state).shape == (1, 3 * 1440)


@torch.no_grad()
def test_nothing_further_than_three_frames_ahead_is_heard() -> None:
    net, spoken = small_net(), codes(10)
    other = spoken.clone()
    other[..., 7] = (other[..., 7] + 1) % 20
    before, after = net(spoken), net(other)
    torch.testing.assert_close(before[:, : 4 * 1440], after[:, : 4 * 1440], atol=1e-6, rtol=0)
    assert (before[:, 4 * 1440 :] - after[:, 4 * 1440 :]).abs().max() > 1e-3


@torch.no_grad()
def test_a_kept_state_is_a_copy_of_the_stream() -> None:
    net = small_net()
    latents = net.latents(codes(9))
    _, mark = net.step(latents[..., :5], net.initial_state())

    def rest(state: DecoderState) -> Tensor:
        wave, state = net.step(latents[..., 5:], state)
        return torch.cat([wave, net.flush(state)], dim=1)

    first = rest(mark)
    net.flush(mark)
    net.step(latents[..., :3], mark)
    torch.testing.assert_close(rest(mark), first, atol=0, rtol=0)


@torch.no_grad()
def test_fewer_acoustic_streams_are_accepted() -> None:
    net, spoken = small_net(), codes(4)
    assert net(spoken[:, :2]).shape == (1, 4 * 1440)
    with pytest.raises(ValueError, match="3 acoustic stages cannot decode 0"):
        net(spoken[:, :1])


def test_folding_weight_norm_changes_nothing_that_is_heard() -> None:
    net, spoken = small_net(), codes(4)
    with torch.no_grad():
        before = net(spoken)
        net.remove_weight_norm()
        torch.testing.assert_close(net(spoken), before)


def test_every_parameter_but_the_unused_search_learns() -> None:
    net = small_net().train()
    net(codes(6)).square().mean().backward()
    silent = [name for name, p in net.named_parameters() if p.grad is None]
    assert silent and all(".in_proj_" in name for name in silent)


def test_the_decoder_that_cannot_stream_is_refused() -> None:
    with pytest.raises(ValueError, match='"16k"'):
        SpeechDecoderNet(CodecConfig(decoder_type="16k"))


def test_the_lstm_is_torchs_own() -> None:
    assert isinstance(small_net().get_submodule("decoder.mem_layers.0.lstm_list1.0"), nn.LSTM)


def test_the_names_and_shapes_are_the_releases() -> None:
    with torch.device("meta"):
        shapes = {name: tuple(tensor.shape) for name, tensor in SpeechDecoderNet(CodecConfig()).state_dict().items()}
    expected: dict[str, tuple[int, ...]] = {"semantic_dequantizer.dequant.weight": (8192, 1280)}

    def convolution(name: str, weight: tuple[int, ...], bias: int) -> None:
        expected[f"{name}.weight_g"] = (weight[0], 1, 1)
        expected[f"{name}.weight_v"] = weight
        expected[f"{name}.bias"] = (bias,)

    memory = "decoder.mem_layers.0"
    for number in (1, 2):
        lstm = f"{memory}.lstm_list{number}.0"
        expected |= {f"{lstm}.{kind}_l0": (9216, 2304) for kind in ("weight_ih", "weight_hh")}
        expected |= {f"{lstm}.{kind}_l0": (9216,) for kind in ("bias_ih", "bias_hh")}
        expected |= {f"{memory}.ln{number}.{kind}": (2304,) for kind in ("weight", "bias")}
    convolution("decoder.model.0", (1536, 2304, 7), 1536)
    channels = 1536
    for block, stride in enumerate((8, 6, 6, 5), start=1):
        up, half = f"decoder.model.{block}.block", channels // 2
        expected[f"{up}.0.alpha"] = (1, channels, 1)
        convolution(f"{up}.1", (channels, half, stride), half)
        for unit in (2, 3, 4):
            expected |= {f"{up}.{unit}.block.{snake}.alpha": (1, half, 1) for snake in (0, 3)}
            convolution(f"{up}.{unit}.block.2", (half, half, 7), half)
            convolution(f"{up}.{unit}.block.4", (half, half, 1), half)
        channels = half
    expected["decoder.model.5.alpha"] = (1, 96, 1)
    convolution("decoder.model.7", (1, 96, 7), 1)
    for stage in range(3):
        quantizer = f"acoustic_quantizer.quantizers.{stage}"
        for half_name in ("a", "b"):
            convolution(f"{quantizer}.in_proj_{half_name}", (8, 1024, 1), 8)
            convolution(f"{quantizer}.out_proj_{half_name}", (512, 8, 1), 512)
            expected[f"{quantizer}.codebook_{half_name}.weight"] = (90, 8)
    assert shapes == expected
