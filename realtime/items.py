"""The conversation as the client sees it: a list of items with their words.

The model keeps its own memory; this list is what `added`, `done` and `retrieved` speak of. Pictures and sound are
not in it.
"""

from __future__ import annotations

import copy
from typing import Any

from vivavoce.realtime.errors import ClientError

Json = dict[str, Any]

PARTS = {
    "user": ("input_text", "input_image", "input_audio"),
    "system": ("input_text",),
    "assistant": ("output_text", "output_audio"),
}
"""What a client may put into a message of each role."""
SPOKEN_PARTS = ("input_audio", "output_audio")
"""Parts whose words are a `transcript`; those of the others are their `text`."""


FUNCTION_FIELDS = {"function_call": ("name", "call_id", "arguments"), "function_call_output": ("call_id", "output")}
"""What the two items of a function call hold, all of it strings."""


class Conversation:
    """Items in order, found by id. New ids count up, so that a replay makes the same."""

    def __init__(self, conversation_id: str) -> None:
        self.id = conversation_id
        self._items: list[Json] = []
        self._spoken_ms: dict[str, int] = {}
        self._given = set[str]()
        """Ids that an item of ours will have: of what is being said."""
        self._count = 0

    def new_id(self) -> str:
        """An id that no item has had."""
        while True:
            self._count += 1
            if self.find(item_id := f"item_{self._count:06d}") is None:
                self._given.add(item_id)
                return item_id

    def find(self, item_id: str) -> Json | None:
        """The item itself, to be changed in place, or None."""
        return next((item for item in self._items if item["id"] == item_id), None)

    def add(self, item: Json, after: str | None = None) -> str | None:
        """Append, or insert behind `after` ("root": in front). Returns the id of the item before it, or None.

        Raises:
            ClientError: the id is taken, or `after` is unknown.
        """
        self._given.discard(item["id"])
        self.check_free(item["id"])
        place = len(self._items) if after is None else 0 if after == "root" else self._place_of(after) + 1
        self._items.insert(place, item)
        return str(self._items[place - 1]["id"]) if place else None

    def check_free(self, item_id: str) -> None:
        """A client may give an item this id.

        Raises:
            ClientError: another item has it, or will have it.
        """
        if item_id in self._given or self.find(item_id) is not None:
            message = f"an item with id {item_id!r} exists already"
            raise ClientError("item_create_duplicate_item_id", message, "item.id")

    def retrieve(self, item_id: str) -> Json:
        """A copy of an item.

        Raises:
            ClientError: unknown id.
        """
        item = self.find(item_id)
        if item is None:
            raise ClientError("item_retrieve_invalid_item_id", f"no item with id {item_id!r} exists", "item_id")
        return copy.deepcopy(item)

    def referred(self, item_id: Any, path: str) -> Json:
        """The item that an `item_reference` at `path` names.

        Raises:
            ClientError: unknown id.
        """
        item = self.find(item_id) if isinstance(item_id, str) else None
        if item is None:
            raise ClientError("invalid_item_reference", f"{path}.id is {item_id!r}, which no item has", f"{path}.id")
        return item

    def remove(self, item_id: str) -> Json:
        """The item is no more; its id may be taken again. Returns what it was.

        Raises:
            ClientError: unknown id.
        """
        item = self.find(item_id)
        if item is None:
            raise ClientError("item_delete_invalid_item_id", f"no item with id {item_id!r} exists", "item_id")
        self._items.remove(item)
        return item

    @property
    def items(self) -> list[Json]:
        """All of them, in order; not to be changed."""
        return self._items

    def add_spoken(self, item_id: str, ms: int) -> tuple[Json, str | None]:
        """`ms` of the user's voice become an item. Returns it and the id of the one before it."""
        item = message(item_id, "user", [{"type": "input_audio", "transcript": None}])
        self.count_spoken(item_id, ms)
        return copy.deepcopy(item), self.add(item)

    def count_spoken(self, item_id: str, ms: int) -> None:
        """`ms` of the user's voice are in this item."""
        self._spoken_ms[item_id] = ms

    def transcribe(self, item_id: str, text: str) -> Json:
        """What was said in a spoken item. Returns the event that tells so (R24: usage is a duration)."""
        parts = (self.find(item_id) or {}).get("content", [])
        place = next((at for at, part in enumerate(parts) if part["type"] == "input_audio"), 0)
        if parts and parts[place].get("transcript") is None:  # what the client knew already stands
            parts[place]["transcript"] = text
        done = {"type": "conversation.item.input_audio_transcription.completed", "item_id": item_id}
        seconds = {"type": "duration", "seconds": self._spoken_ms[item_id] / 1000}
        return {**done, "content_index": place, "transcript": text, "usage": seconds}

    def shorten(self, item_id: str, transcript: str) -> None:
        """No more than this was heard of an answer."""
        item = self.find(item_id)
        if item is not None and item["content"]:
            item["content"][0]["transcript"] = transcript

    def _place_of(self, item_id: str) -> int:
        for place, item in enumerate(self._items):
            if item["id"] == item_id:
                return place
        raise ClientError("item_create_invalid_previous_item_id", f"no item with id {item_id!r} exists")


