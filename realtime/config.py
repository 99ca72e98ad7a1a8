"""Every number of a conversation, written once. All times are integer milliseconds."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

INPUT_RATE_HZ = 16_000
"""What the session hears: 16 samples a millisecond."""
OUTPUT_RATE_HZ = 24_000
"""What the client hears, and what it sends (GA `audio/pcm`)."""
STANDARD_VOICES = (
    "alloy", "ash", "ballad", "cedar", "coral", "echo", "fable", "marin", "nova", "onyx", "sage", "shimmer", "verse", "default",
)  # fmt: skip
"""Names of OpenAI's voices, which its clients send unasked; and what a voice is called that has no name."""
VAD_WINDOW = 512
"""Samples of one speech probability: 32 ms at 16 kHz, the window of silero-vad."""
VAD_WINDOW_MS = VAD_WINDOW * 1000 // INPUT_RATE_HZ


@dataclass(frozen=True)
class VadConfig:
    """When speech probability becomes a turn (t2, t3, t4 of the paper's Figure 11)."""

    threshold: float = 0.5
    """At or above: voice. 0..1."""
    hysteresis: float = 0.15
    """While speaking, a window counts as silent only below `threshold - hysteresis`."""
    min_speech_ms: int = 96
    """Shorter noises start nothing and end no pause."""
    prefix_ms: int = 300
    """Sound kept from before the first voiced window."""
    hush_ms: int = 96
    """Silence after which the model is asked whether the turn sounds complete; the two below are for when it cannot say."""
    pause_ms: int = 240
    """Silence after which an answer is guessed (t3)."""
    end_ms: int = 600
    """Silence after which the turn is over (t4)."""

    def __post_init__(self) -> None:
        if not 0.0 < self.threshold < 1.0:
            raise ValueError(f"threshold is {self.threshold}, expected between 0 and 1")
        if not 0 < self.pause_ms <= self.end_ms:
            raise ValueError(f"pause_ms is {self.pause_ms} and end_ms {self.end_ms}, expected 0 < pause_ms <= end_ms")


@dataclass(frozen=True)
class PatienceConfig:
    """How long to wait in a pause for somebody who may go on (`patience.py`)."""

    cut_in_price_ms: int = 8_000
    """The price of an answer that cuts in: how much waiting, of all users together, is worth avoiding one."""
    longest_ms: int = 2_000
    """No wait is longer, whatever the model thinks; `semantic_vad` has its own, see `fields.EAGERNESS`."""
    usual_pause_ms: int = 825
    """The median pause of people who go on ..."""
    pause_spread: float = 0.42
    """... and the deviation of its logarithm ..."""
    prior_pauses: int = 8
    """... count as much as so many pauses of the user's own ..."""
    remembered: int = 64
    """... of which the last so many are remembered."""
    regret_ms: int = 800
    """A user who speaks so soon after the end of a turn had not finished."""
    weigh_wait_ms: int = 200
    """How long the model may take to say whether a turn sounds complete; then the decision is made without it."""
    head_start_ms: int = 128
    """An answer is begun at least so long before the turn is over."""
    bar: float = 0.7
    """How likely it must be that the user has finished, for an answer to be begun sooner; it moves by `bar_step` ..."""
    lowest_bar: float = 0.5
    highest_bar: float = 0.98
    bar_step: float = 0.04
    hits: float = 0.8
    """... up while fewer guesses than this are right ..."""
    waste: float = 0.25
    """... or more than this share of what they made is thrown away; down, a quarter as fast, otherwise ..."""
    bar_memory: float = 0.9
    """... counting each guess so much less than the one after it."""

    def __post_init__(self) -> None:
        if self.cut_in_price_ms <= 0:
            raise ValueError(f"cut_in_price_ms is {self.cut_in_price_ms}, expected more than 0")


@dataclass(frozen=True)
class OverlapConfig:
    """When a sound of the user's during an answer is an interruption, and when a "mhm" (`overlap.py`)."""

    voice_ms: int = 512
    """So much voice is one, where the answer stands still meanwhile ..."""
    unpaused_voice_ms: int = 256
    """... and where it cannot: what was sent is with a client that knows no pause, and goes on playing. A model that can tell what
    a sound is, is asked:"""
    ask_ms: tuple[int, ...] = (96, 160, 256, 352, 512, 640, 768)
    """After so much of it, and at its end."""
    lead_ms: int = 160
    """How much of what was before it is listened to as well: the first of a voice is found late."""
    certain: float = 0.9
    """How likely it must be, 0..1, that the user takes the floor, for an answer to be cut in the middle of the sound ..."""
    likely: float = 0.5
    """... and from `voice_ms` or `unpaused_voice_ms` on, and when the sound has ended."""
    likely_again: float = 0.25
    """The same for a second sound, see `again_ms`."""
    longest_voice_ms: int = 960
    """So much voice is an interruption, whatever the model thinks."""
    doubt_wait_ms: int = 200
    """How long the model may take to say; then the decision is made without it."""
    again_ms: tuple[int, int] = (300, 2_000)
    """A sound that begins so long after one that was none, is one where the model cannot tell, and sooner taken for one where it
    can: who says "stop" twice means it."""
    stalled_ms: int = 1_000
    """An answer that waits for more sound to decide by, and gets none, goes on after this."""
    echo_guard_ms: int = 0
    """For so long after the first sound of the session nothing interrupts: until a client's echo canceller has learned."""


