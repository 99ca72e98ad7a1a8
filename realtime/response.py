"""One answer on the wire: the events from `response.created` to `response.done`, in the order clients insist on.

created → output_item.added → conversation.item.added → content_part.added → deltas → the `done` of each, inside out
→ response.done. Every delta carries response_id, item_id, output_index and content_index (R17). Nothing here
decides anything.
"""

from __future__ import annotations

import base64
import copy
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from vivavoce.codecs.media import FRAME_MS
from vivavoce.realtime import items, playout, wire
from vivavoce.realtime.config import OUTPUT_RATE_HZ
from vivavoce.realtime.events import Usage

Json = dict[str, Any]


@dataclass
class Response:
    """The state of one answer as the client sees it. Methods return events, to be sent in order, without `event_id`."""

    id: str
    item_id: str
    conversation_id: str | None
    """None beside the conversation, where the answer's item belongs to nothing."""
    modality: str
    """audio or text"""
    audio: Json
    """format and voice"""
    max_output_tokens: int | str
    metadata: Json | None
    delta_ms: int
    encoder: wire.SoundEncoder
    sound_apart: bool = False
    """The sound takes another way than the events (`actions.Play`)."""
    timed: bool = False
    """Words come with the time at which they are heard."""
    status: str = "in_progress"
    _text: str = ""
    _samples: int = 0
    _opened: bool = False
    _closed: bool = False
    _previous: str | None = None
    _output: list[Json] = field(default_factory=list)

    @property
    def spoken(self) -> bool:
        """Audio and its transcript, as opposed to text alone."""
        return self.modality == "audio"

    def created(self) -> list[Json]:
        """The answer begins."""
        return [{"type": "response.created", "response": self._body(None, None)}]

    def open(self, previous_item_id: str | None) -> list[Json]:
        """The answer gets its item and its one part; before any delta."""
        self._opened, self._previous = True, previous_item_id
        item = self.item("in_progress", content=False)
        part = {"type": "audio", "transcript": ""} if self.spoken else {"type": "text", "text": ""}
        return [
            {"type": "response.output_item.added", "response_id": self.id, "output_index": 0, "item": item},
            *self._in_conversation("added", self.item("in_progress", content=False), previous_item_id),
            {"type": "response.content_part.added", **self._place(), "part": part},
        ]

    @property
    def is_done(self) -> bool:
        """`finish` has been called."""
        return self.status != "in_progress"

    @property
    def is_open(self) -> bool:
        """`open` has been called."""
        return self._opened

    def say(self, text: str, pcm: np.ndarray, at_ms: int) -> list[Json]:
        """More words and more sound (float32 [samples] at 24 kHz).

        A model writes ahead of its voice: words are heard at their share of the sound, and not before they were written.
        """
        said: list[Json] = []
        if text:
            start_ms = max(at_ms, len(self._text) * playout.MS_PER_LETTER)
            self._text += text
            kind = "response.output_audio_transcript.delta" if self.spoken else "response.output_text.delta"
            delta = {"type": kind, **self._place(), "delta": text}
            said.append({**delta, "start_time": start_ms / 1000} if self.spoken and self.timed else delta)
        if self.spoken:
            self._samples += len(pcm)
            for piece in playout.split(pcm, self.delta_ms) if not self.sound_apart else ():
                said += self._sound(self.encoder.push(piece))
        return said

    def call(self, call: Json, previous_item_id: str | None) -> list[Json]:
        """The answer calls a function: a whole item of its own (R16), behind the answer's words."""
        ended = self._close_message("completed")
        place = {"response_id": self.id, "output_index": len(self._output)}
        begun = {**call, "arguments": "", "status": "in_progress"}
        ended.append({"type": "response.output_item.added", **place, "item": begun})
        ended += self._in_conversation("added", begun, previous_item_id)
        where = {**place, "item_id": call["id"], "call_id": call["call_id"]}
        ended.append({"type": "response.function_call_arguments.delta", **where, "delta": call["arguments"]})
        told = {"name": call["name"], "arguments": call["arguments"]}
        ended.append({"type": "response.function_call_arguments.done", **where, **told})
        ended += self._in_conversation("done", call, previous_item_id)
        ended.append({"type": "response.output_item.done", **place, "item": call})
        self._output.append(call)
        return ended

    def finish(self, status: str, reason: str | None, usage: Usage | None, error: Json | None = None) -> list[Json]:
        """The answer ends; `status` is completed, cancelled, incomplete or failed."""
        self.status = status
        ended = self._close_message("completed" if status == "completed" else "incomplete")
        details = {"type": status, **({"reason": reason} if reason else {}), **({"error": error} if error else {})}
        body = self._body(details if status != "completed" else None, usage or self._known_usage())
        ended.append({"type": "response.done", "response": body})
        return ended

    def _close_message(self, status: str) -> list[Json]:
        """The item of the answer's words ends, if there is one and it has not ended yet."""
        if not self._opened or self._closed:
            return []
        self._closed = True
        item = self.item(status)
        self._output.append(item)
        ended = self._sound(self.encoder.flush()) if self.spoken else []
        ended += self._part_done()
        ended += self._in_conversation("done", item, self._previous)
        ended.append({"type": "response.output_item.done", "response_id": self.id, "output_index": 0, "item": item})
        return ended

    def item(self, status: str, content: bool = True) -> Json:
        """The assistant's message."""
        part = {"type": "output_audio", "transcript": self._text} if self.spoken else None
        part = part or {"type": "output_text", "text": self._text}
        return items.message(self.item_id, "assistant", [part] if content else [], status)

    def _in_conversation(self, kind: str, item: Json, previous: str | None) -> list[Json]:
        if self.conversation_id is None:
            return []
        return [{"type": f"conversation.item.{kind}", "previous_item_id": previous, "item": item}]

    def _sound(self, data: bytes) -> list[Json]:
        if not data:
            return []
        delta = base64.b64encode(data).decode()
        return [{"type": "response.output_audio.delta", **self._place(), "delta": delta}]

    def _part_done(self) -> list[Json]:
        place = self._place()
        if not self.spoken:
            return [
                {"type": "response.output_text.done", **place, "text": self._text},
                {"type": "response.content_part.done", **place, "part": {"type": "text", "text": self._text}},
            ]
        return [
            {"type": "response.output_audio.done", **place},
            {"type": "response.output_audio_transcript.done", **place, "transcript": self._text},
            {"type": "response.content_part.done", **place, "part": {"type": "audio", "transcript": self._text}},
        ]

    def _place(self) -> Json:
        return {"response_id": self.id, "item_id": self.item_id, "output_index": 0, "content_index": 0}

    def _known_usage(self) -> Usage:
        """An answer cut short has no report from the model; what was sent is known."""
        sent_ms = self._samples * 1000 // OUTPUT_RATE_HZ
        return Usage(audio_out=-(-sent_ms // FRAME_MS))

    def _body(self, details: Json | None, usage: Usage | None) -> Json:
        return {
            "id": self.id,
            "object": "realtime.response",
            "status": self.status,
            "status_details": details,
            "output": copy.deepcopy(self._output),
            "conversation_id": self.conversation_id,
            "output_modalities": [self.modality],
            "max_output_tokens": self.max_output_tokens,
            "audio": {"output": dict(self.audio)},
            "metadata": self.metadata,
            "usage": wire.usage(usage) if usage else None,
        }
