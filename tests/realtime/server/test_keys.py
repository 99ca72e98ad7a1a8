"""Ephemeral keys: they carry a session to whoever calls with them, until they expire."""

import pytest
from starlette.requests import HTTPConnection

from vivavoce.realtime.config import SessionConfig
from vivavoce.realtime.errors import ClientError
from vivavoce.realtime.server.keys import Secrets

NOON = 1_000_000


def arriving(key: str, browser: bool = False) -> HTTPConnection:
    """A client with this key, in a header or as a browser's WebSocket has it."""
    headers = [] if browser else [(b"authorization", f"Bearer {key}".encode())]
    offered = ["realtime", f"openai-insecure-api-key.{key}"] if browser else []
    return HTTPConnection({"type": "http", "headers": headers, "subprotocols": offered})


class Clock:
    now = NOON


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def secrets(clock: Clock) -> Secrets:
    return Secrets(SessionConfig(), lambda: clock.now)


def test_a_key_carries_its_session(secrets: Secrets) -> None:
    given = secrets.issue({"session": {"type": "realtime", "instructions": "Be brief."}})
    assert given["value"].startswith("ek_")
    assert given["expires_at"] == NOON + 600
    assert given["session"]["instructions"] == "Be brief."
    assert secrets.wanted(arriving(given["value"]))["instructions"] == "Be brief."
    assert secrets.wanted(arriving(given["value"], browser=True))["instructions"] == "Be brief."


def test_a_key_expires(secrets: Secrets, clock: Clock) -> None:
    value = secrets.issue({"expires_after": {"anchor": "created_at", "seconds": 10}})["value"]
    clock.now += 9
    assert secrets.wanted(arriving(value)) == {}
    clock.now += 1
    with pytest.raises(ClientError, match="expired"):
        secrets.wanted(arriving(value))


def test_keys_of_another_kind_are_none_of_our_business(secrets: Secrets) -> None:
    assert secrets.wanted(arriving("sk-whatever")) == {}
    with pytest.raises(ClientError, match="unknown"):
        secrets.wanted(arriving("ek_invented"))


@pytest.mark.parametrize(
    ("asked", "param"),
    [
        ({"expires_after": {"seconds": 9}}, "expires_after.seconds"),
        ({"expires_after": {"seconds": True}}, "expires_after.seconds"),
        ({"expires_after": {"anchor": "birth"}}, "expires_after.anchor"),
        ({"session": {"audio": {"output": {"speed": 3}}}}, "session.audio.output.speed"),
        ({"session": []}, "session"),
    ],
)
def test_what_cannot_be_honoured_is_refused(secrets: Secrets, asked: dict[str, object], param: str) -> None:
    with pytest.raises(ClientError) as refused:
        secrets.issue(asked)
    assert refused.value.param == param


def test_the_oldest_keys_go_first(secrets: Secrets, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vivavoce.realtime.server.keys.MOST_KEYS", 2)
    first, second, third = (secrets.issue({})["value"] for _ in range(3))
    assert [secrets.wanted(arriving(value)) for value in (second, third)] == [{}, {}]
    with pytest.raises(ClientError):
        secrets.wanted(arriving(first))
