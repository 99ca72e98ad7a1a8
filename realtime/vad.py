"""Speech probabilities, one for every 32 ms, become the three moments of a turn.

    voice  ▁▁▁▁▂███████▇██▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁
               │t1            │t2   │t3: SpeechPaused  │t4: SpeechEnded
               SpeechStarted        t2 + pause_ms       t2 + end_ms

A noise shorter than `min_speech_ms` is no speech: it neither starts a turn nor ends a pause. The probabilities
themselves come from the driver, so that this file needs no network.
"""

from __future__ import annotations

from dataclasses import dataclass

from vivavoce.realtime.config import VAD_WINDOW_MS, VadConfig


@dataclass(frozen=True)
class SpeechStarted:
    """The user began, or went on after a pause, at `at_ms` (start of the first voiced window)."""

    at_ms: int


@dataclass(frozen=True)
class SpeechPaused:
    """t3: silent since `at_ms`, perhaps done."""

    at_ms: int


@dataclass(frozen=True)
class SpeechEnded:
    """t4: silent since `at_ms`, done."""

    at_ms: int


SpeechSignal = SpeechStarted | SpeechPaused | SpeechEnded


class Vad:
    """Feed it windows in order; it says what they mean.

    `push` takes the position of a window and its probability; `reset` forgets that anybody spoke.
    """

    def __init__(self, config: VadConfig) -> None:
        self.config = config
        self.reset()

    def reset(self) -> None:
        """Nobody speaks, nobody ever did."""
        self._speaking = False
        self._paused = False
        self._voice_since: int | None = None
        self._silent_since: int | None = None

    @property
    def speaking(self) -> bool:
        """Between SpeechStarted and SpeechEnded."""
        return self._speaking

    def push(self, start_ms: int, probability: float) -> list[SpeechSignal]:
        """One window of 32 ms that begins at `start_ms`; at most two signals come of it, in order."""
        end_ms = start_ms + VAD_WINDOW_MS
        voiced = probability >= self.config.threshold
        if not self._speaking or self._paused:
            resumed = self._await_speech(start_ms, end_ms, voiced)
            return resumed or (self._await_end(end_ms) if self._paused else [])
        if voiced:
            self._silent_since = None
        elif self._silent_since is None and probability < self.config.threshold - self.config.hysteresis:
            self._silent_since = start_ms
        return self._await_pause(end_ms)

    def _await_speech(self, start_ms: int, end_ms: int, voiced: bool) -> list[SpeechSignal]:
        """Count voiced windows in a row until they make up `min_speech_ms`."""
        if not voiced:
            self._voice_since = None
            return []
        if self._voice_since is None:
            self._voice_since = start_ms
        since = self._voice_since
        if end_ms - since < self.config.min_speech_ms:
            return []
        self._speaking, self._paused = True, False
        self._voice_since = self._silent_since = None
        return [SpeechStarted(since)]

    def _await_pause(self, end_ms: int) -> list[SpeechSignal]:
        since = self._silent_since
        if since is None or end_ms - since < self.config.pause_ms:
            return []
        self._paused = True
        return [SpeechPaused(since), *self._await_end(end_ms)]

    def _await_end(self, end_ms: int) -> list[SpeechSignal]:
        """The end waits while a sound that may yet become speech is going on."""
        since = self._silent_since
        if since is None or self._voice_since is not None or end_ms - since < self.config.end_ms:
            return []
        self.reset()
        return [SpeechEnded(since)]
