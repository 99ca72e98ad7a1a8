"""A conversation under virtual time, written as a screenplay.

    talk = Simulation()
    talk.user_speaks(1_000)
    talk.silence(300)
    assert talk.phase is Phase.GUESSING

Sound is silence with a probability beside it; a session hears nothing else. Time passes with the sound, and by `wait`.
"""

from __future__ import annotations

import base64
import io
import json
from typing import Any

import numpy as np

from vivavoce.codecs.formats import Encoder
from vivavoce.codecs.media import AudioChunk
from vivavoce.realtime import wire
from vivavoce.realtime.actions import Action, Answer, Doubt, Measured, Prefill, Send, TellBeside, Weigh
from vivavoce.realtime.config import OUTPUT_RATE_HZ, VAD_WINDOW, OverlapConfig, SessionConfig
from vivavoce.realtime.events import (
    AnswerEnded,
    AnswerSpoke,
    AudioIn,
    Doubted,
    Event,
    Heard,
    HungUp,
    ModelFailed,
    Usage,
    Weighed,
)
from vivavoce.realtime.replay import Recorder
from vivavoce.realtime.session import Session
from vivavoce.realtime.turns import Phase

STEP_MS = 20
AT_ONCE = OverlapConfig(voice_ms=0, unpaused_voice_ms=0)
"""Every voice during an answer interrupts it: for stories that are not about whether it does."""
PICTURE = b"picture"
USAGE = Usage(text_in=3, audio_in=25, image_in=96, text_out=4, audio_out=17)


def decode_image(data: bytes) -> np.ndarray:
    """Stands in for a JPEG decoder: only `PICTURE` (and what follows it, as the shade of grey) is a picture."""
    if not data.startswith(PICTURE):
        raise ValueError("unknown format")
    shade = int(data[len(PICTURE) :] or b"0")
    return np.full((2, 3, 3), shade, np.uint8)


def decode_sound(data: bytes) -> np.ndarray:
    """Stands in for a resampler: 24 kHz become 16 kHz by leaving out every third sample."""
    pcm = np.frombuffer(data, "<i2").astype(np.float32) / 32768
    return pcm[np.arange(len(pcm)) % 3 < 2]


def draw(rgb: np.ndarray) -> bytes:
    """Stands in for a JPEG encoder: what `decode_image` reads."""
    return PICTURE + str(rgb[0, 0, 0]).encode()


def encoder(name: str) -> Encoder:
    """Speech into the client's format."""
    return Encoder(name, OUTPUT_RATE_HZ)


MEDIA = wire.Media(decode_image, decode_sound)


def speech(ms: int) -> str:
    """A sound as base64 PCM16 at 24 kHz, for `Simulation.client`."""
    return base64.b64encode(np.full(ms * 24, 8_192, "<i2").tobytes()).decode()


def picture(shade: int = 0) -> str:
    """A grey picture as base64, for `Simulation.client`."""
    return base64.b64encode(PICTURE + str(shade).encode()).decode()


