"""One answer, from the guess to the last word heard: what the model made of it, what the client got of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from vivavoce.realtime.errors import ClientError
from vivavoce.realtime.events import AnswerEnded
from vivavoce.realtime.items import clean
from vivavoce.realtime.playout import Playout
from vivavoce.realtime.response import Response
from vivavoce.realtime.settings import Settings, mapping, merge_format, modalities, refuse, voice_name

Json = dict[str, Any]

STATUS = {"done": ("completed", None), "length": ("incomplete", "max_output_tokens"), "cancelled": ("cancelled", None)}
"""How the model's reasons for ending read on the wire: status and reason."""


@dataclass(frozen=True)
class Wish:
    """What an answer should be like: the session's settings, overridden by `response.create`."""

    modality: str
    max_output_tokens: int | str
    audio: Json
    metadata: Json | None = None
    instructions: str = ""


@dataclass
class Reply:
    """`turn` numbers answers; `spoken_item` is what the user said, if it was said aloud."""

    turn: int
    wish: Wish
    spoken_item: str | None
    playout: Playout = field(default_factory=Playout)
    response: Response | None = None
    """None while nobody knows of it (GUESSING)."""
    ended: AnswerEnded | None = None
    ended_ms: int = 0
    """When it ended."""
    heard_user: str | None = None
    """The user's words, held back as long as the answer is."""
    stopped: bool = False
    """The model is told, or will be, that it ended before its end."""

    @property
    def running(self) -> bool:
        """The model is still at it."""
        return self.ended is None


def wish(settings: Settings, asked: Json) -> Wish:
    """What `response.create` asks for, over the session's settings.

    Raises:
        ClientError: a value that cannot be honoured.
    """
    if asked.get("conversation", "auto") not in ("auto", None):
        raise refuse("response.conversation", asked["conversation"], "'auto': there is one conversation")
    if asked.get("input") is not None:
        message = "response.input cannot be honoured: an answer follows from the whole conversation"
        raise ClientError("unsupported_value", message, "response.input")
    limit, modality = settings.max_output_tokens, settings.output_modalities[0]
    if asked.get("output_modalities") is not None:
        modality = modalities(asked["output_modalities"], "response.output_modalities")[0]
    if asked.get("max_output_tokens") is not None:
        limit = settings.token_limit(asked["max_output_tokens"], "response.max_output_tokens")
    audio = settings.output_audio
    output = mapping(mapping(asked.get("audio"), "response.audio").get("output"), "response.audio.output")
    audio["format"] = merge_format(audio["format"], output.get("format"), "response.audio.output.format")
    if output.get("voice") is not None:
        audio["voice"] = voice_name(output["voice"], "response.audio.output.voice")
    instructions = asked.get("instructions") or ""
    if not isinstance(instructions, str):
        raise refuse("response.instructions", instructions, "a string")
    metadata = mapping(asked.get("metadata"), "response.metadata") if asked.get("metadata") is not None else None
    return Wish(modality, limit, audio, metadata, clean(instructions))
