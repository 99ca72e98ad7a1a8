"""The eye: right by a float64 reference, blind to the pairs beside it, and under the release's names."""

import numpy as np
import numpy.typing as npt
import pytest
import torch

from vivavoce.model.config import VisionConfig, tiny
from vivavoce.model.vision_encoder import VisionEncoder, VisionProjector

CONFIG = tiny().vision
Array = npt.NDArray[np.float64]


@pytest.fixture
def encoder() -> VisionEncoder:
    made = VisionEncoder(CONFIG).eval()
    for parameter in made.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    return made


def reference(w: dict[str, Array], patches: Array, cols: int) -> Array:
    """One grid in float64, with positions and heads as plain loops."""

    def norm(v: Array, name: str) -> Array:
        return v / np.sqrt((v**2).mean(-1, keepdims=True) + 1e-6) * w[f"{name}.weight"]

    def linear(v: Array, name: str) -> Array:
        return v @ w[f"{name}.weight"].T + w.get(f"{name}.bias", np.zeros(1))

    def turn(heads: Array) -> Array:  # [P, heads, head_dim]
        half, out = CONFIG.head_dim // 2, heads.copy()
        for p in range(len(heads)):
            for d in range(half):
                place = p // cols if d < half // 2 else p % cols
                angle = place * 10000.0 ** (-2 * (d % (half // 2)) / half)
                a, b = heads[p, :, d], heads[p, :, d + half]
                out[p, :, d], out[p, :, d + half] = (
                    a * np.cos(angle) - b * np.sin(angle),
                    b * np.cos(angle) + a * np.sin(angle),
                )
        return out

    x = (
        patches @ w["embeddings.patch_embedding.weight"].reshape(CONFIG.hidden_size, -1).T
        + w["embeddings.patch_embedding.bias"]
    )
    for n in range(CONFIG.num_hidden_layers):
        name = f"encoder.layers.{n}"
        qkv = linear(norm(x, f"{name}.norm1"), f"{name}.attn.qkv").reshape(len(x), 3, CONFIG.num_attention_heads, -1)
        q = norm(turn(qkv[:, 0]).reshape(len(x), -1), f"{name}.attn.q_norm").reshape(qkv[:, 0].shape)
        k = norm(turn(qkv[:, 1]).reshape(len(x), -1), f"{name}.attn.k_norm").reshape(qkv[:, 1].shape)
        scores = np.einsum("phd,shd->hps", q, k) * CONFIG.head_dim**-0.5
        share = np.exp(scores - scores.max(-1, keepdims=True))
        mixed = np.einsum("hps,shd->phd", share / share.sum(-1, keepdims=True), qkv[:, 2]).reshape(len(x), -1)
        x = x + w[f"{name}.ls1"] * linear(mixed, f"{name}.attn.proj")
        normed = norm(x, f"{name}.norm2")
        gate = linear(normed, f"{name}.mlp.fc1")
        inner = norm(gate / (1 + np.exp(-gate)) * linear(normed, f"{name}.mlp.fc3"), f"{name}.mlp.norm")
        x = x + w[f"{name}.ls2"] * linear(inner, f"{name}.mlp.fc2")
    return x


def test_it_computes_what_the_description_says(encoder: VisionEncoder) -> None:
    patches = torch.randn(2, 12, CONFIG.patch_width) * 0.2
    weights = {name: tensor.numpy().astype(np.float64) for name, tensor in encoder.state_dict().items()}
    with torch.no_grad():
        seen = encoder(patches, (3, 4))
    for pair, row in zip(patches, seen, strict=True):
        np.testing.assert_allclose(row, reference(weights, pair.numpy().astype(np.float64), 4), atol=1e-4)


def test_neighbours_in_a_row_are_merged() -> None:
    projector = VisionProjector(CONFIG, 32).eval()
    hidden = torch.randn(1, 8, CONFIG.hidden_size)  # 2 rows of 4
    with torch.no_grad():
        whole = projector(hidden)
        second_of_first_row = projector(hidden[:, 2:4])
    assert whole.shape == (1, 4, 32)
    torch.testing.assert_close(whole[:, 1:2], second_of_first_row)


def test_patches_that_do_not_fill_the_grid_are_refused(encoder: VisionEncoder) -> None:
    with pytest.raises(ValueError, match="3 x 4 has 12 patches, got 11"):
        encoder(torch.zeros(1, 11, CONFIG.patch_width), (3, 4))


def test_the_names_and_shapes_are_the_releases() -> None:
    with torch.device("meta"):
        encoder, projector = VisionEncoder(VisionConfig()), VisionProjector(VisionConfig(), 6144)
    shapes = {name: tuple(tensor.shape) for name, tensor in encoder.state_dict().items()}
    assert shapes["embeddings.patch_embedding.weight"] == (1280, 3, 2, 14, 14)
    block = {
        name.removeprefix("encoder.layers.31."): s
        for name, s in shapes.items()
        if name.startswith("encoder.layers.31.")
    }
    assert block == {
        "attn.qkv.weight": (3840, 1280),
        "attn.proj.weight": (1280, 1280),
        "attn.proj.bias": (1280,),
        "attn.q_norm.weight": (1280,),
        "attn.k_norm.weight": (1280,),
        "norm1.weight": (1280,),
        "norm2.weight": (1280,),
        "mlp.fc1.weight": (3456, 1280),
        "mlp.fc1.bias": (3456,),
        "mlp.fc2.weight": (1280, 3456),
        "mlp.fc2.bias": (1280,),
        "mlp.fc3.weight": (3456, 1280),
        "mlp.fc3.bias": (3456,),
        "mlp.norm.weight": (3456,),
        "ls1": (1280,),
        "ls2": (1280,),
    }
    assert {name: tuple(tensor.shape) for name, tensor in projector.state_dict().items()} == {
        "p0.0.weight": (2560,),
        "p0.0.bias": (2560,),
        "p0.1.weight": (7168, 2560),
        "p0.1.bias": (7168,),
        "p0.3.weight": (7168, 7168),
        "p0.3.bias": (7168,),
        "proj.weight": (6144, 7168),
        "proj.bias": (6144,),
    }
    assert round(sum(p.numel() for p in encoder.parameters()) / 1e6, 2) == 636.55  # the report: 637 M
