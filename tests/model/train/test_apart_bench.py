"""What is compared is the same work for the backbone."""

import pytest
import torch
from typer.testing import CliRunner

from vivavoce.model.omni import AUDIO_PAD, IMAGE_PAD, Omni
from vivavoce.model.train import cli
from vivavoce.model.train.apart import bench
from vivavoce.model.train.apart.microbatches import microbatches
from vivavoce.model.train.apart.senses import Ears, Eyes


@pytest.fixture(scope="module")
def omni():
    return Omni(bench.config("kitten"))


@pytest.mark.parametrize("kind", bench.KINDS)
def test_all_kinds_of_step_have_the_same_rows_and_judge_the_same(omni, kind):
    parts, writing = bench.parts_of(kind, omni, 1), bench.parts_of("text", omni, 1)
    assert [[len(e.rows) for e in part] for part in parts] == [[len(e.rows) for e in part] for part in writing]
    for part, written in zip(parts, writing, strict=True):
        for e, w in zip(part, written, strict=True):
            assert (e.judged == w.judged).all()
            assert (e.rows[e.judged > 0] == w.rows[w.judged > 0]).all()


def test_every_slot_of_a_mixed_step_has_a_row_that_is_encoded_in_it(omni):
    step = microbatches(bench.parts_of("apart", omni, 1), omni.config.vision.patch_width)
    ears = Ears(omni.audio_encoder, omni.audio_projector)
    eyes = Eyes(omni.vision_encoder, omni.vision_projector, torch.zeros(1, bench.SEEN), bench.GRID)
    for sense, pad in ((ears, AUDIO_PAD), (eyes, IMAGE_PAD)):
        slots = sum(int((e.rows[:, 0] == pad).sum()) for m in step for e in m.examples)
        assert slots == sum(item.rows for home, m in enumerate(step) for item in sense.items(home, m)) > 0


def test_encoders_are_as_small_beside_the_backbone_as_in_the_report():
    assert bench.encoders_cost(*bench.pupil("report")) == pytest.approx(93.14 / 3531.32, rel=0.1)


def test_the_median_step_counts_and_shares_are_those_of_one_round():
    """Two of three rounds ran on a machine at half its speed."""
    told = {kind: [4.0, 2.0, 4.0] for kind in bench.KINDS}
    told["apart"] = [5.0, 2.5, 5.0]
    writing, _, apart, _ = bench.speeds(told, told)
    assert (writing.seconds, writing.of_writing) == (4.0, 1.0)
    assert (apart.seconds, apart.of_writing, apart.busy_of_writing) == (5.0, 0.8, 0.8)
    assert apart.rows_per_s == pytest.approx(0.8 * writing.rows_per_s)


def test_an_unknown_size_is_named():
    wrong = CliRunner().invoke(cli.app, ["bench", "--size", "lion"])
    assert wrong.exit_code == 2
    assert "lion" in wrong.output
