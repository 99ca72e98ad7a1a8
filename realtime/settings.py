"""The session object of the Realtime API: what a client may ask for, merged into what is in force.

`session.update` is a partial deep merge: an absent key keeps its value, `null` clears it. Keys we do not know are
left out, silently; values we cannot honour are refused by name. Echoes obey what strict clients insist on (R6:
`voice` is a string; R7: the rate is 24000; R8: `transcription` has three keys, `tool_choice` stays as set).
"""

from __future__ import annotations

import copy
import dataclasses
from typing import Any

from vivavoce.codecs.media import WIRE_RATES
from vivavoce.realtime.config import SessionConfig, VadConfig
from vivavoce.realtime.errors import ClientError

EAGERNESS_END_MS = {"low": 1_200, "medium": 600, "high": 400, "auto": 600}
"""`semantic_vad` waits for silence as `server_vad` does, longer or shorter; OpenAI's are at most 8, 4 and 2 s."""

FREE_KEYS = (
    "instructions",
    "tools",
    "tool_choice",
    "parallel_tool_calls",
    "truncation",
    "tracing",
    "prompt",
    "include",
    "reasoning",
)
"""Kept and echoed; only `instructions` means something to the model so far."""

Json = dict[str, Any]


class Settings:
    """The effective session of one client.

    `update` changes all or nothing; the properties say what it means.
    """

    def __init__(self, config: SessionConfig, session_id: str) -> None:
        self.config = config
        pcm: Json = {"type": "audio/pcm", "rate": WIRE_RATES["audio/pcm"]}
        self._session: Json = {
            "type": "realtime",
            "object": "realtime.session",
            "id": session_id,
            "model": config.model,
            "output_modalities": ["audio"],
            "instructions": "",
            "tools": [],
            "tool_choice": "auto",
            "max_output_tokens": "inf",
            "truncation": "auto",
            "tracing": None,
            "prompt": None,
            "include": None,
            "audio": {
                "input": {
                    "format": dict(pcm),
                    "noise_reduction": None,
                    "transcription": None,
                    "turn_detection": self._server_vad({}),
                },
                "output": {"format": dict(pcm), "voice": config.voice, "speed": 1.0},
            },
        }

    def echo(self) -> Json:
        """The full effective session, for `session.created` and `session.updated`."""
        return copy.deepcopy(self._session)

    def update(self, wanted: Json) -> None:
        """Merge a partial session.

        Raises:
            ClientError: a value that cannot be honoured; then nothing has changed.
        """
        merged = copy.deepcopy(self._session)
        if wanted.get("type", "realtime") != "realtime":
            raise refuse("session.type", wanted["type"], "'realtime'")
        for key in FREE_KEYS:
            if key in wanted:
                merged[key] = copy.deepcopy(wanted[key])
        if merged["instructions"] is None:
            merged["instructions"] = ""
        if not isinstance(merged["instructions"], str):
            raise refuse("session.instructions", merged["instructions"], "a string")
        if "output_modalities" in wanted:
            merged["output_modalities"] = modalities(wanted["output_modalities"], "session.output_modalities")
        if "max_output_tokens" in wanted:
            merged["max_output_tokens"] = self.token_limit(wanted["max_output_tokens"], "session.max_output_tokens")
        audio = mapping(wanted.get("audio"), "session.audio")
        self._update_input(merged["audio"]["input"], mapping(audio.get("input"), "session.audio.input"))
        update_output(merged["audio"]["output"], mapping(audio.get("output"), "session.audio.output"))
        self._session = merged

    @property
    def instructions(self) -> str:
        """What the client told the model to be."""
        return str(self._session["instructions"])

    @property
    def output_modalities(self) -> list[str]:
        """["audio"] or ["text"]."""
        return list(self._session["output_modalities"])

    @property
    def input_format(self) -> str:
        """What the client sends, as `audio/pcmu`."""
        return str(self._session["audio"]["input"]["format"]["type"])

    @property
    def output_audio(self) -> Json:
        """Format and voice, as a response echoes them."""
        output = self._session["audio"]["output"]
        return {"format": dict(output["format"]), "voice": output["voice"]}

    @property
    def max_output_tokens(self) -> int | str:
        """A number, or "inf"."""
        limit: int | str = self._session["max_output_tokens"]
        return limit

    @property
    def transcribes(self) -> bool:
        """The client wants to read what it said."""
        return self._session["audio"]["input"]["transcription"] is not None

    @property
    def turn_detection(self) -> Json | None:
        """As echoed; None when the client ends its turns itself."""
        detection: Json | None = self._session["audio"]["input"]["turn_detection"]
        return detection

    @property
    def creates_response(self) -> bool:
        """A finished turn is answered without being asked for."""
        return bool(self.turn_detection and self.turn_detection["create_response"])

    @property
    def interrupts(self) -> bool:
        """A voice stops the answer."""
        return bool(self.turn_detection and self.turn_detection["interrupt_response"])

    @property
    def idle_timeout_ms(self) -> int | None:
        """After an answer was heard, how long the user may say nothing until the model goes on by itself."""
        return self.turn_detection.get("idle_timeout_ms") if self.turn_detection else None

    def vad(self) -> VadConfig | None:
        """How turns are found, or None."""
        detection = self.turn_detection
        if detection is None:
            return None
        base = self.config.vad
        if detection["type"] == "semantic_vad":
            end_ms = EAGERNESS_END_MS[detection["eagerness"]]
            return dataclasses.replace(base, end_ms=end_ms, pause_ms=min(base.pause_ms, end_ms))
        end_ms = detection["silence_duration_ms"]
        return dataclasses.replace(
            base,
            threshold=detection["threshold"],
            prefix_ms=detection["prefix_padding_ms"],
            end_ms=end_ms,
            pause_ms=min(base.pause_ms, end_ms),
        )

    def token_limit(self, value: Any, param: str) -> int | str:
        """A limit of output tokens: "inf" (also for None) or 1 to the model's most."""
        if value is None or value == "inf":
            return "inf"
        if not is_number(value) or not 1 <= value <= self.config.max_output_tokens:
            raise refuse(param, value, f"1 to {self.config.max_output_tokens} or 'inf'")
        return int(value)

    def _update_input(self, ours: Json, wanted: Json) -> None:
        ours["format"] = merge_format(ours["format"], wanted.get("format"), "session.audio.input.format")
        if "noise_reduction" in wanted:
            ours["noise_reduction"] = copy.deepcopy(wanted["noise_reduction"])
        if "transcription" in wanted:
            ours["transcription"] = merge_transcription(ours["transcription"], wanted["transcription"])
        if "turn_detection" in wanted:
            ours["turn_detection"] = self._merge_detection(ours["turn_detection"], wanted["turn_detection"])

    def _merge_detection(self, ours: Json | None, wanted: Any) -> Json | None:
        if wanted is None:
            return None
        path = "session.audio.input.turn_detection"
        wanted = mapping(wanted, path)
        kind = wanted.get("type", ours["type"] if ours else "server_vad")
        if kind == "server_vad":
            return self._server_vad({**(ours or {}), **wanted})
        if kind == "semantic_vad":
            if wanted.get("idle_timeout_ms") is not None:
                raise refuse(f"{path}.idle_timeout_ms", wanted["idle_timeout_ms"], "null: only server_vad has it")
            return semantic_vad({**(ours or {}), **wanted})
        raise refuse(f"{path}.type", kind, "'server_vad' or 'semantic_vad'")

    def _idle_timeout(self, wanted: Json, path: str) -> int | None:
        if wanted.get("idle_timeout_ms") is None:
            return None
        return int(number(wanted, "idle_timeout_ms", 0, *self.config.idle_ms, path))

    def _server_vad(self, wanted: Json) -> Json:
        path = "session.audio.input.turn_detection"
        base = self.config.vad
        return {
            "type": "server_vad",
            "threshold": number(wanted, "threshold", base.threshold, 0.01, 0.99, path),
            "prefix_padding_ms": int(number(wanted, "prefix_padding_ms", base.prefix_ms, 0, 5_000, path)),
            "silence_duration_ms": int(number(wanted, "silence_duration_ms", base.end_ms, 32, 10_000, path)),
            "idle_timeout_ms": self._idle_timeout(wanted, path),
            "create_response": flag(wanted, "create_response", path),
            "interrupt_response": flag(wanted, "interrupt_response", path),
        }


