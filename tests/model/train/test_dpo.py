"""Of two of its own answers a network learns to prefer the better one, in words and in sound."""

import json

import numpy as np
import pytest
import torch

from vivavoce.model import prompt
from vivavoce.model.config import tiny
from vivavoce.model.engine.events import Sampling
from vivavoce.model.omni import Omni
from vivavoce.model.tokenizer import PAD, train_tokenizer
from vivavoce.model.train import dpo, preferences
from vivavoce.model.train.examples import Stage, up_to_the_last_reply
from vivavoce.model.train.preferences import Judge, Pair, Verdict
from vivavoce.model.train.run import Recipe
from vivavoce.model.train.sayings import Saying
from vivavoce.model.train.turns import Dialogue, Turn

TOKENIZER = train_tokenizer(["USER:", "VOICE ASSISTANT:", "\n", "The circle is red.", "I don't know."] * 20, 440)
TURN = Turn("what colour is the circle", "The circle is red.", "colour", "red")
CODES = np.arange(20 * 4).reshape(20, 4) % 25
STAGE = Stage(TOKENIZER, {}, {Saying(TURN.reply): [CODES]}, lambda _: np.zeros(0), 0)


@pytest.fixture
def omni():
    torch.manual_seed(0)
    return Omni(tiny(TOKENIZER.vocab_size)).eval()


def question(seed=1, turns=1):
    return up_to_the_last_reply(STAGE.dialogue(Dialogue((TURN,) * turns, None), seed, typed=1.0, written=0.0))


def spoken(text, frames=20):
    return prompt.spoken_reply(TOKENIZER, [(text, np.resize(CODES, (frames, 4)))], end=False)


def pairs():
    return [
        Pair(question(1), spoken("The circle is red."), spoken("The circle is blue.")),
        Pair(question(2), spoken("The circle is red."), spoken("The circle is red.", 9)),
        Pair(question(3, turns=2), spoken("The circle is red."), spoken("I don't know.", 30)),
    ]


def test_a_question_ends_where_its_answer_begins():
    whole = STAGE.dialogue(Dialogue((TURN, TURN), None), 4, typed=1.0, written=0.0)
    asked = up_to_the_last_reply(whole)
    assert TOKENIZER.decode(asked.rows[:, 0].tolist()).endswith("VOICE ASSISTANT:")
    assert np.array_equal(whole.rows[: len(asked.rows)], asked.rows)
    assert len(whole.rows) - len(asked.rows) == len(CODES) + 2
    assert not asked.judged.any()


def test_log_probabilities_are_those_of_each_head_alone(omni):
    """Against softmaxes in float64, one row after the other."""
    some = [dpo.answered(p.question, answer) for p in pairs() for answer in (p.chosen, p.rejected)]
    told = dpo.log_probabilities(omni, some)
    for example, sums in zip(some, told, strict=True):
        rows = torch.from_numpy(example.rows)
        hidden = omni.backbone(omni.embed_prompt(rows[None]))[0].detach().double()
        expected = torch.zeros(5, dtype=torch.float64)
        for at in np.flatnonzero(example.judged):
            h = hidden[at - 1]
            if rows[at, 0] != PAD:
                expected[0] += (omni.backbone.lm_head.weight.double() @ h).log_softmax(0)[rows[at, 0]]
            for stream, head in enumerate(omni.audio_output_layers.audio_output_layers):
                if stream:
                    h = h + omni.audio_output_layers.embedding[stream - 1].weight.double()[rows[at, stream]]
                if rows[at, 1 + stream] != PAD:
                    expected[1 + stream] += (head.weight.double() @ h).log_softmax(0)[rows[at, 1 + stream]]
        assert torch.allclose(sums.double(), expected, rtol=1e-4)


def test_the_loss_and_its_gradient_are_the_papers():
    """Written out in float64, head by head; where the network began nobody is preferred, and the loss says so."""
    torch.manual_seed(2)
    said, reference = 10 * torch.randn(4, 2, 5), 10 * torch.randn(4, 2, 5)
    said.requires_grad_(True)
    loss, _ = dpo.preference(said, reference)
    loss.backward()
    expected, slopes = 0.0, np.zeros((4, 2, 5))
    mine, theirs = said.detach().double().numpy(), reference.double().numpy()
    for n in range(4):
        for head, weight in enumerate(dpo.WEIGHTS):
            gain = mine[n, :, head] - theirs[n, :, head]
            margin = 0.1 * (gain[0] - gain[1])
            expected += weight * np.log1p(np.exp(-margin)) / 4
            slope = -weight * 0.1 / (1 + np.exp(margin)) / 4
            slopes[n, :, head] = slope, -slope
    assert loss.item() == pytest.approx(expected, rel=1e-5)
    assert np.allclose(said.grad.numpy(), slopes, rtol=1e-4, atol=1e-7)
    even, figures = dpo.preference(reference, reference)
    assert even.item() == pytest.approx(np.log(2) * sum(dpo.WEIGHTS), rel=1e-5)
    assert figures["text margin"] == figures["audio margin"] == 0


