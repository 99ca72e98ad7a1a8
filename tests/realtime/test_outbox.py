"""What leaves a session, and in what order."""

from vivavoce.realtime.actions import AddText, Cut, Send, StopPlayback
from vivavoce.realtime.outbox import Ending, Outbox

WORD = AddText("user", "hello")


def test_every_event_has_its_own_id():  # R1
    out = Outbox()
    out.send({"type": "a"})
    out.send({"type": "b", "x": 1})
    assert out.drain() == [
        Send({"type": "a", "event_id": "event_000001"}),
        Send({"type": "b", "event_id": "event_000002", "x": 1}),
    ]
    assert out.drain() == []


def test_the_model_waits_for_the_clients_word_and_the_client_does_not():
    out = Outbox()
    out.end_answer(Ending("item_1", Cut(1, 500), due_ms=200))
    out.tell(WORD)
    out.do(StopPlayback())
    assert out.drain() == [StopPlayback()]
    out.settle(Cut(1, 360))
    assert out.drain() == [Cut(1, 360), WORD]


def test_without_the_clients_word_what_was_assumed_counts():
    out = Outbox()
    out.end_answer(Ending("item_1", Cut(1, 500), due_ms=200))
    out.settle()
    out.settle()
    assert out.drain() == [Cut(1, 500)]
