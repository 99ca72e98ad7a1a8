"""What the model was told for each item of the conversation, so that it can be told all of it again.

The model's memory is one sequence: nothing can be taken out of its middle. When the client deletes an item, or puts one
between others, the model forgets the whole conversation and is told what there is now, in the order that the client
sees. Words are told as they were, sound and pictures as well, as long as they are kept here. What is older than the
budget, and answers, which the model made itself, are told by their words.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from vivavoce.realtime.actions import Action, AddImage, AddText, Prefill

Json = dict[str, Any]


class Ledger:
    """Actions for the model, by the item that they belong to. Sound and pictures take at most `budget` bytes."""

    def __init__(self, budget: int) -> None:
        self.budget = budget
        self._told: dict[str, list[Action]] = {}

    def note(self, item_id: str, action: Action) -> None:
        """The model was told, or will be as soon as there is a moment; past the budget the oldest media go."""
        self._told.setdefault(item_id, []).append(action)
        if weight(action):
            self._make_room()

    def forget(self, item_id: str) -> None:
        """The item is no more; one that nothing was told for is none of ours."""
        self._told.pop(item_id, None)

    def tell_again(self, items: Iterable[Json]) -> list[Action]:
        """Everything that the model is to know of these items, in order."""
        return [action for item in items for action in self._told.get(item["id"]) or in_words(item)]

    def _make_room(self) -> None:
        weights = {item_id: sum(map(weight, actions)) for item_id, actions in self._told.items()}
        over = sum(weights.values()) - self.budget
        for item_id, size in weights.items():
            if over <= 0:
                return
            if size:
                over -= size
                self._told[item_id] = [action for action in self._told[item_id] if not weight(action)]


def weight(action: Action) -> int:
    """Bytes of its sound and pictures."""
    if isinstance(action, AddImage):
        return action.rgb.nbytes
    if not isinstance(action, Prefill):
        return 0
    chunk = action.chunk
    return sum(frame.rgb.nbytes for frame in chunk.frames) + (chunk.audio.pcm.nbytes if chunk.audio else 0)


def in_words(item: Json) -> list[Action]:
    """An item by what is written in it, or was understood of it; nothing if there are no words."""
    parts = (part.get("text") or part.get("transcript") or "" for part in item.get("content", []))
    text = " ".join(filter(None, parts))
    return [AddText(item["role"], text)] if text else []
