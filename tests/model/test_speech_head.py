"""The four streams of speech: each head hears what the ones before it said, and none says what does not exist."""

import torch

from vivavoce.model.config import SpeechConfig, tiny
from vivavoce.model.speech_head import AudioEmbeddings, AudioOutputLayers

CONFIG, WIDTH = tiny().speech, 32


def heads() -> AudioOutputLayers:
    made = AudioOutputLayers(CONFIG, WIDTH).eval()
    for parameter in made.parameters():
        torch.nn.init.normal_(parameter)
    return made


def test_teacher_and_chain_agree_on_what_the_chain_said() -> None:
    layers, hidden = heads(), torch.randn(7, WIDTH)
    said = layers.chain(hidden)
    for stream, logits in enumerate(layers.teacher_logits(hidden, said)):
        best = logits.masked_fill(~layers.legal(stream), float("-inf")).argmax(-1)
        assert torch.equal(best, said[:, stream])


def test_each_head_adds_the_embeddings_of_those_before_it() -> None:
    layers, hidden, codes = heads(), torch.randn(2, 3, WIDTH), torch.randint(32, 57, (2, 3, 4))
    weights = layers.state_dict()
    running = hidden.clone()
    for stream, logits in enumerate(layers.teacher_logits(hidden, codes)):
        if stream:
            running = running + weights[f"embedding.{stream - 1}.weight"][codes[..., stream - 1]]
        torch.testing.assert_close(
            logits, running @ weights[f"audio_output_layers.{stream}.weight"].T, rtol=1e-4, atol=1e-4
        )


def test_ids_that_mean_nothing_are_never_said() -> None:
    layers, hidden = heads(), torch.randn(500, WIDTH)

    def tempt(stream: int, logits: torch.Tensor) -> torch.Tensor:
        logits[:, [0, 1, 3, 31, 63 if stream else 31]] += 1e4
        return logits

    said = layers.chain(hidden, tempt)
    assert ((said[:, 0] == 2) | (said[:, 0] >= 32)).all()
    assert ((said[:, 1:] >= 32) & (said[:, 1:] < 57)).all()


def test_only_the_semantic_stream_can_end() -> None:
    layers = heads()
    assert [bool(layers.legal(stream)[CONFIG.eos]) for stream in range(4)] == [True, False, False, False]
    assert [int(layers.legal(stream).sum()) for stream in range(4)] == [33, 25, 25, 25]


def test_a_penalty_sees_every_stream_before_its_choice() -> None:
    layers, hidden = heads(), torch.randn(3, WIDTH)
    first = layers.chain(hidden)

    def forbid(stream: int, logits: torch.Tensor) -> torch.Tensor:
        return logits.scatter(1, first[:, stream : stream + 1], float("-inf"))

    assert (layers.chain(hidden, forbid)[:, 0] != first[:, 0]).all()


def test_the_names_and_shapes_are_the_releases() -> None:
    with torch.device("meta"):
        tables, layers = AudioEmbeddings(SpeechConfig(), 6144), AudioOutputLayers(SpeechConfig(), 6144)
    assert {n: tuple(t.shape) for n, t in tables.state_dict().items()} == {
        f"audio_embeddings.{i}.weight": (8224, 6144) for i in range(4)
    }
    assert {n: tuple(t.shape) for n, t in layers.state_dict().items()} == {
        **{f"audio_output_layers.{i}.weight": (8224, 6144) for i in range(4)},
        **{f"embedding.{i}.weight": (8224, 6144) for i in range(3)},
    }
