"""The `openai` package's own client, unmodified, in a conversation with our server."""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import jsonschema
import numpy as np
import pytest
from caller import SILENCE, server
from openai import AsyncOpenAI
from openai.resources.realtime.realtime import AsyncRealtimeConnection
from scripted_host import QUESTION, WORDS, ScriptedHost, tone

from vivavoce.codecs.pcm import float_to_pcm16, pcm16_to_float
from vivavoce.model.host import Host
from vivavoce.realtime.server.local import LocalModel


@asynccontextmanager
async def connected(host: ScriptedHost | Host) -> AsyncIterator[AsyncRealtimeConnection]:
    """A client that was told nothing but where the server is."""
    async with server(LocalModel(host)) as where:
        client = AsyncOpenAI(api_key="none", base_url=f"http://{where}/v1")
        async with client, client.realtime.connect(model="gpt-realtime") as connection:
            yield connection


async def until(connection: AsyncRealtimeConnection, kind: str) -> list[Any]:
    """Events up to the first one of this type."""
    heard = []
    async for event in connection:
        heard.append(event)
        assert event.type != "error", event
        if event.type == kind:
            break
    return heard


async def test_a_spoken_turn(wire_question: np.ndarray) -> None:
    host = ScriptedHost()
    async with connected(host) as connection:
        assert (await until(connection, "session.created"))[0].session.model == "script"
        await connection.session.update(
            session={
                "type": "realtime",
                "model": "gpt-realtime",
                "instructions": "Be brief.",
                "output_modalities": ["audio"],
                "audio": {
                    "input": {
                        "format": {"type": "audio/pcm", "rate": 24000},
                        "transcription": {"model": "gpt-4o-mini-transcribe"},
                        "turn_detection": {"type": "semantic_vad", "eagerness": "high"},
                    },
                    "output": {"voice": "marin", "format": {"type": "audio/pcm", "rate": 24000}},
                },
            }
        )
        updated = (await until(connection, "session.updated"))[-1]
        assert updated.session.audio.input.turn_detection.eagerness == "high"
        pcm16 = float_to_pcm16(np.concatenate([wire_question, SILENCE]))
        for at in range(0, len(pcm16), 4_800):
            await connection.input_audio_buffer.append(audio=base64.b64encode(pcm16[at : at + 4_800]).decode())
        heard = await until(connection, "response.done")
        await connection.conversation.item.retrieve(item_id=heard[0].item_id)
        question = (await until(connection, "conversation.item.retrieved"))[-1].item
    kinds = [event.type for event in heard]
    assert kinds[:3] == [f"input_audio_buffer.{step}" for step in ("speech_started", "speech_stopped", "committed")]
    words = [event.delta for event in heard if event.type == "response.output_audio_transcript.delta"]
    assert "".join(words) == "".join(WORDS)
    sound = b"".join(base64.b64decode(e.delta) for e in heard if e.type == "response.output_audio.delta")
    assert pcm16_to_float(sound) == pytest.approx(np.tile(tone(), len(WORDS)), abs=1e-4)
    response = heard[-1].response
    assert (response.status, response.output[0].content[0].transcript) == ("completed", "".join(WORDS))
    assert response.usage.input_token_details.audio_tokens == 13
    assert question.content[0].transcript == QUESTION


async def test_a_written_turn_and_a_question_beside_it() -> None:
    async with connected(ScriptedHost()) as connection:
        part = {"type": "input_text", "text": "hello"}
        await connection.conversation.item.create(item={"type": "message", "role": "user", "content": [part]})
        await connection.response.create(response={"output_modalities": ["text"]})
        written = await until(connection, "response.done")
        await connection.response.create(
            response={
                "conversation": "none",
                "input": [{"type": "item_reference", "id": written[1].item.id}],
                "metadata": {"topic": "mood"},
                "output_modalities": ["text"],
            }
        )
        beside = (await until(connection, "response.done"))[-1].response
        await connection.conversation.item.delete(item_id=written[1].item.id)
        await until(connection, "conversation.item.deleted")
    assert "".join(e.delta for e in written if e.type == "response.output_text.delta") == "".join(WORDS)
    assert (beside.metadata, beside.conversation_id) == ({"topic": "mood"}, None)
    assert beside.output[0].content[0].text == "".join(WORDS)


async def test_kitten_calls_a_function_because_it_must() -> None:
    """Which city it names is chance, kitten knows nothing of weather; that it is one of these is the server's doing."""
    schema = {"type": "object", "properties": {"city": {"enum": ["Rome", "Paris"]}, "days": {"type": "integer"}}}
    schema |= {"required": ["city", "days"], "additionalProperties": False}
    tool = {"type": "function", "name": "weather", "description": "The weather of a city.", "parameters": schema}
    async with connected(Host.load("model/kitten")) as connection:
        await connection.session.update(session={"type": "realtime", "tools": [tool], "tool_choice": "required"})
        part = {"type": "input_text", "text": "what is the weather like in Rome"}
        await connection.conversation.item.create(item={"type": "message", "role": "user", "content": [part]})
        await connection.response.create()
        heard = await until(connection, "response.done")
        (call,) = heard[-1].response.output[:1]
        assert (call.type, call.name, call.status) == ("function_call", "weather", "completed")
        jsonschema.validate(json.loads(call.arguments), schema)
        result = {"type": "function_call_output", "call_id": call.call_id, "output": "sunny"}
        await connection.conversation.item.create(item=result)
        await connection.response.create(response={"tool_choice": "none", "output_modalities": ["text"]})
        answered = (await until(connection, "response.done"))[-1].response
    assert [item.type for item in answered.output] == ["message"]
    assert not any("longcat" in event.to_json() for event in heard)


async def test_a_mistake_comes_back_with_its_event_id() -> None:
    async with connected(ScriptedHost()) as connection:
        await connection.conversation.item.delete(item_id="nobody", event_id="mine")
        async for event in connection:
            if event.type == "error":
                break
    assert (event.error.event_id, event.error.param) == ("mine", "item_id")
