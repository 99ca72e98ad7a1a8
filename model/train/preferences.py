"""Pairs of answers that the model has given itself, one better than the other: what `dpo.py` learns from.

Every question of a practice dialogue is answered aloud several times: as people would hear it, and with chance in its words and
penalties in its codes. Words and sound are judged without a person: the answer's slot, as in `evaluate.py`, an "I don't know"
that nobody asked for, and whether the sound lasts as long as the words need. The report has six rollouts a prompt.
"""

from __future__ import annotations

import json
import pickle
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from rich.progress import track

from vivavoce.model import prompt
from vivavoce.model.engine.engine import Engine
from vivavoce.model.engine.events import Frame, Limits, Sampling
from vivavoce.model.omni import Omni
from vivavoce.model.prompt import CODE_OFFSET, Rows
from vivavoce.model.reply import CHARACTERS_PER_FRAME
from vivavoce.model.tokenizer import EOS, PAD, Tokenizer
from vivavoce.model.train import talking
from vivavoce.model.train.evaluate import WHOLE, is_right, spoken_words
from vivavoce.model.train.examples import Example
from vivavoce.model.train.practice import Practice
from vivavoce.model.train.sayings import Saying
from vivavoce.model.train.turns import Turn

LOT = 16
"""Questions that are answered together."""
LONGEST = 400
"""Positions of a question with all that is before it; longer ones are not asked."""
TEMPERATURE, PENALTIES = 1.3, (1.0, 1.0, 1.1, 1.0, 1.2, 1.1)
"""Of the words, but for the first answer, and of the codes: of one answer each."""
MOST = 160
"""Steps of an answer."""


@dataclass(frozen=True)
class Verdict:
    """What is good of an answer."""

    right: bool
    """It has the words that make it right."""
    whole: bool
    """It has ended, and its sound lasts as long as its words need: nothing is cut off, nothing repeated."""
    refuses: bool
    """It says that it does not know, and should have known."""

    @property
    def score(self) -> int:
        """0 to 3; an answer that is wrong and breaks off is the worst, and being wrong is worse than breaking off."""
        return 2 * self.right + self.whole


@dataclass(frozen=True)
class Pair:
    """Two answers to one question."""

    question: Example
    """The dialogue up to where the answer begins; nothing of it is judged."""
    chosen: Rows
    rejected: Rows
    """[steps, 5]"""


