"""The fields of the session object, one by one: what a client may set each to.

What is accepted is honoured, or is advice that nothing depends on (`noise_reduction`, `transcription.model`, `tracing`)
and that stock clients send unasked (R12). The rest is refused by name.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from typing import Any

from vivavoce.codecs.media import WIRE_RATES
from vivavoce.realtime.actions import Function, Truncate
from vivavoce.realtime.checks import choice, flag, mapping, number, refuse, text, whole
from vivavoce.realtime.config import SessionConfig
from vivavoce.realtime.errors import ClientError
from vivavoce.realtime.extensions import GROUPS
from vivavoce.realtime.items import DETAILS, clean

Json = dict[str, Any]

EAGERNESS_END_MS = {"low": 1_200, "medium": 600, "high": 400, "auto": 600}
"""The silence that ends a turn for `semantic_vad` and a model that cannot tell whether it sounds complete."""
EAGERNESS = {"low": (4.0, 8_000), "medium": (1.0, 4_000), "high": (0.25, 2_000), "auto": (1.0, 4_000)}
"""With one that can: by what factor an answer that cuts in is dearer, and the longest wait in ms, which is OpenAI's."""
EFFORTS = ("minimal", "low", "medium", "high", "xhigh")
MAX_TOKENS = 2**31
"""More than any conversation has."""
NOISES = ("near_field", "far_field")
ALL_VIDEO, ONLY_ACTIVITY = "audio_activity_and_all_video", "only_activity"
"""Whether frames from between turns are a part of the next one."""


def recording(wanted: Any, possible: bool, late: bool) -> bool:
    """The consent to being recorded. From the beginning or not at all, so that it can be run again, and holds nothing from before
    the consent; `late`: something has been said or shown. `possible`: the server was started to record.

    Raises:
        ClientError: it cannot be.
    """
    path = "session.recording"
    if wanted is not None and not isinstance(wanted, bool):
        raise refuse(path, wanted, "true or false")
    if wanted and not possible:
        raise refuse(path, wanted, "false: this server records nothing")
    if wanted and late:
        raise refuse(path, wanted, "false: a recording begins with its session, before anything has been said or shown")
    return bool(wanted)


def semantic_vad(wanted: Json) -> Json:
    """`semantic_vad` as it is echoed."""
    path = "session.audio.input.turn_detection"
    eagerness = "auto" if wanted.get("eagerness") is None else wanted["eagerness"]
    return {
        "type": "semantic_vad",
        "eagerness": choice(eagerness, EAGERNESS, f"{path}.eagerness"),
        "create_response": flag(wanted, "create_response", path),
        "interrupt_response": flag(wanted, "interrupt_response", path),
    }


def update_output(ours: Json, wanted: Json, config: SessionConfig) -> None:
    """Merge `audio.output`: format, voice, speed."""
    ours["format"] = merge_format(ours["format"], wanted.get("format"), "session.audio.output.format")
    if wanted.get("voice") is not None:
        ours["voice"] = voice_name(wanted["voice"], config, "session.audio.output.voice")
    if wanted.get("speed") not in (None, 1):
        raise refuse("session.audio.output.speed", wanted["speed"], "1: the model speaks at its own pace")


def merge_transcription(ours: Json | None, wanted: Any) -> Json | None:
    """`transcription` with the three keys that may be echoed."""
    if wanted is None:
        return None
    wanted = {**(ours or {}), **mapping(wanted, "session.audio.input.transcription")}
    return {key: wanted[key] for key in ("model", "language", "prompt") if wanted.get(key) is not None}


def merge_noise_reduction(ours: Json | None, wanted: Any) -> Json | None:
    """Kept and echoed: the model hears through noise by itself."""
    if wanted is None:
        return None
    path = "session.audio.input.noise_reduction"
    merged = {**(ours or {}), **mapping(wanted, path)}
    choice(merged.get("type"), NOISES, f"{path}.type")
    return copy.deepcopy(merged)


def video_input(config: SessionConfig, wanted: Json) -> Json:
    """`video.input` as it is echoed; what is absent or null is as the configuration has it."""
    path, base = "session.video.input", config.sampler
    chosen = {key: value for key, value in wanted.items() if value is not None}
    most = chosen.get("max_frames", base.turn_frames)
    coverage = chosen.get("turn_coverage", ALL_VIDEO if base.between_turns else ONLY_ACTIVITY)
    return {
        "fps": number(chosen, "fps", base.dense_fps, *config.video_fps, path),
        "response_fps": number(chosen, "response_fps", base.sparse_fps, *config.video_fps, path),
        "detail": choice(chosen.get("detail", base.detail), DETAILS, f"{path}.detail"),
        "turn_coverage": choice(coverage, (ALL_VIDEO, ONLY_ACTIVITY), f"{path}.turn_coverage"),
        "max_frames": None if most is None else whole(most, *config.video_turn_frames, f"{path}.max_frames"),
    }


def tools(value: Any, param: str) -> list[Json]:
    """Functions with their names and schemas; tools that run elsewhere are unknown here."""
    if value is None:
        return []
    if not isinstance(value, list):
        raise refuse(param, value, "a list of tools")
    for at, tool in enumerate(value):
        here = f"{param}[{at}]"
        choice(mapping(tool, here).get("type"), ("function",), f"{here}.type")
        if not isinstance(tool.get("name"), str):
            raise refuse(f"{here}.name", tool.get("name"), "a string")
        text(tool.get("description"), f"{here}.description")
        mapping(tool.get("parameters"), f"{here}.parameters")
    return copy.deepcopy(value)


