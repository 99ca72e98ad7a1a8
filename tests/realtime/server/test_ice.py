"""STUN and TURN servers as browsers are told of them, and the credentials made out to them."""

import base64
import time
from typing import Any

import httpx
import pytest
from caller import server
from scripted_host import ScriptedHost

from vivavoce.realtime.server.ice import Ice, password
from vivavoce.realtime.server.local import LocalModel

NOON = 1_700_000_000.9
TURN = "turn:relay.example:3478"


def test_a_password_is_the_user_name_signed() -> None:
    signed = bytes.fromhex("effcdf6ae5eb2fa2d27416d5f184df9c259a7c79")  # RFC 2202, HMAC-SHA1, test case 2
    assert password("Jefe", "what do ya want for nothing?") == base64.b64encode(signed).decode()


def test_a_password_is_the_one_that_openssl_makes() -> None:
    # printf %s 1700000000:phone | openssl dgst -sha1 -hmac 'a shared secret' -binary | base64
    assert password("a shared secret", "1700000000:phone") == "MyrnitCcp98dlZr2THaZQXjKCpA="


def test_a_credential_says_until_when_it_is_good_and_whose_it_is() -> None:
    (server,) = Ice(turn=(TURN,), secret="s", lifetime_s=60).servers("phone", NOON)
    assert server["username"] == "1700000060:phone"
    assert server["credential"] == password("s", "1700000060:phone")


def test_stun_needs_no_credential() -> None:
    asked, relay = Ice(("stun:stun.example:3478",), (TURN, "turns:relay.example"), "s").servers("phone", NOON)
    assert asked == {"urls": ["stun:stun.example:3478"]}
    assert relay["urls"] == [TURN, "turns:relay.example"]


def test_without_servers_nobody_is_asked() -> None:
    assert Ice().configuration("phone", NOON) == {"iceServers": [], "iceTransportPolicy": "all"}


def test_both_sides_may_be_made_to_use_the_relay() -> None:
    assert Ice(turn=(TURN,), secret="s", relay_only=True).configuration("phone", NOON)["iceTransportPolicy"] == "relay"


@pytest.mark.parametrize(
    "address", ["turn:h", "turn:h:3478?transport=udp", "turn:h?transport=tcp", "turns:h:5349", "turns:h?transport=tcp"]
)
def test_addresses_as_browsers_have_them_are_taken(address: str) -> None:
    assert Ice(turn=(address,), secret="s").servers("phone", NOON)[0]["urls"] == [address]


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"turn": ("relay.example:3478",), "secret": "s"}, "'relay.example:3478' is not an address of the form turn:"),
        ({"turn": ("turn:h:70000",), "secret": "s"}, "is not an address"),
        ({"turn": ("turn://h",), "secret": "s"}, "is not an address"),
        ({"turn": ("turn:user@h",), "secret": "s"}, "is not an address"),
        ({"turn": ("turns:h?transport=udp",), "secret": "s"}, "turns goes without udp"),
        ({"stun": (TURN,)}, "of the form stun:HOST:PORT"),
        ({"stun": ("stun:h?transport=udp",)}, "stun goes without udp"),
        ({"turn": (TURN,)}, "needs the secret"),
        ({"relay_only": True}, "need a TURN server"),
        ({"lifetime_s": 0}, "0 s are of no use"),
    ],
)
def test_what_cannot_be_is_refused(given: dict[str, Any], told: str) -> None:
    with pytest.raises(ValueError, match=told):
        Ice(**given)


def test_the_secret_is_not_shown() -> None:
    assert "hush" not in repr(Ice(turn=(TURN,), secret="hush"))


async def get(where: str, key: str = "none") -> httpx.Response:
    """What the server tells a page from elsewhere."""
    told = {"Authorization": f"Bearer {key}", "Origin": "https://elsewhere"}
    async with httpx.AsyncClient(trust_env=False, headers=told) as client:
        return await client.get(f"http://{where}/v1/realtime/ice_servers")


async def post_secrets(where: str) -> dict[str, Any]:
    async with httpx.AsyncClient(trust_env=False) as client:
        return (await client.post(f"http://{where}/v1/realtime/client_secrets")).json()


async def test_a_page_is_told_the_servers_before_it_calls() -> None:
    ice = Ice(("stun:stun.example",), (TURN,), "s", lifetime_s=600)
    async with server(LocalModel(ScriptedHost()), ice) as where:
        told, again = await get(where), await get(where)
    asked, relay = told.json()["iceServers"]
    assert (asked["urls"], relay["urls"]) == (["stun:stun.example"], [TURN])
    assert relay["credential"] == password("s", relay["username"])
    assert 590 < int(relay["username"].partition(":")[0]) - time.time() <= 600
    assert relay["username"] != again.json()["iceServers"][1]["username"], "a TURN server can tell callers apart"
    assert (told.headers["Cache-Control"], told.headers["Access-Control-Allow-Origin"]) == ("no-store", "*")


async def test_a_server_without_servers_says_so() -> None:
    async with server(LocalModel(ScriptedHost())) as where:
        assert (await get(where)).json() == {"iceServers": [], "iceTransportPolicy": "all"}
        assert "ice_servers" not in await post_secrets(where)


async def test_a_key_comes_with_the_servers_that_its_calls_may_use() -> None:
    async with server(LocalModel(ScriptedHost()), Ice(turn=(TURN,), secret="s")) as where:
        made = await post_secrets(where)
        assert made["ice_servers"][0]["urls"] == [TURN]
        assert (await get(where, made["value"])).json()["iceServers"][0]["urls"] == [TURN]


async def test_a_key_that_is_none_is_told_nothing() -> None:
    async with server(LocalModel(ScriptedHost()), Ice(turn=(TURN,), secret="s")) as where:
        refused = await get(where, "ek_invented")
    assert (refused.status_code, refused.json()["error"]["code"]) == (401, "client_secret_expired")
    assert TURN not in refused.text