class Simulation:
    """One session, its clock, and everything that came of it."""

    def __init__(self, config: SessionConfig | None = None) -> None:
        config = config or SessionConfig(overlap=AT_ONCE)
        self.record = io.StringIO()
        self.recorder = Recorder(self.record, config, "sess_test")
        self.session = Session(config, "sess_test", encoder, draw)
        self.now_ms = 0
        self.samples = 0
        self.log: list[Action] = []
        self.completeness: float | None = None
        """What the model says of every pause; None: it cannot tell."""
        self.interrupting: float | None = None
        """What it says of every sound during an answer; None: it cannot tell."""
        self._collect()

    # --- what happens ----------------------------------------------------------------------------------------------

    def user_speaks(self, ms: int) -> None:
        """The user's voice."""
        self.sound(ms, 0.95)

    def silence(self, ms: int) -> None:
        """An open microphone and nobody speaking."""
        self.sound(ms, 0.01)

    def sound(self, ms: int, probability: float, step_ms: int = STEP_MS) -> None:
        """Sound of this speech probability, in portions of `step_ms`; time passes with it."""
        for at in range(0, ms, step_ms):
            self.audio(min(step_ms, ms - at) * 16, probability)

    def audio(self, samples: int, probability: float) -> None:
        """One portion of sound."""
        windows = (self.samples % VAD_WINDOW + samples) // VAD_WINDOW
        chunk = AudioChunk(np.zeros(samples, np.float32), 16_000, self.samples)
        self.samples += samples
        self.wait(samples // 16)
        self.give(AudioIn(chunk, (probability,) * windows))

    def wait(self, ms: int) -> None:
        """Time passes; timers go off when they are due."""
        until = self.now_ms + ms
        while (due := self.session.next_timer()) is not None and due <= until:
            self.now_ms = max(self.now_ms, due)
            self.recorder.timer(self.now_ms)
            self.session.handle_timer(self.now_ms)
            self._collect()
        self.now_ms = until

    def camera(self, shade: int = 0, **fields: Any) -> None:
        """A camera frame, or with `source` another one."""
        self.client("input_image_buffer.append", image=picture(shade), **fields)

    def client(self, type: str, **fields: Any) -> None:
        """The client sends an event."""
        self.give(wire.decode(json.dumps({"type": type, **fields}), MEDIA))

    def engine_says(self, text: str, ms: int = 500, at_ms: int = 0, turn: int | None = None) -> None:
        """The model answers: words, and `ms` of sound."""
        self.give(AnswerSpoke(turn or self.turn, text, np.full(ms * 24, 0.5, np.float32), at_ms))

    def engine_ends(self, reason: str = "done", turn: int | None = None) -> None:
        """The model has said all of it."""
        self.give(AnswerEnded(turn or self.turn, reason, USAGE))

    def engine_heard(self, text: str, turn: int | None = None) -> None:
        """The model's recogniser has the user's words."""
        self.give(Heard(turn or self.turn, text))

    def engine_fails(self, message: str = "out of memory", turn: int | None = None) -> None:
        """The model cannot go on."""
        self.give(ModelFailed(turn, message))

    def hang_up(self) -> None:
        """The connection is gone."""
        self.give(HungUp())

    def give(self, event: Event) -> None:
        """Any event, now."""
        self.recorder.event(event, self.now_ms)
        self.session.receive(event, self.now_ms)
        self._collect()

    # --- scenes that many stories begin with -------------------------------------------------------------------------

    def question_asked(self) -> None:
        """The user has asked something; the answer is due."""
        self.user_speaks(1_000)
        self.silence(700)

    def answer_begun(self) -> None:
        """... and two seconds of the answer have been sent."""
        self.question_asked()
        self.engine_says("Well, there is a red circle.", ms=2_000)

    # --- what came of it ---------------------------------------------------------------------------------------------

    @property
    def phase(self) -> Phase:
        """Who has the floor."""
        return self.session.phase

    @property
    def turn(self) -> int:
        """The latest answer the model was asked for."""
        return [action.turn for action in self.log if isinstance(action, Answer)][-1]

    @property
    def did(self) -> list[type]:
        """Kinds of actions, other than sending and measuring."""
        return [type(action) for action in self.told]

    @property
    def told(self) -> list[Action]:
        """Actions other than sending, measuring, and asking what to make of a pause."""
        return [action for action in self.log if not isinstance(action, Send | Measured | Weigh | Doubt)]

    @property
    def beside(self) -> list[Action]:
        """Actions for answers beside the conversation, as the model's other sessions get them."""
        return [action.action for action in self.log if isinstance(action, TellBeside)]

    @property
    def fed(self) -> list[Any]:
        """Portions the model was given."""
        return [action.chunk for action in self.log if isinstance(action, Prefill)]

    @property
    def sent(self) -> list[dict[str, Any]]:
        """Events for the client."""
        return [action.event for action in self.log if isinstance(action, Send)]

    @property
    def sent_types(self) -> list[str]:
        """Their types."""
        return [event["type"] for event in self.sent]

    def events(self, type: str) -> list[dict[str, Any]]:
        """Events for the client, of one type."""
        return [event for event in self.sent if event["type"] == type]

    @property
    def heard(self) -> str:
        """Words the client was given to show."""
        kinds = ("response.output_audio_transcript.delta", "response.output_text.delta")
        return "".join(event["delta"] for event in self.sent if event["type"] in kinds)

    @property
    def sound_sent(self) -> bytes:
        """PCM16 the client was given to play."""
        return b"".join(base64.b64decode(event["delta"]) for event in self.events("response.output_audio.delta"))

    def forget(self) -> None:
        """What was done so far is no longer of interest."""
        self.log.clear()

    def _collect(self) -> None:
        new = self.session.actions()
        self.log += new
        for action in new:
            if isinstance(action, Weigh):
                self.give(Weighed(action.number, self.completeness))
            if isinstance(action, Doubt):
                self.give(Doubted(action.number, self.interrupting))
