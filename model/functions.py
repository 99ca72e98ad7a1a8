"""Functions that a client offers: how the model is told of them, and how its call is read out of its text.

The layout is that of LongCat-Flash-Chat, which Omni was made from: the functions stand in the system turn before the heading
`## Messages`, a call is JSON between two tags in the text of a reply, and what it returned comes back as a `TOOL:` turn.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

from vivavoce.model.messages import Function

OPEN, CLOSE = "<longcat_tool_call>", "</longcat_tool_call>"

HEAD = "## Tools\nYou have access to the following tools: \n\n### Tool namespace: function\n\n"
NOTE = (
    "**Note**: For each function call, return a json object with function name and arguments within "
    f"{OPEN}{CLOSE} XML tags as follows:\n{OPEN}\n"
    '{"name": <function-name>, "arguments": <args-dict-object>}\n'
    f"{CLOSE}\nWhen several functions are needed at once, wrap each call in its own {OPEN} tag, one after another.\n"
)
MESSAGES = "## Messages"


@dataclass(frozen=True)
class Call:
    """One call, its arguments as JSON."""

    name: str
    arguments: str


def described(functions: Sequence[Function]) -> str:
    """The functions as the model reads of them; empty if there are none."""
    if not functions:
        return ""
    told = [
        f"#### Tool name: {f.name}\n\nDescription: {f.description}\n\nInputSchema: \n"
        f"{json.dumps(json.loads(f.parameters), indent=2, ensure_ascii=False)}\n\n"
        for f in functions
    ]
    return f"{HEAD}{''.join(told)}{NOTE}\n{MESSAGES}\n"


def written(call: Call) -> str:
    """A call as the model writes it; arguments that are no JSON, of a client's own making, as a string."""
    try:
        arguments = json.loads(call.arguments)
    except json.JSONDecodeError:
        arguments = call.arguments
    return f"{OPEN}\n{json.dumps({'name': call.name, 'arguments': arguments}, ensure_ascii=False)}\n{CLOSE}"


class CallReader:
    """Parts a reply's text into what is said and what is called.

    What may be the beginning of a tag is held back until more comes. Behind the first call nothing is said any more.
    """

    def __init__(self, *, allowed: bool = True) -> None:
        """`allowed`: without it what follows a tag is dropped, since nothing has held it to a schema."""
        self._allowed = allowed
        self._text = ""
        self._calling = False

    def push(self, text: str) -> tuple[str, list[Call]]:
        """More text -> what can be shown of it, and the calls that are now complete."""
        self._text += text
        if not self._calling:
            said, tag, rest = self._text.partition(OPEN)
            if not tag:
                kept = held_back(said)
                self._text = said[len(said) - kept :]
                return said[: len(said) - kept], []
            self._calling, self._text = True, tag + rest
            return said.rstrip(), self._complete()
        return "", self._complete()

    def end(self) -> str:
        """The reply has ended: what was held back was no tag."""
        rest, self._text = ("" if self._calling else self._text), ""
        return rest

    def _complete(self) -> list[Call]:
        calls: list[Call] = []
        while self._allowed and CLOSE in self._text:
            one, _, self._text = self._text.partition(CLOSE)
            made = json.loads(one.partition(OPEN)[2])
            calls.append(Call(made["name"], json.dumps(made["arguments"], ensure_ascii=False)))
        return calls


def held_back(text: str) -> int:
    """How many characters at the end of `text` may begin a tag."""
    return next((n for n in range(min(len(OPEN) - 1, len(text)), 0, -1) if OPEN.startswith(text[-n:])), 0)
