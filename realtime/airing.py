"""Answers that the server plays itself, over a wire that carries sound as sound (WebRTC): what of them is still unheard.

A client that plays answers tells the server how much it has played (`conversation.item.truncate`). Here the server knows: it
hands sound to the transport with `Play`, and the transport reports with `Played` what has left. The client is told by
`output_audio_buffer.started`, `.stopped` (all of it has been played) and `.cleared` (the rest never will be).
"""

from __future__ import annotations

import numpy as np

from vivavoce.realtime.actions import CompletePlayback, Play, StopPlayback
from vivavoce.realtime.outbox import Outbox
from vivavoce.realtime.reply import Reply


class Airing:
    """Spoken answers between their first sound and the end of their playback. Empty if the client plays them."""

    def __init__(self, out: Outbox) -> None:
        self._out = out
        self._on_air: dict[int, Reply] = {}
        self._cut: dict[int, Reply] = {}
        self._dry: set[int] = set()

    @property
    def waiting(self) -> int:
        """Answers that have not been played to their end."""
        return len(self._on_air)

    def holds(self, reply: Reply) -> bool:
        """Some of it will yet be played."""
        return self._on_air.get(reply.turn) is reply

    def play(self, reply: Reply, pcm: np.ndarray) -> None:
        """More of an answer, behind what waits: float32 [samples] at 24 kHz."""
        if not len(pcm):
            return
        if reply.turn not in self._on_air:
            self._on_air[reply.turn] = reply
            self._tell("started", reply)
        self._dry.discard(reply.turn)
        self._out.do(Play(reply.turn, pcm))

    def stop(self) -> bool:
        """Nothing more is played of anything. False if nothing was being played."""
        if not self._on_air:
            return False
        self._out.do(StopPlayback())
        for reply in self._on_air.values():
            self._tell("cleared", reply)
        self._cut |= self._on_air
        self._on_air = {}
        self._dry.clear()
        return True

    def ran_dry(self, turn: int, ms: int) -> Reply | None:
        """The first `ms` of an answer have been played, and no more was at hand. Returns the answer if that was its end."""
        reply = self._on_air.get(turn)
        if reply is None or ms < reply.playout.sent_ms:
            return None
        self._dry.add(turn)
        return self._over(reply)

    def finish(self, reply: Reply) -> Reply | None:
        """The model may have said all of an answer. Returns it if all of it has been played, too."""
        if not reply.running:
            self._out.do(CompletePlayback(reply.turn))
        return self._over(reply)

    def _over(self, reply: Reply) -> Reply | None:
        if reply.running or reply.turn not in self._dry:
            return None
        self._dry.remove(reply.turn)
        del self._on_air[reply.turn]
        self._tell("stopped", reply)
        return reply

    def was_cut(self, turn: int) -> Reply | None:
        """The answer whose playback was stopped; each is asked for once."""
        return self._cut.pop(turn, None)

    def _tell(self, what: str, reply: Reply) -> None:
        response_id = reply.response.id if reply.response else ""
        self._out.send({"type": f"output_audio_buffer.{what}", "response_id": response_id})
