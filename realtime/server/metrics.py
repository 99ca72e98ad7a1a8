"""What /metrics tells: sessions, turns, how long people wait for the first sound, errors."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

WAITS = (0.1, 0.2, 0.3, 0.5, 0.7, 1.0, 1.5, 2.0, 3.0, 5.0, 10.0)
"""Bounds of the waiting times, in seconds."""


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
        self.missing_sound = Counter(
            "vivavoce_missing_sound_seconds",
            "Sound of callers that was lost on its way over WebRTC; the model heard silence.",
            registry=registry,
        )
        self.first_audio = Histogram(
            "vivavoce_time_to_first_audio_seconds",
            "From the end of the user's turn (speech_stopped, or response.created without one) to the first sound sent.",
            registry=registry,
            buckets=WAITS,
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

    def text(self) -> bytes:
        """All of it in Prometheus' text format."""
        return generate_latest(self.registry)


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
