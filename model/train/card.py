"""The figures of a checkpoint, as `card.json` keeps them and the README quotes them."""

from __future__ import annotations

import random
import time
from collections.abc import Sequence
from typing import Any

from vivavoce.model.host import Host
from vivavoce.model.train import evaluate, photos, skills
from vivavoce.model.train.evaluate import Outcome

RECALL_DISTANCES = (1, 5)


def figure(outcomes: Sequence[Outcome]) -> dict[str, Any]:
    """Share of right answers with its count."""
    return {"figure": evaluate.share(outcomes), "n": len(outcomes)}


def measure(host: Host, questions: int, seed: int) -> dict[str, Any]:
    """Every figure, `questions` for each row. Takes some seconds a question on a CPU."""
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
            host, evaluate.scene_questions(questions, seed), group, seed=seed + number, what=f"scenes, {group}"
        )
        talk = evaluate.run_dialogues(
            host, evaluate.skill_questions(questions, seed), group, seed=seed + number, what=f"talk, {group}"
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
        evaluate.scene_questions(questions, seed),
        "unseen variant",
        seed=seed,
        snr_db=10.0,
        what="scenes, noise at 10 dB",
    )
    made["understanding scenes"]["unseen variant, noise at 10 dB"] = figure(noisy)
    # What is right in writing and wrong aloud was read off the codes when it was learned, see `examples.STRANGE`.
    written = evaluate.run_dialogues(
        host,
        evaluate.scene_questions(questions, seed),
        "unseen variant",
        seed=seed,
        in_writing=True,
        what="scenes, answered in writing",
    )
    made["understanding scenes"]["unseen variant, answered in writing"] = figure(written)
    made["recall"] = {f"{d} turns back": figure(_recall(host, d, questions // 2, seed)) for d in RECALL_DISTANCES}
    made["a conversation before the camera"] = _rounds(host, max(1, questions // 10), seed)
    unknown = evaluate.run_dialogues(
        host, evaluate.unknown_questions(questions, seed), "unseen variant", seed=seed, what="out of skill"
    )
    made["says it does not know"] = {"unseen questions": figure(unknown)}
    made |= photographs(host, seed)
    made["speaking (word errors of pocketsphinx)"] = speaking([*spoken, *unknown], seed)
    made["cost"] = {
        "FFN experts per position": round(host.active_experts, 3),
        "seconds of this evaluation": round(time.monotonic() - started),
    }
    return made


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


def _recall(host: Host, distance: int, count: int, seed: int) -> list[Outcome]:
    rng = random.Random(seed + distance)
    talks = [skills.recall_dialogue(rng, distance, held=True) for _ in range(count)]
    outcomes = evaluate.run_dialogues(host, talks, "unseen variant", seed=seed, what=f"recall, {distance} turns back")
    return [o for o in outcomes if o.turn.distance == distance]


def _rounds(host: Host, count: int, seed: int) -> dict[str, Any]:
    """Ten questions about one scene with 8 s of camera between them, the second five the same as the first."""
    talks = evaluate.rounds(count, seed)
    outcomes = evaluate.run_dialogues(host, talks, "unseen variant", seed=seed, watching=True, what="before the camera")
    half = {"first five": [o for i, o in enumerate(outcomes) if i // evaluate.ROUND % 2 == 0]}
    half["asked again"] = [o for i, o in enumerate(outcomes) if i // evaluate.ROUND % 2]
    return {name: figure(some) for name, some in half.items()} | {
        f"{name}: sound of the right length": {
            "figure": round(sum(o.whole for o in some) / len(some), 4),
            "n": len(some),
        }
        for name, some in half.items()
    }


def speaking(outcomes: Sequence[Outcome], seed: int, most: int = 150) -> dict[str, Any]:
    """Word errors of an independent recogniser on the generated voice and on the source voice, same texts, same grammar."""
    rng = random.Random(seed)
    candidates = sorted({t.reply for _ in range(300) for t in skills.dialogue(rng, turns=1).turns})
    chosen = rng.sample(list(outcomes), min(most, len(outcomes)))
    return evaluate.judged_by_recogniser(chosen, candidates)
