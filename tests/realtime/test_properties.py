"""What holds in every conversation, whatever happens in it."""

import base64
import json

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from openai.types.realtime import RealtimeServerEvent
from pydantic import TypeAdapter
from simulate import MEDIA, STEP_MS, Simulation, draw, encoder, picture

from vivavoce.codecs.media import AudioChunk
from vivavoce.realtime import wire
from vivavoce.realtime.actions import (
    AddText,
    Answer,
    Cancel,
    CloseBeside,
    Cut,
    Doubt,
    Forget,
    OpenBeside,
    Play,
    Rewind,
    Send,
    StopPlayback,
    TellBeside,
    Weigh,
)
from vivavoce.realtime.config import SessionConfig
from vivavoce.realtime.events import AnswerSpoke, AudioIn, Doubted, Played, Weighed
from vivavoce.realtime.extensions import GROUPS, METRICS, PAUSED, TIMED
from vivavoce.realtime.replay import pack, replay
from vivavoce.realtime.session import Session
from vivavoce.realtime.turns import Phase

ITEM = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "hello"}]}
IMAGE = {"type": "message", "role": "user", "content": [{"type": "input_image", "image_url": picture(3)}]}


def detection(value):
    return lambda talk: talk.client("session.update", session={"audio": {"input": {"turn_detection": value}}})


def latest_item(talk):
    ids = [event["item"]["id"] for event in talk.events("conversation.item.added")]
    return ids[-1] if ids else "none"


def latest_asides(talk):
    return [action.turn for action in talk.log if isinstance(action, OpenBeside)][-1:]


HAPPENINGS = {
    "a word": lambda talk: talk.user_speaks(200),
    "a sentence": lambda talk: talk.user_speaks(1_400),
    "mhm": lambda talk: [talk.user_speaks(220), talk.silence(160)],
    "sounds finished": lambda talk: setattr(talk, "completeness", 0.99),
    "sounds open": lambda talk: setattr(talk, "completeness", 0.02),
    "sounds like mhm": lambda talk: setattr(talk, "interrupting", 0.02),
    "sounds like stop": lambda talk: setattr(talk, "interrupting", 0.7),
    "a cough": lambda talk: talk.user_speaks(40),
    "a breath": lambda talk: talk.silence(160),
    "a pause": lambda talk: talk.silence(300),
    "an end": lambda talk: talk.silence(700),
    "time": lambda talk: talk.wait(250),
    "camera": lambda talk: talk.camera(),
    "seldom": lambda talk: talk.client("session.update", session={"video": {"input": {"fps": 0.7, "max_frames": 2}}}),
    "words": lambda talk: talk.session.turn and talk.engine_says("Well, ", ms=300),
    "last words": lambda talk: talk.session.turn and talk.engine_ends(),
    "too long": lambda talk: talk.session.turn and talk.engine_ends("length"),
    "late words": lambda talk: talk.engine_says("late", turn=1),
    "understood": lambda talk: talk.session.turn and talk.engine_heard("what is it"),
    "failure": lambda talk: talk.engine_fails(turn=talk.session.turn),
    "item": lambda talk: talk.client("conversation.item.create", item=ITEM),
    "image": lambda talk: talk.client("conversation.item.create", item=IMAGE),
    "aside": lambda talk: talk.client("response.create", response={"conversation": "none"}),
    "aside ends": lambda talk: [talk.engine_ends(turn=turn) for turn in latest_asides(talk)],
    "aside says": lambda talk: [talk.engine_says("psst", turn=turn) for turn in latest_asides(talk)],
    "create": lambda talk: talk.client("response.create"),
    "cancel": lambda talk: talk.client("response.cancel"),
    "delete": lambda talk: talk.client("conversation.item.delete", item_id=latest_item(talk)),
    "receipt": lambda talk: talk.client(
        "conversation.item.retrieve", item_id=latest_item(talk), include=["item.frames.image"]
    ),
    "insert": lambda talk: talk.client("conversation.item.create", item=ITEM, previous_item_id="root"),
    "truncate": lambda talk: talk.client("conversation.item.truncate", item_id=latest_item(talk), audio_end_ms=200),
    "commit": lambda talk: talk.client("input_audio_buffer.commit"),
    "clear": lambda talk: talk.client("input_audio_buffer.clear"),
    "manual": detection(None),
    "automatic": detection({"type": "server_vad"}),
    "semantic": detection({"type": "semantic_vad", "eagerness": "high"}),
    "impatient": detection({"type": "server_vad", "idle_timeout_ms": 5_000}),
    "a long silence": lambda talk: talk.silence(6_000),
    "telephone": lambda talk: talk.client(
        "session.update", session={"audio": {"output": {"format": {"type": "audio/pcmu"}}}}
    ),
    "unasked": detection({"type": "server_vad", "create_response": False}),
    "deaf": detection({"type": "server_vad", "interrupt_response": False}),
    "nonsense": lambda talk: talk.client("dance"),
}
SCHEMA: TypeAdapter = TypeAdapter(RealtimeServerEvent)