def semantic_vad(wanted: Json) -> Json:
    """`semantic_vad` as it is echoed."""
    path = "session.audio.input.turn_detection"
    eagerness = "auto" if wanted.get("eagerness") is None else wanted["eagerness"]
    if not isinstance(eagerness, str) or eagerness not in EAGERNESS_END_MS:
        raise refuse(f"{path}.eagerness", eagerness, f"one of {', '.join(EAGERNESS_END_MS)}")
    return {
        "type": "semantic_vad",
        "eagerness": eagerness,
        "create_response": flag(wanted, "create_response", path),
        "interrupt_response": flag(wanted, "interrupt_response", path),
    }


def update_output(ours: Json, wanted: Json) -> None:
    """Merge `audio.output`: format, voice, speed."""
    ours["format"] = merge_format(ours["format"], wanted.get("format"), "session.audio.output.format")
    if wanted.get("voice") is not None:
        ours["voice"] = voice_name(wanted["voice"], "session.audio.output.voice")
    if wanted.get("speed") is not None:
        ours["speed"] = number(wanted, "speed", 1.0, 0.25, 1.5, "session.audio.output")


def merge_transcription(ours: Json | None, wanted: Any) -> Json | None:
    """`transcription` with the three keys that may be echoed."""
    if wanted is None:
        return None
    wanted = {**(ours or {}), **mapping(wanted, "session.audio.input.transcription")}
    return {key: wanted[key] for key in ("model", "language", "prompt") if wanted.get(key) is not None}


