"""The processes of one training run: how they start and end, and what they send each other.

They meet through a file and talk over the loopback interface (gloo), or between GPUs (nccl). A run of one process starts none
and sends nothing. When the process that started them is gone, however it ended, so are they.
"""

from __future__ import annotations

import os
import tempfile
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from multiprocessing import connection, get_context, parent_process
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor
from torch.multiprocessing.spawn import ProcessExitedException, ProcessRaisedException, start_processes

METHOD = "forkserver"
"""How processes are started: from one that has imported torch and has no threads."""
PATIENCE = timedelta(minutes=30)
"""How long a process waits for the others before it gives the run up: the slowest step, and loading what is practised on."""


class CrewError(RuntimeError):
    """A process of the run has failed; the message names it and says what it said."""


@dataclass(frozen=True)
class Crew:
    """All processes, as one of them sees them."""

    rank: int = 0
    size: int = 1
    device: torch.device = torch.device("cpu")

    @property
    def first(self) -> bool:
        """This is the process that writes files and shows progress."""
        return self.rank == 0

    def swap(self, rows: Tensor, give: Sequence[int], take: Sequence[int]) -> Tensor:
        """Rows [sum(give), ...], the first `give[0]` of them for process 0 -> those from process 0 first, [sum(take), ...]."""
        if self.size == 1:
            return rows
        taken = rows.new_empty(sum(take), *rows.shape[1:])
        dist.all_to_all_single(taken, rows.contiguous(), list(take), list(give))
        return taken

    def total(self, numbers: Tensor) -> Tensor:
        """Sum over all processes, in no particular order: for integers, and for floats that all but one have as zero."""
        if self.size > 1:
            dist.all_reduce(numbers)
        return numbers

    def copied(self, numbers: Tensor, owner: int) -> Tensor:
        """What process `owner` has, on all of them; the others' own is overwritten."""
        if self.size > 1:
            dist.broadcast(numbers, owner)
        return numbers

    def collected(self, value: Any) -> list[Any]:
        """What every process has, on the first; nothing on the others."""
        if self.size == 1:
            return [value]
        values: list[Any] = [None] * self.size
        dist.gather_object(value, values if self.first else None)
        return values if self.first else []


ALONE = Crew()


def run(work: Callable[..., None], size: int, *args: Any) -> None:
    """`work(crew, *args)` in `size` processes of one thread each, until all are done; alone, in this one.

    `work` and its arguments are pickled. Raises CrewError when one of the processes fails; the others are ended.
    """
    if size == 1:
        threads = torch.get_num_threads()
        torch.set_num_threads(1)
        try:
            return work(ALONE, *args)
        finally:
            torch.set_num_threads(threads)
    get_context(METHOD).set_forkserver_preload(["torch", "torch.distributed", "vivavoce.model.train.talking"])  # type: ignore[attr-defined]
    with tempfile.TemporaryDirectory(prefix="vivavoce-crew-") as folder:
        try:
            start_processes(_member, (work, size, Path(folder), args), nprocs=size, start_method=METHOD)  # type: ignore[no-untyped-call]
        except ProcessRaisedException as error:
            said = [line for line in str(error).splitlines() if line]
            raise CrewError(f"process {error.error_index} of {size} failed: {said[-1]}") from error
        except ProcessExitedException as error:
            raise CrewError(f"process {error.error_index} of {size} ended without a word: {error}") from error


def _member(rank: int, work: Callable[..., None], size: int, folder: Path, args: tuple[Any, ...]) -> None:
    threading.Thread(target=_end_with_parent, daemon=True).start()
    torch.set_num_threads(1)
    store = dist.FileStore(str(folder / "meeting"), size)  # type: ignore[attr-defined]
    if torch.cuda.is_available() and torch.cuda.device_count() >= size:
        device = torch.device("cuda", rank)
        torch.cuda.set_device(device)
        torch.use_deterministic_algorithms(True)
        dist.init_process_group("nccl", store=store, rank=rank, world_size=size, timeout=PATIENCE)
    else:
        device = torch.device("cpu")
        options = dist.ProcessGroupGloo._Options()  # type: ignore[attr-defined]
        options._devices = [dist.ProcessGroupGloo.create_device(hostname="127.0.0.1")]
        options._timeout = PATIENCE
        dist.init_process_group("gloo", store=store, rank=rank, world_size=size, pg_options=options)
    work(Crew(rank, size, device), *args)
    dist.destroy_process_group()


def _end_with_parent() -> None:
    """The system signals the end of the process that forked this one; who asked for it may be another."""
    parent = parent_process()
    assert parent is not None
    connection.wait([parent.sentinel])
    os._exit(1)
