"""The doors besides the conversation."""

import httpx
import numpy as np
import pytest
from caller import SILENCE, call, server
from scripted_host import ScriptedHost, refused
from starlette.testclient import TestClient

from vivavoce.realtime.config import SessionConfig
from vivavoce.realtime.server.app import create_app, page_folder
from vivavoce.realtime.server.local import LocalModel
from vivavoce.realtime.server.port import ModelRefused
from vivavoce.realtime.server.worker import Worker


async def get(where: str, path: str) -> httpx.Response:
    async with httpx.AsyncClient(trust_env=False) as client:
        return await client.get(f"http://{where}{path}")


async def test_health_is_good_once_the_model_is_loaded() -> None:
    worker = Worker(ScriptedHost)
    async with server(worker) as where:
        loading = await get(where, "/health")
        await worker.until_ready()
        ready = await get(where, "/health")
    assert (loading.status_code, loading.json()) == (503, {"status": "loading", "model": "script"})
    assert (ready.status_code, ready.json()) == (200, {"status": "ready", "model": "script"})


async def test_the_model_is_listed_with_its_voices() -> None:
    config = SessionConfig(model="script", voices=("nora", "hugo"))
    async with server(LocalModel(ScriptedHost()), config=config) as where:
        (model,) = (await get(where, "/v1/models")).json()["data"]
    assert (model["id"], model["object"], model["voices"]) == ("script", "model", ["nora", "hugo"])


async def test_health_is_bad_when_the_model_cannot_be_loaded() -> None:
    worker = Worker(refused)
    async with server(worker) as where:
        with pytest.raises(ModelRefused):
            await worker.until_ready()
        assert (await get(where, "/health")).json()["status"] == "failed"


async def test_metrics_count_sessions_turns_waits_and_errors(wire_question: np.ndarray) -> None:
    async with server(LocalModel(ScriptedHost())) as where, call(where) as caller:
        await caller.socket.send("{")
        await caller.say(wire_question)
        await caller.say(SILENCE)
        await caller.expect("response.done")
        lines = (await get(where, "/metrics")).text.splitlines()
    assert "vivavoce_sessions 1.0" in lines
    assert "vivavoce_sessions_opened_total 1.0" in lines
    assert 'vivavoce_turns_total{status="completed"} 1.0' in lines
    assert 'vivavoce_errors_total{code="invalid_json"} 1.0' in lines
    assert "vivavoce_time_to_first_audio_seconds_count 1.0" in lines
    assert "vivavoce_model_time_to_first_audio_seconds_count 1.0" in lines


async def test_metrics_tell_where_the_time_went(wire_question: np.ndarray) -> None:
    async with server(LocalModel(ScriptedHost())) as where, call(where) as caller:
        await caller.send("session.update", session={"type": "realtime", "extensions": ["response.metrics"]})
        await caller.say(np.concatenate([wire_question, SILENCE]))
        told = await caller.expect("response.metrics")
        text = (await get(where, "/metrics")).text
    values = dict(line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#"))
    assert float(values["conv_endpointing_seconds_sum"]) * 1000 == pytest.approx(
        told["turn_end_ms"] - told["speech_end_ms"]
    )
    silence = told["leading_silence_ms"]
    assert float(values["conv_response_seconds_sum"]) * 1000 == pytest.approx(told["wait_ms"]["total"] + silence)
    stages = {part: float(values.get(f'conv_stage_seconds_sum{{stage="{part}"}}', 0)) for part in told["parts_ms"]}
    assert sum(stages.values()) * 1000 == pytest.approx(told["parts_ms"]["total"])
    assert values["vivavoce_model_waiting_bytes"] == "0.0"


async def test_nobody_waits_aloud_for_an_answer_beside_the_conversation() -> None:
    async with server(LocalModel(ScriptedHost())) as where, call(where) as caller:
        await caller.send("response.create", response={"conversation": "none", "input": []})
        await caller.expect("response.done")
        lines = (await get(where, "/metrics")).text.splitlines()
    assert 'vivavoce_turns_total{status="completed"} 1.0' in lines
    assert "vivavoce_time_to_first_audio_seconds_count 0.0" in lines


def test_the_page_is_served_with_its_modules() -> None:
    page = page_folder()
    assert page is not None
    with TestClient(create_app(LocalModel(ScriptedHost()))) as client:
        assert "<html" in client.get("/").text
        module = next(page.glob("src/*.js")).relative_to(page)
        assert client.get(f"/{module}").headers["content-type"].startswith("text/javascript")
        assert client.get("/../pyproject.toml").status_code == 404
