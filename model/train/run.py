"""What every training stage shares: a resumable run with a progress bar, a step-based schedule and a loss log.

A stage is a function `loss(step) -> (Tensor, dict of figures)`; everything random in it must come from the step number, so
that a run stopped at any point and resumed gives the same losses as one that was not.
"""

from __future__ import annotations

import json
import math
import os
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

import torch
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from torch import Tensor, nn

from vivavoce.model.train.apart.shares import Shares
from vivavoce.model.train.muon import Muon

LossAt = Callable[[int], tuple[Tensor, dict[str, float]]]


@dataclass(frozen=True)
class Recipe:
    """How one stage is trained."""

    name: str
    steps: int
    peak_lr: float
    warmup: float = 0.05
    """Share of the steps over which the rate rises to its peak; then it falls along a cosine to 2 %."""
    weight_decay: float = 0.05
    clip: float = 1.0
    betas: tuple[float, float] = (0.9, 0.98)
    save_every: int = 100
    orthogonal: tuple[str, ...] = ()
    """Ends of the names of matrices that are trained by `Muon`; AdamW trains everything else."""
    gentle: tuple[str, ...] = ()
    """Beginnings of the names of parameters that know their trade already, and learn at `gentle_share` of the rate."""
    gentle_share: float = 0.1


def learning_rate(recipe: Recipe, step: int) -> float:
    """Rate at a step: linear warm-up, cosine to 2 % of the peak."""
    rising = max(1, int(recipe.steps * recipe.warmup))
    if step < rising:
        return recipe.peak_lr * (step + 1) / rising
    along = (step - rising) / max(1, recipe.steps - rising)
    return recipe.peak_lr * (0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * min(1.0, along))))


def train(
    recipe: Recipe,
    folder: Path,
    modules: nn.Module,
    loss_at: LossAt,
    *,
    after: Callable[[int], None] | None = None,
    shares: Shares | None = None,
) -> None:
    """Run a stage from its last checkpoint to its last step; leaves `<name>.pt` and `<name>.jsonl` in `folder`.

    Args:
        after: called with the step's number outside the optimiser once the step is taken.
        shares: of the processes that run the stage together. `loss_at` is then called by all of them and leaves the gradients
            with the parameters' owners; the first process writes the files.
    """
    folder.mkdir(parents=True, exist_ok=True)
    optimisers = optimisers_for(modules, recipe)
    writes = shares is None or shares.crew.first
    path, first = folder / f"{recipe.name}.pt", 0
    if path.exists():
        saved = torch.load(path, weights_only=True)
        modules.load_state_dict(saved["modules"])
        if shares is not None:
            shares.load(optimisers, saved["optimisers"])
        else:
            for optimiser, state in zip(optimisers, saved["optimisers"], strict=True):
                optimiser.load_state_dict(state)
        first = int(saved["step"])
    groups = [group for optimiser in optimisers for group in optimiser.param_groups]
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, disable=not writes) as bar, _log(folder / f"{recipe.name}.jsonl", writes) as log:
        task = bar.add_task(recipe.name, total=recipe.steps, completed=first)
        for step in range(first, recipe.steps):
            started = time.monotonic()
            for group in groups:
                group["lr"] = learning_rate(recipe, step) * group.get("share", 1.0)
            modules.zero_grad(set_to_none=True)
            loss, figures = loss_at(step)
            if shares is None:
                loss.backward()  # type: ignore[no-untyped-call]
                norm = nn.utils.clip_grad_norm_([p for group in groups for p in group["params"]], recipe.clip)
            else:
                norm = shares.clip(recipe.clip)
            for optimiser in optimisers:
                optimiser.step()
            if shares is not None:
                shares.spread()
            if after is not None:
                after(step)
            figures = {
                "step": step,
                "loss": loss.item(),
                "norm": norm.item(),
                "s": time.monotonic() - started,
                **figures,
            }
            log.write(json.dumps({k: round(v, 5) for k, v in figures.items()}) + "\n")
            if (step + 1) % recipe.save_every == 0 or step + 1 == recipe.steps:
                log.flush()
                states = [o.state_dict() for o in optimisers] if shares is None else shares.states(optimisers)
                if writes:
                    save(path, {"modules": modules.state_dict(), "optimisers": states, "step": step + 1})
            bar.update(task, completed=step + 1, description=f"{recipe.name} {figures['loss']:.3f}")


def _log(path: Path, writes: bool) -> TextIO:
    return (path if writes else Path(os.devnull)).open("a")


def save(path: Path, value: object) -> None:
    """torch.save that never leaves half a file."""
    part = path.with_suffix(".part")
    torch.save(value, part)
    part.rename(path)


def cast(value: Any, dtype: torch.dtype) -> Any:
    """The same nest of dictionaries, floating tensors in `dtype`."""
    if isinstance(value, dict):
        return {name: cast(inner, dtype) for name, inner in value.items()}
    return value.to(dtype) if value.is_floating_point() else value


def optimisers_for(modules: nn.Module, recipe: Recipe) -> list[torch.optim.Optimizer]:
    """AdamW, and Muon for the matrices the recipe names. Matrices decay, vectors (norms, biases, scales) do not."""
    named = [(n, p) for n, p in modules.named_parameters() if p.requires_grad]
    orthogonal = [p for n, p in named if recipe.orthogonal and p.ndim == 2 and n.endswith(recipe.orthogonal)]
    taken = {id(p) for p in orthogonal}
    rest = [(n, p) for n, p in named if id(p) not in taken]
    gentle = [p for n, p in rest if recipe.gentle and n.startswith(recipe.gentle)]
    others = [p for n, p in rest if not (recipe.gentle and n.startswith(recipe.gentle))]
    groups: list[dict[str, Any]] = []
    for some, share in ((others, 1.0), (gentle, recipe.gentle_share)):
        if some or share == 1.0:
            groups += [
                {"params": [p for p in some if p.ndim > 1], "weight_decay": recipe.weight_decay, "share": share},
                {"params": [p for p in some if p.ndim <= 1], "weight_decay": 0.0, "share": share},
            ]
    adamw = torch.optim.AdamW(groups, lr=recipe.peak_lr, betas=recipe.betas)
    muon = [Muon(orthogonal, recipe.peak_lr, weight_decay=recipe.weight_decay)] if orthogonal else []
    return [adamw, *muon]


def batches_by_length(lengths: Iterable[int], budget: int, seed: int) -> list[list[int]]:
    """Indices grouped so that items of a batch are of like length and padded size stays under `budget`; shuffled by `seed`."""
    generator = torch.Generator().manual_seed(seed)
    sizes = torch.tensor(list(lengths))
    jitter = sizes * (0.9 + 0.2 * torch.rand(len(sizes), generator=generator))
    batches: list[list[int]] = []
    current: list[int] = []
    longest = 0
    for index in jitter.argsort().tolist():
        longest_now = max(longest, int(sizes[index]))
        if current and longest_now * (len(current) + 1) > budget:
            batches.append(current)
            current, longest_now = [], int(sizes[index])
        current.append(index)
        longest = longest_now
    batches.append(current)
    return [batches[i] for i in torch.randperm(len(batches), generator=generator).tolist()]
