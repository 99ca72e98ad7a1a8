"""The recipe from nothing to a checkpoint that answers, with next to nothing of everything. It babbles, but every stage runs."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from vivavoce.model.host import Host
from vivavoce.model.train import cli, evaluate
from vivavoce.model.train.recipe import STAGES, Kitchen, Plan

LITTLE = Plan(
    dialogues=30,
    recalls=4,
    more_replies=5,
    strange_replies=3,
    readings=40,
    strange_readings=4,
    least=0,
    copies=1,
    pictures=48,
    crowded=10,
    close_ups=8,
    semantic_steps=2,
    acoustic_steps=2,
    voice_steps=2,
    ears_steps=3,
    first_eyes_steps=2,
    eyes_steps=2,
    writing_steps=2,
    projector_steps=2,
    talking_steps=2,
)


@pytest.mark.skipif(not (shutil.which("espeak-ng") and shutil.which("flite")), reason="needs espeak-ng and flite")
def test_from_nothing_to_a_checkpoint_that_answers(tmp_path: Path) -> None:
    kitchen = Kitchen(tmp_path / "work", LITTLE)
    for stage in STAGES:
        getattr(kitchen, stage)()
    kitchen.checkpoint(tmp_path / "kitten")

    caller = evaluate.Caller(Host.load(tmp_path / "kitten"))
    said = caller.ask(np.random.default_rng(0).normal(0, 0.05, 24_000).astype(np.float32), max_tokens=12)
    assert said.ended in ("done", "length")


def test_a_budget_scales_the_steps() -> None:
    half = cli.plan_for(cli.PLANNED_HOURS / 2, seed=3)
    assert half.talking_steps == round(Plan().talking_steps / 2)
    assert half.seed == 3
    assert half.copies == Plan().copies


def test_a_wrong_stage_and_a_wrong_budget_are_named(tmp_path: Path) -> None:
    wrong = CliRunner().invoke(cli.app, ["--only", "tasting", "--folder", str(tmp_path)])
    assert wrong.exit_code == 2
    assert "tasting" in wrong.output
    assert CliRunner().invoke(cli.app, ["--budget", "soon", "--folder", str(tmp_path)]).exit_code == 2
