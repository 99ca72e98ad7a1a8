"""What the model is told between turns: what was written rather than said, and everything again when it knows wrong.

The model cannot follow when an item is deleted or put between others (see `ledger.py`). It then knows another
conversation than the client, until the next turn begins: a client that changes one thing often changes ten.
"""

from __future__ import annotations

from vivavoce.realtime.actions import Action, AddText, Equip, Forget, Function
from vivavoce.realtime.errors import ClientError
from vivavoce.realtime.items import Conversation
from vivavoce.realtime.ledger import Ledger, weight
from vivavoce.realtime.outbox import Outbox


class Briefing:
    """Actions that wait for a moment in which nobody speaks. `ledger` keeps what was told for each item."""

    def __init__(self, out: Outbox, conversation: Conversation, budget: int) -> None:
        """`budget`: bytes of sound and pictures that are kept, to be told again."""
        self._out = out
        self._conversation = conversation
        self._waiting: list[Action] = []
        self._outdated = False
        self._instructions = ""
        self._functions: tuple[Function, ...] | None = None
        self.ledger = Ledger(budget)

    @property
    def waits(self) -> bool:
        """There is something to be told."""
        return bool(self._waiting)

    def check_room(self, more_bytes: int, most: int, most_bytes: int) -> None:
        """For one thing more to wait, with so many bytes of sound and pictures.

        Raises:
            ClientError: there is none.
        """
        if len(self._waiting) >= most:
            message = (
                f"{len(self._waiting)} things wait to be told to the model until nobody speaks, at most {most} may"
            )
            raise ClientError("too_much_waits", message)
        waiting = sum(map(weight, self._waiting)) if more_bytes else 0
        if more_bytes and waiting + more_bytes > most_bytes:
            message = f"{waiting + more_bytes} bytes of sound and pictures would wait until nobody speaks, at most {most_bytes} may"
            raise ClientError("too_much_waits", message)

    def instruct(self, instructions: str) -> None:
        """Other instructions than before. None at all cannot be told, only those before be forgotten."""
        before, self._instructions = self._instructions, instructions
        if instructions:
            self.put(AddText("system", instructions))
        elif before:
            self.outdate()

    def equip(self, functions: tuple[Function, ...]) -> None:
        """Other functions than before. None at all cannot be told either."""
        self._functions = functions
        if functions:
            self.put(Equip(functions))
        else:
            self.outdate()

    def put(self, action: Action, item_id: str | None = None) -> None:
        """Something for the next such moment, a part of `item_id`."""
        if item_id is not None:
            self.ledger.note(item_id, action)
        if not self._outdated:  # else it is told with everything
            self._waiting.append(action)

    def tell_waiting(self) -> None:
        """Such a moment has come."""
        waiting, self._waiting = self._waiting, []
        self._tell(waiting)

    def outdate(self) -> None:
        """The conversation was changed where the model cannot follow."""
        self._outdated, self._waiting = True, []

    def catch_up(self) -> None:
        """A turn begins: the model must know what the client knows."""
        if not self._outdated:
            return
        self._outdated = False
        equip = [Equip(self._functions)] if self._functions else []
        instructions = [AddText("system", self._instructions)] if self._instructions else []
        self._tell([Forget(), *equip, *instructions, *self.everything()])

    def everything(self) -> list[Action]:
        """The whole conversation, as it would be told anew."""
        return self.ledger.tell_again(self._conversation.items)

    def drop(self, item_id: str) -> None:
        """An item is no more.

        Raises:
            ClientError: unknown id.
        """
        item = self._conversation.remove(item_id)
        if self.ledger.tell_again([item]):  # of a camera's picture nothing was told: it is part of a turn
            self.outdate()
        self.ledger.forget(item_id)

    def _tell(self, actions: list[Action]) -> None:
        for action in actions:
            self._out.tell(action)
