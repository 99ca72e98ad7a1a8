"""Writes sessions down whose clients consent to it, each into a file of its own: what `vivavoce replay` runs again.

Nothing is kept of who does not consent. Until a client has had the chance (its first events are the settings), what there is of
its session stays in memory, and that holds nothing said or shown. Who withdraws (`recording: false`) has the file deleted.

Packing, compression and the disk have a thread to themselves. What waits for it is bounded: if the disk cannot keep up the
recording ends there, and says so in its last line; the conversation goes on.
"""

from __future__ import annotations

import gzip
import json
import logging
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from queue import Empty, Full, Queue
from typing import Any

from vivavoce.model.messages import Handled, Opened
from vivavoce.realtime.actions import Action
from vivavoce.realtime.config import SessionConfig
from vivavoce.realtime.events import Event, Refused, SessionUpdate
from vivavoce.realtime.recording import Writer
from vivavoce.realtime.session import Session

log = logging.getLogger(__name__)

SUFFIX = ".jsonl.gz"
MOST_WAITING = 2_000
"""Lines that may wait for the disk: half a minute of a session."""
FAST = 1
"""gzip's level: sound and camera noise do not get much smaller with more effort."""

Job = Callable[[Writer], None]


class Tape:
    """What a `Driver` tells of its session. This one keeps nothing."""

    def begin(self, session: Session) -> None:
        """The session exists."""

    def event(self, event: Event, now_ms: int) -> None:
        """It is about to receive an event."""

    def timer(self, now_ms: int) -> None:
        """Its timer is about to be handled."""

    def did(self, actions: Sequence[Action]) -> None:
        """It wants these done."""

    def opened(self, reply: Opened) -> None:
        """The model has begun."""

    def handled(self, reply: Handled) -> None:
        """The model has carried out one more request."""

    def lost(self, restarting: bool) -> None:
        """The model's process is gone."""

    def heed(self, consents: bool) -> None:
        """Whether its client consents now."""

    def end(self, why: str = "hung up") -> None:
        """It is over. Calling it again does nothing."""


NO_TAPE = Tape()


def tape_for(config: SessionConfig) -> Tape:
    """A tape for a session that may be recorded, or none."""
    return NO_TAPE if config.record_to is None else FileTape(Path(config.record_to), config)


class FileTape(Tape):
    """Writes into a folder, once the client has consented."""

    def __init__(self, folder: Path, config: SessionConfig) -> None:
        self._folder = folder
        self._config = config
        self._before: list[Job] | None = []
        """What there was before the consent; None: it is too late for it."""
        self._file: TapeFile | None = None
        self._only_settings = True

    def begin(self, session: Session) -> None:
        self._name = session.id
        self.heed(session.settings.recording)  # the consent may have come with the connection

    def event(self, event: Event, now_ms: int) -> None:
        self._only_settings = self._only_settings and isinstance(event, SessionUpdate | Refused)
        self._note(lambda writer: writer.event(event, now_ms))

    def timer(self, now_ms: int) -> None:
        self._note(lambda writer: writer.timer(now_ms))

    def did(self, actions: Sequence[Action]) -> None:
        for action in actions:
            self._note(lambda writer, action=action: writer.did(action))  # type: ignore[misc]

    def opened(self, reply: Opened) -> None:
        arithmetic = asdict(reply.arithmetic) if reply.arithmetic else None
        self._note(lambda writer: writer.opened(reply.fingerprint, reply.seed, arithmetic))

    def handled(self, reply: Handled) -> None:
        self._note(lambda writer: writer.handled(reply.session, reply.frames))

    def lost(self, restarting: bool) -> None:
        self._note(lambda writer: writer.lost(restarting))

    def heed(self, consents: bool) -> None:
        if consents and self._before is not None:
            self._file = TapeFile(self._folder / f"{self._name}{SUFFIX}", self._name, self._config)
            before, self._before = self._before, None
            for job in before:
                self._file.put(job)
        elif not consents and self._file is not None:
            self._file.withdraw()
            self._file = None
        elif not self._only_settings:
            self._before = None

    def end(self, why: str = "hung up") -> None:
        self._before = None
        if self._file is not None:
            self._file.put(lambda writer: writer.end(why))
            self._file.close()
            self._file = None

    def _note(self, job: Job) -> None:
        if self._file is not None:
            self._file.put(job)
        elif self._before is not None:
            self._before.append(job)


class TapeFile:
    """One file, written by a thread of its own."""

    def __init__(self, path: Path, session: str, config: SessionConfig) -> None:
        self._path, self._session, self._config = path, session, config
        self._jobs: Queue[Job | None] = Queue(MOST_WAITING)
        self._late = self._withdrawn = False
        self._thread = threading.Thread(target=self._run, name=f"tape {session}")
        self._thread.start()
        log.info("session %s is recorded, with its client's consent", session)

    def put(self, job: Job) -> None:
        """One more line, or a few."""
        if self._late:
            return
        try:
            self._jobs.put_nowait(job)
        except Full:
            self._late = True
            log.warning(
                "the recording of %s ends here: more than %d lines wait for the disk", self._session, MOST_WAITING
            )
            self.close()

    def close(self) -> None:
        """No more comes."""
        with suppress(Full):
            self._jobs.put_nowait(None)  # a full queue is emptied first, and then the thread looks at `_late`

    def withdraw(self) -> None:
        """The file is not wanted any more."""
        self._withdrawn = self._late = True
        self.close()

    def _run(self) -> None:
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with gzip.open(self._path, "wt", compresslevel=FAST, encoding="utf-8") as stream:

                def write(value: dict[str, Any]) -> None:
                    stream.write(json.dumps(value, separators=(",", ":")) + "\n")

                writer = Writer(write, self._session, self._config, about(self._config))
                while (job := self._next()) is not None and not self._withdrawn:
                    job(writer)
                if self._late and not self._withdrawn:
                    writer.end("the disk was too slow")
        except Exception:
            self._late = True
            log.exception("session %s cannot be recorded", self._session)
        if self._withdrawn:
            self._path.unlink(missing_ok=True)

    def _next(self) -> Job | None:
        if not self._late:
            return self._jobs.get()
        try:
            return self._jobs.get_nowait()
        except Empty:
            return None


@cache
def this_version() -> str:
    """Of the installed distribution."""
    try:
        return version("vivavoce")
    except PackageNotFoundError:
        return "unknown"


def about(config: SessionConfig) -> dict[str, Any]:
    """What a recording says of the server that made it."""
    return {"version": this_version(), "model": config.model}
