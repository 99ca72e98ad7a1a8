"""What the model was told for each item of the conversation, so that it can be told all of it again.

The model's memory is one sequence: nothing can be taken out of its middle. When the client deletes an item, or puts one
between others, the model forgets the whole conversation and is told what there is now, in the order that the client
sees. Words are told as they were, sound and pictures as well, as long as they are kept here. What is older than the
budget, and answers, which the model made itself, are told by their words.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from vivavoce.codecs.media import VideoFrame
from vivavoce.realtime import items
from vivavoce.realtime.actions import Action, AddCall, AddImage, AddText, Prefill
from vivavoce.realtime.receipts import Receipt
from vivavoce.realtime.sampler import portions

Json = dict[str, Any]
NOTHING = np.zeros(0, np.float32)


@dataclass(frozen=True)
class Place:
    """Where sound that came as a whole stands on the time line, and in what portions the model takes it."""

    start_ms: int
    chunk_ms: int


class Ledger:
    """Actions for the model, by the item that they belong to. Sound and pictures take at most `budget` bytes."""

    def __init__(self, budget: int) -> None:
        self.budget = budget
        self._told: dict[str, list[Action]] = {}
        self._seen: dict[str, list[Receipt]] = {}

    def note(self, item_id: str, action: Action) -> None:
        """The model was told, or will be as soon as there is a moment; past the budget the oldest media go."""
        self._told.setdefault(item_id, []).append(action)
        if frames := frames_of(action):
            self._seen.setdefault(item_id, []).extend(map(Receipt.of, frames))
        if weight(action):
            self._make_room()

    def forget(self, item_id: str) -> None:
        """The item is no more; one that nothing was told for is none of ours."""
        self._told.pop(item_id, None)
        self._seen.pop(item_id, None)

    def seen(self, item_id: str) -> list[Receipt]:
        """The frames that were shown with an item, in order."""
        return self._seen.get(item_id, [])

    def tell_again(self, conversation: Iterable[Json]) -> list[Action]:
        """Everything that the model is to know of these items, in order."""
        return [action for item in conversation for action in self._told.get(item["id"]) or in_words(item)]

    def _make_room(self) -> None:
        weights = {item_id: sum(map(weight, actions)) for item_id, actions in self._told.items()}
        over = sum(weights.values()) - self.budget
        for item_id, size in weights.items():
            if over <= 0:
                return
            if size:
                over -= size
                self._told[item_id] = [action for action in self._told[item_id] if not weight(action)]
                if item_id in self._seen:
                    self._seen[item_id] = [replace(receipt, rgb=None) for receipt in self._seen[item_id]]


def tell(item: Json, pictures: Sequence[np.ndarray], sounds: Sequence[np.ndarray], place: Place) -> list[Action]:
    """What the model is to be told of an item that the client made, in the order of its parts.

    `pictures`: uint8 [H, W, 3] each; `sounds`: float32 [samples] at 16 kHz each, empty where the transcript must do.
    """
    if item["type"] != "message":
        return in_words(item)
    told: list[Action] = []
    seen, heard = iter(pictures), iter(sounds)
    for part in item["content"]:
        pcm = next(heard) if part["type"] == "input_audio" else NOTHING
        if part["type"] == "input_image":
            told.append(AddImage(next(seen), part["detail"]))
        elif len(pcm):
            told += map(Prefill, portions(pcm, place.start_ms, place.chunk_ms))
        elif words := part.get("text") or part.get("transcript"):
            told.append(AddText(items.speaker(item), words))
    return told


def weight(action: Action) -> int:
    """Bytes of its sound and pictures."""
    if isinstance(action, AddImage):
        return action.rgb.nbytes
    if not isinstance(action, Prefill):
        return 0
    chunk = action.chunk
    return sum(frame.rgb.nbytes for frame in chunk.frames) + (chunk.audio.pcm.nbytes if chunk.audio else 0)


def frames_of(action: Action) -> tuple[VideoFrame, ...]:
    """What a camera or a screen showed with it."""
    if isinstance(action, AddImage):
        return () if action.frame is None else (action.frame,)
    return action.chunk.frames if isinstance(action, Prefill) else ()


def in_words(item: Json) -> list[Action]:
    """An item by its words, or as the call that it is; nothing if there are none."""
    if item["type"] == "function_call":
        return [AddCall(item["name"], item["arguments"])]
    words = items.in_words(item)
    return [AddText(items.speaker(item), words)] if words else []
