"""`vivavoce replay`: a recorded conversation once more, as fast as this machine can, and where it does otherwise.

The session gets what it got, at the times at which it did, and must want the same done. What it asks of the model goes to a model,
request by request between the same steps of its replies as then, and the words and the sound must be what the session was given
then, the sound to the bit. Who shared a step with other conversations can only expect the same words: a batch of another shape
may round another way, so there the sound may differ by `TOLERANCE`; and so it may on another machine, or with another number of
threads, which share the sums of an operation among them.
"""

from __future__ import annotations

import gzip
import time
import zlib
from collections.abc import Callable
from pathlib import Path

from vivavoce.codecs.formats import Encoder
from vivavoce.realtime import events
from vivavoce.realtime.actions import Action
from vivavoce.realtime.config import OUTPUT_RATE_HZ
from vivavoce.realtime.recording import Recording, Step, Unreadable, brief, read
from vivavoce.realtime.server.child import HostLike
from vivavoce.realtime.server.interview import LOST, Different, Interview, Outcome, Past
from vivavoce.realtime.server.pictures import thumbnail
from vivavoce.realtime.server.translate import opening, requests
from vivavoce.realtime.session import Session

MODEL_EVENTS = (events.AnswerSpoke, events.AnswerCalled, events.AnswerEnded, events.Heard, events.ModelFailed)


def load(path: Path) -> Recording:
    """A recording from its file.

    Raises:
        Unreadable: it is none, or broken.
    """
    try:
        with gzip.open(path, "rt", encoding="utf-8") as stream:
            return read(stream)
    except (OSError, EOFError, zlib.error, UnicodeDecodeError) as error:
        raise Unreadable(f"{path} cannot be read: {error}") from None


def replay(recording: Recording, make_host: Callable[[], HostLike]) -> Outcome:
    """Run a recording again; `make_host` loads the model.

    Raises:
        Unreadable: it was made with another model.
    """
    outcome = Outcome(recording.length_ms)
    host = make_host()
    began = time.perf_counter()
    try:
        past = again(recording, outcome)
        Interview(past, host, outcome).run()
    except Different as error:
        outcome.difference = error.difference
    outcome.seconds = time.perf_counter() - began
    return outcome


def again(recording: Recording, outcome: Outcome) -> Past:
    """Run the session.

    Raises:
        Different: it wanted something else done.
    """
    session = Session(recording.config, recording.session, lambda form: Encoder(form, OUTPUT_RATE_HZ), thumbnail)
    past, wanted = Past(session.id, [*opening(session)]), [step for step in recording.steps if step.kind == "did"]
    compare_actions(session.actions(), wanted, outcome)
    lost: bool | None = None
    process = 0
    for step in recording.steps:
        match step.kind:
            case "event" if step.event is not None:
                if isinstance(step.event, MODEL_EVENTS) and lost is None:
                    past.said[step.event.turn].append(step.event)
                session.receive(step.event, step.now_ms)
            case "timer":
                session.handle_timer(step.now_ms)
            case "handled":
                past.handled[process, step.value].append(step)
            case "opened":
                past.fingerprint = past.fingerprint or step.value
                past.arithmetic = past.arithmetic or step.arithmetic
            case "lost":
                lost = step.value
        if (now := session.actions()) or step.kind == "event":
            compare_actions(now, wanted, outcome)
            past.asked += [request for action in now if lost is None for request in requests(session, action)]
            if lost is not None:
                past.asked += [LOST, *(opening(session) if lost else [])]
                lost, process = None, process + 1
    if outcome.actions < len(wanted):
        step = wanted[outcome.actions]
        raise Different(f"action {outcome.actions + 1} (line {step.line})", step.value, "nothing more")
    return past


def compare_actions(actions: list[Action], wanted: list[Step], outcome: Outcome) -> None:
    """Raises:
    Different: an action is not the one that was recorded.
    """
    for action in actions:
        if outcome.actions == len(wanted):
            raise Different(f"action {outcome.actions + 1}, after the last one recorded", "nothing more", brief(action))
        step = wanted[outcome.actions]
        outcome.actions += 1
        if (now := brief(action)) != step.value:
            raise Different(f"action {outcome.actions} (line {step.line})", step.value, now)


def told(outcome: Outcome) -> list[str]:
    """What came of it, in a few lines."""
    pace = f"{outcome.conversation_ms / 1000:.1f} s of conversation in {outcome.seconds:.1f} s"
    counts = f"{outcome.actions} actions, {outcome.answers} answers, {outcome.sound_ms / 1000:.1f} s of sound"
    found = outcome.difference
    if found is not None:
        return [f"different: {found.where}; {pace}", f"  recorded  {found.recorded}", f"  rerun     {found.rerun}"]
    lines = [f"the same: {counts}; {pace}"]
    apart = (
        f"the sound differs by at most {outcome.worst:.1e}" if outcome.worst else "the sound is the same all the same"
    )
    if outcome.shared:
        lines.append(f"  {outcome.shared} steps of the model were shared with other conversations; {apart}")
    if outcome.elsewhere:
        lines.append(f"  it was computed otherwise then, {outcome.elsewhere}; {apart}")
    return lines
