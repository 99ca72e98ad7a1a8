"""A step on several processes is the step on one: the same losses, the same weights, to the last bit."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import apart_class
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from vivavoce.model.train.apart import crew
from vivavoce.model.train.apart.bridge import Bridge
from vivavoce.model.train.apart.crew import ALONE, Crew, CrewError
from vivavoce.model.train.apart.errands import Errand, errands
from vivavoce.model.train.apart.microbatches import microbatches
from vivavoce.model.train.apart.shares import branches, fair, total
from vivavoce.model.train.seeing import inner
from vivavoce.model.train.talking import Targets, collate, hidden_states, weighted


@pytest.fixture(scope="module")
def alone(tmp_path_factory) -> Path:
    """Twenty steps in one process."""
    folder = tmp_path_factory.mktemp("alone")
    crew.run(apart_class.attend, 1, folder, 512, apart_class.STEPS)
    return folder


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return torch.load(folder / "talking.pt", weights_only=True)["modules"]


def same(one: Path, other: Path) -> bool:
    """Every loss and every weight, to the last bit."""
    a, b = weights(one), weights(other)
    return apart_class.told(one) == apart_class.told(other) and all(torch.equal(a[k], b[k]) for k in a)


def test_three_processes_lose_what_one_loses_a_few_rows_at_a_time(alone, tmp_path):
    assert len(apart_class.told(alone)) == apart_class.STEPS
    crew.run(apart_class.attend, 3, tmp_path, 7, apart_class.STEPS)
    assert same(tmp_path, alone)


def test_two_processes_that_are_stopped_and_one_that_goes_on_lose_the_same(alone, tmp_path):
    with pytest.raises(CrewError, match=r"process [01] of 2 failed: RuntimeError: the bell rings before step 12"):
        crew.run(apart_class.attend, 2, tmp_path, 512, 12)
    crew.run(apart_class.attend, 1, tmp_path, 512, apart_class.STEPS)
    assert same(tmp_path, alone)


def test_ears_and_eyes_have_learned(alone):
    text = apart_class.tokenizer()
    before, after = apart_class.pupil(text).state_dict(), weights(alone)
    learned = {name.split(".")[0] for name in after if not torch.equal(before[name], after[name])}
    assert {"audio_encoder", "vision_encoder", "vision_projector", "backbone"} <= learned


def test_ears_learn_from_a_language_model_that_stays_as_it_is(tmp_path):
    """And the same from any number of processes, stopped or not; nobody speaks in half of the microbatches."""
    crew.run(apart_class.align, 1, tmp_path / "one", 6)
    with pytest.raises(CrewError, match="the bell rings before step 3"):
        crew.run(apart_class.align, 2, tmp_path / "two", 3)
    crew.run(apart_class.align, 2, tmp_path / "two", 6)
    assert same(tmp_path / "one", tmp_path / "two")
    before, after = apart_class.pupil(apart_class.tokenizer()).state_dict(), weights(tmp_path / "one")
    changed = {name for name in after if not torch.equal(before[name], after[name]) and "lm_head" not in name}
    assert {name.split(".")[0] for name in changed} == {"audio_encoder", "audio_projector"}


@pytest.fixture
def undivided():
    """A step's parts in one graph: the pupil after its backward pass, the loss, and every encoded thing's rows by its array."""
    lesson = apart_class.lesson(ALONE, noise=0.0)
    omni, eyes = lesson.omni.eval(), lesson.eyes
    parts = apart_class.examples(omni, apart_class.tokenizer(), 1)
    encoded, loss = {}, torch.zeros(())

    def kept(values, rows):
        if id(values) not in encoded:
            encoded[id(values)] = rows
            rows.retain_grad()
        return encoded[id(values)]

    for part in parts:
        batch = collate(part, audio=False, pictures=False)
        sounds = [kept(s, omni.hear(torch.from_numpy(s).float()[None])[0]) for e in part for s in e.audio]
        shots = [(p, torch.from_numpy(p).float()[None]) for e in part for p in e.pictures]
        looks = [kept(p, (inner(eyes.projector, eyes.encoder(x, eyes.grid)) @ eyes.names)[0]) for p, x in shots]
        heard, seen = (torch.cat(sounds) if sounds else None), (torch.stack(looks) if looks else None)
        hidden, targets = hidden_states(omni, batch, heard=heard, seen=seen), Targets.of(batch)
        loss = loss + weighted(omni, hidden, targets, targets.counts)[0] / len(parts)
    loss.backward()
    return omni, parts, loss, encoded


@pytest.mark.parametrize("at_home", [False, True], ids=["shared out", "encoded where they stand"])
def test_gradients_are_those_of_the_undivided_graph(undivided, monkeypatch, at_home):
    whole, parts, loss, encoded = undivided
    lesson = apart_class.lesson(ALONE, noise=0.0, at_home=at_home)
    lesson.omni.eval()
    lesson.astray = 0.0
    came_back, learn = {}, Errand.learn

    def watched(self):
        items = [item for lot in self.lots for item in lot.items]
        gradients = self._gradients.split([item.rows for item in items])
        came_back.update({id(item.values): g for item, g in zip(items, gradients, strict=True)})
        return learn(self)

    monkeypatch.setattr(Errand, "learn", watched)
    divided, _ = lesson.step(1, parts)
    assert divided.item() == pytest.approx(loss.item(), rel=1e-5)
    assert set(came_back) == set(encoded)
    for key, gradient in came_back.items():
        assert torch.allclose(gradient, encoded[key].grad, rtol=1e-3, atol=1e-6)
    there = dict(whole.named_parameters())
    for name, p in lesson.omni.named_parameters():
        assert (p.grad is None) == (there[name].grad is None), name
        assert p.grad is None or torch.allclose(p.grad, there[name].grad, rtol=1e-3, atol=1e-5), name


def test_encoders_that_do_not_learn_are_used_all_the_same():
    learning, frozen = (apart_class.lesson(ALONE, frozen=frozen) for frozen in (False, True))
    parts = apart_class.examples(learning.omni, apart_class.tokenizer(), 2)
    losses = [lesson.step(2, parts)[0].item() for lesson in (learning, frozen)]
    assert losses[0] == losses[1]
    assert learning.omni.audio_encoder.ffn[0].weight.grad is not None
    assert frozen.omni.audio_encoder.ffn[0].weight.grad is None


def test_work_is_shared_out_by_its_cost_wherever_it_stands():
    """One dialogue has nearly all sounds: whose it is would encode them while the others wait."""
    lesson = apart_class.lesson(ALONE)
    parts = apart_class.examples(lesson.omni, apart_class.tokenizer(), 1)
    step = microbatches(parts, lesson.patch_width)
    crews, mine = [Crew(rank, 3) for rank in range(3)], fair([m.rows for m in step], 3)

    def costs(at_home):
        made = []
        for one in crews:
            todo = errands(one, lesson.senses, step, mine, chunk=64, at_home=at_home)
            made.append(sum(e.sense.row_cost * e.lots[i].padded for e in todo for i in e.makers[one.rank]))
        return made

    assert max(costs(False)) < 0.75 * max(costs(True))


def test_a_picture_that_stands_there_twice_is_encoded_once():
    lesson = apart_class.lesson(ALONE)
    sight, *_ = apart_class.examples(lesson.omni, apart_class.tokenizer(), 1)
    (microbatch, *_) = microbatches([sight[:1]], lesson.patch_width)
    assert len(microbatch.which) == len(microbatch.shots) + 1
    assert microbatch.which[0] == microbatch.which[-1] == 0


@given(st.lists(st.floats(0.1, 9), min_size=1, max_size=20), st.integers(1, 5))
def test_shares_are_consecutive_and_hold_everything_once(costs, size):
    shares = fair(costs, size)
    assert [i for share in shares for i in share] == list(range(len(costs)))
    assert len(shares) == size


@given(st.integers(1, 12), st.integers(1, 4), st.integers(0, 99))
def test_a_sum_in_branches_is_the_sum_of_one(leaves, size, seed):
    values = torch.randn(leaves, 3, generator=torch.Generator().manual_seed(seed)) * 1e3
    whole = (0, leaves)

    def leaf(branch):
        return values[branch[0]] if branch[1] - branch[0] == 1 else None

    alone = total(whole, leaf, torch.add)
    cuts = sorted(np.random.default_rng(seed).integers(0, leaves + 1, size - 1).tolist())
    shares = [range(a, b) for a, b in zip([0, *cuts], [*cuts, leaves], strict=True)]
    there = {branch: total(branch, leaf, torch.add) for share in shares for branch in branches(whole, share)}
    assert torch.equal(total(whole, there.get, torch.add), alone)


def test_rows_cross_the_bridge_and_their_gradients_come_back():
    rows = torch.arange(10.0)[:, None]
    bridge = Bridge(ALONE, np.zeros(10, np.int64), np.zeros(10, np.int64), chunk=3)
    assert torch.equal(bridge.across(rows), rows)
    assert torch.equal(bridge.back(rows), rows)


def test_a_process_that_is_killed_is_named():
    with pytest.raises(CrewError, match=r"process [01] of 2"):
        crew.run(apart_class.one_is_killed, 2)


def test_when_the_run_is_killed_its_processes_end(tmp_path):
    script = f"import apart_class; from vivavoce.model.train.apart import crew; crew.run(apart_class.wait, 2, {str(tmp_path)!r})"
    paths = [str(Path(apart_class.__file__).parent), *filter(None, [os.environ.get("PYTHONPATH")])]
    run = subprocess.Popen([sys.executable, "-c", script], env=os.environ | {"PYTHONPATH": os.pathsep.join(paths)})
    try:
        wait_until(lambda: len(list(tmp_path.glob("*.pid"))) == 2 or run.poll() is not None)
        pids = [int(path.stem) for path in tmp_path.glob("*.pid")]
        assert len(pids) == 2
    finally:
        run.send_signal(signal.SIGKILL)
        run.wait()
    wait_until(lambda: not any(alive(pid) for pid in pids))


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().split(") ")[1][0] != "Z"
    except FileNotFoundError:
        return False


def wait_until(true, seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.05)
