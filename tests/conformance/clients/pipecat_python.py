"""pipecat: a pipeline of the service, a loudspeaker and the two aggregators. The service truncates what was interrupted, calls
the tool and asks for the answer to its result.
"""

from __future__ import annotations

import asyncio
import io
import json
import os
from typing import Literal

os.environ["PIPECAT_LOG_LEVEL"] = "WARNING"

from loguru import logger
from PIL import Image
from pipecat.frames.frames import (
    BotStoppedSpeakingFrame,
    ErrorFrame,
    InputAudioRawFrame,
    InputImageRawFrame,
    InterruptionFrame,
    LLMFullResponseEndFrame,
    LLMRunFrame,
    LLMUpdateSettingsFrame,
    OutputAudioRawFrame,
    StartFrame,
    TranscriptionFrame,
    TTSStartedFrame,
    TTSTextFrame,
)
from pipecat.observers.base_observer import BaseObserver, FramePushed
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.worker import PipelineWorker
from pipecat.processors.aggregators.llm_context import LLMContext
from pipecat.processors.aggregators.llm_response_universal import LLMContextAggregatorPair
from pipecat.services.llm_service import FunctionCallParams
from pipecat.services.openai.realtime import events
from pipecat.services.openai.realtime.llm import OpenAIRealtimeLLMService
from pipecat.transports.base_output import BaseOutputTransport
from pipecat.transports.base_transport import TransportParams
from pipecat.workers.runner import WorkerRunner
from scenario import DESCRIPTION, RATE, RESULT, SCHEMA, TOOL, Call, run

Choice = Literal["auto", "none", "required"]
parse = events.parse_server_event


class PipecatCall(Call):
    async def __aenter__(self) -> PipecatCall:
        logger.remove()
        logger.add(lambda message: self.errors.append(str(message)), level="WARNING")
        events.parse_server_event = self.note
        self.words = ""
        self.is_new = self.is_playing = False
        url = f"ws://{self.address}/v1/realtime"
        self.service = OpenAIRealtimeLLMService(api_key="none", base_url=url, settings=settings("none", self.has_tool))
        self.service.register_function(TOOL, self.weather)
        pair = LLMContextAggregatorPair(LLMContext([{"role": "user", "content": "hello"}]))
        pipeline = Pipeline([pair.user(), self.service, Loudspeaker(self), pair.assistant()])
        self.worker = PipelineWorker(pipeline, observers=[Ear(self)], idle_timeout_secs=None)
        self.runner = WorkerRunner(handle_sigint=False)
        await self.runner.add_workers(self.worker)
        self.running = asyncio.create_task(self.runner.run())
        await self.be_greeted()
        return self

    async def be_greeted(self) -> None:
        """The first context that this service is given is answered; so a bot of pipecat speaks first."""
        await self.worker.queue_frame(LLMRunFrame())
        await self.until("a greeting", lambda: self.diary.answers and self.diary.sounds and not self.is_playing)
        self.diary.answers.clear()
        self.diary.sounds.clear()
        if self.has_tool:
            await self.choose_tool("required")

    async def choose_tool(self, choice: Choice) -> None:
        updated = self.diary.events["session.updated"]
        await self.worker.queue_frame(LLMUpdateSettingsFrame(delta=settings(choice, self.has_tool)))
        await self.until("session.updated", lambda: self.diary.events["session.updated"] > updated)

    async def __aexit__(self, *_: object) -> None:
        await self.runner.cancel()
        await self.running
        events.parse_server_event = parse

    async def send(self, pcm: bytes) -> None:
        await self.worker.queue_frame(InputAudioRawFrame(audio=pcm, sample_rate=RATE, num_channels=1))

    async def show(self, jpeg: bytes) -> None:
        image = Image.open(io.BytesIO(jpeg)).convert("RGB")
        await self.worker.queue_frame(InputImageRawFrame(image=image.tobytes(), size=image.size, format="RGB"))

    async def weather(self, call: FunctionCallParams) -> None:
        self.diary.calls.append({"name": call.function_name, "arguments": json.dumps(dict(call.arguments))})
        await self.choose_tool("auto")
        await call.result_callback(RESULT)

    def note(self, message: str) -> object:
        """What the service reads from its socket, by its own parser."""
        event = parse(message)
        kind = json.loads(message)["type"]
        self.diary.events[kind] += 1
        if kind == "conversation.item.truncated":
            self.diary.cuts.append({"audio_end_ms": event.audio_end_ms})
        elif kind == "conversation.item.done" and event.item.type == "function_call_output":
            self.diary.results.append(event.item.output)
        return event


def settings(tool_choice: Choice, has_tool: bool) -> OpenAIRealtimeLLMService.Settings:
    """The schema goes as it is: pipecat's own form of one cannot say that there are no other properties."""
    tool = {"type": "function", "name": TOOL, "description": DESCRIPTION, "parameters": SCHEMA}
    heard = events.AudioConfiguration(input=events.AudioInput(transcription=events.InputAudioTranscription()))
    wanted = events.SessionProperties(audio=heard, tools=[tool] if has_tool else [], tool_choice=tool_choice)
    return OpenAIRealtimeLLMService.Settings(model="kitten", session_properties=wanted)


class Loudspeaker(BaseOutputTransport):
    """Plays in real time what the service has made, and drops what an interruption left over, as every transport does."""

    def __init__(self, call: PipecatCall) -> None:
        super().__init__(TransportParams(audio_out_enabled=True, audio_out_sample_rate=RATE))
        self.call = call

    async def start(self, frame: StartFrame) -> None:
        await super().start(frame)
        await self.set_transport_ready(frame)

    async def write_audio_frame(self, frame: OutputAudioRawFrame) -> bool:
        self.call.diary.hear(frame.audio, self.call.is_new)
        self.call.is_new = False
        await asyncio.sleep(len(frame.audio) / 2 / RATE)
        return True


class Ear(BaseObserver):
    """Sees every frame of the pipeline; each is counted where it first comes from."""

    def __init__(self, call: PipecatCall) -> None:
        super().__init__()
        self.call = call

    async def on_push_frame(self, data: FramePushed) -> None:
        if not data.first_push:
            return
        call, diary, frame = self.call, self.call.diary, data.frame
        if isinstance(frame, ErrorFrame):
            call.errors.append(f"error: {frame.error}")
        elif isinstance(frame, TTSStartedFrame):
            call.is_new = call.is_playing = True
        elif isinstance(frame, TTSTextFrame):
            call.words += frame.text
        elif isinstance(frame, TranscriptionFrame):
            diary.questions.append(frame.text)
        elif isinstance(frame, BotStoppedSpeakingFrame):
            call.is_playing = False
        elif isinstance(frame, InterruptionFrame) and diary.sounds:
            diary.sounds[-1].stop()
        elif isinstance(frame, LLMFullResponseEndFrame) and data.source is call.service and call.words:
            diary.answers.append(call.words)
            call.words = ""


run(PipecatCall)
