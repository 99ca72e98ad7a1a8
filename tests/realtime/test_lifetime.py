"""A session ends after an hour, and says so."""

from typing import Any

from simulate import Simulation

from vivavoce.realtime.actions import Cancel, Close, CloseBeside, Rewind
from vivavoce.realtime.config import SessionConfig
from vivavoce.realtime.events import Leaving
from vivavoce.realtime.turns import Phase

HOUR_MS = 60 * 60_000
ASKS = {"extensions": ["session.going_away"]}


def session(**changes: Any) -> Simulation:
    return Simulation(SessionConfig(**changes))


def test_the_end_is_known_from_the_start() -> None:
    told = session(opened_at=1_700_000_000).sent[0]["session"]
    assert told["expires_at"] == 1_700_003_600
    assert "expires_at" not in session(opened_at=1_700_000_000, max_session_ms=None).sent[0]["session"]
    assert "expires_at" not in Simulation().sent[0]["session"], "nobody said when it began"


def test_after_an_hour_there_is_an_error_and_then_nothing() -> None:
    talk = Simulation()
    talk.wait(HOUR_MS - 1)
    assert talk.phase is Phase.LISTENING
    assert talk.sent_types == ["session.created"]
    talk.wait(1)
    error = talk.sent[-1]["error"]
    assert (error["code"], error["message"]) == (
        "session_expired",
        "Your session hit the maximum duration of 60 minutes.",
    )
    assert talk.log[-1] == Close(1001, "the session has expired")
    assert talk.phase is Phase.CLOSED
    talk.forget()
    talk.client("response.create")
    talk.wait(HOUR_MS)
    talk.hang_up()
    assert talk.log == []


def test_who_asked_is_told_a_minute_before() -> None:
    talk = session(wanted=ASKS)
    talk.wait(HOUR_MS - 60_001)
    assert talk.events("session.going_away") == []
    talk.wait(60_000)
    (told,) = talk.events("session.going_away")
    assert told["time_left_ms"] == 60_000
    talk.wait(1)
    assert talk.phase is Phase.CLOSED
    assert len(talk.events("session.going_away")) == 1


def test_who_asks_late_is_told_at_once_what_is_left() -> None:
    talk = Simulation()
    talk.wait(HOUR_MS - 20_000)
    talk.client("session.update", session=ASKS)
    talk.wait(0)
    assert [event["time_left_ms"] for event in talk.events("session.going_away")] == [20_000]


def test_a_short_session_is_announced_at_its_beginning() -> None:
    talk = session(wanted=ASKS, max_session_ms=5_000)
    talk.wait(4_999)
    assert [event["time_left_ms"] for event in talk.events("session.going_away")] == [5_000]
    talk.wait(1)
    assert talk.sent[-1]["error"]["message"] == "Your session hit the maximum duration of 0.0833333 minutes."


def test_it_ends_whatever_is_being_said() -> None:
    talk = session(max_session_ms=2_000)
    talk.client("response.create", response={"conversation": "none"})
    talk.answer_begun()
    talk.wait(1_000)
    assert talk.phase is Phase.CLOSED
    assert [type(action) for action in talk.told[-3:]] == [CloseBeside, Cancel, Close]
    guess = session(max_session_ms=1_400)
    guess.user_speaks(1_000)
    guess.silence(300)
    guess.wait(1_000)
    assert [type(action) for action in guess.told[-2:]] == [Rewind, Close]


def test_a_session_without_a_limit_has_no_end() -> None:
    talk = session(max_session_ms=None, wanted=ASKS)
    assert talk.session.next_timer() is None
    talk.wait(100 * HOUR_MS)
    assert talk.sent_types == ["session.created"]


def test_a_server_that_ends_says_so_to_those_who_asked() -> None:
    asked, silent = session(wanted=ASKS), Simulation()
    for talk in (asked, silent):
        talk.give(Leaving())
        assert talk.log[-1] == Close(1001, "the server is shutting down")
    assert [event["time_left_ms"] for event in asked.events("session.going_away")] == [0]
    assert silent.sent_types == ["session.created"]
