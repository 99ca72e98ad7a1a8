"""What can happen to a conversation: frozen values that `Session.receive` takes, made by nobody but the driver.

Three sources: the client (parsed from its text frames by `wire.decode`), its microphone and camera (decoded,
resampled and scored by the driver), and the model (the driver maps its messages one to one). `HungUp` ends it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from vivavoce.codecs.media import AudioChunk, VideoFrame

# --- from the client: what wire.decode returns -----------------------------------------------------------------


@dataclass(frozen=True)
class Refused:
    """Something the client sent that cannot be carried out; becomes an `error` event and nothing else.

    `event_id` is the client's own, echoed so that it knows which of its events is meant (rule R19).
    """

    code: str
    message: str
    param: str | None = None
    event_id: str | None = None
    type: str = "invalid_request_error"


@dataclass(frozen=True)
class SessionUpdate:
    """`session.update`: a partial session object to merge into the effective one."""

    session: dict[str, Any]
    event_id: str | None = None


@dataclass(frozen=True)
class AudioAppend:
    """`input_audio_buffer.append`, base64 undone. The driver resamples and scores it and hands over `AudioIn`."""

    data: bytes
    """Whole samples, mono, in the session's input format."""
    event_id: str | None = None
    pictures: tuple[np.ndarray, ...] = ()
    """What the camera saw meanwhile, uint8 [H, W, 3] each; becomes `ImageAppend` where the sound is taken in."""


@dataclass(frozen=True, eq=False)
class ImageAppend:
    """`input_image_buffer.append`: one camera frame; no turn, no answer, no acknowledgement."""

    rgb: np.ndarray
    """uint8 [H, W, 3]"""
    timestamp_ms: int | None = None
    """The client's own clock. Frames are placed where they arrive between the audio; this comes back with receipts."""
    source: str = "camera"
    event_id: str | None = None


@dataclass(frozen=True)
class AudioCommit:
    """`input_audio_buffer.commit`"""

    event_id: str | None = None


@dataclass(frozen=True)
class AudioClear:
    """`input_audio_buffer.clear`: audio not yet committed is forgotten, frames too."""

    event_id: str | None = None


@dataclass(frozen=True)
class ImageClear:
    """`input_image_buffer.clear`: kept camera frames are forgotten."""

    event_id: str | None = None


@dataclass(frozen=True, eq=False)
class ItemCreate:
    """`conversation.item.create`: words, pictures and sound in one message, or a function call of an earlier session."""

    item: dict[str, Any]
    """The item without the data of its pictures and its sound."""
    pictures: tuple[np.ndarray, ...] = ()
    """uint8 [H, W, 3] each, one for every `input_image` part, in order."""
    sounds: tuple[np.ndarray, ...] = ()
    """float32 [samples] at 16 kHz each, one for every `input_audio` part, in order; empty where only words were sent."""
    previous_item_id: str | None = None
    event_id: str | None = None


@dataclass(frozen=True)
class ItemRetrieve:
    """`conversation.item.retrieve`"""

    item_id: str
    event_id: str | None = None
    with_images: bool = False
    """Also the pictures of the frames that the model saw."""


@dataclass(frozen=True)
class ItemDelete:
    """`conversation.item.delete`"""

    item_id: str
    event_id: str | None = None


@dataclass(frozen=True)
class ItemTruncate:
    """`conversation.item.truncate`: the client played this much of an answer and no more."""

    item_id: str
    audio_end_ms: int
    content_index: int = 0
    event_id: str | None = None


@dataclass(frozen=True)
class ResponseCreate:
    """`response.create`, with the overrides for this one answer."""

    response: dict[str, Any] = field(default_factory=dict)
    event_id: str | None = None
    inputs: tuple[ItemCreate, ...] | None = None
    """`response.input`, decoded like items of the conversation, or references to those; None if it is absent."""


@dataclass(frozen=True)
class OutputClear:
    """`output_audio_buffer.clear`: what the server still holds of an answer's sound must not be played."""

    event_id: str | None = None


@dataclass(frozen=True)
class ResponseCancel:
    """`response.cancel`"""

    response_id: str | None = None
    event_id: str | None = None


