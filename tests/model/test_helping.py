"""A thread that does what it is asked to, in turn."""

import gc
import threading
import weakref

from vivavoce.model.helping import Helper, helper


def test_what_is_asked_is_done_in_turn_by_another_thread() -> None:
    done: list[tuple[int, str]] = []
    over = threading.Event()
    mine = Helper()
    for number in range(5):
        mine.help(lambda n: done.append((n, threading.current_thread().name)), number)
    mine.help(over.set)
    assert over.wait(10)
    assert done == [(number, "vivavoce-helper") for number in range(5)]


def test_what_it_was_given_is_kept_until_it_is_done_and_no_longer() -> None:
    class Thing:
        pass

    may_go_on, looked, next_done = threading.Event(), threading.Event(), threading.Event()
    thing = Thing()
    there = weakref.ref(thing)
    seen: list[bool] = []

    def look(_: Thing) -> None:
        may_go_on.wait(10)
        seen.append(there() is not None)
        looked.set()

    mine = Helper()
    mine.help(look, thing)
    del thing
    may_go_on.set()
    assert looked.wait(10) and seen == [True]
    mine.help(next_done.set)
    assert next_done.wait(10)
    gc.collect()
    assert there() is None


def test_a_process_has_one() -> None:
    assert helper(1) is helper(1) and helper(1) is not helper(2)
