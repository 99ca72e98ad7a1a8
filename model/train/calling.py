"""A call of a function as the model makes it, and what of it is there to be learned.

`model/guide.py` holds a call to its schema from the opening tag on: what its grammar leaves no choice about, the server writes.
"""

from __future__ import annotations

import re

import numpy as np

from vivavoce.model import prompt
from vivavoce.model.functions import HEAD, NOTE, OPEN, Call, written
from vivavoce.model.tokenizer import EOS, PAD, Tokenizer

VALUE = re.compile(r': ("[^"]*"|[^"{\[][^,}\]]*)')
"""What stands behind a colon in JSON, but for objects and lists."""


def brief(told: str) -> str:
    """What `functions.described` says of the functions, without what it always says around them."""
    return told.removeprefix(HEAD).partition(NOTE)[0]


def rows_of(tokenizer: Tokenizer, call: Call, *, voice: bool, named: bool) -> tuple[prompt.Rows, np.ndarray]:
    """Rows [n, 5] of the call and its end, and bool [n]: which of them are open.

    A spoken reply has a step of sound for every token of the tag, for nobody knows yet that it is one; each says the end of
    speech, which makes no frame. Behind the tag nothing is spoken. `named`: its name is open as well.
    """
    text = written(call)
    ids = tokenizer.encode(text)
    ends = [len(tokenizer.decode(ids[: n + 1])) for n in range(len(ids))]
    rows = prompt.text_ids([*ids, EOS])
    if voice:
        tag = next(n for n, end in enumerate(ends, 1) if end >= len(OPEN))
        rows[:tag, 1:] = prompt.CODE_EOS
        rows[0, 2:] = PAD  # as in any reply: the first acoustic codes would belong to a frame before it
    free = _open(text, call.name if named else "")
    starts = [0, *ends[:-1]]
    return rows, np.array([*(free[start:end].any() for start, end in zip(starts, ends, strict=True)), True])


def _open(text: str, name: str) -> np.ndarray:
    """bool [characters]: the tag, the name, values and what ends them."""
    free = np.zeros(len(text), bool)
    free[: len(OPEN)] = True
    if name:
        at = text.index(name, len(OPEN) + len('{"name": "'))
        free[at : at + len(name) + 1] = True
    for value in VALUE.finditer(text, text.index('"arguments"')):
        free[value.start(1) : value.end(1) + 1] = True
    return free
