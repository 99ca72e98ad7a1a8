"""The older words of the OpenAI Realtime API, for clients that say `OpenAI-Beta: realtime=v1`.

What such a client sends is translated before it is parsed, what it is sent after it was made; a session knows nothing
of it. Names that the beta did not have pass as they are, either way.
"""

from __future__ import annotations

import copy
from typing import Any

Json = dict[str, Any]

HEADER = "realtime=v1"
"""What the header `OpenAI-Beta` holds ..."""
SUBPROTOCOL = "openai-beta.realtime-v1"
"""... and what a browser, which cannot set headers, offers beside `realtime`."""

FIELDS = {
    "audio.input.format": "input_audio_format",
    "audio.input.noise_reduction": "input_audio_noise_reduction",
    "audio.input.transcription": "input_audio_transcription",
    "audio.input.turn_detection": "turn_detection",
    "audio.output.format": "output_audio_format",
    "audio.output.speed": "speed",
    "audio.output.voice": "voice",
    "max_output_tokens": "max_response_output_tokens",
    "output_modalities": "modalities",
}
"""Fields of the session and of a response: where they are now, how they were called."""
EVENTS = {
    "conversation.item.added": "conversation.item.created",
    "response.output_text.delta": "response.text.delta",
    "response.output_text.done": "response.text.done",
    "response.output_audio.delta": "response.audio.delta",
    "response.output_audio.done": "response.audio.done",
    "response.output_audio_transcript.delta": "response.audio_transcript.delta",
    "response.output_audio_transcript.done": "response.audio_transcript.done",
}
UNKNOWN = frozenset({"conversation.item.done"})
"""Events that the beta had no word for: there an item was created, and that was all."""
FORMATS = {"audio/pcm": "pcm16", "audio/pcmu": "g711_ulaw", "audio/pcma": "g711_alaw"}
MISSING = object()
PARTS = {"output_text": "text", "output_audio": "audio"}


def to_ga(event: Json) -> Json:
    """A client's event in today's words."""
    event = copy.deepcopy(event)
    for key in ("session", "response"):
        if isinstance(event.get(key), dict):
            event[key] = nested(event[key])
    if isinstance(event.get("item"), dict):
        parts_to_ga(event["item"])
    return event


def from_ga(event: Json) -> Json | None:
    """An event for the client in its own words, or None if there are none for it."""
    if event["type"] in UNKNOWN:
        return None
    event = {**copy.deepcopy(event), "type": EVENTS.get(event["type"], event["type"])}
    if "session" in event:
        event["session"] = flat(event["session"])
    if "response" in event:
        response = flat(event["response"])
        response["max_output_tokens"] = response.pop("max_response_output_tokens")
        event["response"] = response
        for item in response["output"]:
            parts_from_ga(item)
    if "item" in event:
        parts_from_ga(event["item"])
    if event["type"] == "error":
        event["error"] |= {key: renamed(event["error"][key]) for key in ("param", "message")}
    return event


def nested(asked: Json) -> Json:
    """The session, or a response, as it was asked for -> as it is asked for now."""
    result = {key: value for key, value in asked.items() if key not in FIELDS.values()}
    for path, name in FIELDS.items():
        if name in asked:
            *folders, key = path.split(".")
            place = folder_of(result, folders)
            if place is not None:  # else there is no object where one must be, which is refused by its own name
                place[key] = value_to_ga(name, asked[name])
    return result


def folder_of(body: Json, folders: list[str]) -> Json | None:
    """The object that these keys lead to, made where there is none; None if something else is in the way."""
    place: Any = body
    for folder in folders:
        place = place.setdefault(folder, {}) if isinstance(place, dict) else None
    return place if isinstance(place, dict) else None


def flat(body: Json) -> Json:
    """The session, or a response, as it is -> as it would have been."""
    result = {key: value for key, value in body.items() if key != "audio" and key not in FIELDS}
    for path, name in FIELDS.items():
        place: Any = body
        for key in path.split("."):
            place = place.get(key, MISSING) if isinstance(place, dict) else MISSING
        if place is not MISSING:
            result[name] = value_from_ga(name, place)
    return result


def value_to_ga(name: str, value: Any) -> Any:
    """A field's value in today's words."""
    if name.endswith("_audio_format") and isinstance(value, str):
        return {"type": next((form for form, beta in FORMATS.items() if beta == value), value)}
    if name == "modalities" and isinstance(value, list):
        return ["audio"] if "audio" in value else value
    return value


def value_from_ga(name: str, value: Any) -> Any:
    """A field's value in the words of then."""
    if name.endswith("_audio_format"):
        return FORMATS[value["type"]]
    if name == "modalities":
        return ["text", "audio"] if "audio" in value else value
    return value


def parts_to_ga(item: Json) -> None:
    """In place: the content types of an item."""
    parts = item.get("content")
    for part in parts if isinstance(parts, list) and item.get("role") == "assistant" else []:
        if isinstance(part, dict):
            part["type"] = next((now for now, then in PARTS.items() if then == part.get("type")), part.get("type"))


def parts_from_ga(item: Json) -> None:
    """In place: the content types of an item."""
    for part in item.get("content", []):
        part["type"] = PARTS.get(part["type"], part["type"])


def renamed(text: str | None) -> str | None:
    """The path of a field, alone or in a sentence, as the client wrote it."""
    for path, name in FIELDS.items():
        for body in ("session", "response"):
            text = text and text.replace(f"{body}.{path}", f"{body}.{name}")
    return text
