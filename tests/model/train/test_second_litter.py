"""The second litter: what it is taught is true, stays within its limits, and looks to the model as the server would have it."""

import json
import random

import numpy as np
import pytest

from vivavoce.model import prompt
from vivavoce.model.functions import Call, described, written
from vivavoce.model.tokenizer import EOS, PAD, Tokenizer
from vivavoce.model.train import clock, hundred, manners, skills, spelling, stories, timers
from vivavoce.model.train.cli import embedded
from vivavoce.model.train.evaluate import is_right
from vivavoce.model.train.examples import UNHEARD, Stage
from vivavoce.model.train.practice import swapped
from vivavoce.model.train.sayings import LONG, STYLES, Saying, sayings
from vivavoce.model.train.turns import Memory, Turn, number
from vivavoce.realtime.floor import NOTE

TAUGHT = skills.LITTERS[2]
TALKS = [skills.dialogue(random.Random(i), litter=2, camera=0.2) for i in range(400)]
LESSONS = [skills.lesson(random.Random(i), 3, litter=2) for i in range(600)]
ERRANDS = [skills.lesson(random.Random(i), 3, litter=2, errands=True) for i in range(120)]
ALL = [*TALKS, *LESSONS, *ERRANDS]
NUMBERS = {number(n): n for n in range(101)}


def made(maker, memory=None, *, held=False, seed=0):
    """The first turn of a skill that applies."""
    rng = random.Random(seed)
    while True:
        turn = maker(rng, memory or Memory(), None, 0, held)
        if turn is not None:
            return turn


@pytest.fixture(scope="module")
def stage():
    return Stage(Tokenizer.load(embedded()), {}, {}, lambda _: np.zeros(0), 0)


def rows_of(stage, talk):
    return stage.dialogue(talk, 1, typed=1.0, written=1.0).rows


def test_every_reply_holds_the_words_that_make_it_right():
    for talk in ALL:
        for turn in talk.turns:
            assert is_right(turn, turn.reply), turn


@pytest.mark.parametrize(
    "maker",
    [
        hundred.hundred,
        spelling.spell,
        spelling.read,
        timers.timer,
        stories.what_happened,
        stories.no_story,
        manners.manner,
    ],
)
def test_what_evaluation_asks_is_never_practised(maker):
    practised, asked = ({made(maker, held=held, seed=i).user for i in range(300)} for held in (False, True))
    bare = {" ".join(words.split()) for words in practised}
    assert not {a for a in asked if a in bare}


@pytest.mark.parametrize("name", list(TAUGHT.near))
def test_what_is_near_a_skill_and_outside_is_refused(name):
    maker = TAUGHT.near[name][0]
    for held in (False, True):
        turns = [made(maker, held=held, seed=i) for i in range(40)]
        assert {turn.skill for turn in turns} == {"unknown"}
        assert all("don't know" in turn.reply for turn in turns)
        assert len({turn.user for turn in turns}) > 3


def test_what_it_has_learned_is_not_outside_any_more():
    unknown = TAUGHT.talk["unknown"][0]
    asked = {made(unknown, seed=i).user for i in range(3000)}
    assert not {user for user in asked if "story" in user or "what time is it" in user or "alarm" in user}


# --- sums ----------------------------------------------------------------------------------------------------------


def test_sums_and_tables_up_to_a_hundred_are_right():
    does = {"plus": int.__add__, "minus": int.__sub__, "times": int.__mul__}
    seen = set()
    for seed in range(2000):
        turn = made(hundred.hundred, seed=seed)
        asked, value = turn.reply.rstrip(".").lower().split(" is ")
        sign = next(sign for sign in does if f" {sign} " in asked)
        a, b = (NUMBERS[words] for words in asked.split(f" {sign} "))
        assert does[sign](a, b) == NUMBERS[value]
        seen.add((sign, max(a, b) > 20))
    assert len(seen) == 5, "tables go to ten, everything else beyond twenty too"


def test_numbers_are_said_as_people_say_them():
    assert [number(n) for n in (0, 20, 21, 40, 99, 100, -35)] == [
        "zero", "twenty", "twenty one", "forty", "ninety nine", "one hundred", "minus thirty five",
    ]  # fmt: skip
    assert len(NUMBERS) == 101


# --- spelling ------------------------------------------------------------------------------------------------------


def test_letters_are_those_of_the_word_both_ways():
    for seed in range(300):
        turn = made(spelling.spell, seed=seed)
        word = turn.slot.replace(" ", "").lower()
        assert word in turn.user.lower().split()
        back = made(spelling.read, seed=seed)
        assert " ".join(back.slot.upper()) in back.user


def test_a_word_that_is_spelled_is_not_exchanged_for_another():
    turn = Turn("how do you spell cat", "C, A, T.", "spell", "C A T", exact=True)
    told = Turn("my favourite animal is cat", "Okay, your favourite animal is cat.", "tell fact", "cat")
    talk = swapped(skills.Dialogue((turn, told), None), random.Random(1))
    assert talk.turns[0] == turn
    assert talk.turns[1] != told


