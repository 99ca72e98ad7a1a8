"""What a conversation wants done: frozen values that `Session.actions` gives, carried out by the driver in order.

`Prefill` to `Truncate` go to the model, one message each; `OpenBeside` to `CloseBeside` to another session of it; `Send`
to the client; `Play` to `StopPlayback` and `Close` to the transport; `Measured` to whoever counts. Every `Answer` is followed by
exactly one of `Rewind`, `Cut` and `Cancel`, or by none when it was heard to its end.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from vivavoce.codecs.media import AudioChunk, MediaChunk, VideoFrame


@dataclass(frozen=True, eq=False)
class Prefill:
    """More of what the user says and shows; the model takes it in at once."""

    chunk: MediaChunk


@dataclass(frozen=True)
class AddText:
    """A written message becomes part of the conversation. `role`: system, user, assistant, or tool for what a call returned."""

    role: str
    text: str


@dataclass(frozen=True)
class Function:
    """Something the client does when the model calls it; `parameters` is a JSON schema, written out."""

    name: str
    description: str
    parameters: str


@dataclass(frozen=True)
class Equip:
    """The model is told which functions there are; those told of before are not mentioned."""

    functions: tuple[Function, ...]


@dataclass(frozen=True)
class AddCall:
    """A call of a function becomes part of the conversation, as if the model had made it. `arguments` is JSON."""

    name: str
    arguments: str


@dataclass(frozen=True, eq=False)
class AddImage:
    """A picture becomes part of the user's next message; uint8 [H, W, 3]. `detail` as of a `VideoFrame`."""

    rgb: np.ndarray
    detail: str = "auto"
    frame: VideoFrame | None = None
    """The camera's, if it is one of those rather than a picture that the client put into a message."""


@dataclass(frozen=True)
class Weigh:
    """The user has fallen silent: is the turn complete? Answered by `events.Weighed` with the same number; changes nothing."""

    number: int


@dataclass(frozen=True)
class Doubt:
    """The user makes a sound during the answer: is it about to become an interruption? Answered by `events.Doubted` with the same
    number; changes nothing."""

    number: int
    sound: AudioChunk
    """From shortly before it began."""


@dataclass(frozen=True)
class Answer:
    """Close the user's turn, remember the place, and begin to answer.

    `functions` may be called, or, if it `must_call`, one of them is and nothing is said; `parallel`: more than one.
    """

    turn: int
    text_only: bool
    max_tokens: int
    functions: tuple[Function, ...] = ()
    must_call: bool = False
    parallel: bool = True
    voice: str = ""
    """One of `SessionConfig.voices`; the first of them if empty."""


@dataclass(frozen=True)
class Rewind:
    """The user went on: the answer never happened, listening continues where it was."""

    turn: int


@dataclass(frozen=True)
class Cut:
    """The user interrupted: the answer ends after the first `heard_ms` of its sound."""

    turn: int
    heard_ms: int


@dataclass(frozen=True)
class Cancel:
    """The answer stops here; what has been sent of it stands."""

    turn: int


@dataclass(frozen=True)
class Forget:
    """The conversation is told anew: the model drops all of it, but for the instructions that it was opened with."""


@dataclass(frozen=True)
class Truncate:
    """What the model does when the conversation is too long for it, from now on.

    `retain`: the share that stays, 0..1, None: as it likes; `most`: tokens after the instructions that are too many, None:
    as it likes; without `forgets` it refuses more.
    """

    retain: float | None = None
    most: int | None = None
    forgets: bool = True


@dataclass(frozen=True)
class OpenBeside:
    """A session of the model for answer `turn` alone, which is none of the conversation's."""

    turn: int
    instructions: str
    functions: tuple[Function, ...] = ()


@dataclass(frozen=True)
class TellBeside:
    """An action for the model's session of answer `turn`."""

    turn: int
    action: Action


@dataclass(frozen=True)
class CloseBeside:
    """Answer `turn` has ended, and with it the model's session; nothing of it is wanted any more."""

    turn: int


@dataclass(frozen=True)
class Send:
    """One server event for the client, ready to be written as JSON."""

    event: dict[str, Any]


@dataclass(frozen=True, eq=False)
class Play:
    """More sound of answer `turn`, to be played after what waits; only where `SessionConfig.server_plays`."""

    turn: int
    pcm: np.ndarray
    """float32 [samples] in -1..1 at 24 kHz."""


@dataclass(frozen=True)
class CompletePlayback:
    """Nothing more of answer `turn` comes: where its sound ends, the transport need not wait for more."""

    turn: int


@dataclass(frozen=True)
class PausePlayback:
    """Sound that the transport still holds waits, to the sample, until `ResumePlayback` or `StopPlayback`."""


@dataclass(frozen=True)
class ResumePlayback:
    """It goes on where it was."""


@dataclass(frozen=True)
class StopPlayback:
    """Sound that the transport still holds must not be played. It reports by `events.Played` how much was."""


@dataclass(frozen=True)
class Measured:
    """What is known of an answer that has ended: `response.metrics` without its type, for whoever keeps statistics."""

    report: dict[str, Any]


@dataclass(frozen=True)
class Close:
    """The conversation is over: close the transport and the model's session. `code` is a WebSocket close code."""

    code: int
    reason: str


Action = (
    Prefill
    | AddText
    | Equip
    | AddCall
    | AddImage
    | Weigh
    | Doubt
    | Answer
    | Rewind
    | Cut
    | Cancel
    | Forget
    | Truncate
    | OpenBeside
    | TellBeside
    | CloseBeside
    | Send
    | Play
    | CompletePlayback
    | PausePlayback
    | ResumePlayback
    | StopPlayback
    | Measured
    | Close
)
