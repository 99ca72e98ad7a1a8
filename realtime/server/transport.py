"""What a conversation needs of the wire to its client, whichever it is: a WebSocket, or WebRTC.

What comes in is not a part of it: each wire hands the `Driver` what it has, events, sound or pictures.
"""

from __future__ import annotations

from typing import Any, Protocol

from vivavoce.codecs.pcm import Float32
from vivavoce.realtime.events import Played


class Outlet(Protocol):
    """The way of events to the client. No method waits; all are for the event loop's thread."""

    def send(self, event: dict[str, Any]) -> None:
        """Write one server event, after those before it."""

    def close(self, code: int, reason: str) -> None:
        """Close the connection, after what was sent before. Calling it again does nothing."""


class Player(Protocol):
    """The way of sound to the client, where sound is no event: who has one plays at the pace of speech, and can stop."""

    def play(self, turn: int, pcm: Float32) -> None:
        """Play float32 [samples] at 24 kHz of answer `turn`, after what waits. `Driver.played` is told when it is over."""

    def complete(self, turn: int) -> None:
        """Nothing more of answer `turn` comes."""

    def pause(self) -> None:
        """What waits stands still, to the sample."""

    def resume(self) -> None:
        """It goes on where it was."""

    def stop(self) -> list[Played]:
        """Play nothing more of what waits. Returns how much of each answer has been played."""
