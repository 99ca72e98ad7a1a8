"""The session object of the Realtime API: what a client may ask for, merged into what is in force.

`session.update` is a partial deep merge: an absent key keeps its value, `null` clears it. Keys we do not know are
left out, silently; values we cannot honour are refused by name (`fields.py`). Echoes obey what strict clients insist on (R6:
`voice` is a string; R7: the rate is 24000; R8: `transcription` has three keys, `tool_choice` stays as set).
"""

from __future__ import annotations

import copy
import dataclasses
from typing import Any

from vivavoce.codecs.media import WIRE_RATES
from vivavoce.realtime.actions import Function, Truncate
from vivavoce.realtime.checks import flag, is_number, mapping, number, refuse
from vivavoce.realtime.config import SamplerConfig, SessionConfig, VadConfig
from vivavoce.realtime.fields import (
    ALL_VIDEO,
    EAGERNESS,
    EAGERNESS_END_MS,
    FIELDS,
    functions,
    keep_voice,
    merge_format,
    merge_noise_reduction,
    merge_transcription,
    recording,
    semantic_vad,
    truncate,
    update_output,
    video_input,
)

Json = dict[str, Any]


class Settings:
    """The effective session of one client.

    `update` changes all or nothing; the properties say what it means.
    """

    def __init__(self, config: SessionConfig, session_id: str) -> None:
        self.config = config
        self._model = config.alias
        """What the client calls the model; it may do so in the address, or in its first update."""
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
            "extensions": [],
            "recording": False,
            "audio": {
                "input": {
                    "format": dict(pcm),
                    "noise_reduction": None,
                    "transcription": None,
                    "turn_detection": self._server_vad({}),
                },
                "output": {"format": dict(pcm), "voice": config.voices[0], "speed": 1.0},
            },
            "video": {"input": video_input(config, {})},
        }

        if config.opened_at is not None and config.max_session_ms is not None:
            self._session["expires_at"] = config.opened_at + config.max_session_ms // 1000

    def echo(self) -> Json:
        """The full effective session, for `session.created` and `session.updated`."""
        return copy.deepcopy(self._session)

    def update(self, wanted: Json, spoken: bool = False, begun: bool = False) -> None:
        """Merge a partial session. `spoken`: the client has heard the model's voice; `begun`: the model has something of it.

        Raises:
            ClientError: a value that cannot be honoured; then nothing has changed.
        """
        merged = copy.deepcopy(self._session)
        if wanted.get("type", "realtime") != "realtime":
            raise refuse("session.type", wanted["type"], "'realtime'")
        model = self._checked_model(wanted.get("model"))
        for key, check in FIELDS.items():
            if key in wanted:
                merged[key] = check(wanted[key], f"session.{key}")
        if "max_output_tokens" in wanted:
            merged["max_output_tokens"] = self.token_limit(wanted["max_output_tokens"], "session.max_output_tokens")
        audio = mapping(wanted.get("audio"), "session.audio")
        self._update_input(merged["audio"]["input"], mapping(audio.get("input"), "session.audio.input"))
        update_output(merged["audio"]["output"], mapping(audio.get("output"), "session.audio.output"), self.config)
        if "video" in wanted:
            self._update_video(merged["video"], wanted["video"])
        if "recording" in wanted:
            late = begun and not self.recording
            merged["recording"] = recording(wanted["recording"], self.config.record_to is not None, late)
        before, now = (each["audio"]["output"]["voice"] for each in (self._session, merged))
        keep_voice(before, now, spoken, "session.audio.output.voice")
        self._session, self._model = merged, model

    @property
    def instructions(self) -> str:
        """What the client told the model to be."""
        return str(self._session["instructions"])

    @property
    def extensions(self) -> frozenset[str]:
        """Groups of events that the client asked for."""
        return frozenset(self._session["extensions"])

    @property
    def recording(self) -> bool:
        """The client consents to the session being recorded; only where the server was started to."""
        return bool(self._session["recording"])

    @property
    def tools(self) -> list[Json]:
        """The functions that the client offers, as echoed."""
        return list(self._session["tools"])

    @property
    def functions(self) -> tuple[Function, ...]:
        """The same as the model is told of them."""
        return functions(self._session["tools"])

    @property
    def truncation(self) -> Truncate:
        """What the model does when the conversation is too long."""
        return truncate(self._session["truncation"])

    @property
    def tool_choice(self) -> Any:
        """Whether, and which, function is called."""
        return self._session["tool_choice"]

    @property
    def parallel_tool_calls(self) -> bool:
        """One answer may call several."""
        return bool(self._session.get("parallel_tool_calls", True))

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
        end_ms = detection["silence_duration_ms"] or base.end_ms
        return dataclasses.replace(
            base,
            threshold=detection["threshold"],
            prefix_ms=detection["prefix_padding_ms"],
            end_ms=end_ms,
            pause_ms=min(base.pause_ms, end_ms),
        )

    @property
    def silence_ms(self) -> int | None:
        """The silence that ends a turn, where the client has set it; None: whatever the pause itself suggests."""
        return self.turn_detection.get("silence_duration_ms") if self.turn_detection else None

    @property
    def eagerness(self) -> tuple[float, int] | None:
        """Of `semantic_vad`: a factor on the price of cutting in, and the longest wait in ms."""
        detection = self.turn_detection
        return EAGERNESS[detection["eagerness"]] if detection and detection["type"] == "semantic_vad" else None

    def sampler(self) -> SamplerConfig:
        """Which frames are taken, and how closely they are looked at."""
        video = self._session["video"]["input"]
        return dataclasses.replace(
            self.config.sampler,
            dense_fps=video["fps"],
            sparse_fps=video["response_fps"],
            between_turns=video["turn_coverage"] == ALL_VIDEO,
            turn_frames=video["max_frames"],
            detail=video["detail"],
        )

    def token_limit(self, value: Any, param: str) -> int | str:
        """A limit of output tokens: "inf" (also for None) or 1 to the model's most."""
        if value is None or value == "inf":
            return "inf"
        if not is_number(value) or not 1 <= value <= self.config.max_output_tokens:
            raise refuse(param, value, f"1 to {self.config.max_output_tokens} or 'inf'")
        return int(value)

    def _checked_model(self, wanted: Any) -> str | None:
        """A session has one model, whatever it is called, and so one name beside its own.

        Stock clients repeat the name that they connected with; those that were told only an address name a model of OpenAI's.
        """
        known = self._model
        if wanted is None or wanted in (known, self.config.model):
            return known
        if not isinstance(wanted, str):
            raise refuse("session.model", wanted, "a string")
        if known not in (None, self.config.model):
            raise refuse("session.model", wanted, f"{known!r}: the model cannot change in a session")
        return wanted

    def _update_input(self, ours: Json, wanted: Json) -> None:
        ours["format"] = merge_format(ours["format"], wanted.get("format"), "session.audio.input.format")
        if "noise_reduction" in wanted:
            ours["noise_reduction"] = merge_noise_reduction(ours["noise_reduction"], wanted["noise_reduction"])
        if "transcription" in wanted:
            ours["transcription"] = merge_transcription(ours["transcription"], wanted["transcription"])
        if "turn_detection" in wanted:
            ours["turn_detection"] = self._merge_detection(ours["turn_detection"], wanted["turn_detection"])

    def _update_video(self, ours: Json, wanted: Any) -> None:
        """`null`, of all of it or of a field: as it was at first."""
        asked = mapping(wanted, "session.video").get("input", {} if wanted is not None else None)
        merged = {**ours["input"], **mapping(asked, "session.video.input")} if asked is not None else {}
        ours["input"] = video_input(self.config, merged)

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

    def _silence(self, wanted: Json, path: str) -> int | None:
        if wanted.get("silence_duration_ms") is None:
            return None
        return int(number(wanted, "silence_duration_ms", 0, 32, 10_000, path))

    def _server_vad(self, wanted: Json) -> Json:
        path = "session.audio.input.turn_detection"
        base = self.config.vad
        return {
            "type": "server_vad",
            "threshold": number(wanted, "threshold", base.threshold, 0.01, 0.99, path),
            "prefix_padding_ms": int(number(wanted, "prefix_padding_ms", base.prefix_ms, 0, 5_000, path)),
            "silence_duration_ms": self._silence(wanted, path),
            "idle_timeout_ms": self._idle_timeout(wanted, path),
            "create_response": flag(wanted, "create_response", path),
            "interrupt_response": flag(wanted, "interrupt_response", path),
        }
