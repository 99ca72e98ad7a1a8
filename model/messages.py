"""What crosses the process boundary: requests to the model's process and its answers.

Plain frozen dataclasses of the standard library, numpy and `codecs.media`: they pickle, so the same messages
serve a pipe to a child process and a direct call in a test. No torch here.

Every request names its session. A reply is called a turn; the caller numbers turns and hands the number in with
`Answer`. Once `Rewind`, `Cut` or `Cancel` for a turn has been handled, nothing of that turn is emitted any more.

    Open -> Opened              Listen -> (Transcribed when the user's turn closes)      Weigh -> Weighed
    Doubt -> Doubted
    Answer -> Spoke* Called* Ended      anything that cannot be done -> Failed, for that session alone
    any but Close -> Handled, once it has been carried out (whoever runs the host asks for it, see `Host.handled`)
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from vivavoce.codecs.media import AudioChunk, MediaChunk

Role = Literal["system", "user", "assistant", "tool"]
"""Whose text it is; a tool's is what a function returned."""
EndReason = Literal["done", "length"]
"""How a reply ended: by itself, or at `max_tokens` or the context's end.

A reply that is cut or rewound ends in silence, one that fails in `Failed`."""


@dataclass(frozen=True)
class Function:
    """Something a client can do when the model calls it; `parameters` is a JSON schema, written out."""

    name: str
    description: str
    parameters: str


@dataclass(frozen=True)
class Open:
    """Begin a conversation. Non-empty `instructions`, and what `functions` there are, become its system turn."""

    session: str
    instructions: str = ""
    functions: tuple[Function, ...] = ()


@dataclass(frozen=True, eq=False)
class Listen:
    """Media of the user's turn, in order; the turn opens by itself at the first one.

    Audio is 16 kHz mono. A chunk of frames alone that comes before the turn's first audio is a leading visual chunk:
    frames kept while the model spoke.
    """

    session: str
    chunk: MediaChunk


@dataclass(frozen=True)
class AddText:
    """Append a text turn of `role`; within an open user turn, a text item of that turn."""

    session: str
    role: Role
    text: str


@dataclass(frozen=True)
class Equip:
    """Tell the model of these functions, in a system turn; those told of before are not mentioned."""

    session: str
    functions: tuple[Function, ...]


@dataclass(frozen=True)
class AddCall:
    """Append a call of a function, as if the model had made it; `arguments` is JSON."""

    session: str
    name: str
    arguments: str


@dataclass(frozen=True, eq=False)
class AddImage:
    """Append a still picture, uint8 [H, W, 3], to the user's turn. `detail` as of a `VideoFrame`."""

    session: str
    rgb: NDArray[np.uint8]
    detail: str = "auto"


@dataclass(frozen=True)
class Answer:
    """Close the user's turn and begin reply `turn` at once (t3: perhaps too early, see `Rewind`).

    `max_tokens` counts steps of the language model; a spoken reply makes one 60 ms frame a step. `functions` may be called, or,
    if it `must_call`, one of them is and nothing is said; `parallel`: more than one. `voice`: one of the checkpoint's, the first
    if empty.
    """

    session: str
    turn: int
    text_only: bool = False
    max_tokens: int = 4096
    functions: tuple[Function, ...] = ()
    must_call: bool = False
    parallel: bool = True
    voice: str = ""

    @property
    def in_writing(self) -> bool:
        """Nothing of it is spoken."""
        return self.text_only or self.must_call


@dataclass(frozen=True)
class Weigh:
    """The user has fallen silent: does what has been heard sound like all of the turn? Always answered, and changes nothing."""

    session: str
    number: int


@dataclass(frozen=True)
class Doubt:
    """The user makes a sound while a reply is heard: do they take the floor? Always answered, and changes nothing."""

    session: str
    number: int
    sound: AudioChunk
    """From shortly before it began; no part of the turn, at least not yet."""


@dataclass(frozen=True)
class Rewind:
    """The user went on speaking: forget reply `turn` and the closing of the user's turn; keep listening in it."""

    session: str
    turn: int


@dataclass(frozen=True)
class Cut:
    """The user interrupted reply `turn` after hearing `heard_ms` of it: history keeps what was heard."""

    session: str
    turn: int
    heard_ms: int


@dataclass(frozen=True)
class Cancel:
    """Stop reply `turn`; history keeps what had been emitted."""

    session: str
    turn: int


