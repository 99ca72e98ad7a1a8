"""One reply of the model while it is made: steps in, words and speech frames out, and what to remember if it is cut.

The acoustic codes of a frame are made one step after its semantic code, so frame i joins the semantics of step i with
the acoustics of step i + 1. A step whose semantic code is the end is no frame; it only gives acoustics to the one
before.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from vivavoce.codecs.media import FRAME_MS, SpeechFrame
from vivavoce.model import prompt
from vivavoce.model.captions import Captions
from vivavoce.model.functions import OPEN, Call, CallReader
from vivavoce.model.prompt import CODE_EOS, CODE_OFFSET, Rows
from vivavoce.model.tokenizer import EOS, PAD, PAUSE, Tokenizer

Codes = tuple[int, int, int, int]

CHARACTERS_PER_FRAME = 0.9
"""Letters and spaces spoken in 60 ms at 15 a second, a calm English voice; used for a piece still being made."""

BREAKPOINT = re.compile(r"[.!?,;:…](?=\s|$)|[。！？，；：、]")
"""Where a spoken sentence may be cut: punctuation that ends a clause, and not the point inside a number."""


@dataclass(eq=False)
class Piece:
    """A stretch of the reply between pauses."""

    ids: list[int] = field(default_factory=list)
    """Its words, without the pause or the end."""
    codes: list[Codes] = field(default_factory=list)
    """Its speech frames, aligned and without offset."""
    complete: bool = False


@dataclass(frozen=True)
class Said:
    """What one step adds to what can be shown and heard."""

    text: str = ""
    speech: SpeechFrame | None = None
    calls: tuple[Call, ...] = ()


class Reply:
    """The steps of one reply so far."""

    def __init__(self, tokenizer: Tokenizer, *, text_only: bool = False, calls: bool = False) -> None:
        """`calls`: the reply may call functions; otherwise one that it writes all the same is not shown."""
        self.text_only = text_only
        self.has_called = False
        self._reader = CallReader(allowed=calls)
        self.pieces = [Piece()]
        self.captions = Captions(tokenizer)
        self._tokenizer = tokenizer
        self._semantic: int | None = None
        self._steps: list[tuple[int | None, Codes | None]] = []

    @property
    def frames(self) -> int:
        """Whole speech frames so far."""
        return sum(len(piece.codes) for piece in self.pieces)

    @property
    def words(self) -> int:
        """Text tokens so far."""
        return sum(len(piece.ids) for piece in self.pieces)

    def push(self, text_id: int | None, codes: Codes | None) -> Said:
        """One step of the engine -> the text that is now certain and the speech frame that is now whole.

        `text_id` is None while only sound is made; codes carry their offset, a negative one stands for none.
        """
        self._steps.append((text_id, codes))
        speech = None if codes is None else self._pair(codes)
        text = "" if text_id is None else self._read(text_id)
        text, calls = self._reader.push(text)
        self.has_called = self.has_called or bool(calls)
        if text_id is None and codes is not None and codes[0] == CODE_EOS:
            self.pieces[-1].complete = True
            self.pieces.append(Piece())
        return Said(text, speech, tuple(calls))

    def rest(self) -> str:
        """The reply has ended -> the words that were held back."""
        return self._reader.push(self.captions.end())[0] + self._reader.end()

    def _pair(self, codes: Codes) -> SpeechFrame | None:
        semantic, self._semantic = self._semantic, codes[0] if codes[0] >= CODE_OFFSET else None
        if semantic is None or min(codes[1:]) < CODE_OFFSET:
            return None
        first, second, third = (code - CODE_OFFSET for code in codes[1:])
        frame = SpeechFrame((semantic - CODE_OFFSET, first, second, third))
        self.pieces[-1].codes.append(frame.codes)
        return frame

    def _read(self, token: int) -> str:
        if token == EOS:
            return self.captions.end()
        if token == PAUSE and not self.text_only:
            return self.captions.pause()
        self.pieces[-1].ids.append(token)
        return self.captions.word(token)

    def closing_rows(self) -> Rows:
        """What history still lacks when the reply has ended by itself: its last step, and the turn's newline."""
        assert self._steps, "a reply cannot have ended before its first step"
        return prompt.join(_rows(self._steps[-1:]), prompt.text(self._tokenizer, "\n"))

    def fed_rows(self) -> Rows:
        """What history has already when the reply has ended by itself: all steps but the last, as the engine fed them."""
        return _rows(self._steps[:-1])

    def rows_heard(self, frames: int) -> Rows | None:
        """The reply cut to its first `frames` speech frames and the words in them, closed like any other.

        Words are cut at the last punctuation heard, or else after the last whole word. None when nothing was heard.
        A reply in writing is kept as far as it got. Calls of functions are left out: they are made when a reply has ended.
        """
        if self.text_only:
            return self._written()
        pieces = []
        for piece in self.pieces:
            heard = min(frames, len(piece.codes))
            frames -= heard
            words = self._words_heard(piece, heard)
            if words:
                pieces.append((words, np.array(piece.codes[:heard], np.int64)))
            if heard < len(piece.codes) or not piece.complete:
                break
        return prompt.spoken_reply(self._tokenizer, pieces) if pieces else None

    def _written(self) -> Rows | None:
        ids = self.pieces[0].ids
        said, tag, _ = self._tokenizer.decode(ids).partition(OPEN)
        if tag:
            ids = self._tokenizer.encode(said.rstrip())
        return prompt.join(prompt.text_ids([*ids, EOS]), prompt.text(self._tokenizer, "\n")) if ids else None

    def _words_heard(self, piece: Piece, heard: int) -> str:
        """The words in the first `heard` frames of a piece; they always fit into those frames."""
        if heard == 0:
            return ""
        text = self._tokenizer.decode(piece.ids).partition(OPEN)[0]
        if not piece.complete or heard < len(piece.codes):
            expected = 0.0 if piece.complete else len(text) / CHARACTERS_PER_FRAME
            text = cut_text(text, round(len(text) * heard / max(len(piece.codes), expected)))
        while text and len(self._tokenizer.encode(text)) > heard:
            text = text.rpartition(" ")[0]
        return text


def _rows(steps: Sequence[tuple[int | None, Codes | None]]) -> Rows:
    """Steps as prompt rows, [steps, 5]."""
    rows = prompt.text_ids([PAD if text_id is None else text_id for text_id, _ in steps])
    for row, (_, codes) in zip(rows, steps, strict=True):
        if codes is not None:
            row[1:] = [code if code >= 0 else PAD for code in codes]
    return rows


def cut_text(text: str, limit: int) -> str:
    """At most `limit` characters of `text`, ending at the last punctuation in them, else at the last whole word."""
    if limit >= len(text):
        return text
    breaks = [match.end() for match in BREAKPOINT.finditer(text) if match.end() <= limit]
    if breaks:
        return text[: breaks[-1]]
    return text[: limit + 1].rpartition(" ")[0]


def frames_in(heard_ms: int) -> int:
    """Whole speech frames in `heard_ms` of a reply."""
    return max(0, heard_ms) // FRAME_MS
