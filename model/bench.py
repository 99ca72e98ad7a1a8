"""How near the engine comes to what its machine can do: `vivavoce bench engine`.

A step of decoding reads every weight that it uses and the past of every conversation once: the memory sets the pace. Prefill
multiplies matrices: arithmetic does. Both limits are measured beside the figures, in the same run, so that a slow or a
shared machine moves figure and limit alike. Beside them stands transformers' `generate` with the same weights.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from importlib.util import find_spec
from statistics import median
from typing import Any

import torch
from rich.table import Table
from torch import Tensor

from vivavoce.model.config import BackboneConfig, tiny
from vivavoce.model.engine.blocks import BlockPool
from vivavoce.model.engine.engine import BLOCK_SIZE
from vivavoce.model.engine.events import Sampling
from vivavoce.model.engine.machine import NONE
from vivavoce.model.engine.network import Network, network_of
from vivavoce.model.engine.runner import Runner
from vivavoce.model.engine.sampling import Speaker, choose
from vivavoce.model.engine.scheduler import Budget, Plan, Share
from vivavoce.model.engine.sequence import Sequence as Conversation
from vivavoce.model.omni import Omni
from vivavoce.model.sizes import Sizes, available_bytes
from vivavoce.model.twin import transformers_twin

BATCHES, CONTEXTS = (1, 4, 16, 64), (1024, 8192, 32768, 131072)
"""Conversations at once and positions of each, unless others are asked for."""
STEPS, WARM_UP = 24, 4
"""Decoding steps that are measured, and those before them that are not."""
COPIED = 1 << 28
"""Bytes copied to measure the memory: more than any cache holds."""
MULTIPLIED = 2048
"""Side of the matrices multiplied to measure the arithmetic."""
REPEATS = 5
"""Of everything that is measured by its best or its median."""
LONGEST_PREFILL = 8192
"""Positions; more take minutes on a CPU, and transformers a mask of their square: 69 GB for 131,072."""
MOST_OF_THEIRS = 16
"""Conversations of transformers: its steps take about as many times longer."""
BAR = 20
"""Characters of a full bar."""

RANDOM = {
    "tiny": tiny().backbone,
    "kitten-128K": BackboneConfig(
        vocab_size=1280, hidden_size=256, num_layers=3, num_attention_heads=4, q_lora_rank=64, kv_lora_rank=64,
        qk_nope_head_dim=32, qk_rope_head_dim=16, v_head_dim=32, ffn_hidden_size=512, expert_ffn_hidden_size=160,
        n_routed_experts=12, zero_expert_num=6, moe_topk=3, routed_scaling_factor=1.5, max_position_embeddings=131072,
    ),
    "100M": BackboneConfig(
        vocab_size=16384, hidden_size=1024, num_layers=4, num_attention_heads=8, q_lora_rank=256, kv_lora_rank=128,
        qk_nope_head_dim=64, qk_rope_head_dim=32, v_head_dim=64, ffn_hidden_size=2048, expert_ffn_hidden_size=512,
        n_routed_experts=16, zero_expert_num=8, moe_topk=3, routed_scaling_factor=1.5, max_position_embeddings=131072,
    ),
}  # fmt: skip
"""Backbones with random weights: of the kitten's shape, with four times its positions, and by how much a token activates."""


@dataclass(frozen=True)
class Machine:
    """What there is to be had."""

    device: str
    bytes_per_s: float
    """Read and written by a copy."""
    operations_per_s: float
    """Of a product of square matrices in the type of the weights; a multiplication and an addition are two."""


@dataclass(frozen=True)
class Figure:
    """One measurement."""

    what: str
    batch: int
    context: int
    """Positions of each conversation: before the step that is decoded, or altogether when they are prefilled."""
    ms: float
    """Of one step for all, or of the whole prefill; the median."""
    rows_per_s: float
    of_limit: float | None = None
    """What the limit alone would take, over what it took."""
    of_reading: float | None = None
    """What it took, over what reading the cache of all of them once took in the same run, with as many threads."""


def random_omni(config: BackboneConfig, dtype: torch.dtype = torch.float32) -> Omni:
    """A network with this backbone and next to no senses, the same each time."""
    torch.manual_seed(0)
    return Omni(replace(tiny(config.vocab_size), backbone=config)).to(dtype).eval().requires_grad_(False)


def machine(device: torch.device, dtype: torch.dtype) -> Machine:
    """Measure the two limits: the best of some tries."""
    source = torch.zeros(COPIED, dtype=torch.uint8, device=device)
    target, square = torch.empty_like(source), torch.randn(MULTIPLIED, MULTIPLIED, device=device).to(dtype)
    copy = min(timed(lambda: target.copy_(source), device) for _ in range(REPEATS))
    multiply = min(timed(lambda: square @ square, device) for _ in range(REPEATS))
    return Machine(device.type, 2 * COPIED / copy, 2 * MULTIPLIED**3 / multiply)


