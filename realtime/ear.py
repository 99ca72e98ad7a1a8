"""The user's side: sound and frames come in, and out of them turns.

Sound is taken in whole windows of 32 ms, whatever portions it arrives in. With turn detection the windows'
probabilities decide when the user starts, pauses and ends, and the model's word on a pause how long that one may be (`pauses.py`);
while it is awaited, windows wait. Without turn detection (`turn_detection: null`) sound waits for the client's `commit`.
"""

from __future__ import annotations

from collections import deque
from dataclasses import replace

import numpy as np

from vivavoce.codecs.media import VideoFrame
from vivavoce.realtime.actions import Prefill
from vivavoce.realtime.config import INPUT_RATE_HZ, VAD_WINDOW, SessionConfig
from vivavoce.realtime.errors import AudioMismatch, ClientError
from vivavoce.realtime.events import AudioIn, Doubted, Weighed
from vivavoce.realtime.floor import Floor
from vivavoce.realtime.overlap import Overlap
from vivavoce.realtime.pauses import Pauses
from vivavoce.realtime.reply import wish
from vivavoce.realtime.sampler import SAMPLES_PER_MS, Sampler
from vivavoce.realtime.settings import Settings
from vivavoce.realtime.turns import Phase
from vivavoce.realtime.vad import SpeechEnded, SpeechHushed, SpeechPaused, SpeechSignal, SpeechStarted, Vad


