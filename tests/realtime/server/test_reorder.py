"""Packets of a live stream in the order they were sent."""

import random

from vivavoce.realtime.server.reorder import Reorder


def arrive(*numbers: int) -> list[int]:
    """Each item is its own number."""
    order: Reorder[int] = Reorder()
    return [item for number in numbers for item in order.push(number % 65_536, number)]


def test_what_comes_in_order_waits_for_nothing() -> None:
    order: Reorder[int] = Reorder()
    assert [order.push(number, number) for number in (7, 8, 9)] == [[7], [8], [9]]


def test_neighbours_that_changed_places_change_back() -> None:
    assert arrive(1, 3, 2, 4) == [1, 2, 3, 4]


def test_a_lost_packet_is_given_up_when_two_later_ones_have_come() -> None:
    order: Reorder[int] = Reorder()
    assert [order.push(number, number) for number in (1, 3, 4, 5)] == [[1], [], [3, 4], [5]]


def test_a_packet_that_comes_too_late_or_twice_is_dropped() -> None:
    assert arrive(1, 3, 4, 2, 4, 5) == [1, 3, 4, 5]


def test_numbers_begin_again_after_65535() -> None:
    assert arrive(65_534, 65_536, 65_535, 65_537) == [65_534, 65_535, 65_536, 65_537]


def test_a_sender_may_begin_anew() -> None:
    assert arrive(1, 2, 30_000, 30_001) == [1, 2, 30_000, 30_001]


def test_nothing_waits_for_long_and_order_is_kept_whatever_the_network_does() -> None:
    chance = random.Random(1)
    sent = [number for number in range(2_000) if chance.random() > 0.1]
    arrived = sorted(sent, key=lambda number: number + chance.uniform(0, 3))
    got = arrive(*arrived)
    assert got == sorted(set(got))
    assert len(got) > 0.8 * len(sent)