def replies(omni: Omni, questions: Sequence[Example], samplings: Sequence[Sampling]) -> list[list[tuple[Rows, bool]]]:
    """Every question's answers, by each way of sampling: rows [steps, 5], and whether the answer has ended by itself.

    The engine keeps the network's weights in its own order; train another.
    """
    most = max(s.max_tokens for s in samplings) + max(len(q.rows) for q in questions)
    room = (most // 16 + 2) * 16
    engine = Engine(omni, room * len(questions) * len(samplings))
    frames: dict[str, list[Frame]] = {}
    ended: dict[str, bool] = {}
    for number, question in enumerate(questions):
        with torch.inference_mode():
            rows = talking.inputs(omni, talking.collate([question]))[0]
        for way, sampling in enumerate(samplings):
            name = f"{number} {way}"
            engine.open(name, Limits(room))
            engine.put_chunk(name, rows, "question")
            engine.prefill(name, 0, ["question"])
            engine.decode(name, 0, sampling)
            frames[name] = []
    while engine.busy:
        for event in engine.step():
            if isinstance(event, Frame):
                frames[event.session].append(event)
            elif hasattr(event, "reason"):
                ended[event.session] = event.reason == "done"
    ways = range(len(samplings))
    return [[(_rows(frames[f"{q} {w}"]), ended.get(f"{q} {w}", False)) for w in ways] for q in range(len(questions))]


def _rows(frames: Sequence[Frame]) -> Rows:
    """Steps as they stand in the training layout."""
    rows = prompt.text_ids([PAD if frame.text_id is None else frame.text_id for frame in frames])
    for row, frame in zip(rows, frames, strict=True):
        if frame.codes is not None:
            row[1:] = [code if code >= 0 else PAD for code in frame.codes]
    return rows


class Judge:
    """Judges answers by their turn's truth."""

    def __init__(self, tokenizer: Tokenizer, codes: Mapping[Saying, Sequence[np.ndarray]]) -> None:
        """`codes`: recordings of replies; how long an answer without one should last is guessed by its letters."""
        self.tokenizer, self.codes = tokenizer, codes

    def judge(self, turn: Turn, rows: Rows, ended: bool) -> Verdict:
        said = self.said(rows)
        words = spoken_words(said)
        right = is_right(turn, said)
        refuses = not right and "know" in words and "don't" in words
        frames = int((rows[:, 1] >= CODE_OFFSET).sum())
        least, most = WHOLE
        return Verdict(right, ended and bool(words) and least < frames / self.frames(said) < most, refuses)

    def said(self, rows: Rows) -> str:
        return self.tokenizer.decode([i for i in rows[:, 0].tolist() if i not in (PAD, EOS)]).strip()

    def frames(self, text: str) -> float:
        """How many a reading of the text has."""
        recorded = self.codes.get(Saying(text))
        return float(np.median([len(c) for c in recorded])) if recorded else max(1.0, len(text) / CHARACTERS_PER_FRAME)


def pair_of(question: Example, answers: Sequence[Rows], verdicts: Sequence[Verdict]) -> Pair | None:
    """A faultless answer, and the worst of those that are not; of equals the first. None where there is no such pair."""
    scores = [v.score for v in verdicts]
    if max(scores) < 3 or min(scores) == 3:
        return None
    return Pair(question, answers[scores.index(3)], answers[scores.index(min(scores))])


def samplings(seed: int) -> list[Sampling]:
    """How one question is answered: first as people hear it, then with chance."""
    return [
        Sampling(
            top_k=int(way == 0),
            temperature=TEMPERATURE,
            audio_repetition_penalty=penalty,
            max_tokens=MOST,
            seed=seed + way,
        )
        for way, penalty in enumerate(PENALTIES)
    ]


def gather(omni: Omni, practice: Practice, count: int, folder: Path, seed: int) -> list[Pair]:
    """Ask `count` questions; what has been asked before is in `pairs.pkl`, where the rest goes too.

    `preferences.jsonl` has, for every lot, the share of questions whose first answer was not faultless.
    """
    path = folder / "pairs.pkl"
    pairs: list[Pair] = []
    first = 0
    if path.exists():
        first, pairs = pickle.loads(path.read_bytes())
    judge = Judge(practice.stage.tokenizer, practice.stage.codes)
    with (folder / "preferences.jsonl").open("a") as log:
        for start in track(range(first, count, LOT), "preferences"):
            started, made = time.monotonic(), list[Pair | None]()
            asked = [practice.question((seed << 32) + n) for n in range(start, min(count, start + LOT))]
            asked = [(example, turn) for example, turn in asked if len(example.rows) <= LONGEST]
            verdicts = []
            ways = samplings(seed * 1_000_003 + start)
            given = replies(omni, [example for example, _ in asked], ways) if asked else []
            for (example, turn), some in zip(asked, given, strict=True):
                verdicts.append([judge.judge(turn, rows, ended) for rows, ended in some])
                made.append(pair_of(example, [rows for rows, _ in some], verdicts[-1]))
            pairs += [pair for pair in made if pair is not None]
            part = path.with_suffix(".part")
            part.write_bytes(pickle.dumps((start + LOT, pairs), protocol=4))
            part.rename(path)
            figures = shares([some[0] for some in verdicts])
            figures = {"step": start // LOT, "loss": figures["not faultless"], **figures}
            log.write(json.dumps(figures | {"pairs": len(pairs), "s": round(time.monotonic() - started, 3)}) + "\n")
            log.flush()
    return pairs


def shares(verdicts: Sequence[Verdict]) -> dict[str, float]:
    """Of answers that are wrong, refuse, break off or repeat themselves, and of those that do any of it."""
    n = max(1, len(verdicts))
    return {
        "not faultless": round(sum(v.score < 3 for v in verdicts) / n, 5),
        "wrong": round(sum(not v.right for v in verdicts) / n, 5),
        "refused": round(sum(v.refuses for v in verdicts) / n, 5),
        "not whole": round(sum(not v.whole for v in verdicts) / n, 5),
    }


def examined(omni: Omni, practice: Practice, numbers: Sequence[int]) -> list[Verdict]:
    """What the network answers to some of the practice's questions, as people would hear it."""
    judge, made = Judge(practice.stage.tokenizer, practice.stage.codes), list[Verdict]()
    for start in range(0, len(numbers), 4 * LOT):
        asked = [practice.question(n) for n in numbers[start : start + 4 * LOT]]
        asked = [(example, turn) for example, turn in asked if len(example.rows) <= LONGEST]
        given = replies(omni, [example for example, _ in asked], samplings(0)[:1])
        made += [judge.judge(turn, *some[0]) for (_, turn), some in zip(asked, given, strict=True)]
    return made
