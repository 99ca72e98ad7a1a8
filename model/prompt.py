"""A conversation as the rows the model reads: one text id and four codec ids per position, int64 [n, 5].

Plain text layout of the Omni demo: `SYSTEM:` and `USER:` and `ASSISTANT:` or `VOICE ASSISTANT:`, no round numbers, no begin
token, each turn closed by a newline. Every piece is tokenized by itself and the results are joined; never tokenize a joined
string, its merges differ at the seams. Codec columns hold `PAD` wherever nothing is spoken.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from vivavoce.model.tokenizer import AUDIO_END, AUDIO_PAD, AUDIO_START, EOS, IMAGE_PAD, PAD, PAUSE, Tokenizer

Rows = npt.NDArray[np.int64]

CODEBOOKS = 4
CODE_OFFSET = 32
"""Codec ids below this are control ids; code c is written c + 32."""
CODE_EOS = 2
"""Ends a piece of speech, in the semantic stream only."""

ROLES = {"SYSTEM": EOS, "USER": None, "ASSISTANT": EOS, "TOOL": EOS}
"""Role to the id that closes its text, None where the turn is closed by the newline alone."""


def text_ids(ids: Sequence[int]) -> Rows:
    """Rows of plain text ids, [n, 5]."""
    rows = np.full((len(ids), 1 + CODEBOOKS), PAD, np.int64)
    rows[:, 0] = ids
    return rows


def text(tokenizer: Tokenizer, string: str) -> Rows:
    """Rows of a string tokenized by itself."""
    return text_ids(tokenizer.encode(string))


def join(*parts: Rows) -> Rows:
    return np.concatenate(parts) if parts else text_ids([])


def text_turn(tokenizer: Tokenizer, role: str, string: str) -> Rows:
    """A whole turn in writing. Raises ValueError for a role outside `ROLES`."""
    if role not in ROLES:
        raise ValueError(f"unknown role {role!r}, expected one of {tuple(ROLES)}")
    end = ROLES[role]
    closing = text_ids([] if end is None else [end])
    return join(text(tokenizer, f"{role}:"), text(tokenizer, string), closing, text(tokenizer, "\n"))


def user_start(tokenizer: Tokenizer) -> Rows:
    return text(tokenizer, "USER:")


def user_end(tokenizer: Tokenizer) -> Rows:
    return text(tokenizer, "\n")


def stamp(tokenizer: Tokenizer, seconds: float) -> Rows:
    """`second{12.5}:`, written before the picture of every frame pair."""
    return text(tokenizer, f"second{{{seconds:.1f}}}:")


def visual(tokens: int) -> Rows:
    """Slots for the visual tokens of one frame pair."""
    return text_ids([IMAGE_PAD] * tokens)


def image(tokenizer: Tokenizer, tokens: int) -> Rows:
    """A still: its slots and a newline."""
    return join(visual(tokens), text(tokenizer, "\n"))


def audio_pads(count: int, *, opens: bool, closes: bool) -> Rows:
    """Slots for `count` audio tokens; `opens` and `closes` put the span's markers around them."""
    return text_ids([AUDIO_START] * opens + [AUDIO_PAD] * count + [AUDIO_END] * closes)


def pads_in_chunk(index: int) -> int:
    """Audio tokens in the `index`-th second of a turn: 12, 13, 12, 13 ..., 12.5 a second."""
    return 12 + index % 2


def generation(tokenizer: Tokenizer, *, voice: bool = True) -> Rows:
    """What makes the model answer, aloud or in writing."""
    return text(tokenizer, "VOICE ASSISTANT:" if voice else "ASSISTANT:")


def spoken_piece(ids: Sequence[int], codes: npt.NDArray[np.int64]) -> Rows:
    """One piece of a spoken reply (teacher-forcing layout), [frames + 1, 5].

    The text ids stand at its beginning; the semantic code of frame i is in row i, its acoustic codes in row i + 1, and
    the last row holds the semantic end.

    Args:
        ids: text ids, the last one `PAUSE` or `EOS`.
        codes: [frames, 4], without the offset.

    Raises:
        ValueError: more text ids than rows: the speech is shorter than its text.
    """
    frames = len(codes)
    if len(ids) > frames + 1:
        raise ValueError(f"{len(ids)} text ids do not fit into the {frames + 1} rows of {frames} speech frames")
    rows = np.full((frames + 1, 1 + CODEBOOKS), PAD, np.int64)
    rows[: len(ids), 0] = ids
    rows[:frames, 1] = codes[:, 0] + CODE_OFFSET
    rows[frames, 1] = CODE_EOS
    rows[1:, 2:] = codes[:, 1:] + CODE_OFFSET
    return rows


def spoken_reply(
    tokenizer: Tokenizer, pieces: Sequence[tuple[str, npt.NDArray[np.int64]]], *, end: bool = True
) -> Rows:
    """Pieces of (text, codes [frames, 4]); the last is closed by the end id and, with `end`, by the turn's newline."""
    rows = [
        spoken_piece([*tokenizer.encode(words), PAUSE if i + 1 < len(pieces) else EOS], codes)
        for i, (words, codes) in enumerate(pieces)
    ]
    return join(*rows, *([text(tokenizer, "\n")] if end else []))