@dataclass(frozen=True)
class Forget:
    """Drop the conversation's content and keep the session open, as it was right after `Open`."""

    session: str


@dataclass(frozen=True)
class Close:
    """End the session and free what it holds. Closing an unknown session is no error."""

    session: str


@dataclass(frozen=True)
class Truncate:
    """What becomes of a conversation that is too long: see `history.Marks`. Without this message, as is its default."""

    session: str
    retain: float | None = None
    most: int | None = None
    forgets: bool = True


Request = (
    Open
    | Listen
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
    | Close
)


@dataclass(frozen=True)
class Usage:
    """Positions of the language model spent on one reply: its user turn by kind, and the reply itself."""

    text_in: int = 0
    audio_in: int = 0
    image_in: int = 0
    text_out: int = 0
    audio_out: int = 0


@dataclass(frozen=True)
class Arithmetic:
    """How a process computes: the same requests to processes that agree in all of it make the same bits."""

    threads: int
    """Of one operation. They share its sums, so with another number these may be rounded another way."""
    kind: str
    """Library, instructions, device, type of numbers."""


@dataclass(frozen=True)
class Opened:
    """The session stands. `max_tokens`: the longest conversation in positions; `sample_rate`: the replies', in Hz.

    `fingerprint` tells checkpoints apart, empty if there is none; `seed` is what the dice of the first reply begin with.
    """

    session: str
    max_tokens: int
    sample_rate: int
    fingerprint: str = ""
    seed: int = 0
    arithmetic: Arithmetic | None = None


@dataclass(frozen=True)
class Weighed:
    """How likely it is, 0..1, that the user has said all of the turn; None from a model that cannot tell. `Weigh` numbers it."""

    session: str
    number: int
    completeness: float | None


@dataclass(frozen=True)
class Doubted:
    """How likely it is, 0..1, that the user takes the floor; None from a model that cannot tell. `Doubt` numbers it."""

    session: str
    number: int
    interrupting: float | None


@dataclass(frozen=True)
class Transcribed:
    """The user's words of the turn that reply `turn` answers, from the audio encoder's CTC head."""

    session: str
    turn: int
    text: str


Stage = Literal["encode", "prefill", "decode", "code", "codec"]
"""What the model's process does for a reply: sound and pictures to rows, rows to the cache, steps of the reply, its first speech
frame (a moment), frames to sound."""


@dataclass(frozen=True)
class Stint:
    """Work for one session: it began `ago_ms` before the message that tells of it was made, and took `ms`."""

    stage: Stage
    ago_ms: float
    ms: float


@dataclass(frozen=True, eq=False)
class Spoke:
    """A piece of reply `turn`: new text, new sound, or both.

    `pcm` is float32 mono at the rate of `Opened` (24 kHz) and may be empty; `at_ms` is where it starts in the reply.
    With the first sound comes its `effort`: the latest work for this session, some of which may be from before the question's end.
    In `shared` engine steps so far other sessions had a part: with nobody else there, the same reply may have other last bits.
    """

    session: str
    turn: int
    text: str
    pcm: NDArray[np.float32]
    at_ms: int
    effort: tuple[Stint, ...] = ()
    shared: int = 0


@dataclass(frozen=True)
class Called:
    """Reply `turn` calls a function; `arguments` is JSON by its schema."""

    session: str
    turn: int
    name: str
    arguments: str


@dataclass(frozen=True)
class Cost:
    """What a session has cost the model so far."""

    positions: int = 0
    """Run through the network."""
    experts: float = 0.0
    """FFN experts that a position used on average in a layer; the rest of its choices were experts that cost nothing."""
    guessed: int = 0
    """Tokens of written replies that the next-token-prediction head guessed."""
    accepted: int = 0
    """Of these, those that were right."""


@dataclass(frozen=True)
class Ended:
    """Reply `turn` is complete; no `Spoke` and no `Called` of it follows."""

    session: str
    turn: int
    reason: EndReason
    usage: Usage = field(default_factory=Usage)
    cost: Cost = field(default_factory=Cost)


@dataclass(frozen=True)
class Failed:
    """A request of this session could not be carried out, in words; `turn` is the reply it ended, if any."""

    session: str
    turn: int | None
    message: str


@dataclass(frozen=True)
class Handled:
    """One more request of the session has been carried out, when `frames` steps of its replies had been decoded."""

    session: str
    frames: int = 0


Reply = Opened | Weighed | Doubted | Transcribed | Spoke | Called | Ended | Failed | Handled
