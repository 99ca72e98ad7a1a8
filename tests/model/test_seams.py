"""What joins the parts: projectors, tables and heads, each against float64 numpy written from the description."""

import math
from collections import Counter

import numpy as np
import numpy.typing as npt
import pytest
import torch

from vivavoce.model.audio_encoder import AudioProjector
from vivavoce.model.config import SpeechConfig, tiny
from vivavoce.model.engine.engine import Engine
from vivavoce.model.engine.events import Frame, Sampling
from vivavoce.model.omni import Omni
from vivavoce.model.vision_encoder import VisionProjector

CONFIG = tiny()
WIDTH = CONFIG.backbone.hidden_size
PAD, AUDIO_PAD, IMAGE_PAD, EOS = 3, 136, 142, 2
Array = npt.NDArray[np.float64]


@pytest.fixture(scope="module")
def omni() -> Omni:
    torch.manual_seed(0)
    made = Omni(CONFIG).eval().requires_grad_(False)
    for part in (made.audio_embeddings, made.audio_output_layers):
        for tensor in part.state_dict().values():
            tensor.normal_()
    return made


def weights_of(module: torch.nn.Module) -> dict[str, Array]:
    return {name: tensor.double().numpy() for name, tensor in module.state_dict().items()}


def linear(w: dict[str, Array], name: str, x: Array) -> Array:
    return x @ w[f"{name}.weight"].T + w[f"{name}.bias"]


def gelu(x: Array) -> Array:
    return np.asarray(x * (1 + np.vectorize(math.erf)(x / np.sqrt(2))) / 2)


def test_sound_is_projected_by_two_maps() -> None:
    projector, x = AudioProjector(CONFIG.audio, WIDTH).eval(), torch.randn(5, CONFIG.audio.ffn_hidden)
    w = weights_of(projector)
    expected = linear(w, "2", gelu(linear(w, "0", x.double().numpy()))) * CONFIG.audio.emb_mult
    np.testing.assert_allclose(projector(x).detach(), expected, atol=1e-5)


def test_sight_is_normed_merged_and_projected_by_three_maps() -> None:
    projector, x = VisionProjector(CONFIG.vision, WIDTH).eval(), torch.randn(2, 6, CONFIG.vision.hidden_size)
    torch.nn.init.normal_(projector.p0[0].weight)
    torch.nn.init.normal_(projector.p0[0].bias)
    w = weights_of(projector)
    merged = x.double().numpy().reshape(2, 3, -1)
    centred = merged - merged.mean(-1, keepdims=True)
    normed = centred / np.sqrt((centred**2).mean(-1, keepdims=True) + 1e-5) * w["p0.0.weight"] + w["p0.0.bias"]
    expected = linear(w, "proj", gelu(linear(w, "p0.3", gelu(linear(w, "p0.1", normed)))))
    np.testing.assert_allclose(projector(x).detach(), expected, atol=1e-5)


def prompt_row(w: dict[str, Array], tables: dict[str, Array], ids: list[int], feature: Array | None) -> Array:
    """One position of a prompt, by the rules in their order."""
    text, codes = ids[0], ids[1:]
    if feature is not None:
        return feature
    row = np.zeros(WIDTH) if text == PAD else w["model.embed_tokens.weight"][text].copy()
    for stream, code in enumerate(codes):
        if code != PAD:
            row += tables[f"audio_embeddings.{stream}.weight"][code]
    return w["model.embed_tokens.weight"][PAD] if ids == [PAD] * 5 else row


