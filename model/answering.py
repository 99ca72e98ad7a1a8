"""The latest reply of a conversation: what it was asked after, where its rows begin, and what has been heard of it."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from vivavoce.codecs.codec import SpeechDecoder
from vivavoce.codecs.media import SPEAK_RATE, AudioChunk
from vivavoce.codecs.onset import Onset
from vivavoce.codecs.voices import Voices
from vivavoce.model.engine.engine import Engine
from vivavoce.model.engine.events import Frame, Sampling
from vivavoce.model.guide import Smith
from vivavoce.model.listening import Scribe, UserTurn
from vivavoce.model.messages import Called, Spoke, Usage
from vivavoce.model.messages import Reply as Message
from vivavoce.model.reply import Reply, Said, frames_in
from vivavoce.model.tokenizer import Tokenizer

SILENCE: NDArray[np.float32] = np.zeros(0, np.float32)


@dataclass(frozen=True, eq=False)
class Shared:
    """What all conversations of a process share."""

    engine: Engine
    tokenizer: Tokenizer
    voices: Voices
    scribe: Scribe
    sampling: Sampling
    spells: bool
    """The audio encoder's CTC head speaks the tokenizer's ids, so what was heard can be shown."""
    smith: Smith
    longest: int
    """Positions of a conversation behind its instructions; more than that the model has not learned to make sense of."""


@dataclass(eq=False)
class Answering:
    """The latest reply: running, or ended and not yet settled."""

    turn: int
    epoch: int
    mark: int
    """The memory before the user's turn was closed."""
    heard: UserTurn
    """The user's turn at the mark."""
    header: int
    """The memory before `VOICE ASSISTANT:`."""
    reply: Reply
    voice: SpeechDecoder
    usage: Usage
    samples: int = 0
    """Sound emitted, at the reply's rate."""
    onset: Onset = field(default_factory=Onset)
    """Which of the voice's sound is left out, because nothing is heard of it yet."""
    running: bool = True
    whole: bool = False
    """It ended by itself, and history has all of it."""

    def said(self, frame: Frame) -> Said:
        """A step of the engine -> the words that are now certain, and the speech frame for the voice.

        Raises:
            ValueError: a code is none of the codec's.
        """
        said = self.reply.push(frame.text_id, frame.codes)
        if said.speech is not None:
            self.voice.expects(said.speech)
        return said

    def spoke(self, session: str, said: Said, chunk: AudioChunk | None) -> list[Message]:
        """What was said, and the sound that the voice has made ready meanwhile."""
        pcm, self.onset = self.onset.push(SILENCE if chunk is None else chunk.pcm)
        spoke = self._emit(session, said.text, pcm)
        return [*spoke, *(Called(session, self.turn, call.name, call.arguments) for call in said.calls)]

    def rest(self, session: str) -> list[Message]:
        """The reply has ended -> what was held back of it."""
        pcm, self.onset = self.onset.push(self.voice.flush().pcm if self.reply.frames else SILENCE)
        return self._emit(session, self.reply.rest(), pcm if self.onset.begun else self.onset.held)

    def frames_heard(self, heard_ms: int) -> int:
        """Whole speech frames in the first `heard_ms` of what was emitted."""
        return frames_in(heard_ms + self.onset.dropped * 1000 // SPEAK_RATE)

    def _emit(self, session: str, text: str, pcm: NDArray[np.float32]) -> list[Message]:
        if not text and not len(pcm):
            return []
        at_ms = self.samples * 1000 // SPEAK_RATE
        self.samples += len(pcm)
        return [Spoke(session, self.turn, text, pcm, at_ms)]
