"""The HTTP side of WebRTC, as the OpenAI Realtime API has it.

    POST /v1/realtime/calls                  an SDP offer -> 201, the SDP answer, and the call's address in `Location`
    POST /v1/realtime/calls/{id}/hangup      200
    POST /v1/realtime/client_secrets         a key to call with, see keys.py
    GET  /v1/realtime/ice_servers            the STUN and TURN servers to make the offer with, see ice.py

The offer is the body (`application/sdp`), or the part `sdp` of a form, whose part `session` is a session object.
"""

from __future__ import annotations

import asyncio
import email.policy
import json
import time
from dataclasses import replace
from email.parser import BytesParser
from secrets import token_hex
from typing import Any

from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Mount, Route

from vivavoce.realtime.config import SessionConfig
from vivavoce.realtime.errors import ClientError
from vivavoce.realtime.server.ice import Ice
from vivavoce.realtime.server.keys import Secrets
from vivavoce.realtime.server.metrics import Metrics
from vivavoce.realtime.server.port import Model
from vivavoce.realtime.server.sdp import BadOffer
from vivavoce.realtime.server.webrtc import Call, NoAddress

Json = dict[str, Any]

PATH = "/v1/realtime"
SDP = "application/sdp"
MAX_BODY = 256 * 1024
"""Bytes of an offer with its session; a browser's offer of sound, camera and data has 10 KiB."""


class Unusable(Exception):
    """A request that no call can come of; one line that says why, and the field it is about."""

    def __init__(self, message: str, code: str = "invalid_offer", param: str | None = None, status: int = 400) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.param = param


class Calls:
    """The calls that are under way, and the doors to them."""

    def __init__(self, model: Model, config: SessionConfig, metrics: Metrics, secrets: Secrets, ice: Ice) -> None:
        self._secrets = secrets
        self._ice = ice
        self._model = model
        self._config = config
        self._metrics = metrics
        self._calls: dict[str, Call] = {}

    def __len__(self) -> int:
        return len(self._calls)

    def routes(self) -> Mount:
        """For browsers on any page: whoever may open a WebSocket here may call, too."""
        anywhere = Middleware(
            CORSMiddleware,
            allow_origins=["*"],
            allow_methods=["GET", "POST"],
            allow_headers=["*"],
            expose_headers=["Location"],
        )
        routes = [
            Route("/calls", self.create, methods=["POST"]),
            Route("/calls/{call_id}/hangup", self.hang_up, methods=["POST"]),
            Route("/client_secrets", self.issue, methods=["POST"]),
            Route("/ice_servers", self.ways, methods=["GET"]),
        ]
        return Mount(PATH, routes=routes, middleware=[anywhere])

    async def create(self, request: Request) -> Response:
        """A call begins."""
        try:
            offer, wanted = read(request.headers.get("content-type", ""), await body(request))
            wanted = wanted or self._wanted(request)
            alias, now = request.query_params.get("model"), int(time.time())
            config = replace(self._config, alias=alias, wanted=wanted, opened_at=now)
            network = self._ice.configuration("server", time.time())
            call = Call(self._model, config, self._metrics, lambda call: self._forget(call), network)
            answer = await call.answer(offer)
        except Unusable as error:
            return refusal(error.status, str(error), error.code, error.param)
        except ClientError as error:
            return refusal(400, error.message, error.code, error.param)
        except BadOffer as error:
            return refusal(400, str(error), "invalid_offer", "sdp")
        except NoAddress as error:
            return refusal(503, str(error), "no_media_address", None)
        self._calls[call.id] = call
        return Response(answer, 201, {"Location": f"{PATH}/calls/{call.id}"}, SDP)

    async def hang_up(self, request: Request) -> Response:
        """A call ends."""
        call = self._calls.get(request.path_params["call_id"])
        if call is None:
            return refusal(404, "there is no such call", "call_not_found", "call_id")
        await call.hang_up()
        return Response()

    async def issue(self, request: Request) -> Response:
        """A key is made."""
        try:
            data = await body(request)
            made = self._secrets.issue(json_object(data, "the body", None) if data else {})
            servers = self._ice.servers(token_hex(8), time.time())
            return JSONResponse({**made, "ice_servers": servers} if servers else made)
        except Unusable as error:
            return refusal(error.status, str(error), error.code, error.param)
        except ClientError as error:
            return refusal(400, error.message, error.code, error.param)

    async def ways(self, request: Request) -> Response:
        """What a browser makes its connection of, before it offers a call."""
        try:
            self._wanted(request)
        except Unusable as error:
            return refusal(error.status, str(error), error.code, error.param)
        network = self._ice.configuration(token_hex(8), time.time())  # a TURN server counts and logs by name
        return JSONResponse(network, headers={"Cache-Control": "no-store"})

    def _wanted(self, request: Request) -> Json:
        """The session object of the key that the client calls with. Raises Unusable if that has expired."""
        try:
            return self._secrets.wanted(request)
        except ClientError as error:
            raise Unusable(error.message, error.code, status=401) from None

    def leave(self) -> None:
        """The server is about to end: say so to every caller."""
        for call in list(self._calls.values()):
            call.leave()

    async def close(self) -> None:
        """The server ends, and every call with it."""
        await asyncio.gather(*(call.hang_up() for call in list(self._calls.values())))

    def _forget(self, call: Call) -> None:
        self._calls.pop(call.id, None)


