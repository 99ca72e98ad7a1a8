"""Speech probabilities, one for every 32 ms, become the moments of a turn.

    voice  ▁▁▁▁▂███████▇██▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁
               │t1            │t2 │     │t3: SpeechPaused  │t4: SpeechEnded
               SpeechStarted      SpeechHushed             │
                                  t2 + hush_ms, t2 + pause_ms, t2 + end_ms

A noise shorter than `min_speech_ms` is no speech: it neither starts a turn nor ends a pause. The probabilities
themselves come from the driver, so that this file needs no network; and how long to wait in a pause may be told anew in each
one (`expect`).
"""

from __future__ import annotations

from dataclasses import dataclass

from vivavoce.realtime.config import VAD_WINDOW_MS, VadConfig


@dataclass(frozen=True)
class SpeechStarted:
    """The user began, or went on after a pause, at `at_ms` (start of the first voiced window)."""

    at_ms: int


@dataclass(frozen=True)
class SpeechHushed:
    """Silent since `at_ms`, long enough to ask what to make of it."""

    at_ms: int


@dataclass(frozen=True)
class SpeechPaused:
    """t3: silent since `at_ms`, perhaps done."""

    at_ms: int


@dataclass(frozen=True)
class SpeechEnded:
    """t4: silent since `at_ms`, done."""

    at_ms: int


SpeechSignal = SpeechStarted | SpeechHushed | SpeechPaused | SpeechEnded


class Vad:
    """Feed it windows in order; it says what they mean.

    `push` takes the position of a window and its probability; `expect` says how long to wait in the pause that is going on;
    `reset` forgets that anybody spoke.
    """

    def __init__(self, config: VadConfig) -> None:
        self.config = config
        self.pauses: list[int] = []
        """How long the pauses were after which the user went on; whoever reads them clears them."""
        self.reset()

    def reset(self) -> None:
        """Nobody speaks, nobody ever did."""
        self._speaking = False
        self._paused = False
        self._voice_since: int | None = None
        self._silent_since: int | None = None
        self._forget_pause()

    @property
    def speaking(self) -> bool:
        """Between SpeechStarted and SpeechEnded."""
        return self._speaking

    @property
    def silent(self) -> bool:
        """No voice at the moment."""
        return not self._speaking or self._silent_since is not None

    def expect(self, pause_ms: int, end_ms: int) -> None:
        """In this pause t3 and t4 are after so much silence."""
        self._pause_ms, self._end_ms = pause_ms, end_ms

    def push(self, start_ms: int, probability: float) -> list[SpeechSignal]:
        """One window of 32 ms that begins at `start_ms`; at most two signals come of it, in order."""
        end_ms = start_ms + VAD_WINDOW_MS
        voiced = probability >= self.config.threshold
        if not self._speaking or self._paused:
            resumed = self._await_speech(start_ms, end_ms, voiced)
            return resumed or (self._await_end(end_ms) if self._paused else [])
        if voiced:
            self._went_on(start_ms)
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
        self._went_on(since)
        self._speaking, self._paused = True, False
        self._voice_since = None
        return [SpeechStarted(since)]

    def _went_on(self, at_ms: int) -> None:
        if self._silent_since is not None and self._hushed:
            self.pauses.append(at_ms - self._silent_since)
        self._silent_since = None
        self._forget_pause()

    def _forget_pause(self) -> None:
        self._hushed = False
        self.expect(self.config.pause_ms, self.config.end_ms)

    def _await_pause(self, end_ms: int) -> list[SpeechSignal]:
        since = self._silent_since
        if since is None:
            return []
        if end_ms - since >= self._pause_ms:
            self._paused = self._hushed = True
            return [SpeechPaused(since), *self._await_end(end_ms)]
        if not self._hushed and end_ms - since >= self.config.hush_ms:
            self._hushed = True
            return [SpeechHushed(since)]
        return []

    def _await_end(self, end_ms: int) -> list[SpeechSignal]:
        """The end waits while a sound that may yet become speech is going on."""
        since = self._silent_since
        if since is None or self._voice_since is not None or end_ms - since < self._end_ms:
            return []
        self.reset()
        return [SpeechEnded(since)]
