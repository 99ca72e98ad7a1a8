"""From logits to ids, against the rules worked out by hand."""

import pytest
import torch

from vivavoce.model.config import tiny
from vivavoce.model.engine.events import Sampling
from vivavoce.model.engine.network import TorchNetwork, penalise
from vivavoce.model.engine.sampling import History, Speaker, choose, choose_text
from vivavoce.model.omni import Omni


def test_the_penalty_is_exponential_in_the_count_and_pushes_both_signs_down() -> None:
    logits = torch.tensor([[2.0, -2.0, 1.0]])
    lower = penalise(logits, [[0, 0, 1, -1]], [1.1])
    assert lower[0].tolist() == pytest.approx([2.0 / 1.1**2, -2.0 * 1.1, 1.0])
    assert logits[0].tolist() == [2.0, -2.0, 1.0]


def test_each_row_has_its_own_past() -> None:
    logits = torch.ones(2, 2)
    assert penalise(logits, [[0], []], [2.0, 2.0]).tolist() == [[0.5, 1.0], [1.0, 1.0]]


def test_the_past_is_a_window() -> None:
    history = History(window=2)
    for code in (7, 8, 9):
        history.record(None, (code, -1, -1, -1))
    assert sorted(history.recent[1]) == [8, 9]
    assert sorted(history.recent[0]) == [-1, -1]


def test_greedy_text_knows_no_penalty() -> None:
    speaker = Speaker(Sampling(repetition_penalty=5.0))
    speaker.history.record(1, None)
    assert choose_text(torch.tensor([[0.0, 1.0, 0.9]]), [speaker]) == [1]


def test_drawn_text_stays_inside_top_k_and_top_p() -> None:
    odds = torch.tensor([0.5, 0.3, 0.15, 0.05])
    speaker = Speaker(Sampling(top_k=3, top_p=0.8, seed=3))
    drawn = {choose_text(odds.log()[None], [speaker])[0] for _ in range(200)}
    assert drawn == {0, 1}


def test_the_same_seed_draws_the_same_words_whoever_shares_the_batch() -> None:
    logits = torch.randn(40, 12)
    alone, beside = Speaker(Sampling(top_k=0, seed=5)), Speaker(Sampling(top_k=0, seed=5))
    other = Speaker(Sampling(top_k=0, seed=6))
    solo = [choose_text(row[None], [alone])[0] for row in logits]
    duet = [choose_text(torch.stack([row.flip(0), row]), [other, beside])[1] for row in logits]
    assert solo == duet


def test_only_what_is_wanted_is_chosen() -> None:
    omni = Omni(tiny()).eval()
    network = TorchNetwork(omni)
    hidden = torch.randn(3, omni.config.backbone.hidden_size)
    speakers = [Speaker(Sampling()), Speaker(Sampling(text_only=True)), Speaker(Sampling())]
    with torch.inference_mode():
        chosen = choose(network, hidden, speakers, [True, True, False])
        alone = choose(network, hidden[2:], speakers[2:], [False])
    assert [text >= 0 for text, _ in chosen] == [True, True, False]
    assert [codes is None for _, codes in chosen] == [False, True, False]
    assert chosen[2] == alone[0]
