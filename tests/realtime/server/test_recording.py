"""What a client consents to is written down, runs again to the same end, and is found out when somebody has touched it."""

import asyncio
import base64
import gzip
import io
import json
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from caller import SILENCE, Caller, call, server
from PIL import Image, ImageDraw
from scripted_host import ScriptedHost
from typer.testing import CliRunner

from vivavoce.codecs.pcm import PCM16_SCALE, resample
from vivavoce.codecs.stepping import stepper_of
from vivavoce.model.host import Host
from vivavoce.model.train.cli import embedded
from vivavoce.realtime.config import SessionConfig
from vivavoce.realtime.events import AnswerSpoke, AudioIn
from vivavoce.realtime.recording import Recording, Unreadable
from vivavoce.realtime.server import tape
from vivavoce.realtime.server.child import THREADS, load_host
from vivavoce.realtime.server.cli import app
from vivavoce.realtime.server.local import LocalModel
from vivavoce.realtime.server.rerun import load, replay, told
from vivavoce.realtime.server.worker import Worker

CONSENT = {"type": "realtime", "recording": True}


def recorded(folder: Path) -> Path:
    """The one recording in a folder."""
    (path,) = folder.iterdir()
    return path


async def finished(folder: Path) -> Path:
    """The same once it is complete: its thread closes it after the conversation."""
    while True:
        try:
            if load(path := recorded(folder)).steps[-1].kind == "end":
                return path
        except (ValueError, IndexError):
            pass
        await asyncio.sleep(0.01)


def may_record(folder: Path) -> SessionConfig:
    return SessionConfig(model="script", record_to=str(folder))


def tampered(path: Path, find: str, put: str) -> Path:
    """A copy in which the last line that has `find` in it has `put` there."""
    lines = gzip.decompress(path.read_bytes()).decode().splitlines()
    at = max(number for number, line in enumerate(lines) if find in line)
    lines[at] = lines[at].replace(find, put, 1)
    copy = path.with_name(f"tampered.{path.name}")
    copy.write_bytes(gzip.compress("\n".join(lines).encode()))
    return copy


@pytest.fixture(autouse=True)
def as_many_threads_as_a_server() -> Iterator[None]:
    """Whatever the tests before, or the environment, have left."""
    before = torch.get_num_threads()
    torch.set_num_threads(THREADS)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def kitten() -> Host:
    torch.set_num_threads(THREADS)
    return Host.load(embedded())


def camera() -> str:
    """A red circle, as a page sends it."""
    picture = Image.new("RGB", (320, 240), "white")
    ImageDraw.Draw(picture).ellipse((100, 60, 220, 180), fill="red")
    stream = io.BytesIO()
    picture.save(stream, "JPEG")
    return f"data:image/jpeg;base64,{base64.b64encode(stream.getvalue()).decode()}"


async def hold(folder: Path, question: np.ndarray) -> None:
    """Kitten, in a process, is asked about what it sees; asked again in the middle of its answer; and then once beside all that.

    One after the other: two answers at a time would share steps, and which ones is a matter of time.
    """
    config = replace(may_record(folder), model="kitten")
    worker = Worker(partial(load_host, embedded()))
    async with server(worker, config=config) as where, call(where) as caller:
        await worker.until_ready()
        await caller.send("session.update", session=CONSENT)
        assert (await caller.expect("session.updated"))["session"]["recording"] is True
        for _ in range(2):
            await caller.send("input_image_buffer.append", image=camera(), timestamp_ms=0)
            await caller.say(np.concatenate([question, SILENCE]))
            await caller.expect("response.output_audio.delta")
        await answered(caller, 2)
        await caller.write("hello")
        await caller.send("response.create", response={"conversation": "none", "output_modalities": ["text"]})
        await answered(caller, 3)
    await finished(folder)


async def answered(caller: Caller, times: int) -> None:
    """So many answers are over."""
    while [event["type"] for event in caller.heard].count("response.done") < times:
        await caller.expect("response.done")


