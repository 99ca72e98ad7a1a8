"""Keeps a call of a function to the schema of its arguments while it is written, token by token.

The grammar is llguidance's; here is when it applies. A reply that must call is bound from its first token on. One that may
call is free until it has written the opening tag; from then on it is bound, and nothing of it is spoken any more.

A small model can write digits or letters without end where a schema sets no limit. So a call that has become long is hurried:
whatever closes a string, an object, a list or the reply is taken as soon as the grammar allows it.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import cached_property

import numpy as np
import torch
from llguidance import LLMatcher, LLTokenizer
from torch import Tensor

from vivavoce.model.functions import CLOSE, OPEN
from vivavoce.model.messages import Function
from vivavoce.model.tokenizer import EOS, Tokenizer

HURRY_AFTER = 200
"""Tokens of a reply's calls."""
CLOSERS = ('"', "}", "]", ",")
"""What ends something, most wanted first."""
MOST_CALLS = 8
"""Of one reply."""
TAIL = 32
"""Tokens in which the opening tag is looked for; it has at most 19 bytes."""
JSON_STYLE = {"whitespace_flexible": False, "item_separator": ", ", "key_separator": ": ", "lenient": True}
"""As the model has seen calls written; what a schema says that the grammar cannot express is left to the client."""


class Guide:
    """The choice of text of one reply that may or must call functions. A part of `engine.sampling.Speaker`."""

    def __init__(self, smith: Smith, grammar: str, *, must: bool) -> None:
        self._smith = smith
        self._grammar = grammar
        self._matcher = LLMatcher(smith.bytes, grammar) if must else None
        self._tail: list[int] = []
        self._bound = 0

    @property
    def silent(self) -> bool:
        """What comes now is not spoken."""
        return self._matcher is not None

    def allowed(self, logits: Tensor) -> Tensor:
        """[V] -> [V], minus infinity where the grammar forbids a token."""
        if self._matcher is None:
            return logits
        mask = np.unpackbits(np.frombuffer(self._matcher.compute_bitmask(), np.uint8), bitorder="little")
        if self._matcher.is_stopped():
            mask[:] = 0
            mask[EOS] = 1
        elif self._bound >= HURRY_AFTER:
            wanted = next((token for token in self._smith.closers if mask[token]), None)
            if wanted is not None:
                mask[:] = 0
                mask[wanted] = 1
        forbidden = torch.ones(len(logits), dtype=torch.bool)
        forbidden[: len(mask)] = torch.from_numpy(mask[: len(logits)] == 0)
        return logits.masked_fill(forbidden.to(logits.device), -torch.inf)

    def took(self, token: int) -> None:
        """The next token of the reply's text has been chosen."""
        if self._matcher is not None:
            self._bound += 1
            if token != EOS:
                self._matcher.consume_token(token)
            return
        self._tail = [*self._tail, token][-TAIL:]
        _, tag, rest = self._smith.tokenizer.decode(self._tail).partition(OPEN)
        if tag:
            self._matcher = LLMatcher(self._smith.bytes, self._grammar)
            self._matcher.consume_tokens(self._smith.bytes.tokenize_str(tag + rest, parse_special=True))


class Smith:
    """Makes guides over one vocabulary."""

    def __init__(self, tokenizer: Tokenizer, vocabulary: int) -> None:
        """`vocabulary`: logits of the text head, which may be more than the tokenizer has."""
        self.tokenizer = tokenizer
        self._vocabulary = vocabulary

    @cached_property
    def bytes(self) -> LLTokenizer:
        """The vocabulary as llguidance has it; made when the first function is offered."""
        return LLTokenizer(self.tokenizer.json(), n_vocab=self._vocabulary, eos_token=EOS)

    @cached_property
    def closers(self) -> list[int]:
        """The end, and the tokens of `CLOSERS`."""
        return [EOS, *(ids[0] for ids in map(self.tokenizer.encode, CLOSERS) if len(ids) == 1)]

    def guide(self, functions: Sequence[Function], *, must: bool, parallel: bool = True) -> Guide:
        """A guide for one reply.

        Raises:
            ValueError: there is nothing to call although one must, or a schema is none; the message names the function.
        """
        if not functions:
            raise ValueError("a reply that must call a function needs one to call")
        for function in functions:
            schema = LLMatcher.grammar_from_lark(f"start: {_arguments(function)}")
            wrong, told = LLMatcher.validate_grammar_with_warnings(schema, self.bytes)
            if wrong:
                raise ValueError(f"the parameters of function {function.name!r} are no JSON schema: {told[0]}")
        return Guide(self, self._grammar(functions, parallel), must=must)

    def _grammar(self, functions: Sequence[Function], parallel: bool) -> str:
        special = self.tokenizer.is_special(OPEN)
        opening, closing = (tag if special else json.dumps(tag) for tag in (OPEN, CLOSE))
        more = f"({opening} call){{0,{MOST_CALLS - 1}}}" if parallel else ""
        rules = [f"start: {opening} call {more}", f'call: "\\n"? body "\\n" {closing}']
        rules.append("body: " + " | ".join(f"body_{at}" for at in range(len(functions))))
        for at, function in enumerate(functions):
            name = json.dumps(f'{{"name": {json.dumps(function.name)}, "arguments": ')
            rules += [f'body_{at}: {name} arguments_{at} "}}"', f"arguments_{at}: {_arguments(function)}"]
        return str(LLMatcher.grammar_from_lark("\n".join(rules)))


def _arguments(function: Function) -> str:
    """The rule for a function's arguments, which are always an object."""
    schema = {"type": "object", **json.loads(function.parameters)}
    return "%json " + json.dumps({**schema, "x-guidance": JSON_STYLE})
