"""What lags behind its reference is practised more, and a run that was stopped practises the same."""

import json

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from vivavoce.model.config import tiny
from vivavoce.model.omni import Omni
from vivavoce.model.tokenizer import train_tokenizer
from vivavoce.model.train import cli, lagging, talking
from vivavoce.model.train.examples import Stage
from vivavoce.model.train.lagging import EVERY, Lagging, followed
from vivavoce.model.train.practice import Practice
from vivavoce.model.train.run import Recipe
from vivavoce.model.train.sayings import Saying

SHARES = {"talk": 0.5, "look": 0.3, "aloud": 0.2}
REFERENCE = {"talk": 0.1, "look": 0.1, "aloud": 1.5}


def test_shares_follow_the_ratio_of_perplexities_within_bounds():
    made = followed(SHARES, {"talk": 0.1, "look": 0.5, "aloud": 40.0}, REFERENCE)
    assert sum(made.values()) == pytest.approx(1.0)
    assert made["look"] / made["talk"] == pytest.approx(0.3 / 0.5 * 2.718281828**0.4)
    assert made["aloud"] / made["talk"] == pytest.approx(0.2 / 0.5 * 2)
    assert followed(SHARES, {"talk": -40.0}, REFERENCE)["talk"] == pytest.approx(0.25 / 0.75)


def test_nothing_changes_between_two_looks_at_the_log(tmp_path):
    run = Lagging(tmp_path / "none.jsonl", REFERENCE)
    for step in range(2 * EVERY):
        if step < EVERY:
            assert run.shares(step, SHARES) == SHARES
        run.note(step, {"talk": 0.1, "look": 0.3 if step < EVERY else 0.1})
    second = [run.shares(step, SHARES) for step in range(EVERY, 2 * EVERY)]
    assert all(shares == second[0] for shares in second)
    assert second[0]["look"] > SHARES["look"]
    assert run.shares(2 * EVERY, SHARES) == pytest.approx(SHARES)


def test_a_stopped_run_tells_the_same_shares_from_its_log(tmp_path):
    """To the last bit: also where a step stands there twice, and the last line is half a line."""
    run, lines = Lagging(tmp_path / "none.jsonl", REFERENCE), []
    for step in range(EVERY):
        noted = run.note(step, {"talk": 0.1 + step / 3e3, "look": 1 / (step + 3)})
        lines.append(json.dumps({"step": step} | {k: round(v, lagging.PLACES) for k, v in noted.items()}))
    log = tmp_path / "run.jsonl"
    log.write_text("\n".join([*lines, lines[-1], '{"step": 1']))
    assert Lagging(log, REFERENCE).shares(EVERY, SHARES) == run.shares(EVERY, SHARES) != SHARES


def test_training_that_follows_what_lags_is_resumed_to_the_last_bit(tmp_path, monkeypatch):
    """Shares change every second step; the run is stopped behind its second checkpoint."""
    monkeypatch.setattr(lagging, "EVERY", 2)
    tokenizer = train_tokenizer(["USER:", "ASSISTANT:", "VOICE ASSISTANT:", "\n", "Yes, it is."] * 20, 440)
    codes = {Saying("Yes, it is."): [np.arange(48).reshape(12, 4) % 25]}
    practice = Practice(Stage(tokenizer, {}, codes, lambda _: np.zeros(0), 0), [], [], rows=300)
    shares, recipe = {"drill": 0.7, "aloud": 0.3}, Recipe("talking", 10, 1e-2, save_every=4)

    def run(folder, stop=99):
        torch.manual_seed(0)
        omni = Omni(tiny(tokenizer.vocab_size))
        follows = Lagging(folder / "talking.jsonl", {"drill": 5.0, "aloud": 3.0})
        practised = []

        def now(step):
            practised.append(follows.shares(step, shares))
            if step == stop:
                raise KeyboardInterrupt
            return practised[-1]

        def batches(step):
            return practice.batches(step, now(step), voiced=0.5)

        def kinds(step):
            return practice.kinds(step, practised[-1])

        talking.train_talk(omni, batches, recipe, folder, kinds_at=kinds, lagging=follows)
        return omni, practised

    whole, all_along = run(tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "parts", stop=9)
    parts, since = run(tmp_path / "parts")
    assert since == all_along[8:]
    assert all_along[0] == shares != all_along[2]
    assert all(torch.equal(tensor, whole.state_dict()[name]) for name, tensor in parts.state_dict().items())


def test_a_kind_is_told_by_its_words_or_by_its_codes_where_no_word_counts():
    parts = [{"text": 0.2, "audio0": 1.0}, {"audio0": 1.4}, {"text": 0.4}]
    assert talking.by_kind(["talk", "aloud", "talk"], parts) == {"talk": pytest.approx(0.3), "aloud": 1.4}


def test_it_is_refused_where_losses_are_not_told_by_kind(tmp_path):
    wrong = CliRunner().invoke(cli.app, ["--lagging", "--processes", "2", "--folder", str(tmp_path)])
    assert (wrong.exit_code, "--lagging" in wrong.output) == (2, True)
