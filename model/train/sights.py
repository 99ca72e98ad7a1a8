"""The stages of the eyes, and what comes of them: every picture in the words for what it shows.

| stage | leaves |
|---|---|
| `first_eyes`, `eyes` | eyes that name colours, shapes and counts |
| `further_eyes` | for the second litter, eyes that read, compare and follow as well |
| `sights` | `sights.npz`, see `name`; `scenes.pkl` and, for the second litter, `changes.pkl`: scenes in pairs |
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor

from vivavoce.model.omni import Omni
from vivavoce.model.train import corpus, eyes_further, kitten, noticing, seeing, talking
from vivavoce.model.train.gallery import keys
from vivavoce.model.train.pantry import Pantry
from vivavoce.model.train.run import Recipe, save
from vivavoce.model.train.scenes import Scene, mirrored
from vivavoce.model.train.views import View

EYES = ("qkv.weight", "proj.weight", "fc1.weight", "fc2.weight", "fc3.weight")
"""Matrices that `Muon` trains. From the same eyes, 200 steps of it brought the loss to 0.85, as many of AdamW to 0.95."""
NAMED = 6000
"""Pictures that teach what the eyes can name."""
Look = Callable[[int], np.ndarray]
"""What a picture is known by (see `gallery.keys`) to what is seen there."""


def first_eyes(pantry: Pantry) -> None:
    """Fewer layers, of which everything else is learned sooner."""
    patches, truth = pantry.pictures()
    recipe = Recipe("first_eyes", pantry.plan.first_eyes_steps, 1e-3, orthogonal=EYES)
    reader, near = pantry.reader(kitten.FIRST_LAYERS), pantry.plan.close_ups
    seeing.train_eyes(reader, patches, truth, pantry.grid, recipe, pantry.folder, batch=32, close_ups=near)


def eyes(pantry: Pantry) -> None:
    """The same with all layers."""
    first = pantry.reader(kitten.FIRST_LAYERS)
    first.load_state_dict(torch.load(pantry.folder / "first_eyes.pt", weights_only=True)["modules"])
    patches, truth = pantry.pictures()
    recipe = Recipe("eyes", pantry.plan.eyes_steps, 1e-3, orthogonal=EYES)
    reader, near = seeing.grown(first, pantry.reader()), pantry.plan.close_ups
    seeing.train_grown(
        reader, first.eval(), patches, truth, pantry.grid, recipe, pantry.folder, batch=32, close_ups=near
    )


def further_eyes(pantry: Pantry) -> None:
    """Those of the first litter learn what the second is asked; see `eyes_further.py`. A checkpoint's that have learned it stay."""
    omni = pantry.omni("eyes")
    known = _known(pantry) if pantry.plan.further else None
    if known is not None:
        noticer = eyes_further.Noticer(omni.vision_encoder, omni.vision_projector, known)
        save(pantry.folder / "further_eyes.pt", {"modules": noticer.state_dict()})
        return
    more = pantry.second_pictures()
    noticer = eyes_further.Noticer(omni.vision_encoder, omni.vision_projector, _fitted(pantry, omni))
    eyes_further.train_further(
        noticer,
        eyes_further.Pictures(*pantry.pictures()),
        eyes_further.Pictures(more.patches, more.truth),
        pantry.grid,
        Recipe("further_eyes", pantry.plan.further_eyes_steps, 1e-3, warmup=0.02, orthogonal=EYES),
        pantry.folder,
    )


