"""What stands in a checkpoint beside the network's weights: tokenizer, statistics of sound, codec, how replies are drawn.

None of it is large. All of it is read and checked before the weights are, so that whatever is wrong is told at once.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from vivavoce.codecs import voices
from vivavoce.codecs.cmvn import Cmvn, read_cmvn
from vivavoce.model.config import OmniConfig
from vivavoce.model.engine.events import Sampling
from vivavoce.model.tokenizer import Tokenizer

__all__ = ["CODEC", "SESSION_TOKENS", "Companions", "read_companions", "read_longest", "read_sampling"]

CODEC = "audio_codec"
SESSION_TOKENS = 8192
"""Positions of one conversation, instructions and replies among them; four fill the cache. Longer ones forget."""

T = TypeVar("T")


@dataclass(frozen=True)
class Companions:
    """All of them but the codec's weights, which are only checked."""

    tokenizer: Tokenizer
    cmvn: Cmvn
    sampling: Sampling
    longest: int
    """Positions of a conversation behind its instructions that the checkpoint is good for."""


def read_companions(directory: str | Path, config: OmniConfig, problems: list[str]) -> Companions | None:
    """Read what stands beside the weights; adds to `problems` what is wrong, one sentence each, and gives None then."""
    root, wrong = Path(directory), len(problems)
    tokenizer = _told(problems, lambda: _tokenizer(root, config))
    cmvn = _told(problems, lambda: _cmvn(root / "audio" / "global_cmvn", config))
    sampling = _told(problems, lambda: read_sampling(root / "generation_config.json"))
    longest = _told(problems, lambda: read_longest(root / "generation_config.json"))
    problems += [problem.replace(f"{root}/", "") for problem in voices.examine(root / CODEC)]
    if len(problems) > wrong or tokenizer is None or cmvn is None or sampling is None or longest is None:
        return None
    return Companions(tokenizer, cmvn, sampling, longest)


def _told(problems: list[str], read: Callable[[], T]) -> T | None:
    """What `read` gives; None and one more problem if it raises."""
    try:
        return read()
    except FileNotFoundError as error:
        told = f"{error.filename} is missing" if error.filename else str(error)
    except (ValueError, OSError) as error:
        told = str(error)
    problems += [] if told in problems else [told]  # one file may be read for two things
    return None


def _tokenizer(root: Path, config: OmniConfig) -> Tokenizer:
    made = Tokenizer.load(root)
    if made.vocab_size > config.backbone.vocab_size:
        raise ValueError(
            f"tokenizer.json has {made.vocab_size} ids, config.json a vocabulary of {config.backbone.vocab_size}"
        )
    return made


def _cmvn(path: Path, config: OmniConfig) -> Cmvn:
    made, bands = read_cmvn(path), config.audio.fbank.n_mels
    if made.mean.shape != (bands,):
        raise ValueError(f"{path} is about {made.mean.shape[0]} mel bands, the encoder reads {bands}")
    return made


def read_longest(path: str | Path) -> int:
    """The longest conversation behind its instructions that a checkpoint is good for: `max_length` of its generation_config.json.

    A small model may have room for more positions than it has learned to make sense of. Raises ValueError naming the file.
    """
    longest = _values(path).get("max_length", SESSION_TOKENS)
    if not isinstance(longest, int) or longest < 1:
        raise ValueError(f"{path}: max_length is {longest!r}, expected a number of positions")
    return longest


def read_sampling(path: str | Path) -> Sampling:
    """A checkpoint's generation_config.json; the defaults where there is none. Raises ValueError naming the file."""
    values = _values(path)
    try:
        return Sampling.from_generation_config(values)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{path}: {error}") from None


def _values(path: str | Path) -> dict[str, Any]:
    try:
        values = json.loads(Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except json.JSONDecodeError as error:
        raise ValueError(f"{path} is not JSON: {error}") from None
    if not isinstance(values, dict):
        raise ValueError(f"{path} must hold an object, not a {type(values).__name__}")
    return values
