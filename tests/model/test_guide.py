"""Calls of functions fit their schemas, whatever the model would rather write."""

import json
import random
from typing import Any

import jsonschema
import pytest
import torch

from vivavoce.model.functions import OPEN, CallReader
from vivavoce.model.guide import Guide, Smith
from vivavoce.model.messages import Function
from vivavoce.model.tokenizer import EOS, Tokenizer, train_tokenizer

LONGEST = 900
"""Tokens after which a call should have come to its end."""


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return train_tokenizer(["a red circle. yes, it is red. {}[]"], 430)


@pytest.fixture(scope="module")
def smith(tokenizer: Tokenizer) -> Smith:
    return Smith(tokenizer, tokenizer.vocab_size + 10)  # a text head may be larger than the vocabulary


def babble(guide: Guide, vocabulary: int, seed: int, *, sure: bool) -> list[int]:
    """What a model writes whose wishes are chance, or (`sure`) always the same."""
    dice = torch.Generator().manual_seed(seed)
    wishes, ids = torch.randn(vocabulary, generator=dice), list[int]()
    while len(ids) < LONGEST and EOS not in ids:
        wishes = wishes if sure else torch.randn(vocabulary, generator=dice)
        ids.append(int(guide.allowed(wishes).argmax()))
        guide.took(ids[-1])
    return ids


def schema(rng: random.Random, depth: int = 0) -> dict[str, Any]:
    """One of the schemas that functions are described with."""
    kinds = ["string", "integer", "number", "boolean", "enum", "null"] + ["array", "object"] * (depth < 3)
    match rng.choice(kinds):
        case "string":
            more: list[dict[str, Any]] = [
                {},
                {"maxLength": 5},
                {"minLength": 2, "maxLength": 9},
                {"pattern": "^[a-c]{2,4}$"},
            ]
            return {"type": "string", **rng.choice(more)}
        case "integer":
            return {"type": "integer", **rng.choice([{}, {"minimum": 3, "maximum": 17}])}
        case "enum":
            return {"enum": rng.sample(["c", "f", "kelvin", 3, None, True, "é"], rng.randint(1, 4))}
        case "array":
            return {"type": "array", "items": schema(rng, depth + 1), "maxItems": 4, "minItems": rng.randint(0, 2)}
        case "object":
            return arguments(rng, depth + 1)
        case kind:
            return {"type": kind}


def arguments(rng: random.Random, depth: int = 0) -> dict[str, Any]:
    names = rng.sample(["city", "days", "a b", "größe", 'qu"ote', "x", "unit"], rng.randint(0, 4))
    required = [name for name in names if rng.random() < 0.6]
    made = {"type": "object", "properties": {name: schema(rng, depth + 1) for name in names}, "required": required}
    return {**made, "additionalProperties": False} if rng.random() < 0.5 else made


@pytest.mark.parametrize("sure", [False, True], ids=["by chance", "stubborn"])
def test_a_thousand_forced_calls_fit_a_thousand_schemas(smith: Smith, tokenizer: Tokenizer, sure: bool) -> None:
    for seed in range(500 * sure, 500 * sure + 500):
        rng = random.Random(seed)
        wanted = arguments(rng)
        guide = smith.guide([Function("f", "", json.dumps(wanted))], must=True, parallel=False)
        ids = babble(guide, tokenizer.vocab_size + 10, seed, sure=sure)
        assert ids[-1] == EOS, (wanted, tokenizer.decode(ids))
        said, calls = CallReader().push(tokenizer.decode(ids[:-1]))
        assert said == ""
        assert [call.name for call in calls] == ["f"]
        jsonschema.validate(json.loads(calls[0].arguments), wanted)


def test_of_several_functions_each_has_its_own_arguments(smith: Smith, tokenizer: Tokenizer) -> None:
    functions = [
        Function("sum", "", json.dumps({"properties": {"a": {"type": "integer"}}, "required": ["a"]})),
        Function("name", "", json.dumps({"properties": {"n": {"type": "string"}}, "required": ["n"]})),
    ]
    seen = set()
    for seed in range(30):
        ids = babble(smith.guide(functions, must=True), tokenizer.vocab_size, seed, sure=False)
        for call in CallReader().push(tokenizer.decode(ids))[1]:
            seen.add(call.name)
            jsonschema.validate(json.loads(call.arguments), json.loads(functions[call.name == "name"].parameters))
    assert seen == {"sum", "name"}


def test_a_reply_that_may_call_is_free_until_it_opens_the_tag(smith: Smith, tokenizer: Tokenizer) -> None:
    guide = smith.guide([Function("look", "", "{}")], must=False, parallel=False)
    wishes = torch.randn(tokenizer.vocab_size)
    for token in tokenizer.encode("a red circle. " + OPEN[:-1]):
        assert torch.equal(guide.allowed(wishes), wishes)
        guide.took(token)
    assert not guide.silent
    guide.took(tokenizer.encode(">")[0])
    assert guide.silent
    rest = babble(guide, tokenizer.vocab_size, 5, sure=False)
    assert CallReader().push(OPEN + tokenizer.decode(rest))[1][0].name == "look"


def test_a_schema_that_is_none_is_named(smith: Smith) -> None:
    with pytest.raises(ValueError, match="'look' are no JSON schema"):
        smith.guide([Function("look", "", '{"properties": {"a": {"type": "wish"}}}')], must=False)
    with pytest.raises(ValueError, match="needs one to call"):
        smith.guide([], must=True)
