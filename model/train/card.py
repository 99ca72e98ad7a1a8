"""The figures of a checkpoint, as `card.json` keeps them and the README quotes them."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from vivavoce.model.host import Host
from vivavoce.model.train import edges, evaluate, kitten, photos, prosody, skills, voices
from vivavoce.model.train import questions as asked
from vivavoce.model.train.evaluate import Outcome

RECALL_DISTANCES = (1, 5)


def figure(outcomes: Sequence[Outcome]) -> dict[str, Any]:
    """Share of right answers with its count."""
    return {"figure": evaluate.share(outcomes), "n": len(outcomes)}


def measure(host: Host, questions: int, seed: int, litter: int = 1) -> dict[str, Any]:
    """Every figure, `questions` for each row, of the skills of a litter. Takes some seconds a question on a CPU."""
    started = time.monotonic()
    made: dict[str, Any] = {
        "understanding scenes": {},
        "understanding talk": {},
        "hearing (word errors)": {},
        "by skill": {},
    }
    spoken: list[Outcome] = []
    for number, group in enumerate(("unseen variant", "unseen synthesizer")):
        scenes = evaluate.run_dialogues(
            host, asked.scene_questions(questions, seed, litter), group, seed=seed + number, what=f"scenes, {group}"
        )
        talk = evaluate.run_dialogues(
            host, asked.skill_questions(questions, seed, litter), group, seed=seed + number, what=f"talk, {group}"
        )
        made["understanding scenes"][group] = figure(scenes)
        made["understanding talk"][group] = figure(talk)
        made["hearing (word errors)"][group] = {
            "figure": evaluate.hearing_errors([*scenes, *talk]),
            "n": len(scenes) + len(talk),
        }
        made["by skill"][group] = evaluate.by_skill([*scenes, *talk])
        spoken += [*scenes, *talk]
    noisy = evaluate.run_dialogues(
        host,
        asked.scene_questions(questions, seed, litter),
        "unseen variant",
        seed=seed,
        snr_db=10.0,
        what="scenes, noise at 10 dB",
    )
    made["understanding scenes"]["unseen variant, noise at 10 dB"] = figure(noisy)
    # What is right in writing and wrong aloud was read off the codes when it was learned, see `examples.STRANGE`.
    written = evaluate.run_dialogues(
        host,
        asked.scene_questions(questions, seed, litter),
        "unseen variant",
        seed=seed,
        in_writing=True,
        what="scenes, answered in writing",
    )
    made["understanding scenes"]["unseen variant, answered in writing"] = figure(written)
    made["recall"] = {
        f"{d} turns back": figure(_recall(host, d, questions // 2, seed, litter)) for d in RECALL_DISTANCES
    }
    made["a conversation before the camera"] = _rounds(host, max(1, questions // 10), seed, litter)
    unknown = evaluate.run_dialogues(
        host, asked.unknown_questions(questions, seed, litter), "unseen variant", seed=seed, what="out of skill"
    )
    made["says it does not know"] = {"unseen questions": figure(unknown)}
    made |= sights(host, questions, seed, litter) | photographs(host, seed)
    in_lessons = _lessons(host, max(1, questions // 4), seed, litter)
    if in_lessons:
        near = evaluate.run_dialogues(
            host, asked.near_questions(questions, seed, litter), "unseen variant", seed=seed, what="near its skills"
        )
        made["says it does not know"] |= {
            "near its skills": figure(near),
            "though it should": refusals([*spoken, *in_lessons]),
        }
        made["lessons"] = evaluate.by_skill(in_lessons)
        made["spoken in the style asked for"] = styles(in_lessons)
    made["speaking (word errors of pocketsphinx)"] = speaking([*spoken, *unknown], seed, litter=litter)
    made["edges of chunks"] = clicks([*spoken, *unknown])
    for voice in host.voices[1:]:
        answers = evaluate.run_dialogues(
            host,
            [*asked.scene_questions(questions, seed, litter), *asked.skill_questions(questions, seed, litter)],
            "unseen variant",
            seed=seed,
            voice=voice,
            what=f"answers of {voice}",
        )
        made[f"speaking, {voice}"] = speaking(answers, seed, source=second_voice, litter=litter)
        made[f"edges of chunks, {voice}"] = clicks(answers)
    made["cost"] = {
        "FFN experts per position": round(host.active_experts, 3),
        "seconds of this evaluation": round(time.monotonic() - started),
    }
    return made


def sights(host: Host, count: int, seed: int, litter: int) -> dict[str, Any]:
    """What it sees beside things that stand still: a row for each subject, and below it the subject's skills."""
    made: dict[str, Any] = {}
    for subject, talks in asked.sights(count, seed, litter).items():
        outcomes = evaluate.run_dialogues(host, talks, "unseen variant", seed=seed, what=f"sights, {subject}")
        last = [o for o in outcomes if o.turn.skill != "describe"]
        made[subject] = figure(last)
        if len(skills_of := evaluate.by_skill(last)) > 1:
            made |= {f"{subject}: {name}": {"figure": v["right"], "n": v["n"]} for name, v in skills_of.items()}
    return {"sights": made} if made else {}


