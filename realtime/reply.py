"""One answer, from the guess to the last word heard: what the model made of it, what the client got of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from vivavoce.realtime.actions import Answer, Function
from vivavoce.realtime.checks import mapping, refuse, text
from vivavoce.realtime.config import SessionConfig
from vivavoce.realtime.events import AnswerCalled, AnswerEnded
from vivavoce.realtime.fields import (
    functions,
    keep_voice,
    merge_format,
    modalities,
    parallel_tool_calls,
    tool_choice,
    tools,
    voice_name,
)
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
    told: tuple[Function, ...] | None = None
    """Functions that the model is to be told of for this answer; None: it knows."""
    functions: tuple[Function, ...] = ()
    """Those that may be called."""
    must_call: bool = False
    parallel: bool = True


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
    calls: list[AnswerCalled] = field(default_factory=list)
    """They become known with the answer's end: of a guess that was wrong, never."""
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


def asked(turn: int, wish: Wish, config: SessionConfig) -> Answer:
    """What the model is asked for."""
    limit = config.max_output_tokens if isinstance(wish.max_output_tokens, str) else wish.max_output_tokens
    voice = config.voice_of(wish.audio["voice"])
    other = "" if voice is None or voice == config.voices[0] else voice
    return Answer(turn, wish.modality == "text", limit, wish.functions, wish.must_call, wish.parallel, other)


def wish(settings: Settings, asked: Json, spoken: bool = False) -> Wish:
    """What `response.create` asks for, over the session's settings. `spoken`: the client has heard the model's voice.

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
        param = "response.audio.output.voice"
        asked_for = voice_name(output["voice"], settings.config, param)
        keep_voice(audio["voice"], asked_for, spoken, param)
        audio["voice"] = asked_for
    instructions = text(asked.get("instructions"), "response.instructions")
    beside = asked.get("conversation") == "none"
    told, callable_ones, must_call = calling(settings, asked)
    parallel = settings.parallel_tool_calls
    if asked.get("parallel_tool_calls") is not None:
        parallel = parallel_tool_calls(asked["parallel_tool_calls"], "response.parallel_tool_calls")
    metadata = checked_metadata(asked.get("metadata"))
    return Wish(modality, limit, audio, metadata, clean(instructions), beside, told, callable_ones, must_call, parallel)


def calling(settings: Settings, asked: Json) -> tuple[tuple[Function, ...] | None, tuple[Function, ...], bool]:
    """Functions to be told of for this answer, those that may be called, and whether one must be.

    Raises:
        ClientError: the choice names a function that there is none of, or there is none at all.
    """
    told = None if asked.get("tools") is None else functions(tools(asked["tools"], "response.tools"))
    offered = settings.functions if told is None else told
    chosen = asked.get("tool_choice")
    choice = settings.tool_choice if chosen is None else tool_choice(chosen, "response.tool_choice")
    if choice == "none":
        return told, (), False
    if isinstance(choice, dict):
        named = tuple(function for function in offered if function.name == choice["name"])
        if chosen is not None and not named:
            names = ", ".join(repr(function.name) for function in offered) or "there are none"
            raise refuse("response.tool_choice.name", choice["name"], f"one of the tools: {names}")
        return told, named, bool(named)
    if chosen == "required" and not offered:
        raise refuse("response.tool_choice", "required", "tools to choose from")
    return told, offered, choice == "required" and bool(offered)


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