# --- from microphone and camera, prepared by the driver ----------------------------------------------------------


@dataclass(frozen=True, eq=False)
class AudioIn:
    """Sound that arrived. Its length decides turns; the wall clock does not."""

    chunk: AudioChunk
    """16 kHz mono; `start` is the number of samples handed in before it."""
    probabilities: tuple[float, ...]
    """Speech probability of every 32 ms window (512 samples, counted from the first sample of the session) that this
    chunk completes; empty if it completes none."""


@dataclass(frozen=True, eq=False)
class FrameIn:
    """A camera frame whose `at_ms` already counts on the audio's time line (a WebRTC track)."""

    frame: VideoFrame


@dataclass(frozen=True)
class Played:
    """The first `ms` of answer `turn` have been played by the server; there was no more at hand, or (`stopped`) no more will
    be played.
    """

    turn: int
    ms: int
    stopped: bool = False


@dataclass(frozen=True)
class Playing:
    """The transport has sent the first of an answer's sound, at the pace at which it is heard."""

    turn: int


# --- from the model ------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Weighed:
    """What the model makes of the pause that `actions.Weigh` of this number was about."""

    number: int
    completeness: float | None
    """How likely it is, 0..1, that the user has said all of the turn; None: the model cannot tell."""


@dataclass(frozen=True)
class Doubted:
    """What the model makes of the sound that `actions.Doubt` of this number was about."""

    number: int
    interrupting: float | None
    """How likely it is, 0..1, that the user takes the floor with it; None: the model cannot tell."""


@dataclass(frozen=True)
class Usage:
    """Tokens that went into an answer and came out of it."""

    text_in: int = 0
    audio_in: int = 0
    image_in: int = 0
    text_out: int = 0
    audio_out: int = 0


@dataclass(frozen=True)
class Stint:
    """Work of the model's process for one conversation: it began `ago_ms` before it told of it, and took `ms`.

    `stage`: encode, prefill, decode, codec, or code, which is the moment of the first speech frame.
    """

    stage: str
    ago_ms: float
    ms: float


@dataclass(frozen=True, eq=False)
class AnswerSpoke:
    """The next piece of an answer."""

    turn: int
    text: str
    pcm: np.ndarray
    """float32 [samples] in -1..1 at 24 kHz; may be empty."""
    at_ms: int
    """Where in the answer's sound `pcm` begins."""
    effort: tuple[Stint, ...] = ()
    """With the first sound: what the model did lately, some of it perhaps before it was asked for this answer."""
    shared: int = 0
    """Steps of the model so far that other conversations had a part in: their last bits are not this conversation's alone."""


@dataclass(frozen=True)
class AnswerCalled:
    """An answer calls a function of the client's; `arguments` is JSON by its schema."""

    turn: int
    name: str
    arguments: str


@dataclass(frozen=True)
class AnswerEnded:
    """The model has said all of it. `reason`: done, length, cancelled or error."""

    turn: int
    reason: str
    usage: Usage = field(default_factory=Usage)


@dataclass(frozen=True)
class Heard:
    """The user's words of a turn, as the model's own recogniser heard them."""

    turn: int | None
    text: str


@dataclass(frozen=True)
class ModelFailed:
    """The model could not go on with a turn, or (None) with the conversation."""

    turn: int | None
    message: str


@dataclass(frozen=True)
class HungUp:
    """The connection is gone."""


@dataclass(frozen=True)
class Leaving:
    """The server is about to end."""


ClientEvent = (
    Refused
    | SessionUpdate
    | AudioAppend
    | ImageAppend
    | AudioCommit
    | AudioClear
    | ImageClear
    | ItemCreate
    | ItemRetrieve
    | ItemDelete
    | ItemTruncate
    | ResponseCreate
    | ResponseCancel
    | OutputClear
)
Event = (
    ClientEvent
    | AudioIn
    | FrameIn
    | Played
    | Playing
    | Weighed
    | Doubted
    | AnswerSpoke
    | AnswerCalled
    | AnswerEnded
    | Heard
    | ModelFailed
    | HungUp
    | Leaving
)