async def body(request: Request) -> bytes:
    """What was posted.

    Raises:
        Unusable: it is too large.
    """
    data = b""
    async for piece in request.stream():
        data += piece
        if len(data) > MAX_BODY:
            raise Unusable(f"the body has more than {MAX_BODY} bytes")
    return data


def read(kind: str, data: bytes) -> tuple[str, Json]:
    """A body of the media type `kind` -> the SDP offer and the session object, which may be empty.

    Raises:
        Unusable: another type, or a form without an offer.
    """
    plain = kind.partition(";")[0].strip().lower()
    if plain == SDP:
        return text(data, "the body"), {}
    if plain != "multipart/form-data":
        raise Unusable(f"the body is {plain or 'of no type'}, expected {SDP} or multipart/form-data")
    fields = form(kind, data)
    if "sdp" not in fields:
        raise Unusable("the form has no part named sdp", param="sdp")
    wanted = json_object(fields["session"], "the part session", "session") if "session" in fields else {}
    return text(fields["sdp"], "the part sdp"), wanted


def form(kind: str, data: bytes) -> dict[str, bytes]:
    """The parts of a form by their names (RFC 7578); what is not one has none."""
    head = b"Content-Type: " + kind.encode("latin-1", "replace") + b"\r\n\r\n"
    message = BytesParser(policy=email.policy.HTTP).parsebytes(head + data)
    fields: dict[str, bytes] = {}
    for part in message.iter_parts() if message.is_multipart() else ():
        name, content = part.get_param("name", header="content-disposition"), part.get_payload(decode=True)
        if isinstance(name, str) and isinstance(content, bytes):
            fields[name] = content
    return fields


def text(data: bytes, where: str) -> str:
    """UTF-8. Raises Unusable if it is not, or empty."""
    try:
        decoded = data.decode()
    except UnicodeDecodeError:
        raise Unusable(f"{where} is not UTF-8 text", param="sdp") from None
    if not decoded.strip():
        raise Unusable(f"{where} is empty, expected an SDP offer", param="sdp")
    return decoded


def json_object(data: bytes, where: str, param: str | None) -> Json:
    """JSON, an object. Raises Unusable if it is not."""
    try:
        value = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise Unusable(f"{where} is not JSON: {error}", "invalid_json", param) from None
    if not isinstance(value, dict):
        raise Unusable(f"{where} holds a {type(value).__name__}, expected an object", "invalid_json", param)
    return value


def refusal(status: int, message: str, code: str, param: str | None) -> Response:
    """An error as the API writes it."""
    error = {"type": "invalid_request_error", "code": code, "message": message, "param": param}
    return JSONResponse({"error": error}, status)
