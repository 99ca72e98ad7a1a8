"""Whose fault it is.

    RealtimeError
    ├── LocalError            ours: the program is wrong, the connection ends (close code 1011)
    │   ├── UnexpectedSignal      a cell of the phase table that cannot happen
    │   └── AudioMismatch         the driver's audio and its probabilities do not fit together
    └── RemoteError           the client's: reported to it, the conversation goes on
        └── ClientError           an event that cannot be carried out; becomes an `error` event

A client's mistake never leaves `Session.receive`; a `LocalError` always does.
"""

from __future__ import annotations

from vivavoce.realtime.events import Refused


class RealtimeError(Exception):
    """Base of everything raised here."""


class LocalError(RealtimeError):
    """Our own mistake."""


class UnexpectedSignal(LocalError):
    """An empty cell of the phase table was entered."""

    def __init__(self, phase: str, signal: str) -> None:
        super().__init__(f"{signal} cannot happen while {phase}")
        self.phase = phase
        self.signal = signal


class AudioMismatch(LocalError):
    """The driver handed in audio that does not continue the stream, or too few or too many probabilities."""


class RemoteError(RealtimeError):
    """The client's mistake."""


class ClientError(RemoteError):
    """An event that cannot be carried out. `param` is the offending field, as `session.audio.input.format`."""

    def __init__(
        self, code: str, message: str, param: str | None = None, *, kind: str = "invalid_request_error"
    ) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.param = param
        self.kind = kind

    def refused(self, event_id: str | None) -> Refused:
        """The same as a value, tied to the client's event."""
        return Refused(self.code, self.message, self.param, event_id, self.kind)
