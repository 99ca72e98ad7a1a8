"""What leaves a session, in order.

Three doors: `send` to the client, `do` for the driver, `tell` to the model. After an interruption the model must
first learn how much of its answer was heard, and the client's own word on that may be some milliseconds away. Until
it comes, or time is up, what is told to the model waits behind that one message.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from vivavoce.realtime.actions import Action, Cancel, Cut, Send


@dataclass(frozen=True)
class Ending:
    """How an answer that was stopped will end if the client does not say."""

    item_id: str
    otherwise: Cut | Cancel
    due_ms: int


class Outbox:
    """Actions that wait to be carried out, and those that wait for an `Ending`."""

    def __init__(self) -> None:
        self._actions: list[Action] = []
        self._behind: list[Action] = []
        self._events = 0
        self.ending: Ending | None = None
        self.has_spoken = False
        """The client has been sent sound."""
        self.extensions: frozenset[str] = frozenset()
        """Types of events that the client asked for beyond those of the API."""

    def drain(self) -> list[Action]:
        """Everything to be carried out now, in order; each is given once."""
        actions, self._actions = self._actions, []
        return actions

    def send(self, event: dict[str, Any]) -> None:
        """An event for the client; gets the `event_id` that every one must have (R1)."""
        self._events += 1
        self.has_spoken = self.has_spoken or event["type"] in (
            "response.output_audio.delta",
            "output_audio_buffer.started",
        )
        kind, rest = event["type"], {key: value for key, value in event.items() if key != "type"}
        self._actions.append(Send({"type": kind, "event_id": f"event_{self._events:06d}", **rest}))

    def offer(self, event: dict[str, Any], group: str | None = None) -> None:
        """An event of our own, of a group that bears its name unless said otherwise: for the client if it asked for such."""
        if (group or event["type"]) in self.extensions:
            self.send(event)

    def do(self, action: Action) -> None:
        """Something for the driver, at once."""
        self._actions.append(action)

    def tell(self, action: Action) -> None:
        """Something for the model, after everything told before."""
        (self._behind if self.ending else self._actions).append(action)

    def end_answer(self, ending: Ending) -> None:
        """An answer was stopped; what is told from now on waits for `settle`."""
        self.settle()
        self.ending = ending

    def settle(self, better: Cut | None = None) -> None:
        """The stopped answer ends as the client says, or as was assumed; what waited behind it follows."""
        if self.ending is None:
            return
        behind, self._behind = self._behind, []
        self._actions += [better or self.ending.otherwise, *behind]
        self.ending = None