def shown(talk) -> list:
    """The conversation as a client puts it together from what it is sent."""
    items: list = []
    for event in talk.sent:
        if event["type"] == "conversation.item.added":
            before = [at for at, item in enumerate(items) if item["id"] == event["previous_item_id"]]
            items.insert(before[0] + 1 if before else 0, event["item"])
        elif event["type"] == "conversation.item.deleted":
            items = [item for item in items if item["id"] != event["item_id"]]
    return items


STORIES = st.lists(st.sampled_from(sorted(HAPPENINGS)), max_size=25)


class Call(Simulation):
    """The server plays: nothing has been played of what is stopped, or all of it."""

    def __init__(self) -> None:
        super().__init__(SessionConfig(server_plays=True))

    def _collect(self):
        before = len(self.log)
        super()._collect()
        if any(isinstance(action, StopPlayback) for action in self.log[before:]):
            for turn in {action.turn for action in self.log if isinstance(action, Play)}:
                self.give(Played(turn, 700, stopped=True))


def perform(story, config=None, talk=None) -> Simulation:
    """The story, and with it: nothing of an answer is sent while it is a guess."""
    talk = talk or Simulation(config or SessionConfig())
    for happening in story:
        guess = talk.session.turn if talk.phase is Phase.GUESSING else None
        before = len(talk.sent)
        HAPPENINGS[happening](talk)
        if guess is not None and talk.phase is Phase.GUESSING and talk.session.turn == guess:
            assert f"resp_{guess:06d}" not in json.dumps(talk.sent[before:])
    return talk


def sound_ms(talk) -> dict[int, int]:
    """Of each answer of the conversation, how much the client was given to play."""
    given = {}
    for action in talk.log:
        if isinstance(action, Play):
            given[action.turn] = given.get(action.turn, 0) + len(action.pcm) // 24
        elif isinstance(action, Send) and action.event["type"] == "response.output_audio.delta":
            turn = int(action.event["response_id"].removeprefix("resp_"))
            given[turn] = given.get(turn, 0) + len(base64.b64decode(action.event["delta"])) // 48
    return given


@settings(max_examples=150, deadline=None)
@given(STORIES)
def test_over_a_call_nothing_is_heard_of_a_guess_and_nothing_after_its_end(story):
    talk, known, over = perform(story, talk=Call()), set(), set()
    for action in talk.log:
        if isinstance(action, Play):
            assert action.turn in known - over
        elif isinstance(action, Send) and action.event["type"] in ("response.created", "response.done"):
            turn = int(action.event["response"]["id"].removeprefix("resp_"))
            (known if action.event["type"] == "response.created" else over).add(turn)


@settings(max_examples=150, deadline=None)
@given(STORIES, st.booleans())
def test_what_is_cut_was_heard_no_further_than_it_was_sent(story, is_a_call):
    story = [happening for happening in story if happening != "telephone"]  # half the samples for the same time
    talk = perform(story, talk=Call() if is_a_call else None)
    talk.wait(300)
    given = sound_ms(talk)
    for action in talk.log:
        if isinstance(action, Cut):
            assert 0 <= action.heard_ms <= given.get(action.turn, 0)


