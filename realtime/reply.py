"""One answer, from the guess to the last word heard: what the model made of it, what the client got of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from vivavoce.realtime.checks import mapping, refuse, text
from vivavoce.realtime.config import SessionConfig
from vivavoce.realtime.events import AnswerEnded
from vivavoce.realtime.fields import merge_format, modalities, voice_name
from vivavoce.realtime.items import clean
from vivavoce.realtime.playout import Playout
from vivavoce.realtime.response import Response
from vivavoce.realtime.settings import Settings

Json = dict[str, Any]

STATUS = {"done": ("completed", None), "length": ("incomplete", "max_output_tokens"), "cancelled": ("cancelled", None)}
"""How the model's reasons for ending read on the wire: status and reason."""


MAX_PAIRS, MAX_KEY, MAX_VALUE = 16, 64, 512
"""Of `metadata`: how many, and their lengths in characters."""


@dataclass(frozen=True)
class Wish:
    """What an answer should be like: the session's settings, overridden by `response.create`."""

    modality: str
    max_output_tokens: int | str
    audio: Json
    metadata: Json | None = None
    instructions: str = ""
    beside: bool = False
    """Not a part of the conversation."""


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


def most_tokens(wish: Wish, config: SessionConfig) -> int:
    """The limit as a number."""
    return config.max_output_tokens if isinstance(wish.max_output_tokens, str) else wish.max_output_tokens


def wish(settings: Settings, asked: Json) -> Wish:
    """What `response.create` asks for, over the session's settings.

    Raises:
        ClientError: a value that cannot be honoured.
    """
    if asked.get("conversation") not in (None, "auto", "none"):
        raise refuse("response.conversation", asked["conversation"], "'auto' or 'none'")
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
    instructions = text(asked.get("instructions"), "response.instructions")
    beside = asked.get("conversation") == "none"
    return Wish(modality, limit, audio, checked_metadata(asked.get("metadata")), clean(instructions), beside)


def checked_metadata(value: Any) -> Json | None:
    """Up to 16 pairs of strings, which come back with every event about the response (R11)."""
    if value is None:
        return None
    pairs = mapping(value, "response.metadata")
    if len(pairs) > MAX_PAIRS:
        raise refuse("response.metadata", f"{len(pairs)} pairs", f"at most {MAX_PAIRS}")
    for key, said in pairs.items():
        if len(key) > MAX_KEY:
            raise refuse("response.metadata", f"a key of {len(key)} characters", f"at most {MAX_KEY}")
        if not isinstance(said, str):
            raise refuse(f"response.metadata.{key}", said, "a string")
        if len(said) > MAX_VALUE:
            raise refuse(f"response.metadata.{key}", f"{len(said)} characters", f"at most {MAX_VALUE}")
    return pairs
