"""The recipe from nothing to a checkpoint that answers, with next to nothing of everything. It babbles, but every stage runs."""

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from typer.testing import CliRunner

from vivavoce.codecs.config import voice_folders, voice_names
from vivavoce.model.host import Host
from vivavoce.model.omni import Omni
from vivavoce.model.train import cli, corpus, evaluate, further, kitten, noticing, recipe
from vivavoce.model.train.gallery import keys
from vivavoce.model.train.pantry import Pantry
from vivavoce.model.train.plan import FURTHER, Plan
from vivavoce.model.train.recipe import STAGES, Kitchen, talk_together
from vivavoce.model.train.sayings import sayings
from vivavoce.model.weights import load_omni, save_release

LITTLE = Plan(
    dialogues=30,
    recalls=4,
    more_replies=5,
    strange_replies=3,
    answers=0,
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
    second_voice_steps=2,
    second_readings=6,
    ears_steps=3,
    first_eyes_steps=2,
    eyes_steps=2,
    writing_steps=2,
    projector_steps=2,
    talking_steps=2,
)
SEES = replace(
    LITTLE, litter=2, further=True, close_ups=0, pictures=20, views=12, changes=3, further_eyes_steps=3, talk_rows=900
)


@pytest.mark.skipif(not (shutil.which("espeak-ng") and shutil.which("flite")), reason="needs espeak-ng and flite")
def test_from_nothing_to_a_checkpoint_that_answers_and_on_from_there(tmp_path: Path) -> None:
    kitchen = Kitchen(tmp_path / "work", LITTLE)
    for stage in STAGES:
        getattr(kitchen, stage)()
    kitchen.checkpoint(tmp_path / "kitten")
    assert answers(tmp_path / "kitten")

    further.take(tmp_path / "kitten", tmp_path / "more")
    lesson = replace(LITTLE, seed=2, close_ups=0, projector_steps=0, further=True)
    for stage in further.STAGES:
        getattr(Kitchen(tmp_path / "more", lesson), stage)()
    Kitchen(tmp_path / "more", lesson).checkpoint(tmp_path / "cat")
    assert answers(tmp_path / "cat")
    folders = [tmp_path / name / "audio_codec" for name in ("kitten", "cat")]
    assert [voice_names(folder) for folder in folders] == [("nora", "hugo"), ("nora", "hugo")]
    nora, hugo = (
        torch.load(found / "decoder_24k_4codebooks.pt", weights_only=True) for found in voice_folders(folders[1])
    )
    assert any(not torch.equal(nora[name], hugo[name]) for name in nora)
    before, after = (load_omni(tmp_path / name).state_dict() for name in ("kitten", "cat"))
    learned = {name.split(".")[0] for name in before if not torch.equal(before[name], after[name])}
    assert learned == {"backbone", "audio_embeddings", "audio_output_layers", "vision_projector"}

    (tmp_path / "more" / "talking.pt").unlink()
    Kitchen(tmp_path / "more", replace(lesson, layers=4)).growth()
    together = replace(lesson, along=("ears", "eyes"))
    talk_together(tmp_path / "more", together, 2)
    Kitchen(tmp_path / "more", together).checkpoint(tmp_path / "lynx")
    assert answers(tmp_path / "lynx")
    after = load_omni(tmp_path / "lynx").state_dict()
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert {name.split(".")[0] for name in changed} == learned | {"audio_encoder", "vision_encoder"}
    assert "audio_projector.0.weight" not in changed


@pytest.mark.skipif(not (shutil.which("espeak-ng") and shutil.which("flite")), reason="needs espeak-ng and flite")
def test_a_second_litter_is_recorded_in_its_styles_and_learns_from_what_is_returned(tmp_path: Path) -> None:
    kitchen = Kitchen(tmp_path, replace(LITTLE, litter=2, more_replies=0, strange_replies=0, talk_rows=900))
    for stage in ("corpus", "tokenizer", "codec", "codes", "writing"):
        getattr(kitchen, stage)()
    talks, codes = kitchen.pantry.talk(), kitchen.pantry.codes()
    said = {saying for talk in talks for turn in talk.turns for saying in sayings(turn.reply, turn.style)}
    assert said <= set(codes)
    assert {saying.style for saying in said} > {""}
    assert any(turn.called for talk in talks for turn in talk.turns)
    tokenizer = kitchen.pantry.tokenizer()
    assert all(len(tokenizer.encode(f" {letter}")) == 1 for letter in "ABCQXZ")
    learned = torch.load(tmp_path / "writing.pt", weights_only=True)
    assert learned["step"] == LITTLE.writing_steps


