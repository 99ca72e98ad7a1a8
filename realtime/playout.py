"""An answer on its way to the ear: held until the turn is certain (t4), then counted, to know what was heard.

Answers are made faster than they are spoken, and a client may play them only as fast as they are spoken. So what
has been heard is at most what was sent, and at most the time since the first sound was sent. The client knows
better and may say so (`conversation.item.truncate`); this is the estimate for when it does not.
"""

from __future__ import annotations

import numpy as np

from vivavoce.realtime.config import OUTPUT_RATE_HZ
from vivavoce.realtime.events import AnswerSpoke

MS_PER_LETTER = 67
"""A calm English voice speaks 15 letters and spaces a second; used while an answer is still being made."""


class Playout:
    """One answer's speech.

    `push` gives what may be sent now (nothing while held), `release` gives what was held and holds no more.
    """

    def __init__(self) -> None:
        self._held: list[AnswerSpoke] | None = []
        self._pieces: list[tuple[int, str]] = []
        self._samples = 0
        self._since_ms: int | None = None
        self._paused_ms: int | None = None

    @property
    def sent_ms(self) -> int:
        """Sound sent so far."""
        return self._samples * 1000 // OUTPUT_RATE_HZ

    def push(self, piece: AnswerSpoke, now_ms: int) -> list[AnswerSpoke]:
        """The next piece of the answer; returned at once if it may be sent, kept if not."""
        if self._held is not None:
            self._held.append(piece)
            return []
        self._send(piece, now_ms)
        return [piece]

    def release(self, now_ms: int) -> list[AnswerSpoke]:
        """The turn is certain: everything held, in order; from now on nothing is held."""
        held, self._held = self._held or [], None
        for piece in held:
            self._send(piece, now_ms)
        return held

    def hold(self) -> None:
        """What comes is held again, until `release`."""
        self._held = self._held or []

    def pause(self, now_ms: int) -> None:
        """Whoever plays it stands still, until `resume`."""
        self._paused_ms = now_ms

    def resume(self, now_ms: int) -> None:
        """They go on where they were."""
        if self._paused_ms is not None and self._since_ms is not None:
            self._since_ms += now_ms - self._paused_ms
        self._paused_ms = None

    def heard_ms(self, now_ms: int) -> int:
        """The most that can have been heard."""
        if self._since_ms is None:
            return 0
        until_ms = now_ms if self._paused_ms is None else self._paused_ms
        return max(0, min(self.sent_ms, until_ms - self._since_ms))

    def over_at(self) -> int | None:
        """When all that was sent will have been heard; None if nothing was."""
        return None if self._since_ms is None else self._since_ms + self.sent_ms

    def text_until(self, heard_ms: int, is_whole: bool = True) -> str:
        """Words whose sound begins before `heard_ms`; `is_whole`: no more of the answer is to come.

        A model writes ahead of its voice. So a word begins at its share of the sound, and not before it was written.
        """
        letters = sum(len(text) for _, text in self._pieces)
        length_ms = self.sent_ms if is_whole else max(self.sent_ms, letters * MS_PER_LETTER)
        said = ""
        for at_ms, text in self._pieces:
            if max(at_ms, len(said) * length_ms // max(1, letters)) >= heard_ms:
                break
            said += text
        return said

    def unheard(self, heard_ms: int) -> str:
        """The words after those, as far as the model had written them: sent and not heard, or still held."""
        said = "".join(text for _, text in self._pieces)
        held = "".join(piece.text for piece in self._held or [])
        return said[len(self.text_until(heard_ms, is_whole=False)) :] + held

    def _send(self, piece: AnswerSpoke, now_ms: int) -> None:
        self._pieces.append((piece.at_ms, piece.text))
        if not len(piece.pcm):
            return
        if self._since_ms is None:
            self._since_ms = now_ms
        # Sound that ran dry is heard later than it would have been: what is still unheard counts from now on.
        self._since_ms = max(self._since_ms, now_ms - self.sent_ms)
        self._samples += len(piece.pcm)


def split(pcm: np.ndarray, ms: int) -> list[np.ndarray]:
    """Sound in pieces of at most `ms`: float32 [samples] at 24 kHz in, the same samples out."""
    step = ms * OUTPUT_RATE_HZ // 1000
    return [pcm[at : at + step] for at in range(0, len(pcm), step)]
