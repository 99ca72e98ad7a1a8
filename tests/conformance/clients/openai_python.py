"""openai (Python) over a WebSocket. There is nothing of a player or a microphone in it; that is the application's part."""

from __future__ import annotations

import asyncio
import base64
import json
from typing import Any

from openai import AsyncOpenAI
from openai.types.realtime import RealtimeServerEvent
from pydantic import TypeAdapter, ValidationError
from scenario import DESCRIPTION, RESULT, SCHEMA, TOOL, Call, run

TYPES: TypeAdapter[RealtimeServerEvent] = TypeAdapter(RealtimeServerEvent)
"""The library lets through what does not fit its types; so they are asked here."""


class OpenAICall(Call):
    """What an application does with events, over either transport."""

    async def tell(self, kind: str, **fields: Any) -> None:
        raise NotImplementedError

    def session(self) -> dict[str, Any]:
        """What is asked for besides the defaults."""
        heard = {"transcription": {"model": "gpt-4o-mini-transcribe"}}
        session: dict[str, Any] = {"type": "realtime", "audio": {"input": heard}}
        if self.has_tool:
            tool = {"type": "function", "name": TOOL, "description": DESCRIPTION, "parameters": SCHEMA}
            session |= {"tools": [tool], "tool_choice": {"type": "function", "name": TOOL}}
        return session

    async def hear(self, event: RealtimeServerEvent) -> None:
        diary = self.diary
        diary.events[event.type] += 1
        try:
            TYPES.validate_python(event.to_dict())
        except ValidationError as error:
            self.errors.append(f"{event.type}: {error}")
        if event.type == "error":
            self.errors.append(event.to_json())
        elif event.type == "conversation.item.input_audio_transcription.completed":
            diary.questions.append(event.transcript)
        elif event.type == "conversation.item.truncated":
            diary.cuts.append({"audio_end_ms": event.audio_end_ms})
            await self.tell("conversation.item.retrieve", item_id=event.item_id)
        elif event.type == "conversation.item.retrieved":
            diary.cuts[-1]["kept"] = event.item.content[0].transcript
        elif event.type == "response.output_audio_transcript.done":
            diary.answers.append(event.transcript)
        elif event.type == "response.function_call_arguments.done":
            diary.calls.append({"name": event.name, "arguments": event.arguments})
            await self.answer_call(event.call_id)
        elif event.type == "conversation.item.done" and event.item.type == "function_call_output":
            diary.results.append(event.item.output)

    async def answer_call(self, call_id: str) -> None:
        await self.tell("session.update", session={"type": "realtime", "tool_choice": "auto"})
        result = {"type": "function_call_output", "call_id": call_id, "output": json.dumps(RESULT)}
        await self.tell("conversation.item.create", item=result)
        await self.tell("response.create")


class SocketCall(OpenAICall):
    """Sound comes as fast as it is made; the application plays it, and says how much of it was heard."""

    async def __aenter__(self) -> SocketCall:
        self.client = AsyncOpenAI(api_key="none", base_url=f"http://{self.address}/v1")
        self.connection = await self.client.realtime.connect(model="gpt-realtime").enter()
        self.playing = ""
        self.listening = asyncio.create_task(self.listen())
        await self.connection.session.update(session=self.session())
        await self.until("session.updated", lambda: self.diary.events["session.updated"])
        return self

    async def __aexit__(self, *_: object) -> None:
        self.listening.cancel()
        await self.connection.close()
        await self.client.close()

    async def tell(self, kind: str, **fields: Any) -> None:
        await self.connection.send({"type": kind, **fields})

    async def send(self, pcm: bytes) -> None:
        await self.connection.input_audio_buffer.append(audio=base64.b64encode(pcm).decode())

    async def show(self, jpeg: bytes) -> None:
        await self.tell("input_image_buffer.append", image=f"data:image/jpeg;base64,{base64.b64encode(jpeg).decode()}")

    async def listen(self) -> None:
        async for event in self.connection:
            await self.hear(event)

    async def hear(self, event: RealtimeServerEvent) -> None:
        await super().hear(event)
        sounds = self.diary.sounds
        if event.type == "response.output_audio.delta":
            self.diary.hear(base64.b64decode(event.delta), event.item_id != self.playing)
            self.playing = event.item_id
        elif event.type == "input_audio_buffer.speech_started" and sounds:
            sounds[-1].stop()
            where = {"item_id": self.playing, "content_index": 0, "audio_end_ms": sounds[-1].played_ms}
            await self.tell("conversation.item.truncate", **where)


if __name__ == "__main__":
    run(SocketCall)