def photographs(host: Host, seed: int) -> dict[str, Any]:
    """What it says to photographs, answered in writing, if there are any; see `photos.py`."""
    talks = photos.questions(photos.at_hand(), seed)
    if not talks:
        return {}
    outcomes = evaluate.run_dialogues(
        host, talks, "unseen variant", seed=seed, in_writing=True, what="photographs", photographer_of=photos.Slide
    )
    names = {"is there": "says no to what is not there", "unknown": "says it does not know what it is"}
    made = evaluate.by_skill(outcomes)
    return {"photographs": {names.get(k, k): {"figure": v["right"], "n": v["n"]} for k, v in made.items()}}


def _recall(host: Host, distance: int, count: int, seed: int, litter: int) -> list[Outcome]:
    rng = random.Random(seed + distance)
    talks = [skills.recall_dialogue(rng, distance, held=True, litter=litter) for _ in range(count)]
    outcomes = evaluate.run_dialogues(host, talks, "unseen variant", seed=seed, what=f"recall, {distance} turns back")
    return [o for o in outcomes if o.turn.distance == distance]


def _lessons(host: Host, count: int, seed: int, litter: int) -> list[Outcome]:
    """Three turns about one subject, for every subject of the litter's own."""
    return [
        outcome
        for name, talks in asked.lessons(count, seed, litter).items()
        for outcome in evaluate.run_dialogues(host, talks, "unseen variant", seed=seed, what=f"lessons, {name}")
    ]


def styles(outcomes: Sequence[Outcome]) -> dict[str, Any]:
    """By style, the share of its replies that are spoken so, see `prosody.is_in_style`."""
    found: dict[str, list[bool]] = {}
    for outcome in outcomes:
        style, words = outcome.turn.style, outcome.said.text.strip()
        if style and words:
            waves = outcome.said.wave, voices.own_voice(words), voices.own_voice(words, style=style)
            told = (prosody.measure(wave, voices.OWN_RATE) for wave in waves)
            found.setdefault(style, []).append(prosody.is_in_style(style, *told))
    return {style: {"figure": round(sum(some) / len(some), 4), "n": len(some)} for style, some in sorted(found.items())}


def refusals(outcomes: Sequence[Outcome]) -> dict[str, Any]:
    """Share of questions within the skills that are answered as if they were outside: the less the better."""
    within = [outcome for outcome in outcomes if outcome.turn.skill != "unknown"]
    return {"figure": round(sum(o.refused for o in within) / max(1, len(within)), 4), "n": len(within)}


def _rounds(host: Host, count: int, seed: int, litter: int) -> dict[str, Any]:
    """Ten questions about one scene with 8 s of camera between them, the second five the same as the first."""
    talks = asked.rounds(count, seed, litter)
    outcomes = evaluate.run_dialogues(host, talks, "unseen variant", seed=seed, watching=True, what="before the camera")
    half = {"first five": [o for i, o in enumerate(outcomes) if i // asked.ROUND % 2 == 0]}
    half["asked again"] = [o for i, o in enumerate(outcomes) if i // asked.ROUND % 2]
    return {name: figure(some) for name, some in half.items()} | {
        f"{name}: sound of the right length": {
            "figure": round(sum(o.whole for o in some) / len(some), 4),
            "n": len(some),
        }
        for name, some in half.items()
    }


def second_voice(text: str) -> np.ndarray:
    """What the second voice learned from."""
    return voices.revoiced(voices.own_voice(text), *kitten.LOWER)


def clicks(outcomes: Sequence[Outcome]) -> dict[str, float]:
    """Whether 60 ms of sound can be told from the next by how they are joined; see `edges.py`."""
    return edges.standing_out(o.said.wave for o in outcomes)


def speaking(
    outcomes: Sequence[Outcome],
    seed: int,
    most: int = 150,
    source: Callable[[str], np.ndarray] = voices.own_voice,
    litter: int = 1,
) -> dict[str, Any]:
    """Word errors of an independent recogniser on the generated voice and on the source voice, same texts, same grammar."""
    rng = random.Random(seed)
    candidates = sorted({t.reply for _ in range(300) for t in skills.dialogue(rng, turns=1, litter=litter).turns})
    chosen = rng.sample(list(outcomes), min(most, len(outcomes)))
    return evaluate.judged_by_recogniser(chosen, candidates, source)
