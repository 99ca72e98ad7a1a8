"""The bytes on the wire: a client's text frame becomes an event, an event for the client becomes a text frame.

A subset of the OpenAI Realtime GA events, and `input_image_buffer.*` for a live camera. What cannot be understood
becomes `Refused`, never an exception: a driver has one path for all. Pictures and sound are decoded and encoded by
what is handed in, because this room knows no image format and converts no sample rates.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np

from vivavoce.codecs.media import SOURCES
from vivavoce.realtime import receipts
from vivavoce.realtime.checks import choice, refuse
from vivavoce.realtime.errors import ClientError, LocalError
from vivavoce.realtime.events import (
    AudioAppend,
    AudioClear,
    AudioCommit,
    ClientEvent,
    ImageAppend,
    ImageClear,
    ItemCreate,
    ItemDelete,
    ItemRetrieve,
    ItemTruncate,
    OutputClear,
    Refused,
    ResponseCancel,
    ResponseCreate,
    SessionUpdate,
    Usage,
)

Json = dict[str, Any]


@dataclass(frozen=True)
class Media:
    """How pictures and sound are read, of which this room knows no format."""

    image: Callable[[bytes], np.ndarray]
    """The bytes of a JPEG, PNG or WebP in, uint8 [H, W, 3] out; raises ValueError (or OSError) if it is none."""
    sound: Callable[[bytes], np.ndarray]
    """A whole sound in the session's input format in, float32 [samples] at 16 kHz out."""
    sample_bytes: int = 2
    """Bytes of one sample in the session's input format."""


class SoundEncoder(Protocol):
    """A stream of speech on its way to one client, in that client's format."""

    def push(self, pcm: np.ndarray) -> bytes:
        """float32 [samples] at 24 kHz -> the bytes that are ready, perhaps none."""

    def flush(self) -> bytes:
        """The last of them."""


MakeEncoder = Callable[[str], SoundEncoder]
"""The name of a format, as `audio/pcmu`, in; an encoder for one answer out."""


class Pcm16:
    """`audio/pcm`, the one format that needs no conversion of rates."""

    def push(self, pcm: np.ndarray) -> bytes:
        """float32 [samples] in -1..1 as little-endian 16-bit samples; louder is clipped."""
        return np.clip(np.round(pcm * 32768.0), -32768, 32767).astype("<i2").tobytes()

    def flush(self) -> bytes:
        """Nothing waits."""
        return b""


def only_pcm16(name: str) -> SoundEncoder:
    """What a session without a server around it can send.

    Raises:
        LocalError: another format was asked for.
    """
    if name != "audio/pcm":
        raise LocalError(f"this session was given no encoder for {name}")
    return Pcm16()


MAX_DEPTH = 64
"""Levels of nesting in a frame; a JSON schema of a tool needs ten."""
SHOWN_EVENT_ID = 512
"""Longest client event id that is echoed."""


def decode(text: str | bytes, media: Media, translate: Callable[[Json], Json] = lambda raw: raw) -> ClientEvent:
    """One text frame from the client; never raises for what the client did. `translate`: from the client's dialect."""
    if isinstance(text, bytes):
        return Refused("invalid_frame", f"a binary frame of {len(text)} bytes, expected a text frame with JSON")
    try:
        raw = json.loads(text, parse_constant=no_constant)
    except (ValueError, RecursionError) as error:
        return Refused("invalid_json", f"the frame is not JSON: {error}")
    if depth(raw) > MAX_DEPTH:
        return Refused("invalid_json", f"the frame is nested more than {MAX_DEPTH} levels deep")
    if not isinstance(raw, dict):
        return Refused("invalid_json", f"the frame holds a {type(raw).__name__}, expected an object")
    event_id = raw.get("event_id")
    event_id = event_id[:SHOWN_EVENT_ID] if isinstance(event_id, str) else None
    try:
        return parse(translate(raw), event_id, media)
    except ClientError as error:
        return error.refused(event_id)


def parse(raw: Json, event_id: str | None, media: Media) -> ClientEvent:
    """A client event from its JSON object.

    Raises:
        ClientError: unknown type, or a field that is missing or wrong, named by its path.
    """
    kind = text_field(raw, "type")
    if kind not in PARSERS:
        raise ClientError("unknown_event_type", f"type is {kind[:80]!r}, which no client event has", "type")
    return PARSERS[kind](raw, event_id, media)


def encode(event: Json) -> str:
    """An event for the client as a text frame."""
    return json.dumps(event, separators=(",", ":"))


def error(refused: Refused) -> Json:
    """The `error` event for something refused."""
    return {
        "type": "error",
        "error": {
            "type": refused.type,
            "code": refused.code,
            "message": refused.message,
            "param": refused.param,
            "event_id": refused.event_id,
        },
    }


