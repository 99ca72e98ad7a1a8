"""openai (Python): a WebSocket, and nothing of a player or a microphone; that is the application's part."""

from __future__ import annotations

import asyncio
import base64
import json
from typing import Any

from openai import AsyncOpenAI
from scenario import DESCRIPTION, RESULT, SCHEMA, TOOL, Call, run


class OpenAICall(Call):
    async def __aenter__(self) -> OpenAICall:
        self.client = AsyncOpenAI(api_key="none", base_url=f"http://{self.address}/v1")
        self.connection = await self.client.realtime.connect(model="gpt-realtime").enter()
        heard = {"transcription": {"model": "gpt-4o-mini-transcribe"}}
        session: dict[str, Any] = {"type": "realtime", "audio": {"input": heard}}
        if self.has_tool:
            tool = {"type": "function", "name": TOOL, "description": DESCRIPTION, "parameters": SCHEMA}
            session |= {"tools": [tool], "tool_choice": {"type": "function", "name": TOOL}}
        await self.connection.session.update(session=session)  # type: ignore[arg-type]
        self.listening = asyncio.create_task(self.listen())
        await self.until("session.updated", lambda: self.diary.events["session.updated"])
        return self

    async def __aexit__(self, *_: object) -> None:
        self.listening.cancel()
        await self.connection.close()
        await self.client.close()

    async def send(self, pcm: bytes) -> None:
        await self.connection.input_audio_buffer.append(audio=base64.b64encode(pcm).decode())

    async def show(self, jpeg: bytes) -> None:
        image = "data:image/jpeg;base64," + base64.b64encode(jpeg).decode()
        await self.connection.send({"type": "input_image_buffer.append", "image": image})  # type: ignore[arg-type]

    async def listen(self) -> None:
        diary, playing = self.diary, ""
        async for event in self.connection:
            diary.events[event.type] += 1
            if event.type == "error":
                self.errors.append(event.to_json())
            elif event.type == "conversation.item.input_audio_transcription.completed":
                diary.questions.append(event.transcript)
            elif event.type == "response.output_audio.delta":
                diary.hear(base64.b64decode(event.delta), event.item_id != playing)
                playing = event.item_id
            elif event.type == "input_audio_buffer.speech_started" and diary.sounds:
                diary.sounds[-1].stop()
                at_ms = diary.sounds[-1].played_ms
                truncate = self.connection.conversation.item.truncate
                await truncate(item_id=playing, content_index=0, audio_end_ms=at_ms)
            elif event.type == "conversation.item.truncated":
                diary.cuts.append({"audio_end_ms": event.audio_end_ms})
                await self.connection.conversation.item.retrieve(item_id=event.item_id)
            elif event.type == "conversation.item.retrieved":
                diary.cuts[-1]["kept"] = event.item.content[0].transcript  # type: ignore[union-attr]
            elif event.type == "response.output_audio_transcript.done":
                diary.answers.append(event.transcript)
            elif event.type == "response.function_call_arguments.done":
                diary.calls.append({"name": event.name, "arguments": event.arguments})
                await self.answer_call(event.call_id)
            elif event.type == "conversation.item.done" and event.item.type == "function_call_output":
                diary.results.append(event.item.output)

    async def answer_call(self, call_id: str) -> None:
        connection = self.connection
        await connection.session.update(session={"type": "realtime", "tool_choice": "auto"})
        result = json.dumps(RESULT)
        await connection.conversation.item.create(
            item={"type": "function_call_output", "call_id": call_id, "output": result}
        )
        await connection.response.create()


run(OpenAICall)