def functions(tools: list[Json]) -> tuple[Function, ...]:
    """Checked tools as the model is told of them."""
    return tuple(
        Function(clean(tool["name"]), clean(tool.get("description") or ""), json.dumps(tool.get("parameters") or {}))
        for tool in tools
    )


def tool_choice(value: Any, param: str) -> Any:
    """A word, or the one function to be called; echoed as it was set (R8)."""
    if not isinstance(value, dict):
        return choice("auto" if value is None else value, ("auto", "none", "required"), param)
    choice(value.get("type"), ("function",), f"{param}.type")
    if not isinstance(value.get("name"), str):
        raise refuse(f"{param}.name", value.get("name"), "a string")
    return copy.deepcopy(value)


def parallel_tool_calls(value: Any, param: str) -> bool:
    """Several functions at once, unless said otherwise."""
    path, _, key = param.rpartition(".")
    return flag({key: value}, key, path)


def reasoning(value: Any, param: str) -> Json:
    """How hard to think."""
    effort = mapping(value, param).get("effort")
    return {} if effort is None else {"effort": choice(effort, EFFORTS, f"{param}.effort")}


def truncation(value: Any, param: str) -> Any:
    """What becomes of a conversation that is too long: a word, or how much of it stays."""
    if not isinstance(value, dict):
        return choice("auto" if value is None else value, ("auto", "disabled"), param)
    choice(value.get("type"), ("retention_ratio",), f"{param}.type")
    if value.get("retention_ratio") is None:
        raise refuse(f"{param}.retention_ratio", None, "0 to 1")
    told: Json = {
        "type": "retention_ratio",
        "retention_ratio": number(value, "retention_ratio", 0, 0, 1, param),
    }
    most = mapping(value.get("token_limits"), f"{param}.token_limits").get("post_instructions")
    if most is not None:
        path = f"{param}.token_limits.post_instructions"
        told["token_limits"] = {"post_instructions": whole(most, 0, MAX_TOKENS, path)}
    return told


def truncate(told: Any) -> Truncate:
    """The same for the model."""
    if not isinstance(told, dict):
        return Truncate(forgets=told != "disabled")
    return Truncate(told["retention_ratio"], told.get("token_limits", {}).get("post_instructions"))


def tracing(value: Any, param: str) -> Any:
    """Kept and echoed: there is no dashboard to trace to (R13)."""
    if value not in (None, "auto") and not isinstance(value, dict):
        raise refuse(param, value, "null, 'auto' or an object")
    return copy.deepcopy(value)


def prompt(value: Any, param: str) -> None:
    """Stored prompts live with another provider."""
    if value is not None:
        raise refuse(param, value, "null: no prompts are stored here")


def include(value: Any, param: str) -> list[str] | None:
    """Nothing can be added to events so far."""
    if value not in (None, []):
        raise refuse(param, value, "null: transcripts have no logprobs")
    return value


def extensions(value: Any, param: str) -> list[str]:
    """Groups of events that the client knows beyond the API's."""
    if value is None:
        return []
    if not isinstance(value, list):
        raise refuse(param, value, "a list of names")
    return list(dict.fromkeys(choice(name, GROUPS, f"{param}[{at}]") for at, name in enumerate(value)))


def modalities(value: Any, param: str) -> list[str]:
    """["audio"] or ["text"]; audio brings its words along, so never both."""
    if value is None:
        return ["audio"]
    if value not in (["audio"], ["text"]):
        raise refuse(param, value, "['audio'] or ['text']")
    return list(value)


def voice_name(value: Any, config: SessionConfig, param: str) -> str:
    """A voice is named by a string, or by an object that holds one; the model has it, or it is a standard name."""
    name = value.get("id") if isinstance(value, dict) else value
    if not isinstance(name, str):
        raise refuse(param, value, "a string or an object with an id")
    if config.voice_of(name) is None:
        first = config.voices[0]
        there = " or ".join(map(repr, config.voices))
        raise refuse(param, name, f"{there}; the names of OpenAI's voices stand for {first!r}")
    return name


def keep_voice(before: str, wanted: str, spoken: bool, param: str) -> None:
    """Raises ClientError where the client has heard the model's voice and wants another one."""
    if spoken and wanted != before:
        raise ClientError("cannot_update_voice", f"{param} cannot change once the model has been heard", param)


def merge_format(ours: Json, wanted: Any, param: str) -> Json:
    """A format of `WIRE_RATES` with the one rate it has; only `audio/pcm` is echoed with it (R7)."""
    if wanted is None:
        return ours
    shape = mapping(wanted, param)
    name = choice(ours["type"] if shape.get("type") is None else shape["type"], WIRE_RATES, f"{param}.type")
    rate = shape.get("rate")
    if rate is not None and rate != WIRE_RATES[name]:
        raise refuse(f"{param}.rate", rate, f"{WIRE_RATES[name]}, the rate of {name}")
    return {"type": name, "rate": WIRE_RATES[name]} if name == "audio/pcm" else {"type": name}


FIELDS: dict[str, Callable[[Any, str], Any]] = {
    "instructions": text,
    "output_modalities": modalities,
    "tools": tools,
    "tool_choice": tool_choice,
    "parallel_tool_calls": parallel_tool_calls,
    "reasoning": reasoning,
    "truncation": truncation,
    "tracing": tracing,
    "prompt": prompt,
    "include": include,
    "extensions": extensions,
}
"""Those that are set as a whole, by their names: what the client says in, what is in force out."""
