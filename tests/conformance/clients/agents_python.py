"""openai-agents (Python): the library keeps the history, calls the tool and says how much of an interrupted answer was heard."""

from __future__ import annotations

import asyncio
import base64
import json
from typing import Literal

from agents import function_tool, set_tracing_disabled
from agents.realtime import RealtimeAgent, RealtimeItem, RealtimeModelEvent, RealtimeRunner
from agents.realtime.model_inputs import RealtimeModelSendRawMessage, RealtimeModelSendSessionUpdate
from scenario import DESCRIPTION, RESULT, TOOL, Call, run

set_tracing_disabled(True)


class AgentsCall(Call):
    async def __aenter__(self) -> AgentsCall:
        agent = RealtimeAgent(name="kitten", instructions="", tools=[self.tool()] if self.has_tool else [])
        settings = {"tool_choice": "required"} if self.has_tool else {}
        url = f"ws://{self.address}/v1/realtime?model=kitten"
        model = {"url": url, "api_key": "none", "initial_model_settings": settings}
        self.session = await RealtimeRunner(agent).run(model_config=model)  # type: ignore[arg-type]
        await self.session.enter()
        self.playing = ""
        self.history: dict[str, RealtimeItem] = {}
        self.listening = asyncio.create_task(self.listen())
        return self

    async def __aexit__(self, *_: object) -> None:
        self.listening.cancel()
        await self.session.close()

    def tool(self):
        @function_tool(name_override=TOOL, description_override=DESCRIPTION)
        async def weather(city: Literal["Rome", "Paris"], days: Literal[1, 2, 3]) -> str:
            update = RealtimeModelSendSessionUpdate(session_settings={"tool_choice": "auto"})
            await self.session.model.send_event(update)
            return RESULT

        return weather

    async def send(self, pcm: bytes) -> None:
        await self.session.send_audio(pcm)

    async def show(self, jpeg: bytes) -> None:
        """`send_message` would ask for an answer too; the library's examples send pictures in this way."""
        part = {"type": "input_image", "image_url": "data:image/jpeg;base64," + base64.b64encode(jpeg).decode()}
        item = {"type": "message", "role": "user", "content": [part]}
        raw = RealtimeModelSendRawMessage(message={"type": "conversation.item.create", "other_data": {"item": item}})
        await self.session.model.send_event(raw)

    async def listen(self) -> None:
        diary = self.diary
        async for event in self.session:
            if event.type == "error":
                self.errors.append(f"error: {event.error}")
            elif event.type == "audio":
                diary.hear(event.audio.data, event.item_id != self.playing)
                self.playing = event.item_id
            elif event.type == "audio_interrupted" and diary.sounds:
                diary.sounds[-1].stop()
            elif event.type == "tool_start":
                diary.calls.append({"name": event.tool.name, "arguments": event.arguments})
            elif event.type == "tool_end":
                diary.results.append(json.dumps(event.output))
            elif event.type == "raw_model_event":
                self.note(event.data)
            elif event.type == "agent_end":
                diary.answers = self.said_by("assistant")
            elif event.type == "history_added":
                self.remember([event.item])
            elif event.type == "history_updated":
                self.remember(event.history)

    def note(self, data: RealtimeModelEvent) -> None:
        """What came over the wire, as the library passes it on."""
        if data.type == "exception":
            self.errors.append(f"exception: {data!r}")
        if data.type != "raw_server_event":
            return
        raw = data.data
        self.diary.events[raw["type"]] += 1
        if raw["type"] == "conversation.item.truncated":
            self.diary.cuts.append({"audio_end_ms": raw["audio_end_ms"]})

    def remember(self, items: list[RealtimeItem]) -> None:
        """The library's own history."""
        self.history |= {item.item_id: item for item in items if item.type == "message"}
        self.diary.questions = self.said_by("user")

    def said_by(self, role: str) -> list[str]:
        return [words(item) for item in self.history.values() if item.role == role and words(item)]


def words(item: RealtimeItem) -> str:
    return "".join(getattr(part, "transcript", "") or "" for part in item.content)


run(AgentsCall)