@pytest.fixture(scope="module")
def conversation(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("recordings")
    pcm, rate = soundfile.read(Path(__file__).parent / "question.flac", dtype="float32")
    asyncio.run(asyncio.wait_for(hold(folder, resample(pcm, rate, 24_000)), 60))
    return recorded(folder)


def test_a_conversation_runs_again_to_the_same_actions_and_the_same_sound(conversation: Path, kitten: Host) -> None:
    outcome = replay(load(conversation), lambda: kitten)
    assert outcome.difference is None
    assert (outcome.worst, outcome.elsewhere) == (0, "")
    assert outcome.answers >= 2 and outcome.sound_ms > 900 and outcome.actions > 50


def test_it_is_a_regression_test_for_the_model(conversation: Path) -> None:
    """The same checkpoint by name, in which something small has changed."""
    other = Host.load(embedded())
    codec = other._shared.voices.begin().codec
    with torch.no_grad():
        codec.net.semantic_dequantizer.dequant.weight.mul_(1.01)
    codec.stepper = stepper_of(codec.net)
    outcome = replay(load(conversation), lambda: other)
    assert outcome.difference is not None and "sample" in outcome.difference.where
    assert outcome.difference.recorded != outcome.difference.rerun


async def test_nobody_is_recorded_who_does_not_consent(tmp_path: Path, wire_question: np.ndarray) -> None:
    async with server(LocalModel(ScriptedHost()), config=may_record(tmp_path)) as where, call(where) as caller:
        assert caller.session["recording"] is False
        await caller.say(np.concatenate([wire_question, SILENCE]))
        await caller.expect("response.done")
        await caller.send("session.update", session=CONSENT)
        error = await caller.error()
    assert error["param"] == "session.recording" and "before anything has been said" in error["message"]
    assert list(tmp_path.iterdir()) == []


async def test_a_conversation_that_outlived_the_model_s_process_runs_again(
    tmp_path: Path, wire_question: np.ndarray
) -> None:
    worker = Worker(ScriptedHost)
    async with server(worker, config=may_record(tmp_path)) as where, call(where) as caller:
        await worker.until_ready()
        await caller.send("session.update", session=CONSENT)
        await caller.say(np.concatenate([wire_question, SILENCE]))
        await caller.expect("response.done")
        await caller.write("die")
        assert "the model is gone" in (await caller.error())["message"]
        await caller.say(np.concatenate([wire_question, SILENCE]))
        assert (await caller.expect("response.done"))["response"]["status"] == "completed"
    outcome = replay(load(await finished(tmp_path)), ScriptedHost)
    assert outcome.difference is None
    assert outcome.answers == 2


async def test_a_server_that_records_nothing_says_so() -> None:
    async with server(LocalModel(ScriptedHost())) as where, call(where) as caller:
        await caller.send("session.update", session=CONSENT)
        assert "this server records nothing" in (await caller.error())["message"]


async def test_who_withdraws_has_the_recording_deleted(tmp_path: Path, wire_question: np.ndarray) -> None:
    async with server(LocalModel(ScriptedHost()), config=may_record(tmp_path)) as where, call(where) as caller:
        await caller.send("session.update", session=CONSENT)
        await caller.expect("session.updated")
        await caller.say(wire_question)
        while not list(tmp_path.iterdir()):
            await asyncio.sleep(0.01)
        await caller.send("session.update", session={"type": "realtime", "recording": False})
        assert (await caller.expect("session.updated"))["session"]["recording"] is False
        while list(tmp_path.iterdir()):
            await asyncio.sleep(0.01)


def nudged(recording: Recording, by: float, shared: int) -> Recording:
    """A sample of the first sound was another, in a way that no client would hear; `shared`: steps with other conversations."""
    pieces = (step.event for step in recording.steps if isinstance(step.event, AnswerSpoke) and len(step.event.pcm))
    piece = next(pieces)
    steps = np.abs(piece.pcm) * PCM16_SCALE
    at = int(np.argmin(np.abs(steps - np.floor(steps) - 0.25)))  # far from where it would be rounded another way
    piece.pcm[at] += np.float32(by)
    for step in recording.steps:
        if isinstance(step.event, AnswerSpoke):
            object.__setattr__(step.event, "shared", shared)
    return recording


def test_who_shared_the_model_may_differ_by_a_rounding_and_who_did_not_may_not(
    conversation: Path, kitten: Host
) -> None:
    alone = replay(nudged(load(conversation), 1e-5, shared=0), lambda: kitten)
    assert alone.difference is not None and "sample" in alone.difference.where
    assert alone.difference.recorded == pytest.approx(alone.difference.rerun, abs=2e-5)
    among_others = replay(nudged(load(conversation), 1e-5, shared=9), lambda: kitten)
    assert among_others.difference is None
    assert 0 < among_others.worst < 2e-5 and among_others.shared > 0


def test_another_number_of_threads_may_round_another_way(conversation: Path, kitten: Host) -> None:
    recording = nudged(load(conversation), 1e-5, shared=0)
    assert recording.arithmetic["threads"] == THREADS and "torch" in recording.arithmetic["kind"]
    for step in recording.steps:
        if step.kind == "opened":
            step.arithmetic["threads"] = 2
    outcome = replay(recording, lambda: kitten)
    assert outcome.difference is None and 0 < outcome.worst < 2e-5
    assert outcome.elsewhere.endswith(", 2 threads")
    assert "it was computed otherwise then, torch" in told(outcome)[-1]


def test_what_is_no_recording_is_refused(tmp_path: Path, conversation: Path) -> None:
    (nothing := tmp_path / "nothing").write_bytes(b"hello")
    with pytest.raises(Unreadable, match="cannot be read"):
        load(nothing)
    with pytest.raises(Unreadable, match="the hash of its data is"):
        load(tampered(conversation, '"data":"A', '"data":"B'))


def test_what_somebody_changed_is_found_out_with_both_values(conversation: Path, kitten: Host) -> None:
    heard = load(tampered(conversation, '"text":"what colour is the circle"', '"text":"what colour is the square"'))
    difference = replay(heard, lambda: kitten).difference
    assert difference is not None and difference.where.endswith("piece 1")
    assert "square" in json.dumps(difference.recorded) and "circle" in json.dumps(difference.rerun)
    asked = load(tampered(conversation, '"did":{"kind":"Answer","turn":', '"did":{"kind":"Answer","turn":9'))
    difference = replay(asked, lambda: kitten).difference
    assert difference is not None and difference.where.startswith("action ")
    assert difference.recorded["turn"] == int(f"9{difference.rerun['turn']}")


def test_the_command_says_what_came_of_it(conversation: Path) -> None:
    same = CliRunner().invoke(app, ["replay", str(conversation)])
    assert (same.exit_code, same.stdout.startswith("the same: ")) == (0, True), same.output
    changed = CliRunner().invoke(app, ["replay", str(tampered(conversation, ',"text":"The"', ',"text":"A"'))])
    assert changed.exit_code == 1 and "different: " in changed.stdout and "  recorded  " in changed.stdout
    other = CliRunner().invoke(app, ["replay", str(tampered(conversation, '"opened":"', '"opened":"0'))])
    assert other.exit_code == 2 and "it was made with another model" in other.stderr


async def test_a_disk_that_is_too_slow_ends_the_recording_and_nothing_else(
    tmp_path: Path, wire_question: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tape, "MOST_WAITING", 3)
    async with server(LocalModel(ScriptedHost()), config=may_record(tmp_path)) as where, call(where) as caller:
        await caller.send("session.update", session=CONSENT)
        await caller.say(np.concatenate([wire_question, SILENCE]))
        assert (await caller.expect("response.done"))["response"]["status"] == "completed"
    assert load(await finished(tmp_path)).steps[-1].value == "the disk was too slow"


def test_sound_that_somebody_changed_is_found_out(conversation: Path, kitten: Host) -> None:
    """A piece of the user's voice and its hash: the session does as it did, and the model does not."""
    recording = load(conversation)
    heard = [step.event.chunk.pcm for step in recording.steps if isinstance(step.event, AudioIn)]
    for pcm in heard:
        pcm *= 0.5
    difference = replay(recording, lambda: kitten).difference
    assert difference is not None and difference.recorded != difference.rerun