# --- the time of day ------------------------------------------------------------------------------------------------


def test_the_clock_speaks_as_people_do():
    said = {
        0: "twelve o'clock",
        190: "ten past three",
        225: "quarter to four",
        45: "quarter to one",
        690: "half past eleven",
    }
    assert {minutes: clock.spoken(minutes) for minutes in said} == said
    assert len({clock.spoken(minutes) for minutes in range(0, 720, 5)}) == 144


def test_without_having_been_told_it_knows_no_time():
    assert made(clock.ask_time).reply == clock.NO_TIME
    assert made(clock.later).reply == clock.NO_TIME


def test_a_time_told_is_known_later_and_can_be_added_to():
    memory = Memory(minutes=190)
    assert made(clock.ask_time, memory).slot == "ten past three"
    units = {"hour": 60, "minute": 1}
    for seed in range(200):
        turn = made(clock.later, memory, seed=seed)
        words = turn.user.removesuffix(" please").removesuffix(" now").split(" in ")[1]
        if not words.startswith(("a", "half")):
            amount, unit = words.split()[:-1], words.split()[-1].rstrip("s")
            assert turn.slot == clock.spoken(190 + NUMBERS[" ".join(amount)] * units[unit])
    assert made(clock.elsewhere, memory).skill == "unknown"


def test_the_session_may_tell_the_time(stage):
    talk = next(talk for talk in LESSONS if talk.instructions and talk.turns[0].skill == "time")
    text = stage.tokenizer.decode(rows_of(stage, talk)[:, 0].tolist())
    assert text.startswith("SYSTEM:") and talk.instructions in text.split("USER:")[0]


# --- timers ---------------------------------------------------------------------------------------------------------


def test_a_timer_is_told_how_long_in_the_way_it_wants_to_be_told():
    five = timers.Duration(5, "minute")
    told = {name: schema.arguments(five, ["x", "unit"]) for name, schema in timers.SCHEMAS.items() if name != "parts"}
    assert told == {"seconds": {"x": 300}, "minutes": {"x": 5}, "unit": {"x": 5, "unit": "minutes"}}
    parts = timers.SCHEMAS["parts"].arguments(five, ["hours", "minutes", "seconds"])
    assert parts == {"hours": 0, "minutes": 5, "seconds": 0}


def test_calls_fit_their_schemas_and_names_vary():
    calls = [(talk, turn) for talk in ERRANDS for turn in talk.turns if turn.called]
    assert len({turn.called.name for _, turn in calls}) > 40
    for talk, turn in calls:
        function = next(f for f in talk.functions if f.name == turn.called.name)
        schema, arguments = json.loads(function.parameters), json.loads(turn.called.arguments)
        assert list(arguments) == schema["required"]
        for key, value in arguments.items():
            allowed = schema["properties"][key]
            assert value in allowed.get("enum", [value])
            assert (type(value) is str) == (allowed["type"] == "string")


def test_without_a_function_for_it_it_says_that_it_cannot():
    assert made(timers.timer).reply == timers.CANNOT
    assert made(timers.timer, Memory(functions=(timers.other(random.Random(1)),))).reply == timers.CANNOT


def test_a_failure_is_told_as_one():
    told = {turn.reply for talk in ERRANDS for turn in talk.turns if turn.called and "error" in turn.returned}
    assert told == {timers.FAILED}


def test_functions_calls_and_results_lie_where_the_server_puts_them(stage):
    """The rows of a written session, put together as `tests/model/test_calling.py` has the server do it."""
    talk = next(t for t in ERRANDS if t.functions and t.turns[0].called)
    turn, tok = talk.turns[0], stage.tokenizer
    alone = skills.Dialogue((turn,), None, "", talk.functions)
    question = f"{turn.user[0].upper()}{turn.user[1:]}?"
    expected = prompt.join(
        prompt.text_turn(tok, "SYSTEM", described(talk.functions)),
        prompt.text(tok, "USER:"),
        prompt.text(tok, question),
        prompt.text(tok, "\n"),
        prompt.text_turn(tok, "ASSISTANT", written(turn.called)),
        prompt.text_turn(tok, "TOOL", turn.returned),
        prompt.text_turn(tok, "ASSISTANT", turn.reply),
    )
    made = [stage.dialogue(alone, seed, typed=1.0, written=1.0).rows for seed in range(60)]
    assert any(np.array_equal(rows, expected) for rows in made)
    assert any(len(rows) < len(expected) - 200 for rows in made), "what is always said is sometimes left out"


def test_of_a_call_only_what_the_grammar_leaves_open_is_learned(stage):
    call = Call("set_timer", '{"amount": 12, "unit": "hours"}')

    def learned(named):
        said = stage._call(call, voice=False, named=named)
        return stage.tokenizer.decode(said.rows[said.judged > 0, 0].tolist())

    assert learned(False) == '<longcat_tool_call>12,"hours"}</longcat_s>'
    assert learned(True) == '<longcat_tool_call>set_timer"12,"hours"}</longcat_s>'


