"""What conversations cost the model, as /metrics tells it: while they last by conversation, and all together."""

from dataclasses import replace

import httpx
from caller import call, server
from scripted_host import ScriptedHost

from vivavoce.model.messages import Cost, Ended, Reply
from vivavoce.realtime.server.local import LocalModel
from vivavoce.realtime.server.metrics import CostMeter, Metrics


def value(metrics: Metrics, name: str, **labels: str) -> float | None:
    return metrics.registry.get_sample_value(name, labels)


def test_the_budget_of_experts_is_told_by_conversation_and_over_all() -> None:
    metrics = Metrics()
    first, second = CostMeter(metrics), CostMeter(metrics)
    first.now("a", Cost(positions=100, experts=1.5))
    second.now("b", Cost(positions=300, experts=2.5))
    first.now("a", Cost(positions=200, experts=2.0))
    assert value(metrics, "vivavoce_session_active_experts", session="a") == 2.0
    assert value(metrics, "vivavoce_session_active_experts", session="b") == 2.5
    assert value(metrics, "vivavoce_positions_total") == 500
    assert value(metrics, "vivavoce_active_experts_total") == 200 * 2.0 + 300 * 2.5
    first.over("a")
    assert value(metrics, "vivavoce_session_active_experts", session="a") is None
    assert value(metrics, "vivavoce_positions_total") == 500
    first.over("a")


def test_guesses_are_counted_once_however_often_they_are_told() -> None:
    metrics = Metrics()
    meter = CostMeter(metrics)
    for guessed, accepted in ((10, 8), (10, 8), (25, 20)):
        meter.now("a", Cost(positions=guessed, guessed=guessed, accepted=accepted))
    assert value(metrics, "vivavoce_guessed_tokens_total") == 25
    assert value(metrics, "vivavoce_accepted_tokens_total") == 20


def test_a_model_that_was_restarted_counts_anew() -> None:
    metrics = Metrics()
    meter = CostMeter(metrics)
    meter.now("a", Cost(positions=100, experts=2.0, guessed=4))
    meter.now("a", Cost(positions=30, experts=1.0, guessed=2))
    assert value(metrics, "vivavoce_positions_total") == 130
    assert value(metrics, "vivavoce_active_experts_total") == 230
    assert value(metrics, "vivavoce_guessed_tokens_total") == 6


class Dear(ScriptedHost):
    """Its answers have a cost."""

    def step(self) -> list[Reply]:
        cost = Cost(positions=40, experts=2.25, guessed=3, accepted=2)
        return [replace(reply, cost=cost) if isinstance(reply, Ended) else reply for reply in super().step()]


async def test_a_running_server_tells_it() -> None:
    async with server(LocalModel(Dear())) as where, httpx.AsyncClient(trust_env=False) as client:
        async with call(where) as caller:
            await caller.write("hello")
            await caller.send("response.create")
            await caller.expect("response.done")
            told = (await client.get(f"http://{where}/metrics")).text
            (line,) = [line for line in told.splitlines() if line.startswith("vivavoce_session_active_experts{")]
            assert line.endswith("} 2.25")
            assert "vivavoce_positions_total 40.0" in told and "vivavoce_accepted_tokens_total 2.0" in told
        while "vivavoce_session_active_experts{" in (await client.get(f"http://{where}/metrics")).text:
            pass
