"""livekit-plugins-openai: the model of LiveKit's agents, without a room. Its framework plays, truncates and calls the tool;
here the application does so, by the same methods of the session.
"""

from __future__ import annotations

import asyncio
import io

import numpy as np
from livekit import rtc
from livekit.agents import llm
from livekit.plugins.openai.realtime import RealtimeModel
from PIL import Image
from scenario import DESCRIPTION, RATE, RESULT, SCHEMA, TOOL, Call, Sound, run


class LiveKitCall(Call):
    async def __aenter__(self) -> LiveKitCall:
        self.model = RealtimeModel(base_url=f"http://{self.address}/v1", api_key="none")
        self.session = self.model.session()
        self.playing: tuple[str, Sound] | None = None
        self.tasks = set[asyncio.Task[None]]()
        self.session.on("openai_server_event_received", self.note)
        self.session.on("error", lambda error: self.errors.append(f"error: {error!r} {error.error!r}"))
        self.session.on("input_audio_transcription_completed", self.hear_question)
        self.session.on("generation_created", lambda made: self.begin(self.receive(made)))
        self.session.on("input_speech_started", lambda _: self.interrupt())
        if self.has_tool:
            schema = {"name": TOOL, "description": DESCRIPTION, "parameters": SCHEMA}
            await self.session.update_tools([llm.function_tool(self.weather, raw_schema=schema)])
            self.session.update_options(tool_choice="required")
        await self.until("session.updated", lambda: self.diary.events["session.updated"])
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.session.aclose()
        await self.model.aclose()

    @staticmethod
    async def weather(raw_arguments: dict[str, object]) -> str:
        return RESULT

    async def send(self, pcm: bytes) -> None:
        self.session.push_audio(rtc.AudioFrame(pcm, RATE, 1, len(pcm) // 2))

    async def show(self, jpeg: bytes) -> None:
        pixels = np.asarray(Image.open(io.BytesIO(jpeg)).convert("RGBA"))
        height, width, _ = pixels.shape
        self.session.push_video(rtc.VideoFrame(width, height, rtc.VideoBufferType.RGBA, pixels.tobytes()))

    def begin(self, work) -> None:
        task = asyncio.create_task(work)
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    def note(self, event: dict) -> None:
        self.diary.events[event["type"]] += 1
        if event["type"] == "conversation.item.truncated":
            self.diary.cuts.append({"audio_end_ms": event["audio_end_ms"]})

    def hear_question(self, event: llm.InputTranscriptionCompleted) -> None:
        if event.is_final:
            self.diary.questions.append(event.transcript)

    def interrupt(self) -> None:
        if self.playing is not None:
            item_id, sound = self.playing
            sound.stop()
            self.session.truncate(message_id=item_id, modalities=["audio"], audio_end_ms=sound.played_ms)

    async def receive(self, made: llm.GenerationCreatedEvent) -> None:
        """One answer, as the framework takes it from the streams."""
        async for message in made.message_stream:
            await self.listen(message)
        async for call in made.function_stream:
            await self.answer_call(call)

    async def listen(self, message: llm.MessageGeneration) -> None:
        is_new = True
        async for frame in message.audio_stream:
            self.diary.hear(bytes(frame.data), is_new)
            if is_new:
                self.playing = (message.message_id, self.diary.sounds[-1])
            is_new = False
        self.diary.answers.append("".join([str(text) async for text in message.text_stream]))

    async def answer_call(self, call: llm.FunctionCall) -> None:
        self.diary.calls.append({"name": call.name, "arguments": call.arguments})
        context = self.session.chat_ctx.copy()
        output = llm.FunctionCallOutput(name=call.name, call_id=call.call_id, output=RESULT, is_error=False)
        context.items.append(output)
        await self.session.update_chat_ctx(context)  # returns when the server has acknowledged it
        self.diary.results.append(RESULT)
        await self.session.generate_reply(tool_choice="none")


run(LiveKitCall)