def message(item_id: str, role: str, content: list[Json], status: str = "completed") -> Json:
    """A message item."""
    return {
        "id": item_id,
        "object": "realtime.item",
        "type": "message",
        "status": status,
        "role": role,
        "content": content,
    }


def function_call(item_id: str, name: str, arguments: str) -> Json:
    """A call that the model makes; the client's answer to it names `call_id`."""
    call_id = item_id.replace("item", "call")
    kind = {"id": item_id, "object": "realtime.item", "type": "function_call", "status": "completed"}
    return {**kind, "call_id": call_id, "name": name, "arguments": arguments}


def checked_item(item: Json, item_id: str, path: str = "item") -> Json:
    """A client's item, in our own shape.

    Raises:
        ClientError: it is no message and no function call, or holds what its kind may not.
    """
    kind = item.get("type", "message")
    if kind == "message":
        return checked_message(item, item_id, path)
    if not isinstance(kind, str) or kind not in FUNCTION_FIELDS:
        expected = " or ".join(repr(name) for name in ("message", *FUNCTION_FIELDS))
        told = f"{path}.type is {repr(kind)[:80]}, expected {expected}"
        raise ClientError("unsupported_item_type", told, f"{path}.type")
    shape: Json = {"id": item_id, "object": "realtime.item", "type": kind, "status": "completed"}
    return {**shape, **{key: written(item, key, path) for key in FUNCTION_FIELDS[kind]}}


def checked_message(item: Json, item_id: str, path: str) -> Json:
    """A message, in our own shape, without the data of its pictures and its sound."""
    role = item.get("role")
    if not isinstance(role, str) or role not in PARTS:
        expected = ", ".join(PARTS)
        raise ClientError("invalid_value", f"{path}.role is {role!r}, expected one of {expected}", f"{path}.role")
    parts = item.get("content")
    if not isinstance(parts, list) or not parts:
        raise ClientError("invalid_value", f"{path}.content is empty, expected a list of parts", f"{path}.content")
    return message(item_id, role, [checked_part(part, role, f"{path}.content[{at}]") for at, part in enumerate(parts)])


def checked_part(part: Any, role: str, path: str) -> Json:
    """One content part, without the data of a picture or a sound."""
    kind = part.get("type") if isinstance(part, dict) else None
    kind = {"text": "output_text" if role == "assistant" else "input_text"}.get(str(kind), kind)
    if kind not in PARTS[role]:
        expected = " or ".join(PARTS[role])
        raise ClientError("invalid_value", f"{path}.type is {kind!r}, expected {expected} for {role}", f"{path}.type")
    if kind == "input_image":
        return {"type": kind, "detail": part.get("detail") or "auto"}
    if kind in SPOKEN_PARTS:
        words = part.get("transcript")
        return {"type": kind, "transcript": None if words is None else written(part, "transcript", path)}
    return {"type": kind, "text": written(part, "text", path)}


def written(value: Json, key: str, path: str) -> str:
    """A string that must be there."""
    if not isinstance(value.get(key), str):
        shown = repr(value.get(key))[:80]
        raise ClientError("invalid_value", f"{path}.{key} is {shown}, expected a string", f"{path}.{key}")
    return clean(value[key])


def in_words(item: Json) -> str:
    """What is written in an item, or was understood of it."""
    if item["type"] == "function_call_output":
        return str(item["output"])
    words = (part.get("text") or part.get("transcript") for part in item["content"])
    return " ".join(filter(None, words))


def speaker(item: Json) -> str:
    """Whose words they are for the model; a tool's is what a call returned."""
    return str(item.get("role", "tool"))


def clean(text: str) -> str:
    """Half a surrogate pair, which JSON can write and nothing else can, becomes a question mark."""
    return text.encode("utf-8", "replace").decode()