def test_a_call_in_a_spoken_reply_makes_no_sound(stage):
    talk = next(t for t in ERRANDS if t.turns[0].called)
    spoken = Stage(stage.tokenizer, {}, {Saying("Yes."): [np.ones((9, 4), np.int64)]}, lambda _: np.zeros(0), 0)
    example = spoken.dialogue(skills.Dialogue(talk.turns[:1], None, "", talk.functions), 1, typed=1.0, written=0.0)
    said = spoken._call(talk.turns[0].called, voice=True)
    quiet = said.rows[said.rows[:, 1] != PAD]
    assert (quiet[:, 1] == prompt.CODE_EOS).all(), "a semantic end and no frame, until the tag is complete"
    assert spoken.tokenizer.decode(quiet[:, 0].tolist()) == "<longcat_tool_call>"
    assert any(
        (example.rows[at : at + len(said.rows)] == said.rows).all() for at in range(len(example.rows) - len(said.rows))
    )


# --- stories --------------------------------------------------------------------------------------------------------


def test_a_story_goes_on_where_it_was_interrupted():
    seen = 0
    for talk in LESSONS:
        for before, after in zip(talk.turns, talk.turns[1:], strict=False):
            if before.heard is not None and after.skill == "go on":
                whole = f"{before.reply}|"
                assert whole.endswith(f"{after.reply}|")
                assert not before.heard.endswith(after.reply)
                unheard = before.reply.removeprefix(before.heard)
                assert unheard.strip() in after.reply, "nothing unheard is left out"
                seen += 1
    assert seen > 10


def test_another_story_is_another_one():
    memory, told = Memory(), []
    rng = random.Random(3)
    while len(told) < len(stories.STORIES):
        turn = stories.story(rng, memory, None, 0, False)
        if turn is not None and turn.skill == "story":
            told = memory.stories
    assert sorted(told) == sorted(stories.STORIES)


def test_what_is_left_is_told_in_the_servers_own_words(stage):
    assert UNHEARD == NOTE
    story = stories.STORIES["boat"]
    turns = (
        Turn("tell me a story", story.text, "story", "boat", exact=True, heard="A red boat slept by the river."),
        Turn("go on", "It was old, and nobody wanted it.", "go on", "old", exact=True),
    )
    texts = [
        stage.tokenizer.decode(
            stage.dialogue(skills.Dialogue(turns, None), seed, typed=1.0, written=1.0).rows[:, 0].tolist()
        )
        for seed in range(12)
    ]
    note = "SYSTEM:" + NOTE.format("It was old, and nobody wanted it. One day")
    assert 0 < sum(note in text for text in texts) < 12, "a server may be asked not to tell"
    assert all("by the river.</longcat_s>\nSYSTEM:" in text for text in texts if note in text)


def test_the_end_of_what_was_cut_is_nothing_to_learn(stage):
    turn = Turn("tell me a story", "A red boat. It was old.", "story", "boat", exact=True, heard="A red boat.")
    example = stage.dialogue(skills.Dialogue((turn,), None), 2, typed=1.0, written=1.0)
    ends = example.rows[:, 0] == EOS
    learned = stage.tokenizer.decode(example.rows[example.judged > 0, 0].tolist())
    assert learned == "A red boat."
    assert not example.judged[ends].any()


def test_a_long_reply_is_spoken_sentence_by_sentence():
    story = stories.STORIES["horse"].text
    assert [saying.text for saying in sayings(story, "slow")] == stories.STORIES["horse"].sentences
    assert sayings("Hello! How can I help you?") == [Saying("Hello! How can I help you?")]
    assert all(len(piece.text) <= 1.5 * LONG for talk in ALL for turn in talk.turns for piece in sayings(turn.reply))


# --- manners --------------------------------------------------------------------------------------------------------


def test_a_style_lasts_until_another_is_asked_for():
    seen = set()
    for talk in TALKS:
        style = next((turn.style for turn in talk.turns), "") if talk.instructions else ""
        for turn in talk.turns:
            if turn.skill == "manner":
                style = turn.style
                assert turn.slot == (STYLES[style].adverb if style else "as usual")
            assert turn.style == style
            seen.add(style)
    assert seen == {"", *STYLES}


def test_what_is_spoken_in_a_style_has_that_styles_recording(stage):
    codes = {Saying("Yes.", style): [np.full((9, 4), at, np.int64)] for at, style in enumerate(("", "slow"))}
    spoken = Stage(stage.tokenizer, {}, codes, lambda _: np.zeros(0), 0)
    for style in ("", "slow"):
        turn = Turn("is it", "Yes.", "x", "yes", style=style)
        for seed in range(6):
            example = spoken.dialogue(skills.Dialogue((turn,), None), seed, typed=1.0, written=0.0)
            if (example.judged == 2).any() or (example.judged == 3).any():
                continue
            semantic = example.rows[:, 1][example.rows[:, 1] >= prompt.CODE_OFFSET] - prompt.CODE_OFFSET
            assert set(semantic.tolist()) <= {("", "slow").index(style)} or 3 in example.judged