@dataclass(frozen=True)
class SamplerConfig:
    """Which frames the model sees, and in what portions (architecture F.5)."""

    chunk_ms: int = 1_000
    """While the user speaks, the model is fed once every so often ..."""
    dense_fps: float = 2.0
    """... with this many frames a second."""
    sparse_fps: float = 0.5
    """Otherwise so many a second are kept for the next turn: one of every two seconds."""
    sparse_keep: int = 4
    """Kept frames, of all sources together; the oldest go first."""
    between_turns: bool = True
    """False: nothing is kept but the newest frame of each source, which a written question still sees."""
    turn_frames: int | None = None
    """The most frames of a turn, at most half of them from before it; None: any number."""
    detail: str = "auto"
    """How closely the model looks at them, see `VideoFrame.detail`."""
    hold_ms: int = 60_000
    """Without turn detection, sound waits this long for `commit` or `clear`; what is older goes to the model."""

    @property
    def frame_ms(self) -> int:
        """Distance of two dense frames."""
        return int(1000 / self.dense_fps)

    @property
    def sparse_ms(self) -> int:
        """Distance of two sparse frames."""
        return int(1000 / self.sparse_fps)

    def __post_init__(self) -> None:
        if not 0 < self.chunk_ms * self.dense_fps <= 2000:
            raise ValueError(f"{self.dense_fps} frames a second in {self.chunk_ms} ms, expected at most 2 in a chunk")
        if self.sparse_fps <= 0:
            raise ValueError(f"sparse_fps is {self.sparse_fps}, expected more than 0")


@dataclass(frozen=True)
class SessionConfig:
    """One conversation, before the client has said anything about it."""

    model: str = "kitten"
    alias: str | None = None
    """What the client called the model when it connected."""
    wanted: dict[str, Any] = field(default_factory=dict)
    """A partial session object that the client sent when it connected, as in `session.update`."""
    voices: tuple[str, ...] = ("default",)
    """What the model's voices are called; the first speaks for whoever asks for none, or for one of `STANDARD_VOICES`."""
    server_plays: bool = False
    """Answers are played by the server as they are spoken (WebRTC), not by the client as it likes."""
    opened_at: int | None = None
    """When the connection was opened, in Unix seconds; here is no clock, so who opens it says. Only for `expires_at`."""
    max_session_ms: int | None = 60 * 60_000
    """A session that lasts longer is ended; None: none is."""
    going_away_ms: int = 60_000
    """How long before that a client is told which asked for `session.going_away`."""
    record_to: str | None = None
    """The folder in which the server writes down sessions whose clients consent (`session.recording`); None: it records none."""
    notes: bool = False
    """The model is told, and nobody else, which words of an answer that was interrupted were not heard, so that "go on" has a
    meaning. Kitten has not learned what such a note is."""
    vad: VadConfig = field(default_factory=VadConfig)
    patience: PatienceConfig = field(default_factory=PatienceConfig)
    overlap: OverlapConfig = field(default_factory=OverlapConfig)
    sampler: SamplerConfig = field(default_factory=SamplerConfig)
    max_output_tokens: int = 4_096
    """What "inf" means, and the most a client may ask for."""
    kept_bytes: int = 32 * 2**20
    """Sound and pictures kept of what the model was told, in bytes: eight minutes of speech, or a dozen camera frames.
    When an item is deleted the model is told the rest again; what is older than this, by its words."""
    video_fps: tuple[float, float] = (0.1, 2.0)
    """The least and the most frames a second that a client may ask for."""
    video_turn_frames: tuple[int, int] = (1, 256)
    """The least and the most that `max_frames` may be."""
    idle_ms: tuple[int, int] = (5_000, 30_000)
    """The least and the most that `idle_timeout_ms` may be."""
    max_on_air: int = 4
    """Answers whose sound may wait to be played by the server; who asks for another one is refused until the first is over."""
    max_waiting: int = 1_000
    """Things that a client may write while somebody speaks, who is not to be disturbed: items, instructions, functions ..."""
    max_waiting_bytes: int = 64 * 2**20
    """... and bytes of the sound and pictures in them; more is refused until the model has been told."""
    max_beside: int = 4
    """Answers beside the conversation at one time; each takes a session of the model."""
    idle_heard_ms: int = 400
    """Of a silence that becomes an item the model hears the last so much."""
    min_commit_ms: int = 100
    """A `commit` of less sound than this is an empty one."""
    receipt_frames: int = 1_000
    """Frames that one `conversation.item.retrieved` lists at most ..."""
    receipt_images: int = 16
    """... of which the newest so many with their pictures, each of which takes a millisecond to make ..."""
    receipt_characters: int = 512 * 1024
    """... and the characters of all of these; some clients take no event of a MiB (R22)."""
    delta_ms: int = 200
    """The most sound in one `response.output_audio.delta` (rule R22)."""
    cut_wait_ms: int = 200
    """After an interruption, how long to wait for the client's `truncate` before our own estimate of what was heard
    counts."""

    def voice_of(self, name: str) -> str | None:
        """The model's voice that a client means by a name; None if there is none."""
        if name in self.voices:
            return name
        return self.voices[0] if name in STANDARD_VOICES else None
