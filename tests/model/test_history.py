"""What a conversation forgets: pictures first, then the oldest turns, and never the newest."""

from hypothesis import given
from hypothesis import strategies as st

from vivavoce.model.history import Kept, Marks, Size, keep

turns = st.lists(
    st.builds(
        Size,
        words=st.integers(0, 300),
        pictures=st.lists(st.integers(1, 100), max_size=4).map(tuple),
        standing=st.sampled_from([False, False, False, True]),
    ),
    max_size=12,
)


def taken(sizes: list[Size], kept: list[Kept]) -> int:
    total = 0
    for choice in kept:
        size = sizes[choice.turn]
        total += size.words + sum(size.pictures[len(size.pictures) - choice.pictures :])
    return total


@given(turns, st.integers(0, 2000), st.integers(1, 3))
def test_what_is_kept_fits_and_is_the_newest_in_order(sizes: list[Size], budget: int, protected: int) -> None:
    kept = keep(sizes, budget, protected)
    order = [choice.turn for choice in kept]
    assert order == sorted(set(order))
    must = {i for i, size in enumerate(sizes) if size.standing} | set(range(len(sizes))[-protected:])
    assert must <= set(order)
    words = sum(sizes[i].words for i in must)
    assert taken(sizes, kept) <= max(budget, words)
    recent = [i for i in order if not sizes[i].standing]
    others = [i for i, size in enumerate(sizes) if not size.standing]
    assert recent == others[len(others) - len(recent) :], "no turn is left out between two that stay"


@given(turns, st.integers(0, 2000))
def test_pictures_are_those_of_the_newest_turn_that_has_any(sizes: list[Size], budget: int) -> None:
    seeing = [i for i, size in enumerate(sizes) if size.pictures]
    for choice in keep(sizes, budget):
        assert choice.pictures == 0 or choice.turn == seeing[-1]


@given(turns)
def test_with_room_for_everything_no_word_is_lost(sizes: list[Size]) -> None:
    room = sum(size.words + sum(size.pictures) for size in sizes)
    kept = keep(sizes, room)
    assert [choice.turn for choice in kept] == list(range(len(sizes)))


def test_older_pictures_go_before_older_words() -> None:
    sizes = [Size(10, (50,)), Size(10, (50,)), Size(10)]
    assert keep(sizes, 80) == [Kept(0), Kept(1, 1), Kept(2)]
    assert keep(sizes, 75) == [Kept(1, 1), Kept(2)]
    assert keep(sizes, 65) == [Kept(0), Kept(1), Kept(2)]


def test_a_long_look_keeps_its_latest_pictures() -> None:
    assert keep([Size(20, (30, 30, 30, 30))], 90) == [Kept(0, 2)]


def test_the_marks_of_a_conversation_count_its_instructions() -> None:
    marks = Marks(base=192, limit=8192)
    assert (marks.low, marks.high, marks.reserve, marks.standing) == (4192, 6192, 512, 2000)


def test_the_marks_can_be_said_by_a_client() -> None:
    marks = Marks(base=192, limit=8192, retain=0.9)
    assert (marks.low, marks.high) == (192 + 5400, 6192)
    marks = Marks(base=192, limit=8192, retain=0.5, most=1000)
    assert (marks.low, marks.high) == (692, 1192)
    assert Marks(base=192, limit=8192, retain=0.5, most=10**6).high == 6192, "there is no more room than there is"
