"""Values of a client's JSON: what they must be, and an error that names the field where they are not."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from vivavoce.realtime.errors import ClientError

Json = dict[str, Any]

SHOWN = 80
"""Characters of a refused value that its error repeats."""


def mapping(value: Any, param: str) -> Json:
    """An object, or nothing."""
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise refuse(param, value, "an object")
    return value


def is_number(value: Any) -> bool:
    """JSON numbers are ints and floats; Python's True is an int, JSON's is not."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def number(wanted: Json, key: str, default: float, low: float, high: float, path: str) -> float:
    """`wanted[key]` between `low` and `high`, or the default."""
    value = wanted.get(key)
    if value is None:
        return default
    if not is_number(value) or not low <= value <= high:
        raise refuse(f"{path}.{key}", value, f"{low} to {high}")
    return float(value)


def whole(value: Any, low: int, high: int, param: str) -> int:
    """A whole number between `low` and `high`."""
    if not is_number(value) or not low <= value <= high or value != int(value):
        raise refuse(param, value, f"a whole number, {low} to {high}")
    return int(value)


def flag(wanted: Json, key: str, path: str) -> bool:
    """`wanted[key]`, true unless said otherwise."""
    value = wanted.get(key)
    if value is None:
        return True
    if not isinstance(value, bool):
        raise refuse(f"{path}.{key}", value, "true or false")
    return value


def text(value: Any, param: str) -> str:
    """A string; nothing is the empty one."""
    if value is not None and not isinstance(value, str):
        raise refuse(param, value, "a string")
    return value or ""


def choice(value: Any, among: Collection[str], param: str) -> str:
    """One of some words."""
    if not isinstance(value, str) or value not in among:
        raise refuse(param, value, " or ".join(map(repr, among)))
    return value


def refuse(param: str, value: Any, expected: str) -> ClientError:
    """A value that cannot be honoured, with what was expected instead."""
    return ClientError("invalid_value", f"{param} is {repr(value)[:SHOWN]}, expected {expected}", param)
