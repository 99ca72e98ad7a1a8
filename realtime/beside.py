"""Answers beside the conversation: `response.create` with `conversation: "none"`.

Each has a session of the model to itself, opened for it and closed behind it, so the conversation neither waits for it
nor remembers it. It is told what the client wants it to know: the items of `response.input`, or, without that field,
the whole conversation. What it says is sent as it comes; no voice interrupts it.
"""

from __future__ import annotations

from typing import Any

from vivavoce.realtime import items
from vivavoce.realtime.actions import Action, CloseBeside, Function, OpenBeside, TellBeside
from vivavoce.realtime.errors import ClientError
from vivavoce.realtime.events import AnswerCalled, AnswerEnded, AnswerSpoke
from vivavoce.realtime.floor import Floor
from vivavoce.realtime.outbox import Outbox
from vivavoce.realtime.reply import STATUS, Wish, asked
from vivavoce.realtime.response import Response

Json = dict[str, Any]


class Beside:
    """The answers that are being made beside one conversation, by their turn."""

    def __init__(self, floor: Floor, out: Outbox) -> None:
        self._floor = floor
        self._out = out
        self._running: dict[int, Response] = {}

    def begin(self, wish: Wish, told: list[Action], instructions: str, functions: tuple[Function, ...]) -> None:
        """One more answer, of a model that knows `instructions`, of `functions`, and what it is `told`.

        Raises:
            ClientError: too many are being made already.
        """
        most = self._floor.config.max_beside
        if len(self._running) >= most:
            message = f"{len(self._running)} responses beside the conversation are active, expected at most {most}"
            raise ClientError("too_many_active_responses", message, "response.conversation")
        turn = self._floor.next_turn()
        self._running[turn] = response = self._floor.delivery.new_response(turn, wish)
        self._out.do(OpenBeside(turn, instructions, functions if wish.told is None else wish.told))
        for action in (*told, asked(turn, wish, self._floor.config)):
            self._out.do(TellBeside(turn, action))
        self._floor.meter.asked_beside(turn)
        self._send(response.created())

    def makes(self, turn: int | None) -> bool:
        """The answer is one of these."""
        return turn in self._running

    def spoke(self, piece: AnswerSpoke) -> None:
        """More of one of them."""
        response = self._running[piece.turn]
        self._floor.meter.came(piece)
        self._floor.meter.sent(piece.turn, len(piece.pcm) if response.spoken else 0)
        if not response.is_open:
            self._send(response.open(None))
        self._send(response.say(piece.text, piece.pcm, piece.at_ms))

    def called(self, call: AnswerCalled) -> None:
        """One of them calls a function."""
        item = items.function_call(self._floor.conversation.new_id(), call.name, call.arguments)
        self._send(self._running[call.turn].call(item, None))

    def ended(self, ended: AnswerEnded) -> None:
        """The model has said all of one of them."""
        status, reason = STATUS[ended.reason]
        self._close(ended.turn, self._running[ended.turn].finish(status, reason, ended.usage))

    def failed(self, turn: int, message: str) -> None:
        """The model could not make one of them."""
        fault = {"type": "server_error", "code": "model_error", "message": message}
        self._close(turn, self._running[turn].finish("failed", None, None, fault))

    def cancel(self, response_id: str | None) -> bool:
        """`response.cancel` of one of them, by its id. False if it is none of these."""
        for turn, response in self._running.items():
            if response.id == response_id:
                self._close(turn, response.finish("cancelled", "client_cancelled", None))
                return True
        return False

    def hang_up(self) -> None:
        """The client is gone."""
        for turn in list(self._running):
            self._close(turn, [])

    def _close(self, turn: int, events: list[Json]) -> None:
        response = self._running.pop(turn)
        self._out.do(CloseBeside(turn))
        self._send(events)
        if events:
            self._floor.meter.done(turn, response.id, response.status)

    def _send(self, events: list[Json]) -> None:
        for event in events:
            self._out.send(event)