def usage(counts: Usage) -> Json:
    """Token counts in the API's words."""
    total_in = counts.text_in + counts.audio_in + counts.image_in
    total_out = counts.text_out + counts.audio_out
    return {
        "total_tokens": total_in + total_out,
        "input_tokens": total_in,
        "output_tokens": total_out,
        "input_token_details": {
            "text_tokens": counts.text_in,
            "audio_tokens": counts.audio_in,
            "image_tokens": counts.image_in,
            "cached_tokens": 0,
            "cached_tokens_details": {"text_tokens": 0, "audio_tokens": 0, "image_tokens": 0},
        },
        "output_token_details": {"text_tokens": counts.text_out, "audio_tokens": counts.audio_out},
    }


# --- one function for each client event ----------------------------------------------------------------------------


def _session_update(raw: Json, event_id: str | None, _: Media) -> ClientEvent:
    return SessionUpdate(object_field(raw, "session"), event_id)


def _audio_append(raw: Json, event_id: str | None, media: Media) -> ClientEvent:
    """With `video_frames` as vLLM-Omni has it: pictures of the time that the sound takes."""
    frames = raw.get("video_frames") or []
    if not isinstance(frames, list) or not all(isinstance(frame, str) for frame in frames):
        message = f"video_frames is {repr(frames)[:80]}, expected a list of pictures in base64"
        raise ClientError("invalid_value", message, "video_frames")
    pictures = tuple(image(frame, f"video_frames[{at}]", media.image) for at, frame in enumerate(frames))
    return AudioAppend(sound_bytes(text_field(raw, "audio"), "audio", media), event_id, pictures)


def _image_append(raw: Json, event_id: str | None, media: Media) -> ClientEvent:
    picture = image(text_field(raw, "image"), "image", media.image)
    source = "camera" if raw.get("source") is None else choice(raw["source"], SOURCES, "source")
    return ImageAppend(picture, whole_field(raw, "timestamp_ms", None), source, event_id)


def _video_frame_append(raw: Json, event_id: str | None, media: Media) -> ClientEvent:
    """GLM-Realtime's name for the same thing."""
    picture = image(text_field(raw, "video_frame"), "video_frame", media.image)
    return ImageAppend(picture, whole_field(raw, "client_timestamp", None), "camera", event_id)


def _item_create(raw: Json, event_id: str | None, media: Media) -> ClientEvent:
    item = new_item(object_field(raw, "item"), "item", media)
    after = raw.get("previous_item_id")
    if after is not None and not isinstance(after, str):
        raise ClientError("invalid_value", f"previous_item_id is {after!r}, expected a string", "previous_item_id")
    return replace(item, previous_item_id=after, event_id=event_id)


def _item_retrieve(raw: Json, event_id: str | None, _: Media) -> ClientEvent:
    wanted = raw.get("include") or []
    if not isinstance(wanted, list):
        raise refuse("include", wanted, "a list")
    for at, name in enumerate(wanted):
        choice(name, (receipts.IMAGES,), f"include[{at}]")
    return ItemRetrieve(text_field(raw, "item_id"), event_id, with_images=bool(wanted))


def _item_delete(raw: Json, event_id: str | None, _: Media) -> ClientEvent:
    return ItemDelete(text_field(raw, "item_id"), event_id)


def _item_truncate(raw: Json, event_id: str | None, _: Media) -> ClientEvent:
    end_ms = whole_field(raw, "audio_end_ms")
    return ItemTruncate(text_field(raw, "item_id"), end_ms or 0, whole_field(raw, "content_index", 0) or 0, event_id)


def _response_create(raw: Json, event_id: str | None, media: Media) -> ClientEvent:
    response = {} if raw.get("response") is None else object_field(raw, "response")
    if response.get("input") is None:
        return ResponseCreate(response, event_id)
    path, items = "response.input", response["input"]
    if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
        raise ClientError("invalid_value", f"{path} is {repr(items)[:80]}, expected a list of items", path)
    inputs = tuple(new_item(item, f"{path}[{at}]", media) for at, item in enumerate(items))
    return ResponseCreate({key: response[key] for key in response if key != "input"}, event_id, inputs)


def _response_cancel(raw: Json, event_id: str | None, _: Media) -> ClientEvent:
    which = raw.get("response_id")
    return ResponseCancel(which if isinstance(which, str) else None, event_id)


