"""A reply's words as they are made: token ids in, text that will not change any more out."""

from __future__ import annotations

from typing import Protocol

REPLACEMENT = "\N{REPLACEMENT CHARACTER}"
"""What a decoder puts where bytes are no character, or not yet."""


class Decoder(Protocol):
    """The part of a tokenizer that captions need."""

    def decode(self, ids: list[int]) -> str: ...


class Captions:
    """The displayed text of one reply.

    Bytes of an unfinished character, and white space that may turn out to be the last, are held back until more comes;
    white space before the first word is dropped. `</pause>` shows as a space after a full stop and as nothing elsewhere.
    """

    def __init__(self, decoder: Decoder) -> None:
        self._decoder = decoder
        self._ids: list[int] = []
        self._shown = 0
        self._read = 0
        self._held = ""
        self._joint = False
        self._text = ""

    @property
    def text(self) -> str:
        """What has been given out so far, without white space at the end."""
        return self._text

    def word(self, token: int) -> str:
        """One more token of text -> the text that is now certain, perhaps none."""
        self._ids.append(token)
        before = self._decoder.decode(self._ids[self._shown : self._read])
        now = self._decoder.decode(self._ids[self._shown :])
        if now.endswith(REPLACEMENT):
            return ""
        self._shown, self._read = self._read, len(self._ids)
        return self._give(now[len(before) :])

    def pause(self) -> str:
        """A piece has ended; the next is tokenised by itself."""
        given = self.end()
        if self._text.endswith("."):
            self._held, self._joint = " ", True
        return given

    def end(self) -> str:
        """Whatever was held back, except white space."""
        before = self._decoder.decode(self._ids[self._shown : self._read])
        rest = self._decoder.decode(self._ids[self._shown :])[len(before) :]
        self._ids, self._shown, self._read = [], 0, 0
        return self._give(rest)

    def _give(self, new: str) -> str:
        if self._joint and new:  # a piece may bring its own space
            self._held, self._joint = "" if new[0].isspace() else " ", False
        text = self._held + new
        if not self._text:
            text = text.lstrip()
        certain = text.rstrip()
        self._held = text[len(certain) :]
        self._text += certain
        return certain