def test_the_gradient_of_the_weights_is_that_of_float64(omni):
    """The whole way down to the embedding of a code, beside the same network in float64."""
    some, exact = pairs(), Omni(omni.config).double().eval()
    exact.load_state_dict(omni.state_dict())
    grads = []
    for net in (omni, exact):
        said = dpo.both(net, some)
        dpo.preference(said, torch.zeros_like(said))[0].backward()
        named = dict(net.named_parameters())
        names = ("audio_embeddings.audio_embeddings.0.weight", "backbone.model.layers.0.mlps.0.up_proj.weight")
        grads.append([named[name].grad.double() for name in names])
    for single, double in zip(*grads, strict=True):
        assert (single - double).norm() < 1e-3 * double.norm()


def test_preferences_move_the_right_way_and_a_stopped_run_is_the_run_that_was_not(omni, tmp_path, monkeypatch):
    some, before = pairs(), omni.state_dict()
    recipe = Recipe("dpo", 12, 1e-3, save_every=4)
    whole, first, second = (Omni(omni.config) for _ in range(3))
    for net in (whole, first, second):
        net.load_state_dict(before)
    dpo.train_preferences(whole, some, recipe, tmp_path / "whole", each=2)
    log = [json.loads(line) for line in (tmp_path / "whole" / "dpo.jsonl").read_text().splitlines()]
    assert log[-1]["loss"] < log[0]["loss"]
    with torch.no_grad():
        gained = dpo.both(whole, some) - dpo.both(omni, some)
    weighed = gained @ torch.tensor(dpo.WEIGHTS)
    assert (weighed[:, 0] > weighed[:, 1]).all(), "each chosen answer has gained on its rejected one"

    class Stopped(Exception):
        pass

    def stopping(*of):
        if len(drawn := [*asked, of]) > 15:
            raise Stopped
        asked[:] = drawn
        return drawing(*of)

    asked, drawing = [], dpo._drawn
    monkeypatch.setattr(dpo, "_drawn", stopping)
    with pytest.raises(Stopped):
        dpo.train_preferences(first, some, recipe, tmp_path / "parts", each=2)
    monkeypatch.setattr(dpo, "_drawn", drawing)
    dpo.train_preferences(second, some, recipe, tmp_path / "parts", each=2)
    assert all(torch.equal(tensor, whole.state_dict()[name]) for name, tensor in second.state_dict().items())
    with pytest.raises(ValueError, match="no pair"):
        dpo.train_preferences(second, [], recipe, tmp_path / "none")


def test_answers_are_judged_by_their_words_and_by_how_long_they_last():
    judge = Judge(TOKENIZER, {Saying(TURN.reply): [CODES]})
    assert judge.judge(TURN, spoken("The circle is red."), True) == Verdict(True, True, False)
    assert judge.judge(TURN, spoken("The circle is red."), False) == Verdict(True, False, False)
    assert judge.judge(TURN, spoken("The circle is red.", 40), True) == Verdict(True, False, False)
    assert judge.judge(TURN, spoken("The circle is red.", 11), True) == Verdict(True, False, False)
    assert judge.judge(TURN, spoken("I don't know.", 14), True) == Verdict(False, True, True)
    unknown = Turn("who won the cup", "I don't know.", "unknown", "know")
    assert judge.judge(unknown, spoken("I don't know.", 14), True).score == 3


def test_a_pair_is_a_faultless_answer_and_the_worst():
    good, wrong, broken = Verdict(True, True, False), Verdict(False, True, False), Verdict(False, False, False)
    rows = [spoken(text) for text in ("The circle is red.", "The circle is blue.", "I don't know.")]
    pair = preferences.pair_of(question(), rows, [good, wrong, broken])
    assert (pair.chosen is rows[0], pair.rejected is rows[2]) == (True, True)
    assert preferences.pair_of(question(), rows, [good, good, good]) is None
    assert preferences.pair_of(question(), rows, [wrong, wrong, broken]) is None


def test_a_networks_own_answers_have_the_rows_it_was_trained_on(omni):
    """What the engine made, run again as a whole dialogue, gives back what it chose."""
    asked = [question(seed) for seed in (1, 2, 3)]
    ways = [Sampling(audio_repetition_penalty=1.0, max_tokens=25), Sampling(top_k=0, max_tokens=25, seed=3)]
    plain = Omni(omni.config).eval()
    plain.load_state_dict(omni.state_dict())
    for example, some in zip(asked, preferences.replies(omni, asked, ways), strict=True):
        rows, ended = some[0]
        assert len(rows) == 25 or ended
        again = dpo.answered(example, rows)
        with torch.no_grad():
            hidden = plain.backbone(plain.embed_prompt(torch.from_numpy(again.rows[None])))[0]
        said = [r for r in range(len(example.rows), len(again.rows)) if again.rows[r, 0] != PAD]
        best = plain.backbone.logits(hidden)[[r - 1 for r in said]].argmax(-1).tolist()
        assert best[0] == again.rows[said[0], 0]
        assert np.mean(np.array(best) == again.rows[said, 0]) > 0.9