@pytest.mark.skipif(not (shutil.which("espeak-ng") and shutil.which("flite")), reason="needs espeak-ng and flite")
def test_a_checkpoint_of_the_first_litter_learns_to_see_more(tmp_path: Path) -> None:
    """Its eyes are schooled first; then every picture is told in the new words, and practised on."""
    further.take(cli.embedded(), tmp_path / "more")
    kitchen = Kitchen(tmp_path / "more", replace(SEES, readings=4, strange_readings=2, more_replies=0, dialogues=12))
    for stage in further.STAGES:
        getattr(kitchen, stage)()
    noticed = torch.load(tmp_path / "more" / "further_eyes.pt", weights_only=True)
    assert noticed["step"] == SEES.further_eyes_steps
    sights, scenes = np.load(tmp_path / "more" / "sights.npz"), corpus.load(tmp_path / "more" / "scenes.pkl")
    assert sights["shots"].shape == sights["clear"].shape
    assert sights["shots"].shape[0] == len(keys(scenes)) > 2 * 30 + 12 + 4 * 3
    assert sights["shots"].shape[2] == len(noticing.SEEN_WORDS)
    kitchen.checkpoint(tmp_path / "lynx")
    assert answers(tmp_path / "lynx")
    before, after = (load_omni(folder).state_dict() for folder in (cli.embedded(), tmp_path / "lynx"))
    learned = {name.split(".")[0] for name in before if not torch.equal(before[name], after[name])}
    assert {"vision_encoder", "vision_projector", "backbone"} <= learned
    assert "audio_encoder" not in learned

    further.take(tmp_path / "lynx", tmp_path / "again")
    Kitchen(tmp_path / "again", SEES).further_eyes()
    assert not (tmp_path / "again" / "second_pictures.npy").exists(), "its eyes have learned all that"
    words = torch.randn(len(noticing.SEEN_WORDS))
    words[[noticing.SEEN_WORDS.index(name) for name in ("one", "two", "three", "four", "five")]] = (
        0  # they are there twice
    )
    words[-9:-4] = 0
    kept = torch.load(tmp_path / "again" / "further_eyes.pt", weights_only=True)["modules"]
    said = [words @ state["amounts.weight"] for state in (kept, noticed["modules"])]
    assert (said[0] - said[1]).norm() < 0.1 * said[1].norm()

    practice, kinds = kitchen.practice(), set()
    for step in range(12):
        for kind in ("look", "quiz"):
            for batch in practice.batches(step, {kind: 1.0}, voiced=0.0):
                kinds |= {picture.shape for example in batch for picture in example.pictures}
    assert kinds == {sights["shots"].shape[1:]}


def answers(checkpoint: Path) -> bool:
    """To a second of noise, in whatever words."""
    caller = evaluate.Caller(Host.load(checkpoint), voice="hugo")
    said = caller.ask(np.random.default_rng(0).normal(0, 0.05, 24_000).astype(np.float32), max_tokens=12)
    return said.ended in ("done", "length")


def test_a_checkpoint_of_other_sizes_is_not_trained_further(tmp_path: Path) -> None:
    runner = CliRunner()
    small = replace(kitten.config(), backbone=replace(kitten.config().backbone, ffn_hidden_size=64))
    save_release(Omni(small), tmp_path / "small")
    wrong = runner.invoke(cli.app, ["--start", str(tmp_path / "small"), "--folder", str(tmp_path / "work")])
    assert wrong.exit_code == 2
    assert "not of the sizes" in wrong.output