PARSERS: dict[str, Callable[[Json, str | None, Media], ClientEvent]] = {
    "session.update": _session_update,
    "input_audio_buffer.append": _audio_append,
    "input_audio_buffer.commit": lambda raw, event_id, _: AudioCommit(event_id),
    "input_audio_buffer.clear": lambda raw, event_id, _: AudioClear(event_id),
    "input_audio_buffer.append_video_frame": _video_frame_append,
    "input_image_buffer.append": _image_append,
    "input_image_buffer.clear": lambda raw, event_id, _: ImageClear(event_id),
    "conversation.item.create": _item_create,
    "conversation.item.retrieve": _item_retrieve,
    "conversation.item.delete": _item_delete,
    "conversation.item.truncate": _item_truncate,
    "response.create": _response_create,
    "response.cancel": _response_cancel,
    "output_audio_buffer.clear": lambda raw, event_id, _: OutputClear(event_id),
}
"""Every client event that is understood."""


# --- fields --------------------------------------------------------------------------------------------------------


def no_constant(name: str) -> None:
    """NaN and Infinity are Python's, not JSON's."""
    raise ValueError(f"{name} is no JSON value")


def depth(value: Any) -> int:
    """Levels of nesting, counted without recursion and no further than needed."""
    level, layer = 0, [value]
    while layer and level <= MAX_DEPTH:
        level += 1
        inner = [item.values() if isinstance(item, dict) else item for item in layer if isinstance(item, dict | list)]
        layer = [child for children in inner for child in children if isinstance(child, dict | list)]
    return level


def text_field(raw: Json, key: str, path: str | None = None) -> str:
    """A string that must be there."""
    value = raw.get(key)
    if isinstance(value, str):
        return value
    path = path or key
    if value is None:
        raise ClientError("missing_required_parameter", f"{path} is missing, expected a string", path)
    raise ClientError("invalid_value", f"{path} is {repr(value)[:80]}, expected a string", path)


def object_field(raw: Json, key: str) -> Json:
    """An object that must be there."""
    value = raw.get(key)
    if isinstance(value, dict):
        return value
    code = "missing_required_parameter" if value is None else "invalid_value"
    raise ClientError(code, f"{key} is {repr(value)[:80]}, expected an object", key)


def whole_field(raw: Json, key: str, *default: int | None) -> int | None:
    """A whole number of at least 0; must be there unless a default is given."""
    value = raw.get(key)
    if value is None and default:
        return default[0]
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 2**53:
        code = "missing_required_parameter" if value is None else "invalid_value"
        raise ClientError(code, f"{key} is {repr(value)[:80]}, expected a number of at least 0", key)
    return int(value)


def new_item(item: Json, path: str, media: Media) -> ItemCreate:
    """An item with its pictures and its sound decoded and taken out of it."""
    content = item.get("content")
    parts: list[Any] = list(content) if isinstance(content, list) else []
    pictures, sounds = [], []
    for at, part in enumerate(parts):
        kind = part.get("type") if isinstance(part, dict) else None
        if kind == "input_image":
            here = f"{path}.content[{at}].image_url"
            pictures.append(image(text_field(part, "image_url", here), here, media.image))
        elif kind == "input_audio":
            sounds.append(sound(part, f"{path}.content[{at}].audio", media))
        else:
            continue
        parts[at] = {key: value for key, value in part.items() if key not in ("image_url", "audio")}
    bare = {**item, "content": parts} if "content" in item else item
    return ItemCreate(bare, tuple(pictures), tuple(sounds))


def sound(part: Json, path: str, media: Media) -> np.ndarray:
    """The sound of an `input_audio` part, float32 [samples] at 16 kHz; of one that is a transcript alone, nothing."""
    if part.get("audio") is None and isinstance(part.get("transcript"), str):
        return np.zeros(0, np.float32)
    return media.sound(sound_bytes(text_field(part, "audio", path), path, media))


def sound_bytes(text: str, path: str, media: Media) -> bytes:
    """Sound from base64; whole samples."""
    data = base64_bytes(text, path)
    if len(data) % media.sample_bytes:
        message = f"{path} holds {len(data)} bytes, expected whole samples of {media.sample_bytes} bytes"
        raise ClientError("invalid_audio", message, path)
    return data


def base64_bytes(text: str, path: str) -> bytes:
    """Strict base64."""
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise ClientError("invalid_base64", f"{path} is not base64: {error}", path) from None


def image(text: str, path: str, decode_image: Callable[[bytes], np.ndarray]) -> np.ndarray:
    """A picture from base64, bare or as a data URI; uint8 [H, W, 3]."""
    if text.startswith(("http:", "https:")):
        raise ClientError("invalid_image", f"{path} is a link, expected the picture itself as a data URI", path)
    if text.startswith("data:"):
        text = text.partition(",")[2]
    data = base64_bytes(text, path)
    try:
        picture = decode_image(data)
    except (ValueError, OSError) as error:
        message = f"{path} holds {len(data)} bytes that are no picture: {error}"
        raise ClientError("invalid_image", message, path) from None
    return np.ascontiguousarray(picture, dtype=np.uint8)
