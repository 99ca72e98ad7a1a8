"""Steps of static shapes against those of any shape, and what a recording must not contain. Recording itself needs a GPU."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from vivavoce.model.config import tiny
from vivavoce.model.engine import graphs
from vivavoce.model.engine.graphs import Experts, GraphNetwork, StaticStep
from vivavoce.model.engine.network import TorchNetwork
from vivavoce.model.omni import Omni
from vivavoce.model.stepping import ForwardBatch, Stepper

needs_a_gpu = pytest.mark.skipif(
    not torch.cuda.is_available(), reason="recording a step needs a GPU, there is none here"
)
DEVICES = ["cpu", pytest.param("cuda", marks=needs_a_gpu)]
ASKING = ("_local_scalar_dense", "item", "nonzero", "masked_select", "unique", "bincount", "repeat_interleave", "equal")
"""Operations that wait for the device to tell a number or a shape."""
PAGE = 4


def network(dtype: torch.dtype = torch.float32, device: str = "cpu") -> Omni:
    torch.manual_seed(0)
    return Omni(tiny()).to(device, dtype).eval().requires_grad_(False)


class Talks:
    """Some conversations over a paged cache, by whichever network; pages are given in turns, so nobody's lie together."""

    def __init__(self, net: TorchNetwork, count: int, positions: int, device: str) -> None:
        self.net, self.pasts = net, [0] * count
        pages = torch.arange(count * positions // PAGE).view(-1, count).t()
        self.slots = (pages[:, :, None] * PAGE + torch.arange(PAGE)).flatten(1).to(device)
        backbone = net.omni.backbone
        self.cache = backbone.new_cache(count * positions + 1)
        self.width = backbone.config.hidden_size

    def step(self, who: list[int], rows: torch.Tensor, each: int = 1) -> torch.Tensor:
        """`each` more rows of some of them -> the hidden vectors."""
        parts = [(each, self.pasts[i], self.slots[i]) for i in who]
        hidden = self.net.step(rows, ForwardBatch.of(self.cache, parts))
        for i in who:
            self.pasts[i] += each
        return hidden


@pytest.mark.parametrize("device", DEVICES)
def test_growing_conversations_that_come_and_go_back_have_the_same_numbers(
    device: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Steps of 1, 2, 4 and 8 rows, a border between lengths, prompts in between, idle rows, and a rollback."""
    monkeypatch.setattr(graphs, "SHORTEST", 8)
    dice = torch.Generator().manual_seed(1)
    talks = [Talks(net(network(device=device)), 6, 40, device) for net in (TorchNetwork, GraphNetwork)]
    for number in range(40):
        prompt = number % 11 == 0
        who = sorted(torch.randperm(6, generator=dice)[: 1 + number % 6].tolist())
        each = 3 if prompt else 1
        rows = torch.randn(len(who) * each, talks[0].width, generator=dice).to(device)
        if number == 25:
            for talk in talks:
                talk.pasts = [past // 2 for past in talk.pasts]
        expected, got = [talk.step(who, rows, each) for talk in talks]
        torch.testing.assert_close(got, expected, rtol=1e-5, atol=1e-5)
        assert talks[1].net.given == talks[0].net.given
    counts = [
        [(layer.mlp.load.tolist(), layer.mlp.tokens) for layer in t.net.omni.backbone.model.layers] for t in talks
    ]
    assert counts[0] == counts[1]
    made = talks[1].net._steps  # type: ignore[attr-defined]
    assert {key[0] for key in made} >= {1, 2, 4, 8} and {key[1] for key in made} >= {8, 16, 32}


@pytest.mark.parametrize(
    ("ends", "size"),
    [
        ((1,), (1, 256)),
        ((257, 300, 512), (4, 512)),
        ((513,), (1, 1024)),
        ((5000,) * 33, (64, 8192)),
        ((100_000, 3, 3, 3), None),
    ],
)
def test_conversations_that_are_alike_have_a_size(ends: tuple[int, ...], size: tuple[int, int] | None) -> None:
    slots = torch.arange(max(ends))
    assert graphs.size_of(ForwardBatch.of(torch.zeros(1), [(1, end - 1, slots) for end in ends])) == size


def test_idle_rows_write_to_nobodys_slot() -> None:
    talk = Talks(GraphNetwork(network()), 3, 8, "cpu")
    talk.cache.fill_(7.0)
    talk.step([0, 1, 2], torch.randn(3, talk.width))
    written = (talk.cache != 7.0).any(dim=-1).all(dim=0).nonzero().flatten().tolist()
    assert written == sorted([*talk.slots[:, 0].tolist(), talk.cache.shape[1] - 1])


def test_experts_in_half_precision_are_multiplied_in_groups() -> None:
    """The product that a GPU has for them, which takes no other type."""
    omni = network(torch.bfloat16)
    x, moe = torch.randn(9, 32, dtype=torch.bfloat16), omni.backbone.model.layers[0].mlp
    expected = moe(x)
    mixed, given = Experts(Stepper(omni.backbone)._layers[0]).mixed(x)
    torch.testing.assert_close(mixed, expected, rtol=2e-2, atol=2e-2)
    assert moe.given is not None and given.sum(dim=1).tolist() == moe.given.tolist()


def test_rows_that_are_given_no_expert_keep_what_costs_nothing() -> None:
    omni = network()
    layer = Stepper(omni.backbone)._layers[0]
    moe = layer.layer.mlp
    moe.router.e_score_correction_bias[: omni.config.backbone.n_routed_experts] = -10
    x = torch.randn(3, 32)
    mixed, given = Experts(layer).mixed(x)
    torch.testing.assert_close(mixed, moe(x))
    assert not given.any() and mixed.any()


class Recording(TorchDispatchMode):
    """Refuses what a GPU cannot record, and remembers the shapes of the rest."""

    def __init__(self) -> None:
        super().__init__()
        self.shapes: list[tuple[str, tuple[int, ...]]] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = func.overloadpacket.__name__
        assert name not in ASKING, f"{func} asks the device for a number"
        masks = args[1] if name in ("index", "index_put", "index_put_") else []
        assert not any(mask is not None and mask.dtype == torch.bool for mask in masks), f"{func} by a mask"
        out = func(*args, **(kwargs or {}))
        if isinstance(out, torch.Tensor):
            self.shapes.append((name, tuple(out.shape)))
        return out


def static_step(omni: Omni, rows: int, longest: int) -> StaticStep:
    stepper = Stepper(omni.backbone)
    experts = [Experts(layer) for layer in stepper._layers]
    return StaticStep(stepper, experts, omni.backbone.new_cache(64), rows, longest)


def test_a_recorded_step_asks_for_nothing_and_has_the_same_shapes_whatever_its_numbers() -> None:
    step = static_step(network(), 4, 16)
    shapes = []
    for _ in range(2):
        step.embeds.normal_()
        step.positions.random_(16)
        step.slots.random_(63)
        step.write.copy_(torch.randperm(64)[:4])
        with torch.no_grad(), Recording() as recording:
            step.compute()
        shapes.append(recording.shapes)
    assert shapes[0] == shapes[1] and len(shapes[0]) > 50


def test_what_would_ask_is_noticed() -> None:
    """The step of any shape is such a one."""
    net = TorchNetwork(network())
    batch = ForwardBatch.of(net.omni.backbone.new_cache(8), [(1, 0, torch.arange(4)), (1, 0, torch.arange(4, 8))])
    with torch.no_grad(), pytest.raises(AssertionError, match="asks the device"), Recording():
        net.step(torch.randn(2, 32), batch)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32])
def test_a_recorded_step_needs_no_number_at_all(dtype: torch.dtype) -> None:
    """On a device of shapes alone: whatever needed a number, or a tensor that is elsewhere, would end here."""
    with torch.device("meta"):
        omni = Omni(tiny()).to(dtype).eval().requires_grad_(False)
    with torch.no_grad():
        hidden, given = static_step(omni, 4, 16).compute()
    assert hidden.shape == (4, 32) and given.shape == (2, 4, omni.config.backbone.n_routed_experts)


def test_a_batch_that_does_not_fit_is_refused() -> None:
    talk = Talks(GraphNetwork(network()), 2, 8, "cpu")
    with pytest.raises(ValueError, match="the batch has 2 rows, got 3 embeddings"):
        talk.step([0, 1], torch.randn(3, talk.width))


@needs_a_gpu
@pytest.mark.gpu
def test_a_replay_is_the_step_that_was_recorded() -> None:
    talk = Talks(GraphNetwork(network(device="cuda")), 2, 16, "cuda")
    rows = torch.randn(2, talk.width, device="cuda")
    first = talk.step([0, 1], rows)
    (step,) = talk.net._steps.values()  # type: ignore[attr-defined]
    assert step._graph is not None
    talk.pasts = [0, 0]
    assert torch.equal(talk.step([0, 1], rows), first)