def test_a_deeper_checkpoint_is_trained_further_and_grows_no_shallower(tmp_path: Path) -> None:
    """Its layers are taken as they are, and told from the files."""
    deep = replace(kitten.config(), backbone=replace(kitten.config().backbone, num_layers=4))
    (tmp_path / "deep" / "audio").mkdir(parents=True)
    save_release(Omni(deep), tmp_path / "deep")
    for name in ("tokenizer.json", "audio/global_cmvn", "audio_codec"):
        there = cli.embedded() / name
        shutil.copytree(there, tmp_path / "deep" / name) if there.is_dir() else shutil.copy(
            there, tmp_path / "deep" / name
        )
    further.take(tmp_path / "deep", tmp_path / "work")
    assert Pantry(tmp_path / "work", Plan()).omni("writing").config == deep
    Kitchen(tmp_path / "work", Plan(layers=6)).growth()
    assert Pantry(tmp_path / "work", Plan()).omni("grown").config.backbone.num_layers == 6
    wrong = CliRunner().invoke(cli.app, ["--folder", str(tmp_path / "work"), "--layers", "3", "--only", "growth"])
    assert (wrong.exit_code, "cannot grow to 3" in wrong.output) == (2, True)


def test_what_follows_talking_keeps_the_last_layer_that_says_what_is_seen(tmp_path: Path, monkeypatch) -> None:
    """The eyes have one of their own, from before they spoke in words."""
    parts = {name: nn.ModuleDict(further.speaking_parts(Omni(kitten.config()))) for name in ("writing", "talking")}
    seeing = Omni(kitten.config())
    eyes = nn.ModuleDict({"encoder": seeing.vision_encoder, "projector": seeing.vision_projector})
    for name, part in {**parts, "eyes": eyes, "ears": seeing.audio_encoder}.items():
        torch.save({"modules": part.state_dict()}, tmp_path / f"{name}.pt")
    kitchen, begun = Kitchen(tmp_path, Plan()), list[Omni]()
    monkeypatch.setattr(kitchen, "practice", lambda **more: None)
    monkeypatch.setattr(recipe.preferences, "gather", lambda omni, *more: begun.append(omni))
    monkeypatch.setattr(recipe.dpo, "train_preferences", lambda omni, *more: begun.append(omni))
    monkeypatch.setattr(recipe, "train_apart", lambda crew, omni, *more, **named: begun.append(omni))
    kitchen.dpo()
    kitchen.alignment()
    said = parts["talking"].state_dict()["vision_projector.proj.weight"]
    assert len(begun) == 3
    for omni in begun:
        assert torch.equal(omni.vision_projector.proj.weight, said)
        first = next(omni.vision_encoder.parameters())
        assert torch.equal(first, next(seeing.vision_encoder.parameters()))


def test_a_budget_scales_the_steps() -> None:
    half = cli.plan_for(cli.PLANNED_HOURS / 2, seed=3)
    assert half.talking_steps == round(Plan().talking_steps / 2)
    assert half.seed == 3
    assert half.copies == Plan().copies
    lesson = cli.plan_for(cli.FURTHER_HOURS / 2, seed=3, further=True)
    assert (lesson.talking_steps, lesson.projector_steps) == (round(FURTHER.talking_steps / 2), 0)


def test_what_cannot_learn_along_is_named(tmp_path: Path) -> None:
    wrong = CliRunner().invoke(cli.app, ["--along", "ears,nose", "--folder", str(tmp_path)])
    assert wrong.exit_code == 2
    assert "nose" in wrong.output


def test_a_wrong_stage_and_a_wrong_budget_are_named(tmp_path: Path) -> None:
    wrong = CliRunner().invoke(cli.app, ["--only", "tasting", "--folder", str(tmp_path)])
    assert wrong.exit_code == 2
    assert "tasting" in wrong.output
    wrong = CliRunner().invoke(cli.app, ["--also", "washing", "--folder", str(tmp_path)])
    assert (wrong.exit_code, "washing" in wrong.output) == (2, True)
    wrong = CliRunner().invoke(cli.app, ["--also", "dpo", "--along", "ears", "--folder", str(tmp_path)])
    assert (wrong.exit_code, "--along" in wrong.output) == (2, True)
    assert CliRunner().invoke(cli.app, ["--budget", "soon", "--folder", str(tmp_path)]).exit_code == 2
