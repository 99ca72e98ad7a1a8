"""STUN and TURN: the servers by which a call finds its way where client and server cannot reach each other directly.

A credential for a TURN server is made here and looked up nowhere: the user name says until when it is good, the password is
the user name signed with a secret that the TURN server knows too ("A REST API For Access To TURN Services",
draft-uberti-behave-turn-rest-00; `use-auth-secret` of coturn). Without servers, nobody is asked for anything.
"""

from __future__ import annotations

import base64
import hmac
import re
from dataclasses import dataclass, field
from typing import Any

Json = dict[str, Any]

LIFETIME_S = 6 * 3600
"""Usual lifetime of a credential. It is needed when a call begins, not while it lasts."""
ADDRESS = re.compile(r"(?P<scheme>stun|turns?):[^\s:/?@\[\]]+(:(?P<port>\d+))?(\?transport=(?P<transport>udp|tcp))?")
"""RFC 7064 and 7065, without what only some understand: IPv6 literals, `stuns`."""
TRANSPORTS = {("turn", "udp"), ("turn", "tcp"), ("turns", "tcp")}
"""What may be asked for; `turns` over UDP would be DTLS, which no browser speaks to a TURN server."""


@dataclass(frozen=True)
class Ice:
    """What a call may use besides its own addresses.

    Raises:
        ValueError: an address that is none, or a TURN server without what it takes; one line that says which.
    """

    stun: tuple[str, ...] = ()
    """As `stun:HOST:PORT`. aiortc asks the first only."""
    turn: tuple[str, ...] = ()
    """As `turn:HOST:PORT`, `turn:HOST:PORT?transport=tcp`, `turns:HOST:PORT`. aiortc uses the first only."""
    secret: str = field(default="", repr=False)
    """Shared with the TURN servers."""
    lifetime_s: int = LIFETIME_S
    """How long a credential is good for."""
    relay_only: bool = False
    """Both sides are to speak through a TURN server, even where they could reach each other."""

    def __post_init__(self) -> None:
        check(self.stun, ("stun",), "stun:HOST:PORT")
        check(self.turn, ("turn", "turns"), "turn:HOST:PORT, with ?transport=tcp if need be, or turns:HOST:PORT")
        if self.turn and not self.secret:
            raise ValueError("a TURN server needs the secret that it shares with this one")
        if self.relay_only and not self.turn:
            raise ValueError("calls by relay only need a TURN server")
        if self.lifetime_s <= 0:
            raise ValueError(f"credentials for {self.lifetime_s} s are of no use")

    def servers(self, name: str, now_s: float) -> list[Json]:
        """The servers as browsers write them, with a credential made out to `name` at `now_s` seconds since 1970."""
        servers: list[Json] = []
        if self.stun:
            servers.append({"urls": list(self.stun)})
        if self.turn:
            user = f"{int(now_s) + self.lifetime_s}:{name}"
            servers.append({"urls": list(self.turn), "username": user, "credential": password(self.secret, user)})
        return servers

    def configuration(self, name: str, now_s: float) -> Json:
        """The same as an `RTCConfiguration`: what a browser makes an `RTCPeerConnection` of."""
        policy = "relay" if self.relay_only else "all"
        return {"iceServers": self.servers(name, now_s), "iceTransportPolicy": policy}


def password(secret: str, user: str) -> str:
    """What proves that a user name was made by somebody who knows the secret: base64 of its HMAC-SHA1."""
    return base64.b64encode(hmac.digest(secret.encode(), user.encode(), "sha1")).decode()


def check(addresses: tuple[str, ...], schemes: tuple[str, ...], expected: str) -> None:
    """Raises ValueError at the first that is not an address of one of the schemes."""
    for address in addresses:
        found = ADDRESS.fullmatch(address)
        if found is None or found["scheme"] not in schemes or int(found["port"] or 1) not in range(1, 65_536):
            raise ValueError(f"{address!r} is not an address of the form {expected}")
        if found["transport"] is not None and (found["scheme"], found["transport"]) not in TRANSPORTS:
            raise ValueError(f"{address!r}: {found['scheme']} goes without {found['transport']}")
