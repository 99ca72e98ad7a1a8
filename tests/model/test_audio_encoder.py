"""The ear: right by a float64 reference written from the description, and the same heard whole or in pieces."""

from dataclasses import replace

import numpy as np
import numpy.typing as npt
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from vivavoce.model.audio_encoder import AudioProjector, FsmnEncoder
from vivavoce.model.config import AudioConfig, tiny

CONFIG = tiny().audio
Array = npt.NDArray[np.float64]


def encoder(config: AudioConfig = CONFIG, seed: int = 0) -> FsmnEncoder:
    torch.manual_seed(seed)
    made = FsmnEncoder(config).eval()
    for parameter in made.parameters():  # biases and norms that do something
        torch.nn.init.normal_(parameter, std=0.3)
    return made


def frames(count: int, batch: int = 1, seed: int = 1) -> Tensor:
    return torch.randn(batch, count, CONFIG.input_size, generator=torch.Generator().manual_seed(seed)) * 0.3


def reference(weights: dict[str, Array], x: Array) -> Array:
    """One clip [T, input] in float64, frame by frame, from the published description."""

    def norm(v: Array, name: str) -> Array:
        centred = v - v.mean(-1, keepdims=True)
        return (
            centred / np.sqrt((centred**2).mean(-1, keepdims=True) + 1e-5) * weights[f"{name}.weight"]
            + weights[f"{name}.bias"]
        )

    def linear(v: Array, name: str) -> Array:
        return v @ weights[f"{name}.weight"].T + weights.get(f"{name}.bias", np.zeros(1))

    def relu6(v: Array) -> Array:
        return np.clip(v, 0, 6)

    hidden = linear(relu6(linear(x, "ffn.0")), "ffn.2")
    for n in range(CONFIG.layers_causal + CONFIG.layers_lookahead):
        name, normed = f"fsmn_layers.{n}", norm(hidden, f"fsmn_layers.{n}.memory_ln")
        kernel = weights[f"{name}.memory.weight"][:, 0]
        y = hidden.copy()
        for t in range(len(x)):
            for tap in range(kernel.shape[1]):
                if 0 <= t + tap - CONFIG.left_order < len(x):
                    y[t] += kernel[:, tap] * normed[t + tap - CONFIG.left_order]
        hidden = y + linear(relu6(linear(norm(y, f"{name}.ffn.0"), f"{name}.ffn.1")), f"{name}.ffn.3")
    return relu6(linear(relu6(linear(hidden, "dnn.0")), "dnn.2"))


def test_it_computes_what_the_description_says() -> None:
    net, x = encoder(), frames(19)
    weights = {name: tensor.numpy().astype(np.float64) for name, tensor in net.state_dict().items()}
    np.testing.assert_allclose(net(x)[0].detach(), reference(weights, x[0].numpy().astype(np.float64)), atol=1e-4)


@given(st.lists(st.integers(0, 9), min_size=1, max_size=8), st.integers(1, 2))
def test_a_stream_hears_what_a_whole_clip_hears(pieces: list[int], batch: int) -> None:
    net, x = encoder(), frames(sum(pieces), batch)
    state, heard, at = net.initial_state(batch), [], 0
    with torch.no_grad():
        for piece in pieces:
            out, state = net.step(x[:, at : at + piece], state)
            heard.append(out)
            at += piece
            final = sum(part.shape[1] for part in heard)
            assert final == max(0, at - CONFIG.lookahead)  # no sooner, and no later
        heard.append(net.flush(state))
        torch.testing.assert_close(torch.cat(heard, dim=1), net(x), rtol=1e-4, atol=1e-5)


def test_a_state_is_a_value_that_forks_the_stream() -> None:
    net, x = encoder(), frames(20)
    with torch.no_grad():
        _, middle = net.step(x[:, :12], net.initial_state())
        kept = middle.copy()
        net.step(frames(8, seed=9), middle)  # another future, thrown away
        net.flush(middle)
        out, _ = net.step(x[:, 12:], middle)
        again, _ = net.step(x[:, 12:], kept)
        torch.testing.assert_close(out, net(x)[:, 10:18], rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(out, again)


def test_a_clip_is_heard_alike_alone_and_beside_a_longer_one() -> None:
    net, x = encoder(), frames(15, batch=2)
    x[0, 6:] = 7.0  # padding that would show
    with torch.no_grad():
        together = net(x, torch.tensor([6, 15]))
        torch.testing.assert_close(together[0, :6], net(x[:1, :6])[0], rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(together[1], net(x[1:])[0], rtol=1e-4, atol=1e-5)


def test_dropout_belongs_to_training_alone() -> None:
    net, x = encoder(replace(CONFIG, dropout=0.5)), frames(5)
    torch.testing.assert_close(net(x), net(x))
    net.train()
    assert not torch.equal(net(x), net(x))


def test_the_names_and_shapes_are_the_releases() -> None:
    with torch.device("meta"):
        net, projector = FsmnEncoder(AudioConfig()), AudioProjector(AudioConfig(), 6144)
    shapes = {name: tuple(tensor.shape) for name, tensor in net.state_dict().items()}
    assert shapes["ffn.0.weight"] == (6144, 1200) and shapes["ffn.2.weight"] == (1536, 6144)
    assert "ffn.2.bias" not in shapes
    assert shapes["fsmn_layers.15.memory.weight"] == (1536, 1, 11)
    assert shapes["fsmn_layers.16.memory.weight"] == (1536, 1, 12)
    assert shapes["fsmn_layers.21.ffn.1.weight"] == (6144, 1536) and shapes["fsmn_layers.21.ffn.3.bias"] == (1536,)
    assert shapes["dnn.2.weight"] == (6144, 6144) and shapes["output.weight"] == (5252, 6144)
    assert sorted(projector.state_dict()) == ["0.bias", "0.weight", "2.bias", "2.weight"]
    parameters = sum(p.numel() for p in [*net.parameters(), *projector.parameters()])
    assert round(parameters / 1e6, 1) == 587.7  # the report: about 600 M
