"""What the clients are judged by can be failed, and the README's table cannot say something else."""

from __future__ import annotations

import json
from typing import Any

import pytest
from conformance import matrix
from conformance.matrix import BEGIN, CLIENTS, END, JUDGES

HEARD = {"seconds": 2.04, "loudness": 0.06}
GOOD: dict[str, Any] = {
    "events": {"response.done": 6, "response.output_audio.delta": 9},
    "errors": [],
    "spoken": {"question": "what is your name", "answer": "I am Kitten, a small voice model.", **HEARD},
    "barge_in": {
        "questions": ["what colour is the circle", "what is your name"],
        "answers": ["I can't see anything. The camera is off.", "I am Kitten, a small voice model."],
        "played_ms": 900,
        "audio_end_ms": 897,
        "second_ms": 2040,
    },
    "tool_call": {
        "name": "weather",
        "calls": 1,
        "arguments": json.dumps({"city": "Rome", "days": 2}),
        "result": "sunny",
        "answer": "Sorry, I don't know that.",
    },
    "camera": {"question": "what colour is the circle", "answer": "The circle is red.", **HEARD},
}


def but(capability: str, **told: Any) -> dict[str, Any]:
    """The good report, told otherwise in one place."""
    return GOOD | {capability: GOOD[capability] | told}


@pytest.mark.parametrize("capability", JUDGES)
def test_a_good_conversation_passes(capability: str) -> None:
    assert matrix.passes(GOOD, capability)
    assert not matrix.passes(GOOD | {capability: {"failed": "it did not come"}}, capability)


@pytest.mark.parametrize(
    ("capability", "told"),
    [
        ("spoken", {"answer": "Sorry, I don't know that."}),
        ("spoken", {"question": ""}),
        ("spoken", {"loudness": 0.001}),
        ("barge_in", {"played_ms": 2_940}),
        ("barge_in", {"audio_end_ms": 2_940}),
        ("barge_in", {"tail_ms": 2_000}),
        ("barge_in", {"kept": "something else"}),
        ("barge_in", {"kept": "I can't see anything. The camera is off."}),
        ("barge_in", {"answers": ["The circle is red.", "I am Kitten, a small voice model."]}),
        ("tool_call", {"arguments": '{"city": "Oslo", "days": 2}'}),
        ("tool_call", {"calls": 2}),
        ("tool_call", {"answer": ""}),
        ("camera", {"answer": "I can't see anything. The camera is off."}),
    ],
)
def test_a_bad_one_does_not(capability: str, told: dict[str, Any]) -> None:
    assert not matrix.passes(but(capability, **told), capability)


def test_a_call_that_took_another_transport_is_noticed() -> None:
    socket, call = (next(c for c in CLIENTS if c.transport == name) for name in ("WebSocket", "WebRTC"))
    matrix.check_transport(socket, GOOD)
    with pytest.raises(AssertionError):
        matrix.check_transport(call, GOOD)


def test_the_table_has_a_row_for_each_client_with_its_pinned_version() -> None:
    bad = but("camera", answer="") | {"errors": ["ignored: response.done"]}
    rows = matrix.table([(CLIENTS[0], GOOD), (CLIENTS[-1], bad)]).splitlines()[2:]
    assert rows[0].startswith(f"| `openai` {CLIENTS[0].version} | Python | WebSocket | ✓ | ✓ | ✓ | ✓ ")
    assert rows[0].endswith(" | 0 |")
    assert rows[1].endswith(f" | ✗ {CLIENTS[-1].camera} | 1 |")
    assert all(client.version[0].isdigit() for client in CLIENTS)


def test_the_readme_is_told_between_two_marks() -> None:
    table = matrix.table([(CLIENTS[0], GOOD)])
    readme = f"before\n{BEGIN}\nold\n{END}\nafter\n"
    written = matrix.rewritten(readme, table)
    assert matrix.told_by(written) == table != matrix.told_by(readme)
    assert (written.startswith("before\n"), written.endswith("\nafter\n")) == (True, True)
