"""Models of no wit behind the HTTP interfaces of OpenAI, for cascades that are to be measured without any: what they hear is always
the same, what they answer too, and it is said by a tone that rises and falls like speech.

    python stub_models.py 9001   # /v1/audio/transcriptions, /v1/chat/completions, /v1/audio/speech
"""

import json
import sys

import numpy as np
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

RATE_HZ = 24_000
ANSWER = "This is an answer of about three seconds, so that there is time to speak into it."
SECONDS = 3.0


async def transcribe(request: Request) -> Response:
    await request.body()
    return JSONResponse({"text": "what colour is the circle"})


async def answer(request: Request) -> Response:
    asked = await request.json()
    if not asked.get("stream"):
        message = {"role": "assistant", "content": ANSWER}
        choice = {"index": 0, "message": message, "finish_reason": "stop"}
        return JSONResponse({"id": "stub", "object": "chat.completion", "model": "stub", "choices": [choice]})

    async def pieces():
        for delta, reason in (({"role": "assistant", "content": ANSWER}, None), ({}, "stop")):
            choice = {"index": 0, "delta": delta, "finish_reason": reason}
            chunk = {
                "id": "stub",
                "object": "chat.completion.chunk",
                "created": 0,
                "model": "stub",
                "choices": [choice],
            }
            yield f"data: {json.dumps(chunk)}\n\n"
        yield "data: [DONE]\n\n"

    return StreamingResponse(pieces(), media_type="text/event-stream")


async def say(request: Request) -> Response:
    await request.body()
    times = np.arange(round(SECONDS * RATE_HZ)) / RATE_HZ
    voice = sum(np.sin(2 * np.pi * 140 * n * times) / n for n in range(1, 12))
    pcm = 0.15 * voice * (0.6 + 0.4 * np.cos(2 * np.pi * 3 * times))
    return Response((pcm * 32_767).astype("<i2").tobytes(), media_type="audio/pcm")


async def models(request: Request) -> Response:
    return JSONResponse({"object": "list", "data": [{"id": "stub", "object": "model"}]})


app = Starlette(
    routes=[
        Route("/v1/audio/transcriptions", transcribe, methods=["POST"]),
        Route("/v1/chat/completions", answer, methods=["POST"]),
        Route("/v1/audio/speech", say, methods=["POST"]),
        Route("/v1/models", models),
    ]
)

if __name__ == "__main__":
    uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[1]), log_level="warning")
