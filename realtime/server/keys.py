"""Ephemeral keys, as the OpenAI Realtime API has them: a page's own server asks for one, and the page calls with it.

    POST /v1/realtime/client_secrets         {"expires_after": ..., "session": ...} -> {"value": "ek_...", "expires_at", "session"}

There are no accounts here, so a key opens no door that was shut. It carries the session object that its conversations begin
with, as often as it is used until it expires; a conversation outlives its key. Keys are kept in memory, and end with the server.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from secrets import token_urlsafe
from typing import Any

from starlette.requests import HTTPConnection

from vivavoce.realtime.checks import mapping, refuse
from vivavoce.realtime.config import SessionConfig
from vivavoce.realtime.errors import ClientError
from vivavoce.realtime.settings import Settings

Json = dict[str, Any]

PREFIX = "ek_"
"""By which clients tell such a key from others; some take no other in a browser."""
SUBPROTOCOL = "openai-insecure-api-key."
"""Before the key, where a browser's WebSocket has no headers of its own."""
SECONDS = (10, 600, 7_200)
"""How long a key may be good for: the least, what is usual, the most."""
MOST_KEYS = 10_000
"""Keys that are kept; the oldest go first."""


@dataclass(frozen=True)
class Secret:
    """A key, without its value."""

    wanted: Json
    """The session object that it was made with."""
    expires_at: int
    """Seconds since 1970."""


class Secrets:
    """The keys that are good."""

    def __init__(self, config: SessionConfig, now: Callable[[], float] = time.time) -> None:
        """`now` gives seconds since 1970."""
        self._config = config
        self._now = now
        self._known: dict[str, Secret] = {}

    def issue(self, asked: Json) -> Json:
        """What the client gets for what it posted.

        Raises:
            ClientError: a value that cannot be honoured.
        """
        wanted = mapping(asked.get("session"), "session")
        settings = Settings(self._config, f"sess_{token_urlsafe(18)}")
        settings.update(wanted)
        secret = Secret(wanted, int(self._now()) + seconds(asked.get("expires_after")))
        value = PREFIX + token_urlsafe(24)
        self._known[value] = secret
        if len(self._known) > MOST_KEYS:
            del self._known[next(iter(self._known))]
        return {"value": value, "expires_at": secret.expires_at, "session": settings.echo()}

    def wanted(self, connection: HTTPConnection) -> Json:
        """The session object that goes with a connection's key; empty without one, or with a key of another kind.

        Raises:
            ClientError: the key is none of ours, or no longer.
        """
        value = key(connection)
        if not value.startswith(PREFIX):
            return {}
        secret = self._known.get(value)
        if secret is None or secret.expires_at <= self._now():
            raise ClientError("client_secret_expired", "the client secret is unknown or has expired")
        return secret.wanted


def key(connection: HTTPConnection) -> str:
    """The key that a client came with; empty if none."""
    scheme, _, value = connection.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        return value.strip()
    offered = connection.scope.get("subprotocols") or []
    found = (name.removeprefix(SUBPROTOCOL) for name in offered if name.startswith(SUBPROTOCOL))
    return next(found, "")


def seconds(expires_after: Any) -> int:
    """How long a key is to be good for. Raises ClientError if it cannot be for so long."""
    least, usual, most = SECONDS
    asked = mapping(expires_after, "expires_after")
    if asked.get("anchor", "created_at") != "created_at":
        raise refuse("expires_after.anchor", asked["anchor"], "'created_at'")
    value = asked.get("seconds", usual)
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
        raise refuse("expires_after.seconds", value, f"a whole number from {least} to {most}")
    return value