def modalities(value: Any, param: str) -> list[str]:
    """["audio"] or ["text"]; audio brings its words along, so never both."""
    if value not in (["audio"], ["text"]):
        raise refuse(param, value, "['audio'] or ['text']")
    return list(value)


def voice_name(value: Any, param: str) -> str:
    """A voice is named by a string, or by an object that holds one."""
    name = value.get("id") if isinstance(value, dict) else value
    if not isinstance(name, str):
        raise refuse(param, value, "a string or an object with an id")
    return name


def merge_format(ours: Json, wanted: Any, param: str) -> Json:
    """A format of `WIRE_RATES` with the one rate it has; only `audio/pcm` is echoed with it (R7)."""
    if wanted is None:
        return ours
    shape = mapping(wanted, param)
    name = shape.get("type") or ours["type"]
    if not isinstance(name, str) or name not in WIRE_RATES:
        raise refuse(f"{param}.type", name, " or ".join(map(repr, WIRE_RATES)))
    rate = shape.get("rate")
    if rate is not None and rate != WIRE_RATES[name]:
        raise refuse(f"{param}.rate", rate, f"{WIRE_RATES[name]}, the rate of {name}")
    return {"type": name, "rate": WIRE_RATES[name]} if name == "audio/pcm" else {"type": name}


def mapping(value: Any, param: str) -> Json:
    """An object, or nothing."""
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise refuse(param, value, "an object")
    return value


def is_number(value: Any) -> bool:
    """JSON numbers are ints and floats; Python's True is an int, JSON's is not."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def number(wanted: Json, key: str, default: float, low: float, high: float, path: str) -> float:
    """`wanted[key]` between `low` and `high`, or the default."""
    value = wanted.get(key)
    if value is None:
        return default
    if not is_number(value) or not low <= value <= high:
        raise refuse(f"{path}.{key}", value, f"{low} to {high}")
    return float(value)


def flag(wanted: Json, key: str, path: str) -> bool:
    """`wanted[key]`, true unless said otherwise."""
    value = wanted.get(key)
    if value is None:
        return True
    if not isinstance(value, bool):
        raise refuse(f"{path}.{key}", value, "true or false")
    return value


def refuse(param: str, value: Any, expected: str) -> ClientError:
    """A value that cannot be honoured, with what was expected instead."""
    shown = repr(value)
    return ClientError("invalid_value", f"{param} is {shown[:80]}, expected {expected}", param)