@settings(max_examples=100, deadline=None)
@given(STORIES)
def test_after_a_cancel_is_acknowledged_nothing_of_that_answer_is_sent(story):
    talk, over = perform(story), set()
    for event in talk.sent:
        assert event.get("response_id") not in over or event["type"] == METRICS
        if event["type"] == "response.done":
            over.add(event["response"]["id"])


@settings(max_examples=100, deadline=None)
@given(STORIES)
def test_an_answer_that_waits_for_the_user_goes_on_or_ends(story):
    talk = perform(story)
    talk.silence(1_200)
    assert talk.phase is not Phase.YIELDING


@settings(max_examples=150, deadline=None)
@given(STORIES)
def test_every_answer_ends_exactly_once(story):
    talk = perform(story)
    talk.hang_up()
    order = [(type(action), action.turn) for action in talk.log if isinstance(action, Answer | Rewind | Cut | Cancel)]
    turns = [turn for kind, turn in order if kind is Answer]
    assert turns == sorted(set(turns))
    heard = {event["response"]["id"] for event in talk.events("response.done")}
    for turn in turns:
        kinds = [kind for kind, of in order if of == turn]
        assert kinds[0] is Answer
        assert len(kinds) == 2 or (len(kinds) == 1 and f"resp_{turn:06d}" in heard)


@settings(max_examples=150, deadline=None)
@given(STORIES)
def test_what_is_sent_is_well_formed(story):
    talk = perform(story)
    known: set[str | None] = {None}
    known_output = set()
    beside = {f"resp_{action.turn:06d}" for action in talk.log if isinstance(action, OpenBeside)}
    open_response, open_beside = None, set()
    assert len({event["event_id"] for event in talk.sent}) == len(talk.sent)
    for event in talk.sent:
        json.dumps(event)
        kind = event["type"]
        if kind in ("conversation.item.added", "conversation.item.done"):
            assert event["previous_item_id"] in known  # R18
            known.add(event["item"]["id"])
        if kind == "response.created" and event["response"]["id"] in beside:
            open_beside.add(event["response"]["id"])
        elif kind == "response.done" and event["response"]["id"] in beside:
            open_beside.remove(event["response"]["id"])
        elif kind == "response.created":
            assert open_response is None
            open_response = event["response"]["id"]
        elif kind == "response.done":
            assert event["response"]["id"] == open_response
            open_response = None
        elif kind.startswith("response."):
            assert event["response_id"] in {open_response, *open_beside}
            assert event.get("item_id", event.get("item", {}).get("id")) is not None
        if kind == "response.output_item.added":
            known_output.add(event["item"]["id"])
        if kind.endswith(".delta"):
            assert event["item_id"] in known_output  # R17


@settings(max_examples=150, deadline=None)
@given(STORIES)
def test_when_a_turn_begins_the_model_knows_what_the_client_wrote(story):
    talk = perform(story)
    talk.engine_fails()  # nobody speaks now
    talk.client("response.create")
    talk.wait(300)  # an answer that was just stopped has its last word by now
    since = [at for at, action in enumerate(talk.log) if isinstance(action, Forget)][-1:] or [0]
    told = [action.text for action in talk.log[since[0] :] if isinstance(action, AddText) and action.role == "user"]
    assert told == [part["text"] for item in shown(talk) for part in item["content"] if part["type"] == "input_text"]


@settings(max_examples=100, deadline=None)
@given(STORIES)
def test_every_answer_beside_the_conversation_is_opened_asked_and_closed_once(story):
    talk = perform(story)
    talk.hang_up()
    kinds = {}
    for action in talk.log:
        if isinstance(action, OpenBeside | TellBeside | CloseBeside):
            kinds.setdefault(action.turn, []).append(type(getattr(action, "action", action)))
    for order in kinds.values():
        assert (order[0], order[-2], order[-1]) == (OpenBeside, Answer, CloseBeside)
        assert order.count(Answer) == 1


@settings(max_examples=50, deadline=None)
@given(STORIES)
def test_what_is_sent_is_what_the_sdk_understands(story):
    for event in perform(story).sent:
        SCHEMA.validate_python(event)