def name(pantry: Pantry) -> None:
    """What the eyes find on all pictures: `names` is what the projector's inner layer tells of each word, `shots` how much of each
    there is in every token, and `clear` the same for eyes that never err."""
    omni, gallery, second = pantry.omni(pantry.eyes), pantry.gallery(), pantry.plan.litter > 1
    encoder, projector = omni.vision_encoder, omni.vision_projector
    names = _learned(pantry) if second else _fitted(pantry, omni)
    shots, clear = [], []
    for patches, truth in gallery.lots():
        shots.append(seeing.what_is_named(encoder, projector, names, patches, pantry.grid).half().numpy())
        clear.append(noticing.spelled(truth) if second else seeing.spelled(truth))
    np.savez(
        pantry.folder / "sights.npz", names=names.numpy(), shots=np.concatenate(shots), clear=np.concatenate(clear)
    )
    if second:
        before, after = (pantry.changes().scenes[part::2] for part in (0, 1))
        pairs = [*zip(before, after, strict=True)]
        pairs += [*zip(map(mirrored, before), map(mirrored, after), strict=True)]
        corpus.save(pantry.folder / "changes.pkl", pairs)
    corpus.save(pantry.folder / "scenes.pkl", gallery.scenes)


def _known(pantry: Pantry) -> Tensor | None:
    """What the inner layer tells of all words, if the last layer says them in rows of the table and more than the first ones."""
    omni = pantry.omni("eyes", "writing")
    first, second = (_rows(pantry, omni, words) for words in (seeing.SEEN_WORDS, noticing.SEEN_WORDS))
    if seeing.said_in(omni.vision_projector, first) is not None:
        return None
    return seeing.said_in(omni.vision_projector, second)


def _rows(pantry: Pantry, omni: Omni, words: Sequence[str]) -> Tensor:
    """What stands for words in the language model [words, D]."""
    tokenizer, table = pantry.tokenizer(), omni.backbone.model.embed_tokens.weight
    return table.detach()[[tokenizer.encode(f" {word}")[0] for word in words]] * talking.LOUDNESS


def _fitted(pantry: Pantry, omni: Omni) -> Tensor:
    """What the inner layer tells of the words of the first litter, in closed form."""
    (patches, truth), some = pantry.pictures(), slice(min(NAMED, pantry.plan.pictures + pantry.plan.crowded))
    seen = torch.from_numpy(seeing.features(omni.vision_encoder, patches[some], pantry.grid)).float()
    return seeing.naming(omni.vision_projector, seen, torch.from_numpy(truth[some]))


def _learned(pantry: Pantry) -> Tensor:
    """What it tells of all words, as `further_eyes` has learned it."""
    state = torch.load(pantry.folder / "further_eyes.pt", weights_only=True)["modules"]
    return torch.cat([state["amounts.weight"].T, state["amounts.bias"][None]])


def words(pantry: Pantry) -> tuple[str, ...]:
    """What the eyes of the plan's litter can say."""
    return noticing.SEEN_WORDS if pantry.plan.litter > 1 else seeing.SEEN_WORDS


def say(pantry: Pantry, omni: Omni) -> None:
    """Let the vision projector say what is seen in the words of the text table."""
    names = torch.from_numpy(np.load(pantry.folder / "sights.npz")["names"])
    seeing.say_what_is_seen(omni.vision_projector, names, _rows(pantry, omni, words(pantry)))


class Shown:
    """What the stage `sights` has left, for practice."""

    def __init__(self, pantry: Pantry, *, looking: bool) -> None:
        """`looking`: of a picture one gets what the eyes are given, not what they have made of it."""
        scenes: list[Scene] = corpus.load(pantry.folder / "scenes.pkl")
        self.scenes = balanced(scenes)
        kept = pantry.folder / "changes.pkl"
        self.changes: list[tuple[Scene, Scene]] = corpus.load(kept) if kept.exists() else []
        self.words = words(pantry)
        found = np.load(pantry.folder / "sights.npz")
        at = {key: index for index, key in enumerate(keys(scenes))}

        def look(seen: np.ndarray) -> Look:
            return lambda key: seen[at[key]]

        self.seen: Look = pantry.unseen() if looking else look(found["shots"])
        self.clear: Look = look(found["clear"])


def balanced(scenes: Sequence[Scene]) -> list[Scene]:
    """The same with what only the second litter is shown as often as it takes to be about half of it."""
    views = [scene for scene in scenes if isinstance(scene, View)]
    others = [scene for scene in scenes if not isinstance(scene, View)]
    return [*others, *views * max(1, round(len(others) / max(1, len(views))))]
