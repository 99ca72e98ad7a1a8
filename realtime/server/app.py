"""The server's doors: the page, the conversation, and what operators ask for.

    GET /               the page (web/)
    GET /health         200 when the model is loaded, 503 while it loads and when it cannot
    GET /metrics        Prometheus
    GET /v1/models      the model, and whose voices it has
    WS  /v1/realtime    a conversation
    POST /v1/realtime/calls                 a conversation over WebRTC
    POST /v1/realtime/calls/{id}/hangup
    POST /v1/realtime/client_secrets
    GET /v1/realtime/ice_servers            the STUN and TURN servers that a call may use

All of them on one port.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

from prometheus_client import CONTENT_TYPE_LATEST
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Mount, Route, WebSocketRoute
from starlette.staticfiles import StaticFiles
from starlette.websockets import WebSocket

from vivavoce.realtime.config import SessionConfig
from vivavoce.realtime.errors import ClientError
from vivavoce.realtime.server.calls import Calls
from vivavoce.realtime.server.guests import Guests
from vivavoce.realtime.server.ice import Ice
from vivavoce.realtime.server.keys import Secrets
from vivavoce.realtime.server.metrics import Metrics
from vivavoce.realtime.server.port import Model, ModelState
from vivavoce.realtime.server.speech import Silero
from vivavoce.realtime.server.websocket import converse


def create_app(model: Model, config: SessionConfig | None = None, ice: Ice | None = None) -> Starlette:
    """The application; starts the model with the server and stops it with it. Without `ice`, calls are direct.

    `state.leave` is for the server that is about to end, while its connections are still open.
    """
    config = config or SessionConfig()
    metrics = Metrics()
    secrets = Secrets(config)
    calls = Calls(model, config, metrics, secrets, ice or Ice())
    guests = Guests()

    async def health(_: Request) -> Response:
        state = model.state
        return JSONResponse(
            {"status": state.value, "model": config.model}, status_code=200 if state is ModelState.READY else 503
        )

    async def models(_: Request) -> Response:
        told = {
            "id": config.model,
            "object": "model",
            "created": 0,
            "owned_by": "vivavoce",
            "voices": list(config.voices),
        }
        return JSONResponse({"object": "list", "data": [told]})

    async def measured(_: Request) -> Response:
        metrics.waiting.set(model.waiting_bytes)
        metrics.refused.set(model.refused)
        return Response(metrics.text(), headers={"Content-Type": CONTENT_TYPE_LATEST})

    async def realtime(socket: WebSocket) -> None:
        try:
            wanted = secrets.wanted(socket)
        except ClientError as error:
            await socket.close(1008, error.message)  # before the handshake, so the client is told 403
            return
        await converse(socket, model, replace(config, wanted=wanted), metrics, guests)

    async def leave() -> None:
        calls.leave()
        await guests.leave()

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        await model.start()
        await asyncio.to_thread(Silero.shared)  # so that the first conversation does not wait for it
        try:
            yield
        finally:
            await calls.close()
            await model.stop()

    routes: list[BaseRoute] = [
        Route("/health", health),
        Route("/metrics", measured),
        Route("/v1/models", models),
        WebSocketRoute("/v1/realtime", realtime),
        calls.routes(),
    ]
    page = page_folder()
    if page is not None:
        routes.append(Mount("/", StaticFiles(directory=page, html=True)))
    app = Starlette(routes=routes, lifespan=lifespan)
    app.state.leave = leave
    return app


def page_folder() -> Path | None:
    """Where the page lies: package data of the wheel, the folder web/ of a checkout. None if this installation has none."""
    found = find_spec("vivavoce.web")
    places = found.submodule_search_locations if found is not None else None
    return next((Path(place) for place in places or () if (Path(place) / "index.html").exists()), None)