@settings(max_examples=100, deadline=None)
@given(STORIES)
def test_the_parts_of_every_wait_and_of_all_sound_add_up(story):
    talk = perform(story, SessionConfig(wanted={"extensions": [METRICS]}))
    done = [event["response"]["id"] for event in talk.events("response.done")]
    assert [event["response_id"] for event in talk.events(METRICS)] == done
    for event in talk.events(METRICS):
        wait, sound = event["wait_ms"], event["audio_ms"]
        assert sound["decoded"] == sound["sent"] + sound["discarded"]
        assert min(sound.values()) >= 0 and event["rollback_count"] >= 0
        assert (wait is None) == (event["first_audio_ms"] is None) == (sound["sent"] == 0)
        if wait is not None:
            assert wait["total"] == wait["pause"] + wait["speculation"] + wait["rest"]
            begin = event["turn_end_ms"] if event["speech_end_ms"] is None else event["speech_end_ms"]
            assert wait["total"] == event["first_audio_ms"] - begin
            assert min(wait.values()) >= 0
            parts = event["parts_ms"]
            assert parts["total"] == sum(ms for part, ms in parts.items() if part != "total" and ms is not None)
            assert parts["total"] == wait["total"] + parts["capture"]
            assert min(ms for ms in parts.values() if ms is not None) >= 0


@settings(max_examples=50, deadline=None)
@given(STORIES)
def test_a_client_that_asks_for_events_of_ours_is_told_nothing_else_otherwise(story):
    told_only = [group for group in GROUPS if group not in (PAUSED, TIMED)]  # one has the answer wait, one is no event
    plain, curious = perform(story), perform(story, SessionConfig(wanted={"extensions": told_only}))

    def bare(talk):
        sent = [dict(event) for event in talk.sent if event["type"] not in GROUPS]
        for event in sent:
            del event["event_id"]
            event.get("session", {}).pop("extensions", None)
        return json.dumps(sent)

    assert bare(plain) == bare(curious)
    assert not set(plain.sent_types) & set(GROUPS)
    assert pack(plain.told) == pack(curious.told)


@settings(max_examples=50, deadline=None)
@given(STORIES)
def test_a_recorded_session_replays_to_the_same_actions(story):
    talk = perform(story, SessionConfig(wanted={"extensions": list(GROUPS)}))
    again = list(replay(talk.record.getvalue().splitlines(), encoder, draw))
    assert json.dumps(pack(again)) == json.dumps(pack(talk.log))


SOUND = st.lists(st.tuples(st.booleans(), st.integers(1, 60)), min_size=1, max_size=12)


def speak(windows, cuts) -> list:
    """Windows of voice or silence during an answer, in portions of these many samples; the model has a view of all of it."""
    session, actions, at = Session(SessionConfig(), "s"), [], 0
    session.receive(wire.decode('{"type": "response.create"}', MEDIA), 0)
    session.receive(AnswerSpoke(1, "and so on", np.full(240_000, 0.5, np.float32), 0), 0)
    pcm = np.arange(len(windows) * 512, dtype=np.float32)
    for cut in sorted({*cuts, len(pcm)}):
        if cut <= len(pcm):
            chunk = AudioChunk(pcm[at:cut], 16_000, at)
            session.receive(AudioIn(chunk, tuple(windows[at // 512 : cut // 512])), 0)
            while now := session.actions():
                actions += now
                for action in now:
                    if isinstance(action, Weigh):
                        session.receive(Weighed(action.number, VIEWS[action.number % len(VIEWS)]), 0)
                    if isinstance(action, Doubt):
                        session.receive(Doubted(action.number, view(action.sound)), 0)
            at = cut
    return actions


VIEWS = (0.97, 0.02, 0.6, None, 0.9)


def view(sound) -> float:
    """Of a sound during an answer: by which samples it has."""
    return (0.97, 0.02, 0.6, 0.1)[sound.end // 512 % 4]


@settings(max_examples=60, deadline=None)
@given(SOUND, st.sets(st.integers(1, 300_000), max_size=40))
def test_any_regrouping_of_the_same_audio_gives_the_same_actions(sound, cuts):
    windows = [0.9 if voice else 0.1 for voice, count in sound for _ in range(count)]
    step = STEP_MS * 16
    steady = speak(windows, range(step, len(windows) * 512, step))
    assert json.dumps(pack(speak(windows, cuts))) == json.dumps(pack(steady))
