"""What /metrics tells: sessions, turns, how long people wait for the first sound, errors."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from vivavoce.model.messages import Cost

WAITS = (0.1, 0.2, 0.3, 0.5, 0.7, 1.0, 1.5, 2.0, 3.0, 5.0, 10.0)
"""Bounds of the waiting times, in seconds."""
SHORT = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 1.0, 2.0, 5.0)
"""Bounds of their parts."""


class Metrics:
    """The server's counters, in a registry of their own so that two servers in one process do not mix."""

    def __init__(self) -> None:
        self.registry = registry = CollectorRegistry()
        self.sessions = Gauge("vivavoce_sessions", "Conversations that are connected now.", registry=registry)
        self.opened = Counter("vivavoce_sessions_opened", "Conversations begun.", registry=registry)
        self.turns = Counter("vivavoce_turns", "Answers by how they ended.", ["status"], registry=registry)
        self.errors = Counter("vivavoce_errors", "Error events sent, by code.", ["code"], registry=registry)
        self.losses = Counter(
            "vivavoce_model_losses", "Conversations that lost the model's process.", registry=registry
        )
        self.waiting = Gauge(
            "vivavoce_model_waiting_bytes", "Sound and pictures on their way to the model's process.", registry=registry
        )
        self.refused = Gauge(
            "vivavoce_model_refused_requests",
            "Requests with sound or pictures that a model too far behind was not given, since the server began.",
            registry=registry,
        )
        self.missing_sound = Counter(
            "vivavoce_missing_sound_seconds",
            "Sound of callers that was lost on its way over WebRTC; the model heard silence.",
            registry=registry,
        )
        self.experts = Gauge(
            "vivavoce_session_active_experts",
            "FFN experts that a position used on average in a layer, of each conversation that is connected now.",
            ["session"],
            registry=registry,
        )
        self.positions = Counter("vivavoce_positions", "Positions run through the network.", registry=registry)
        self.experts_used = Counter(
            "vivavoce_active_experts",
            "FFN experts used, as the mean of the layers; divided by vivavoce_positions, the budget that is kept.",
            registry=registry,
        )
        self.guessed = Counter(
            "vivavoce_guessed_tokens", "Tokens that the next-token-prediction head guessed.", registry=registry
        )
        self.accepted = Counter("vivavoce_accepted_tokens", "Guessed tokens that were right.", registry=registry)
        self.first_audio = Histogram(
            "vivavoce_time_to_first_audio_seconds",
            "From the end of the user's turn (speech_stopped, or response.created without one) to the first sound sent.",
            registry=registry,
            buckets=WAITS,
        )
        self.endpointing = Histogram(
            "conv_endpointing_seconds",
            "From the arrival of the last of the user's voice to the decision that the turn is over.",
            registry=registry,
            buckets=WAITS,
        )
        self.ttfa = Histogram(
            "conv_ttfa_seconds",
            "From that decision (or the request) to the first audible sample that was sent.",
            registry=registry,
            buckets=WAITS,
        )
        self.leading_silence = Histogram(
            "conv_leading_silence_seconds", "Silence at the beginning of answers.", registry=registry, buckets=SHORT
        )
        self.response = Histogram(
            "conv_response_seconds",
            "From the arrival of the last of the user's voice to the first audible sample that was sent: what a server can see of "
            "conv_v2v_seconds, without the ways to and from the ear.",
            registry=registry,
            buckets=WAITS,
        )
        self.stages = Histogram(
            "conv_stage_seconds",
            "The same wait in its parts, and what of the way to the ear is known; an answer's parts sum to its whole.",
            ["stage"],
            registry=registry,
            buckets=SHORT,
        )
        self.model_first_audio = Histogram(
            "vivavoce_model_time_to_first_audio_seconds",
            "From the request for an answer, which may be a guess, to the model's first sound.",
            registry=registry,
            buckets=WAITS,
        )
        self.guesses = Counter(
            "vivavoce_guesses",
            "Answers begun before the user's turn was over, by whether it was.",
            ["result"],
            registry=registry,
        )
        self.guessed_sound = Counter(
            "vivavoce_guessed_sound_seconds",
            "Sound that was made of such answers until that was known, by what became of it.",
            ["result"],
            registry=registry,
        )
        self.head_start = Histogram(
            "vivavoce_head_start_seconds",
            "From the request for such an answer to the end of the turn, where the guess was right.",
            registry=registry,
            buckets=WAITS,
        )

    def measured(self, report: dict[str, Any]) -> None:
        """An answer has ended; `report` is its `response.metrics`."""
        sent, decided, spoken = report["first_audio_ms"], report["turn_end_ms"], report["speech_end_ms"]
        if spoken is not None and decided is not None:
            self.endpointing.observe((decided - spoken) / 1000)
        if sent is None or decided is None or report["leading_silence_ms"] is None:
            return
        silence = report["leading_silence_ms"]
        self.leading_silence.observe(silence / 1000)
        self.ttfa.observe((sent - decided + silence) / 1000)
        if spoken is not None:
            self.response.observe((sent - spoken + silence) / 1000)
        for stage, ms in report["parts_ms"].items():
            if stage != "total" and ms is not None:
                self.stages.labels(stage).observe(ms / 1000)

    def text(self) -> bytes:
        """All of it in Prometheus' text format."""
        return generate_latest(self.registry)