class Ear:
    """Hears and sees for one conversation, and tells its `Floor` when the user takes and leaves it."""

    def __init__(self, config: SessionConfig, settings: Settings, floor: Floor) -> None:
        self.config = config
        self.settings = settings
        self.floor = floor
        self.vad: Vad | None = None
        """None: the client ends its turns itself."""
        self.sampler = Sampler(config.sampler, 0)
        self.pauses = Pauses(config.patience, settings, floor.out)
        self.overlap = Overlap(config.overlap, floor)
        floor.meter.guessed = self.pauses.bar.guessed
        self._received = 0
        self._windows: deque[tuple[np.ndarray, float]] = deque()
        self._tail = np.zeros(0, np.float32)
        self._held: list[Prefill] = []
        self._held_item: str | None = None
        self._hold_from_ms = 0
        self._turn_end_ms = 0
        self._voice_end_ms = 0
        self.refresh()

    def hear(self, event: AudioIn, now_ms: int) -> None:
        """Sound that arrived.

        Raises:
            AudioMismatch: it does not continue the stream, or its probabilities do not fit.
        """
        chunk, windows = event.chunk, (len(self._tail) + len(event.chunk.pcm)) // VAD_WINDOW
        if chunk.rate != INPUT_RATE_HZ:
            raise AudioMismatch(f"sound at {chunk.rate} Hz, expected {INPUT_RATE_HZ}")
        if chunk.start != self._received:
            raise AudioMismatch(f"sound from sample {chunk.start}, expected {self._received}")
        if len(event.probabilities) != windows:
            given = len(event.probabilities)
            raise AudioMismatch(f"{given} probabilities for {windows} completed windows of {VAD_WINDOW} samples")
        self._received += len(chunk.pcm)
        self.floor.meter.arrived(self._received // SAMPLES_PER_MS)
        sound = np.concatenate([self._tail, chunk.pcm])
        for number, probability in enumerate(event.probabilities):
            self._windows.append((sound[number * VAD_WINDOW : (number + 1) * VAD_WINDOW], probability))
        self._tail = sound[windows * VAD_WINDOW :].copy()
        self._go_through(now_ms)

    def weighed(self, word: Weighed, now_ms: int) -> None:
        """What the model makes of the pause that is going on."""
        waits = self.pauses.weighed(word.number, word.completeness)
        if waits is not None and self.vad is not None:
            self.vad.expect(waits.pause_ms, waits.end_ms)
        self._go_through(now_ms)

    def doubted(self, word: Doubted, now_ms: int) -> None:
        """What the model makes of a sound during the answer."""
        asked = self.overlap.answered(word.number, word.interrupting)
        if asked is not None:
            self._decide(asked.silent_since_ms, now_ms)
        self._go_through(now_ms)

    def asking_until(self) -> int | None:
        """Until when the model's word is waited for, on a pause or on a sound."""
        asked = self.pauses.asked or self.overlap.asked
        return asked.due_ms if asked else None

    def decide_alone(self, now_ms: int) -> None:
        """The model's word has not come in time."""
        self.pauses.asked = None
        asked = self.overlap.unanswered()
        if asked is not None:
            self._decide(asked.silent_since_ms, now_ms)
        self._go_through(now_ms)

    def go_on(self, now_ms: int) -> None:
        """No sound comes any more that could decide what it is: it is none."""
        self.overlap.reset()
        self.let_pass(now_ms)
        self._go_through(now_ms)

    def see(self, rgb: np.ndarray, source: str, stamp_ms: int | None = None) -> None:
        """A frame, uint8 [H, W, 3]; it belongs where it arrives between the sound, whatever the client's clock says."""
        self.show(VideoFrame(rgb, self._received // SAMPLES_PER_MS, source, stamp_ms=stamp_ms))

    def show(self, frame: VideoFrame) -> None:
        """A frame that has its place already."""
        self.sampler.see(replace(frame, detail=self.settings.sampler().detail))

    def refresh(self) -> None:
        """Another way of finding turns begins with the next turn."""
        if not self.sampler.is_open:
            self.sampler.tune(self.settings.sampler())
        wanted = self.settings.vad()
        if self.floor.speaking_item is not None or wanted == (self.vad.config if self.vad else None):
            return
        if self.sampler.is_open:
            self._forget_held()
        self.let_pass(self.floor.meter.now_ms)
        self.vad = Vad(wanted) if wanted else None
        overlap = self.config.overlap
        lengths = (overlap.voice_ms, overlap.unpaused_voice_ms, overlap.longest_voice_ms)
        longest = max(wanted.min_speech_ms, *lengths) + wanted.hush_ms if wanted else 0
        self.sampler.keep_ms = max(wanted.prefix_ms, overlap.lead_ms) + longest if wanted else 0

    def commit(self, now_ms: int) -> None:
        """The client says that the user's turn is over.

        Raises:
            ClientError: nothing, or next to nothing, has been said.
        """
        self._take_unheard()
        if self.vad is not None:
            if self.floor.speaking_item is None:
                raise self._nothing_to_commit(0)
            self.vad.reset()
            if self.floor.phase is Phase.HEARING:
                self._speech_paused()
            self._speech_ended(now_ms)
            return
        waiting_ms = self.sampler.end_ms - self._hold_from_ms if self.sampler.is_open else 0
        if waiting_ms < self.config.min_commit_ms:
            raise self._nothing_to_commit(waiting_ms)
        item_id = self._write_held([Prefill(chunk) for chunk in self.sampler.flush()])
        self._held_item = None
        self.sampler.close()
        self.floor.commit(item_id, waiting_ms)

    def idle_at(self) -> int | None:
        """When the user will have said nothing for so long that the model goes on by itself; None while that is open."""
        since, patience_ms = self.floor.idle_since, self.settings.idle_timeout_ms
        if since is None or patience_ms is None or self.floor.phase is not Phase.LISTENING:
            return None
        return since + patience_ms

    def time_out(self, now_ms: int) -> None:
        """It is so: the silence, or the end of it that is still at hand, is what the model answers to."""
        since = self.floor.idle_since
        end_ms = self.sampler.end_ms
        quiet_ms = 0 if since is None else min(end_ms - self._turn_end_ms, now_ms - since)
        chunks = [*self.sampler.open(end_ms - min(quiet_ms, self.config.idle_heard_ms)), *self.sampler.flush()]
        self.sampler.close()
        if self.vad is not None:
            self.vad.reset()
        self._turn_end_ms = end_ms
        self.floor.user_idle(end_ms - quiet_ms, end_ms, chunks)
        self.floor.answer_written(wish(self.settings, {}), now_ms)

    def clear(self) -> None:
        """Forget sound and frames that the model has not been given."""
        self._take_unheard()
        if self.vad is None:
            self._forget_held()
        else:
            self.sampler.clear()

    def stop(self) -> int:
        """The turn breaks off here. Returns where it ends."""
        self._take_unheard()
        if self.floor.speaking_item is not None and self.floor.phase is Phase.HEARING:
            self._turn_end_ms = self.sampler.end_ms
        if self.vad is not None:
            self.vad.reset()
            self.overlap.reset()
            self.sampler.close()
        return self._turn_end_ms

    def _go_through(self, now_ms: int) -> None:
        """Windows in order, up to the next question to the model."""
        while self._windows and self.pauses.asked is None and self.overlap.asked is None:
            self._hear_window(*self._windows.popleft(), now_ms)

    def _take_unheard(self) -> None:
        """What waits for the model's word is a part of the turn, whatever that will be."""
        self.pauses.asked = self.overlap.asked = None
        while self._windows:
            self.sampler.hear(self._windows.popleft()[0])

    def _hear_window(self, pcm: np.ndarray, probability: float, now_ms: int) -> None:
        if self.vad is None:
            self._hold_window(pcm)
            return
        start_ms = self.sampler.end_ms
        self.sampler.hear(pcm)
        if self.floor.is_heard and not (self.settings.interrupts and self.overlap.may_interrupt(now_ms)):
            self.let_pass(now_ms)
            return
        if probability >= self.vad.config.threshold - self.vad.config.hysteresis:
            self._voice_end_ms = now_ms
            self.floor.meter.voiced(self.sampler.end_ms)
        for signal in self.vad.push(start_ms, probability):
            self._on_speech(signal, now_ms)
        if self.vad is not None:
            self._follow_overlap(self.vad, now_ms)
            self.pauses.went_on(self.vad.pauses)
        if self.floor.speaking_item is not None and self.floor.phase is Phase.HEARING:
            self.floor.feed(self.sampler.due())

    def _hold_window(self, pcm: np.ndarray) -> None:
        """Without turn detection sound waits for `commit`."""
        if not self.sampler.is_open:
            self._hold_from_ms = self.sampler.end_ms
            self._held = [Prefill(chunk) for chunk in self.sampler.open(self._hold_from_ms)]
        self.sampler.hear(pcm)
        ripe = [Prefill(chunk) for chunk in self.sampler.due(self.config.sampler.hold_ms)]
        if ripe:
            self._write_held(ripe)

    def _write_held(self, more: list[Prefill]) -> str:
        """What waited goes to the model. Returns the id of the item that it will be."""
        held, self._held = [*self._held, *more], []
        self._held_item = self._held_item or self.floor.conversation.new_id()
        for action in held:
            self.floor.write(action, self._held_item)
        return self._held_item

    def _forget_held(self) -> None:
        self.sampler.clear()
        self.sampler.close()
        self._held = []

    def _nothing_to_commit(self, ms: int) -> ClientError:
        message = f"the buffer holds {ms} ms of audio, expected at least {self.config.min_commit_ms} ms"
        return ClientError("input_audio_buffer_commit_empty", message)

    def _on_speech(self, signal: SpeechSignal, now_ms: int) -> None:
        match signal:
            case SpeechStarted(at_ms):
                self._speech_started(at_ms, now_ms)
            case SpeechHushed(at_ms):
                self._hushed(at_ms, now_ms)
            case SpeechPaused():
                self._speech_paused()
            case SpeechEnded(at_ms):
                self.pauses.ended(at_ms, self.sampler.end_ms)
                self._speech_ended(now_ms)

    def _speech_started(self, at_ms: int, now_ms: int) -> None:
        if self.floor.phase is Phase.GUESSING:
            self.floor.user_resumed()
            return
        if self.floor.speaking_item is not None:
            return  # went on after a pause in which nothing was guessed
        if self.floor.phase is Phase.ANSWERING and self.overlap.began(at_ms, now_ms, self.pauses.regrets(at_ms)):
            return
        self.pauses.began(at_ms)
        prefix_ms = self.vad.config.prefix_ms if self.vad else 0
        leading = self.sampler.open(max(0, at_ms - prefix_ms))
        self.floor.user_started(self.sampler.end_ms - self.sampler.waiting_ms, now_ms)
        self.floor.feed(leading)

    def _follow_overlap(self, vad: Vad, now_ms: int) -> None:
        """A sound during the answer goes on, or the answer has ended meanwhile."""
        if self.overlap.since_ms is None or self.overlap.asked is not None:
            return
        self.overlap.goes_on(now_ms)
        if self.floor.phase is not Phase.YIELDING:
            self._decide(None, now_ms)
        elif not vad.silent and not (self.overlap.wonders(self.sampler.end_ms) and self._ask(now_ms)):
            self._decide(None, now_ms)

    def _ask(self, now_ms: int, silent_since_ms: int | None = None) -> bool:
        """What is the sound? False if the model cannot tell."""
        return self.overlap.ask(self.sampler.latest(self.overlap.sound_from()), now_ms, silent_since_ms)

    def _decide(self, silent_since_ms: int | None, now_ms: int) -> None:
        """By what is known of the sound now, which has been over since then, or goes on (None)."""
        since_ms, phase = self.overlap.since_ms, self.floor.phase
        over = silent_since_ms is not None
        if since_ms is None:
            return
        if phase is not Phase.YIELDING and not (over and phase is Phase.ANSWERING):  # the answer is gone
            takes = True
        else:
            takes = phase is Phase.YIELDING and self.overlap.takes_floor(self.sampler.end_ms, over)
        if takes:
            self.overlap.reset()
            self._speech_started(since_ms, now_ms)
            if silent_since_ms is not None:
                self._weigh(silent_since_ms, now_ms)
        elif over:
            self.let_pass(now_ms)

    def let_pass(self, now_ms: int) -> None:
        """Whatever the user's sound during the answer is: it is none."""
        if self.floor.phase is Phase.YIELDING and self.vad is not None:
            self.vad.reset()
            self.overlap.passed(self.sampler.end_ms, now_ms)

    def _hushed(self, since_ms: int, now_ms: int) -> None:
        """A sound during the answer is over, or the user has stopped to think, or has finished."""
        if self.floor.phase is Phase.YIELDING and self.overlap.since_ms is not None:
            if not self._ask(now_ms, since_ms):
                self._decide(since_ms, now_ms)
            return
        self.let_pass(now_ms)
        self._weigh(since_ms, now_ms)

    def _weigh(self, since_ms: int, now_ms: int) -> None:
        """The model hears the rest of what was said, and is asked what it makes of the silence."""
        if self.floor.speaking_item is not None and self.floor.phase is Phase.HEARING:
            self._take_in_rest()
            self.pauses.hushed(self.sampler.end_ms - since_ms, now_ms)

    def _speech_paused(self) -> None:
        if self.settings.creates_response:
            self._take_in_rest()
            self.floor.guess(wish(self.settings, {}), self._voice_end_ms)

    def _speech_ended(self, now_ms: int) -> None:
        guessing = self.floor.phase is Phase.GUESSING
        if not guessing:
            self._take_in_rest()
        self.sampler.close()
        self.floor.user_ended(self._turn_end_ms)
        if guessing:
            self.floor.release(now_ms, self.settings.transcribes)
        else:
            self.floor.write_waiting()
        self.refresh()

    def _take_in_rest(self) -> None:
        self.floor.feed(self.sampler.flush())
        self._turn_end_ms = self.sampler.end_ms