def timed(work: Callable[[], Any], device: torch.device) -> float:
    """Seconds of one piece of work, to its end."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    started = time.perf_counter()
    work()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter() - started


class Hall:
    """So many conversations of one length. Their past is made up: what it holds changes no time."""

    def __init__(self, omni: Omni, network: Network, batch: int, context: int, room: int) -> None:
        self.omni = omni
        blocks = batch * -(-(context + room) // BLOCK_SIZE)
        self.pool, self.runner = BlockPool(blocks, BLOCK_SIZE), Runner(omni, blocks, BLOCK_SIZE, network)
        self.runner.cache.normal_()
        self.talks = {str(i): Conversation(str(i), self.pool, context + room) for i in range(batch)}
        for name, talk in self.talks.items():
            self.runner.begin(name)
            talk.append(context)
            talk.advance(context)

    def run(self, rows: Tensor, each: int) -> Tensor:
        """[batch * each, D] more rows, `each` for every conversation -> [batch, D], the last hidden vector of each."""
        for (name, talk), mine in zip(self.talks.items(), rows.split(each), strict=True):
            talk.append(each)
            self.runner.submit(name, mine)
        plan = Plan(decode=tuple(self.talks)) if each == 1 else Plan(tuple(Share(n, each) for n in self.talks))
        hidden = self.runner.run(plan, self.talks)
        for talk in self.talks.values():
            talk.advance(each)
        return torch.stack(list(hidden.values()))


@torch.inference_mode()
def decode(omni: Omni, network: Network, batch: int, context: int, *, spoken: bool) -> tuple[float, float]:
    """Seconds of a step of decoding for all, from embedding to chosen ids, with the speech heads if `spoken`; and of reading their
    cache once, and doing no more than adding it up."""
    hall = Hall(omni, network, batch, context, STEPS + WARM_UP)
    speakers = [Speaker(Sampling(text_only=not spoken, audio_repetition_penalty=1.0)) for _ in range(batch)]
    silent = [[NONE] * omni.config.speech.n_codebooks] * batch
    texts, codes = [0] * batch, silent

    def step() -> None:
        nonlocal texts, codes
        hidden = hall.run(network.embed(texts, codes), 1)
        chosen = choose(network, hidden, speakers, [True] * batch)
        texts = [text for text, _ in chosen]
        codes = [list(said or ()) for _, said in chosen] if spoken else silent

    cache = hall.runner.cache.flatten()
    read = [timed(cache.sum, omni.device) for _ in range(REPEATS)]
    taken = [timed(step, omni.device) for _ in range(WARM_UP + STEPS)]
    read += [timed(cache.sum, omni.device) for _ in range(REPEATS)]
    return median(taken[WARM_UP:]), min(read)


@torch.inference_mode()
def prefill(omni: Omni, network: Network, batch: int, context: int) -> float:
    """Seconds to read `context` new positions of each conversation, from embeddings, in pieces as the engine takes them."""
    width, piece = omni.config.backbone.hidden_size, Budget().rows // batch
    rows = torch.randn(batch, context, width, device=omni.device, dtype=omni.dtype)

    def once() -> float:
        hall = Hall(omni, network, batch, 0, context)

        def all_pieces() -> None:
            for some in rows.split(piece, dim=1):
                hall.run(some.flatten(0, 1), some.shape[1])

        return timed(all_pieces, omni.device)

    once()
    return median(once() for _ in range(REPEATS))


@torch.inference_mode()
def transformers_decode(omni: Omni, batch: int, context: int) -> float:
    """Seconds of a step of transformers' greedy `generate`: what more steps take, over how many more they are.

    Raises ImportError without transformers.
    """
    twin = transformers_twin(omni.backbone)
    ids = torch.randint(omni.config.backbone.vocab_size, (batch, context), device=omni.device)

    def generate(steps: int) -> float:
        """The median of some tries."""
        rules = {"min_new_tokens": steps, "max_new_tokens": steps, "do_sample": False, "pad_token_id": 0}
        return median(
            timed(lambda: twin.generate(ids, attention_mask=torch.ones_like(ids), **rules), omni.device)
            for _ in range(3)
        )

    generate(2)
    return (generate(2 + STEPS) - generate(2)) / STEPS


def read_bytes(
    sizes: Sizes, ffn_experts: float, batch: int, context: int, width: float, cached: int | None = None
) -> float:
    """Bytes that a step of decoding reads at least.

    Every weight once, of the experts those that one of `batch` rows chose if each is as likely, and every past position.
    width: bytes of a weight, and of a number in the cache unless `cached` says otherwise.
    """
    c = sizes.config
    untouched = (1 - ffn_experts / c.n_routed_experts) ** batch
    weights = sizes.activated(0) + c.num_layers * c.n_routed_experts * sizes.expert * (1 - untouched)
    return weights * width + batch * context * sizes.cache_bytes(cached or int(width))


def operations(sizes: Sizes, ffn_experts: float, batch: int, context: int) -> float:
    """Multiplications and additions to read `context` positions: those with weights, and of every pair that attends.

    The text head is left out: only a last position needs it.
    """
    c = sizes.config
    weights = sizes.activated(ffn_experts) - c.vocab_size * c.hidden_size
    pair = c.num_attention_heads * (c.qk_nope_head_dim + c.qk_rope_head_dim + c.v_head_dim)
    return 2.0 * batch * (context * weights + context * (context + 1) / 2 * c.n_attentions * pair)


@dataclass(frozen=True)
class Job:
    """One measurement to be made."""

    what: str
    batch: int
    context: int
    run: Callable[[], Figure]

    def __str__(self) -> str:
        return f"{self.what}, {self.batch} x {self.context:,}"


def jobs(omni: Omni, there: Machine, batches: Sequence[int], contexts: Sequence[int]) -> list[Job]:
    """Every measurement: decoding, prefill, and transformers if it is here; without what the model or the memory cannot hold."""
    sizes, network = Sizes.of(omni), network_of(omni)
    experts, width = partial(getattr, omni.backbone, "active_ffn_per_token"), omni.dtype.itemsize
    longest = omni.config.backbone.max_position_embeddings - STEPS - WARM_UP
    fitting = [min(context, longest) for context in contexts if context <= omni.config.backbone.max_position_embeddings]
    room = available_bytes(omni.device) // 2

    def decoding(what: str, batch: int, context: int) -> Figure:
        seconds, reading = decode(omni, network, batch, context, spoken=what == "decode speech")
        least = read_bytes(sizes, experts(), batch, context, network.weight_bytes, width) / there.bytes_per_s
        share = least / seconds if what == "decode text" else None
        return Figure(what, batch, context, 1000 * seconds, batch / seconds, share, seconds / reading)

    def reading(what: str, batch: int, context: int) -> Figure:
        seconds = prefill(omni, network, batch, context)
        least = operations(sizes, experts(), batch, context) / there.operations_per_s
        return Figure(what, batch, context, 1000 * seconds, context / seconds, least / seconds)

    def theirs(what: str, batch: int, context: int) -> Figure:
        seconds = transformers_decode(omni, batch, context)
        return Figure(what, batch, context, 1000 * seconds, batch / seconds)

    def job(what: str, batch: int, context: int, run: Callable[[str, int, int], Figure]) -> Job:
        return Job(what, batch, context, partial(run, what, batch, context))

    both = [(batch, context) for context in fitting for batch in batches]
    both = [(batch, context) for batch, context in both if batch * context * sizes.cache_bytes(width) <= room]
    made = [job(what, *size, decoding) for size in both for what in ("decode text", "decode speech")]
    made += [job("prefill", 1, context, reading) for context in fitting if context <= LONGEST_PREFILL]
    if find_spec("transformers") is not None:
        rivals = [(batch, context) for context in fitting[:1] for batch in batches if batch <= MOST_OF_THEIRS]
        made += [job("transformers text", *size, theirs) for size in rivals if size[1] <= LONGEST_PREFILL]
    return made


def table(there: Machine, figures: Sequence[Figure]) -> Table:
    """What was measured; a bar for how near it is to the limit, and how many times as long as reading the cache, or as fast as
    transformers."""
    theirs = {f.batch: f for f in figures if f.what == "transformers text"}
    made = Table(
        "what", "conversations", "positions", "ms", "rows / s", "of the limit", "times reading", "times transformers",
        title=f"{there.device}: {there.bytes_per_s / 1e9:.1f} GB/s copied, {there.operations_per_s / 1e9:.0f} GFLOP/s",
    )  # fmt: skip
    for f in figures:
        share = "" if f.of_limit is None else f"{'█' * round(BAR * min(1.0, f.of_limit)):{BAR}} {f.of_limit:.0%}"
        rival = theirs.get(f.batch)
        same = rival is not None and f.what == "decode text" and f.context == rival.context
        times = f"{rival.ms / f.ms:.1f}" if rival is not None and same else ""
        read = "" if f.of_reading is None else f"{f.of_reading:.2f}"
        made.add_row(f.what, str(f.batch), f"{f.context:,}", f"{f.ms:.2f}", f"{f.rows_per_s:,.0f}", share, read, times)
    return made


def report(name: str, sizes: Sizes, there: Machine, figures: Sequence[Figure]) -> dict[str, Any]:
    """All of a run, as JSON."""
    return {
        "model": name,
        "parameters": sizes.total,
        "torch": torch.__version__,
        "threads": torch.get_num_threads(),
        "machine": asdict(there),
        "figures": [asdict(figure) for figure in figures],
    }