class CostMeter:
    """What the conversations of one connection cost the model, told at the end of each answer and counted from the beginning."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self._last: dict[str, Cost] = {}

    def now(self, session: str, cost: Cost) -> None:
        """What a conversation has cost so far. A model that was restarted counts anew."""
        before, metrics = self._last.get(session, Cost()), self._metrics
        if cost.positions < before.positions:
            before = Cost()
        self._last[session] = cost
        metrics.experts.labels(session).set(cost.experts)
        metrics.positions.inc(cost.positions - before.positions)
        used = cost.experts * cost.positions - before.experts * before.positions
        metrics.experts_used.inc(max(0.0, used))
        metrics.guessed.inc(cost.guessed - before.guessed)
        metrics.accepted.inc(cost.accepted - before.accepted)

    def over(self, session: str) -> None:
        """The conversation has ended."""
        if self._last.pop(session, None) is not None:
            self._metrics.experts.remove(session)


class TurnClock:
    """Looks at what one session sends, and measures."""

    def __init__(self, metrics: Metrics, now: Callable[[], float]) -> None:
        """`now` gives seconds."""
        self._metrics = metrics
        self._now = now
        self._asked_at: float | None = None
        self._beside: set[str] = set()
        self._answer: tuple[int, float] | None = None
        self._guess: tuple[int, float] | None = None
        self._guessed_s = 0.0

    def sent(self, event: dict[str, Any]) -> None:
        """An event went to the client. Nobody waits aloud for an answer beside the conversation."""
        if self._is_beside(event):
            return
        match event["type"]:
            case "input_audio_buffer.speech_stopped":
                self._asked_at = self._now()
                self._was_right()
            case "response.created" if self._asked_at is None:
                self._asked_at = self._now()
            case "response.output_audio.delta" | "output_audio_buffer.started" if self._asked_at is not None:
                self._metrics.first_audio.observe(self._now() - self._asked_at)
                self._asked_at = None
            case "response.done":
                self._guess = None
                self._metrics.turns.labels(event["response"]["status"]).inc()
                self._asked_at = None
            case "error":
                self._metrics.errors.labels(event["error"]["code"] or "none").inc()

    def _is_beside(self, event: dict[str, Any]) -> bool:
        body = event.get("response", {})
        if event["type"] == "response.created" and body["conversation_id"] is None:
            self._beside.add(body["id"])
        elif event["type"] == "response.done" and body["id"] in self._beside:
            self._beside.remove(body["id"])
            self._metrics.turns.labels(body["status"]).inc()
            return True
        return body.get("id", event.get("response_id")) in self._beside

    def asked_model(self, turn: int) -> None:
        """The model was asked for answer `turn`."""
        self._answer = self._guess = (turn, self._now())
        self._guessed_s = 0.0

    def rewound(self, turn: int) -> None:
        """Answer `turn` was asked for too early."""
        if self._guess is not None and self._guess[0] == turn:
            self._guess = None
            self._metrics.guesses.labels("wrong").inc()
            self._metrics.guessed_sound.labels("discarded").inc(self._guessed_s)

    def _was_right(self) -> None:
        if self._guess is not None:
            self._metrics.head_start.observe(self._now() - self._guess[1])
            self._guess = None
            self._metrics.guesses.labels("right").inc()
            self._metrics.guessed_sound.labels("kept").inc(self._guessed_s)

    def model_spoke(self, turn: int, seconds: float) -> None:
        """So much sound of answer `turn` came."""
        if self._guess is not None and self._guess[0] == turn:
            self._guessed_s += seconds
        if self._answer is not None and self._answer[0] == turn:
            self._metrics.model_first_audio.observe(self._now() - self._answer[1])
            self._answer = None