def test_a_prompt_is_embedded_by_its_rules(omni: Omni) -> None:
    w, tables = weights_of(omni.backbone), weights_of(omni.audio_embeddings)
    quiet = [PAD] * 4
    rows = [[7, *quiet], [8, 40, PAD, 41, 42], [PAD, 2, 33, 34, 35], [PAD] * 5, [AUDIO_PAD, *quiet],
            [IMAGE_PAD, *quiet], [AUDIO_PAD, *quiet], [EOS, 50, 51, 52, 53]]  # fmt: skip
    sound, sight = torch.randn(2, WIDTH), torch.randn(1, WIDTH)
    features = {AUDIO_PAD: iter(sound.double().numpy()), IMAGE_PAD: iter(sight.double().numpy())}
    expected = [prompt_row(w, tables, row, next(features[row[0]]) if row[0] in features else None) for row in rows]
    np.testing.assert_allclose(omni.embed_prompt(torch.tensor(rows), sound, sight), np.stack(expected), atol=1e-5)


def test_a_step_is_embedded_by_its_own_rules(omni: Omni) -> None:
    w, tables = weights_of(omni.backbone), weights_of(omni.audio_embeddings)
    steps = [(7, (40, 41, 42, 43)), (-1, (40, 41, 42, 43)), (9, (40, -1, -1, -1)), (3, (3, 3, 3, 3)), (2, (-1,) * 4)]
    expected = []
    for text, codes in steps:
        row = np.zeros(WIDTH) if text < 0 else w["model.embed_tokens.weight"][text].copy()
        for stream, code in enumerate(codes):
            row += 0 if code < 0 else tables[f"audio_embeddings.{stream}.weight"][code]
        expected.append(row)
    got = omni.embed_step(torch.tensor([text for text, _ in steps]), torch.tensor([codes for _, codes in steps]))
    np.testing.assert_allclose(got, np.stack(expected), atol=1e-5)


def codes_by_hand(w: dict[str, Array], hidden: Array, pasts: list[list[int]], config: SpeechConfig) -> list[int]:
    """One row through the chain of heads: penalty 1.1 ** count, illegal ids never, each choice added before the next head."""
    running, said = hidden.copy(), []
    for stream in range(config.n_codebooks):
        if stream:
            running = running + w[f"embedding.{stream - 1}.weight"][said[-1]]
        logits = w[f"audio_output_layers.{stream}.weight"] @ running
        for code, count in Counter(code for code in pasts[stream][-30:] if code >= 0).items():
            logits[code] *= 1.1**count if logits[code] < 0 else 1.1**-count
        for code in range(config.audio_vocab):
            real = config.code_offset <= code < config.code_offset + config.codebook_sizes[stream]
            if not real and not (stream == 0 and code == config.eos):
                logits[code] = -np.inf
        said.append(int(np.argmax(logits)))
    return said


def test_four_codes_are_chosen_one_after_the_other_under_their_penalties(omni: Omni) -> None:
    """A whole reply of the engine, each of its steps worked again by hand from what the backbone says of all before it."""
    engine, prompt = Engine(omni, 256), torch.randn(9, WIDTH)
    engine.open("a")
    engine.put_chunk("a", prompt, "prompt")
    engine.prefill("a", 0, ["prompt"])
    engine.decode("a", 1, Sampling(max_tokens=60))
    frames: list[Frame] = []
    while engine.busy:
        frames += [event for event in engine.step() if isinstance(event, Frame)]
    codes = [frame.codes or (-1,) * 4 for frame in frames]
    texts = [-1 if frame.text_id is None else frame.text_id for frame in frames]
    told = torch.cat([prompt, omni.embed_step(torch.tensor(texts), torch.tensor(codes))])
    hidden = omni.backbone(told[None])[0, len(prompt) - 1 :].double().numpy()
    w, compared = weights_of(omni.audio_output_layers), 0
    for step, said in enumerate(codes):
        past = [list(stream) for stream in zip(*codes[:step], strict=True)] or [[]] * 4
        by_hand = codes_by_hand(w, hidden[step], past, CONFIG.speech)
        for code, expected in zip(said, by_hand, strict=True):
            assert code in (expected, -1), f"step {step}"
            compared += code >= 0
    assert compared > 150 and len({code for said in codes for code in said}) > 20, "the penalty had something to do"
