"""Answers on their way to the client: the events of each, its sound, and the item that stays of it.

What is sent, and in what order. When, and whether at all, is decided by the `Floor`.
"""

from __future__ import annotations

from typing import Any

from vivavoce.realtime import items, wire
from vivavoce.realtime.airing import Airing
from vivavoce.realtime.config import SessionConfig
from vivavoce.realtime.events import AnswerSpoke, Usage
from vivavoce.realtime.extensions import TIMED
from vivavoce.realtime.items import Conversation
from vivavoce.realtime.meter import Meter
from vivavoce.realtime.outbox import Outbox
from vivavoce.realtime.reply import Reply, Wish
from vivavoce.realtime.response import Response

Json = dict[str, Any]


class Delivery:
    """Of one conversation. `said`: spoken answers by their item, for what the client may yet say about them."""

    def __init__(
        self,
        config: SessionConfig,
        conversation: Conversation,
        out: Outbox,
        airing: Airing,
        meter: Meter,
        make_encoder: wire.MakeEncoder,
    ) -> None:
        self._config = config
        self._conversation = conversation
        self._out = out
        self._airing = airing
        self._meter = meter
        self._make_encoder = make_encoder
        self.said: dict[str, Reply] = {}
        self.first_sound_ms: int | None = None
        """When the first sound of the session was sent."""

    def new_response(self, turn: int, wish: Wish) -> Response:
        """Answer `turn` as the client will see it."""
        return Response(
            id=f"resp_{turn:06d}",
            item_id=self._conversation.new_id(),
            conversation_id=None if wish.beside else self._conversation.id,
            modality=wish.modality,
            audio=wish.audio,
            max_output_tokens=wish.max_output_tokens,
            metadata=wish.metadata,
            delta_ms=self._config.delta_ms,
            encoder=self._make_encoder(wish.audio["format"]["type"]),
            sound_apart=self._config.server_plays,
            timed=TIMED in self._out.extensions,
        )

    def respond(self, reply: Reply) -> Response:
        """The client learns of the answer."""
        reply.response = self.new_response(reply.turn, reply.wish)
        self._meter.certain(reply.turn)
        for event in reply.response.created():
            self._out.send(event)
        if reply.response.spoken:
            self.said[reply.response.item_id] = reply
        return reply.response

    def say(self, reply: Reply, response: Response, piece: AnswerSpoke) -> None:
        """More of it, with its item before the first."""
        if not response.is_open:
            previous = self._conversation.add(response.item("in_progress", content=False))
            for event in response.open(previous):
                self._out.send(event)
        for event in response.say(piece.text, piece.pcm, piece.at_ms):
            self._out.send(event)
        if response.spoken and len(piece.pcm) and self.first_sound_ms is None:
            self.first_sound_ms = self._meter.now_ms
        self._meter.sent(reply.turn, len(piece.pcm) if response.spoken else 0)
        if response.sound_apart and response.spoken:
            self._airing.play(reply, piece.pcm)

    def call(self, reply: Reply, response: Response) -> None:
        """The client gets to know the calls, which are items of the conversation."""
        for call in reply.calls:
            item = items.function_call(self._conversation.new_id(), call.name, call.arguments)
            for event in response.call(dict(item), self._conversation.add(item)):
                self._out.send(event)

    def close(
        self,
        reply: Reply,
        response: Response,
        status: str,
        reason: str | None,
        usage: Usage | None,
        fault: Json | None = None,
    ) -> None:
        """It ends; what was said of it stays as its item."""
        for event in response.finish(status, reason, usage, fault):
            self._out.send(event)
        self._meter.done(reply.turn, response.id, status)
        if response.is_open and (item := self._conversation.find(response.item_id)) is not None:
            item.update(response.item("completed" if status == "completed" else "incomplete"))
