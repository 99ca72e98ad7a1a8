"""A conversation, told as short stories under virtual time."""

import pytest
from simulate import Simulation, picture, speech

from vivavoce.realtime import wire
from vivavoce.realtime.actions import (
    AddImage,
    AddText,
    Answer,
    Cancel,
    Close,
    Cut,
    Forget,
    Prefill,
    Rewind,
    StopPlayback,
    Truncate,
)
from vivavoce.realtime.config import SessionConfig
from vivavoce.realtime.errors import LocalError
from vivavoce.realtime.events import AudioAppend
from vivavoce.realtime.turns import Phase

SPOKEN_ANSWER = [
    "response.created",
    "response.output_item.added",
    "conversation.item.added",
    "response.content_part.added",
    "response.output_audio_transcript.delta",
    "response.output_audio.delta",
    "response.output_audio.done",
    "response.output_audio_transcript.done",
    "response.content_part.done",
    "conversation.item.done",
    "response.output_item.done",
    "response.done",
]
USER_ITEM = [
    "input_audio_buffer.speech_started",
    "input_audio_buffer.speech_stopped",
    "input_audio_buffer.committed",
    "conversation.item.added",
    "conversation.item.done",
]


@pytest.fixture
def talk() -> Simulation:
    return Simulation()


def manual() -> Simulation:
    """A client that ends its turns itself."""
    talk = Simulation()
    talk.client("session.update", session={"audio": {"input": {"turn_detection": None}}})
    talk.forget()
    return talk


def typed(talk: Simulation, text: str, **fields) -> None:
    item = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": text}], **fields}
    talk.client("conversation.item.create", item=item)


# --- listening ------------------------------------------------------------------------------------------------------


def test_the_first_word_is_ours(talk):
    assert talk.sent_types == ["session.created"]
    assert talk.sent[0]["session"]["audio"]["input"]["turn_detection"]["type"] == "server_vad"


def test_a_question_is_fed_as_it_is_spoken(talk):
    talk.user_speaks(2_500)
    assert [(chunk.start_ms, chunk.audio.ms) for chunk in talk.fed] == [(0, 1_000), (1_000, 1_000)]
    assert talk.phase is Phase.HEARING


def test_user_resumes_after_a_pause(talk):
    talk.user_speaks(1_000)
    talk.silence(300)  # past pause_ms, short of end_ms
    assert talk.phase is Phase.GUESSING
    talk.engine_says("Well, there is")  # speculative, must stay unheard
    talk.user_speaks(200)
    assert talk.did == [
        Prefill,
        Prefill,
        Prefill,
        Answer,
        Rewind,
    ]  # a second, the rest, its silence, the guess, the regret
    assert talk.heard == ""
    assert talk.phase is Phase.HEARING
    assert talk.sent_types == ["session.created", "input_audio_buffer.speech_started"]


def test_after_a_regretted_guess_no_sound_is_lost(talk):
    talk.user_speaks(1_000)
    talk.silence(300)
    talk.user_speaks(1_000)
    talk.silence(700)
    starts = [chunk.audio.start for chunk in talk.fed]
    ends = [chunk.audio.end for chunk in talk.fed]
    assert starts[0] == 0 and starts[1:] == ends[:-1]
    assert [action.turn for action in talk.told if isinstance(action, Answer | Rewind)] == [1, 1, 2]


def test_a_cough_is_not_a_question(talk):
    talk.silence(500)
    talk.user_speaks(60)
    talk.silence(2_000)
    assert talk.did == []
    assert talk.sent_types == ["session.created"]


def test_the_sound_before_the_first_word_belongs_to_it(talk):
    talk.silence(1_000)
    talk.user_speaks(1_000)
    talk.silence(700)
    (started,) = talk.events("input_audio_buffer.speech_started")
    (stopped,) = talk.events("input_audio_buffer.speech_stopped")
    assert 1_000 - 332 <= started["audio_start_ms"] <= 1_000 - 268  # prefix_ms, in whole windows
    assert talk.fed[0].audio.start == started["audio_start_ms"] * 16
    assert 2_000 + 240 <= stopped["audio_end_ms"] <= 2_000 + 304  # what the model heard: up to t3
    assert talk.fed[-1].audio.end == stopped["audio_end_ms"] * 16


# --- answering ------------------------------------------------------------------------------------------------------


def test_a_question_and_its_answer_in_the_order_clients_insist_on(talk):
    talk.question_asked()
    talk.engine_says("Red.", ms=150)
    talk.engine_ends()
    assert talk.sent_types == ["session.created", *USER_ITEM, *SPOKEN_ANSWER]
    assert talk.did == [Prefill, Prefill, Prefill, Answer]
    talk.silence(200)
    assert talk.phase is Phase.LISTENING


def test_what_was_guessed_is_released_at_once(talk):
    talk.user_speaks(1_000)
    talk.silence(300)
    talk.engine_says("Well, ", ms=400)
    talk.engine_says("red.", ms=300, at_ms=400)
    assert talk.sound_sent == b""
    talk.silence(400)
    assert talk.phase is Phase.ANSWERING
    assert talk.heard == "Well, red."
    assert len(talk.sound_sent) == 700 * 24 * 2


def test_an_answer_that_ended_as_a_guess_is_done_when_released(talk):
    talk.user_speaks(1_000)
    talk.silence(300)
    talk.engine_says("Red.")
    talk.engine_ends()
    talk.silence(400)
    assert talk.sent_types[-1] == "response.done"


def test_a_response_tells_how_it_ended_and_what_it_cost(talk):
    talk.answer_begun()
    talk.engine_ends()
    (done,) = talk.events("response.done")
    response = done["response"]
    assert response["status"] == "completed"
    assert response["output"][0]["content"] == [{"type": "output_audio", "transcript": "Well, there is a red circle."}]
    assert response["usage"]["total_tokens"] == 3 + 25 + 96 + 4 + 17
    assert response["audio"]["output"]["voice"] == "default"


def test_too_long_an_answer_is_incomplete(talk):
    talk.answer_begun()
    talk.engine_ends("length")
    response = talk.sent[-1]["response"]
    assert (response["status"], response["status_details"]["reason"]) == ("incomplete", "max_output_tokens")


def test_sound_comes_in_small_pieces_with_their_place(talk):
    talk.answer_begun()
    deltas = talk.events("response.output_audio.delta")
    assert len(deltas) == 10
    assert all(len(delta["delta"]) <= 200 * 24 * 2 * 4 / 3 + 4 for delta in deltas)
    assert {"response_id", "item_id", "output_index", "content_index"} <= deltas[0].keys()


def test_a_telephone_hears_every_sample_of_an_answer(talk):
    talk.client("session.update", session={"audio": {"output": {"format": {"type": "audio/pcmu"}}}})
    talk.question_asked()
    talk.engine_says("Red.", ms=150)
    talk.engine_says(" Round.", ms=350, at_ms=150)
    talk.engine_ends()
    assert len(talk.sound_sent) == 500 * 8
    kinds = [kind for kind in talk.sent_types if kind.startswith("response.output_audio.")]
    assert kinds[-1] == "response.output_audio.done"  # after the last of the sound, which the resampler held back


def test_a_session_without_a_server_sends_pcm_alone():
    with pytest.raises(LocalError, match="no encoder for audio/pcmu"):
        wire.only_pcm16("audio/pcmu")


def test_the_floor_is_free_when_the_answer_has_been_heard_not_when_it_was_sent(talk):
    talk.answer_begun()
    talk.engine_ends()
    talk.silence(1_900)
    assert talk.phase is Phase.ANSWERING
    talk.silence(200)
    assert talk.phase is Phase.LISTENING
    assert talk.did == [Prefill, Prefill, Prefill, Answer]


def test_words_of_an_older_answer_are_dropped(talk):
    talk.user_speaks(1_000)
    talk.silence(300)
    talk.user_speaks(1_000)
    talk.silence(700)
    talk.engine_says("too late", turn=1)
    talk.engine_ends(turn=1)
    talk.engine_fails(turn=1)
    assert talk.heard == ""
    assert talk.phase is Phase.ANSWERING


# --- interruption ---------------------------------------------------------------------------------------------------


def test_the_user_interrupts(talk):
    talk.answer_begun()
    talk.silence(500)
    talk.forget()
    talk.user_speaks(100)
    assert talk.phase is Phase.HEARING
    assert talk.sent_types == ["input_audio_buffer.speech_started", *SPOKEN_ANSWER[6:]]
    details = talk.sent[-1]["response"]
    assert (details["status"], details["status_details"]["reason"]) == ("cancelled", "turn_detected")
    assert details["output"][0]["status"] == "incomplete"
    assert talk.did == [StopPlayback]
    talk.wait(300)
    (cut,) = [action for action in talk.told if isinstance(action, Cut)]
    assert cut.turn == 1
    assert 500 <= cut.heard_ms <= 620


def test_the_client_knows_best_what_was_heard(talk):
    talk.answer_begun()
    talk.silence(500)
    talk.user_speaks(100)
    talk.forget()
    talk.client("conversation.item.truncate", item_id="item_000002", content_index=0, audio_end_ms=360)
    assert talk.told == [Cut(1, 360)]
    assert talk.sent[-1]["type"] == "conversation.item.truncated"
    talk.wait(1_000)
    assert talk.told == [Cut(1, 360)]


def test_what_is_told_to_the_model_waits_for_the_cut(talk):
    talk.answer_begun()
    talk.silence(2_000)
    talk.camera()
    talk.silence(1_000)
    talk.forget()
    talk.user_speaks(100)
    talk.wait(200)
    assert talk.did == [StopPlayback, Cut, Prefill]  # the frame from while the model spoke leads the new turn


def test_after_an_interruption_nothing_of_the_answer_is_sent(talk):
    talk.answer_begun()
    talk.user_speaks(100)
    talk.forget()
    talk.engine_says("and a blue square", turn=1)
    talk.engine_ends(turn=1)
    assert talk.sent == []


def test_an_answer_can_be_interrupted_after_it_was_sent_and_before_it_was_heard(talk):
    talk.answer_begun()
    talk.engine_ends()
    talk.silence(500)
    talk.forget()
    talk.user_speaks(100)
    talk.wait(300)
    assert talk.sent_types == ["input_audio_buffer.speech_started"]
    assert talk.did == [StopPlayback, Cut]


def test_a_client_that_forbids_interruption_is_not_interrupted(talk):
    off = {"audio": {"input": {"turn_detection": {"interrupt_response": False}}}}
    talk.client("session.update", session=off)
    talk.answer_begun()
    talk.user_speaks(1_000)
    assert talk.phase is Phase.ANSWERING
    assert Cut not in talk.did


def test_truncating_past_the_end_is_clamped(talk):
    talk.answer_begun()
    talk.engine_ends()
    talk.client("conversation.item.truncate", item_id="item_000002", content_index=0, audio_end_ms=99_000)
    assert talk.sent[-1]["audio_end_ms"] == 2_000


def test_the_transcript_is_cut_with_the_sound(talk):
    talk.question_asked()
    talk.engine_says("One, ", ms=500)
    talk.engine_says("two.", ms=500, at_ms=500)
    talk.engine_ends()
    talk.client("conversation.item.truncate", item_id="item_000002", content_index=0, audio_end_ms=400)
    talk.client("conversation.item.retrieve", item_id="item_000002")
    assert talk.sent[-1]["item"]["content"][0]["transcript"] == "One, "
    assert talk.phase is Phase.LISTENING
    assert talk.told[-1] == Cut(1, 400)


def test_a_client_that_lags_says_late_what_was_heard(talk):
    talk.answer_begun()
    talk.engine_ends()
    talk.silence(2_100)  # by our clock all of it has been heard; in the client's loudspeaker it has not
    talk.user_speaks(100)
    talk.forget()
    for audio_end_ms in (1_700, 1_700):
        talk.client("conversation.item.truncate", item_id="item_000002", content_index=0, audio_end_ms=audio_end_ms)
    assert talk.told == [Cut(1, 1_700)]
    assert talk.phase is Phase.HEARING


def test_a_written_answer_that_is_interrupted_keeps_its_words(talk):
    talk.client("session.update", session={"output_modalities": ["text"]})
    talk.question_asked()
    talk.engine_says("The circle is", ms=0)
    talk.user_speaks(100)
    talk.wait(300)
    assert talk.told[-1] == Cancel(1)
    talk.client("conversation.item.retrieve", item_id="item_000002")
    assert talk.sent[-1]["item"]["content"] == [{"type": "output_text", "text": "The circle is"}]


def test_the_client_cancels(talk):
    talk.answer_begun()
    talk.client("response.cancel")
    assert talk.sent[-1]["response"]["status_details"]["reason"] == "client_cancelled"
    assert talk.phase is Phase.LISTENING
    talk.wait(500)
    assert talk.told[-1] == Cancel(1)


def test_the_client_cancels_what_it_has_not_seen(talk):
    talk.user_speaks(1_000)
    talk.silence(300)
    talk.client("response.cancel")
    assert talk.told[-1] == Rewind(1)
    assert talk.sent_types[1:] == [*USER_ITEM, "response.created", "response.done"]
    talk.silence(2_000)
    assert talk.phase is Phase.LISTENING


def test_there_is_nothing_to_cancel(talk):
    talk.client("response.cancel", event_id="c1")
    error = talk.sent[-1]["error"]
    assert (error["code"], error["event_id"]) == ("response_cancel_not_active", "c1")
    assert error["message"].startswith("Cancellation failed")


# --- what the user said ---------------------------------------------------------------------------------------------


def test_the_users_words_come_with_the_answer_not_with_the_guess(talk):
    talk.client("session.update", session={"audio": {"input": {"transcription": {"model": "any"}}}})
    talk.user_speaks(1_000)
    talk.silence(300)
    talk.engine_heard("what colour is it")
    assert talk.sent_types[-1] == "input_audio_buffer.speech_started"
    talk.silence(400)
    (heard,) = talk.events("conversation.item.input_audio_transcription.completed")
    assert (heard["item_id"], heard["transcript"]) == ("item_000001", "what colour is it")
    assert heard["usage"]["type"] == "duration" and 1.2 < heard["usage"]["seconds"] < 1.4


def test_a_client_that_did_not_ask_is_not_told_but_may_look(talk):
    talk.question_asked()
    talk.engine_heard("what colour is it")
    assert not talk.events("conversation.item.input_audio_transcription.completed")
    talk.client("conversation.item.retrieve", item_id="item_000001")
    assert talk.sent[-1]["item"]["content"] == [{"type": "input_audio", "transcript": "what colour is it"}]


# --- what is seen ---------------------------------------------------------------------------------------------------


def test_frames_while_speaking_are_two_a_second(talk):
    talk.user_speaks(200)
    for _ in range(20):
        talk.camera()
        talk.user_speaks(100)
    assert [len(chunk.frames) for chunk in talk.fed] == [2, 2]
    assert all(chunk.dense for chunk in talk.fed)


def test_after_a_regretted_guess_no_frame_is_lost(talk):
    talk.user_speaks(100)
    for shade in range(8):
        talk.camera(shade)
        talk.user_speaks(100)
        talk.silence(400 if shade in (2, 4) else 40)  # twice long enough to be taken for the end
        talk.user_speaks(360 - (360 if shade in (2, 4) else 0))
    talk.silence(700)
    assert [action.turn for action in talk.told if isinstance(action, Rewind)] == [1, 2]
    assert [int(frame.rgb[0, 0, 0]) for chunk in talk.fed for frame in chunk.frames] == list(range(8))


def test_frames_while_the_model_speaks_lead_the_next_turn(talk):
    talk.answer_begun()
    for shade in range(4):
        talk.camera(shade)
        talk.silence(1_000)
    talk.engine_ends()
    talk.forget()
    talk.question_asked()
    leading = [chunk for chunk in talk.fed if not chunk.dense]
    assert all(chunk.audio is None and len(chunk.frames) == 1 for chunk in leading)
    assert 2 <= len(leading) <= 3
    assert leading == talk.fed[: len(leading)]


def test_a_picture_without_words_is_camera_and_one_with_words_is_not(talk):
    image = {"type": "input_image", "image_url": picture(5)}
    talk.client("conversation.item.create", item={"type": "message", "role": "user", "content": [image]})
    assert talk.did == []
    typed(talk, "and now?")
    assert [type(action) for action in talk.told] == [AddImage, AddText]  # a written question sees the camera too
    words = {"type": "input_text", "text": "what is this?"}
    talk.client("conversation.item.create", item={"type": "message", "role": "user", "content": [words, image]})
    assert [type(action) for action in talk.told[2:]] == [AddText, AddImage]
    assert all(
        "image_url" not in part for event in talk.events("conversation.item.added") for part in event["item"]["content"]
    )


# --- writing --------------------------------------------------------------------------------------------------------


def test_a_written_question_gets_a_written_answer(talk):
    talk.client("session.update", session={"output_modalities": ["text"]})
    talk.forget()
    typed(talk, "hello")
    talk.client("response.create", response={"metadata": {"a": "b"}, "max_output_tokens": 100})
    assert talk.told == [AddText("user", "hello"), Answer(1, True, 100)]
    talk.engine_says("Hi", ms=0)
    talk.engine_says(" there.", ms=0)
    talk.engine_ends()
    assert talk.sent_types == [
        "conversation.item.added",
        "conversation.item.done",
        "response.created",
        "response.output_item.added",
        "conversation.item.added",
        "response.content_part.added",
        "response.output_text.delta",
        "response.output_text.delta",
        "response.output_text.done",
        "response.content_part.done",
        "conversation.item.done",
        "response.output_item.done",
        "response.done",
    ]
    assert talk.events("response.created")[0]["response"]["metadata"] == {"a": "b"}  # R11
    assert talk.phase is Phase.LISTENING


def test_a_recording_is_heard_and_its_words_are_told(talk):
    talk.client("session.update", session={"audio": {"input": {"transcription": {"model": "any"}}}})
    question = {"type": "input_audio", "audio": speech(1_500)}
    talk.client("conversation.item.create", item={"id": "q", "type": "message", "role": "user", "content": [question]})
    assert talk.events("conversation.item.done")[0]["item"]["content"] == [{"type": "input_audio", "transcript": None}]
    assert [chunk.audio.ms for chunk in talk.fed] == [1_000, 500]
    assert talk.fed[0].audio.pcm[0] == 0.25
    talk.client("response.create")
    talk.engine_heard("what is it")
    (heard,) = talk.events("conversation.item.input_audio_transcription.completed")
    assert (heard["item_id"], heard["transcript"], heard["usage"]["seconds"]) == ("q", "what is it", 1.5)
    talk.client("conversation.item.retrieve", item_id="q")
    assert talk.sent[-1]["item"]["content"] == [{"type": "input_audio", "transcript": "what is it"}]


def test_a_recording_between_words_keeps_its_place(talk):
    parts = [
        {"type": "input_text", "text": "listen:"},
        {"type": "input_audio", "audio": speech(300)},
        {"type": "input_audio", "transcript": "and this, which is known"},
        {"type": "input_image", "image_url": picture(1)},
    ]
    talk.client("conversation.item.create", item={"type": "message", "role": "user", "content": parts})
    assert [type(action) for action in talk.told] == [AddText, Prefill, AddText, AddImage]
    assert talk.told[2].text == "and this, which is known"


def test_a_recording_that_is_none_is_named(talk):
    for audio, code in (("*", "invalid_base64"), ("AAAA", "invalid_audio"), (None, "missing_required_parameter")):
        part = {"type": "input_audio", "audio": audio}
        talk.client("conversation.item.create", item={"role": "user", "content": [part]}, event_id="i1")
        error = talk.sent[-1]["error"]
        assert (error["code"], error["param"]) == (code, "item.content[0].audio")
    assert talk.did == []


def test_one_answer_at_a_time(talk):
    typed(talk, "hello")
    talk.client("response.create")
    talk.client("response.create", event_id="r2")
    error = talk.sent[-1]["error"]
    assert (error["code"], error["event_id"]) == ("conversation_already_has_active_response", "r2")


def test_what_is_written_during_an_answer_waits_for_its_end(talk):
    talk.answer_begun()
    typed(talk, "by the way")
    assert AddText not in talk.did
    talk.engine_ends()
    assert talk.told[-1] == AddText("user", "by the way")


def test_history_is_replayed(talk):
    for role, kind in (("system", "input_text"), ("user", "input_text"), ("assistant", "output_text")):
        item = {"id": f"old_{role}", "type": "message", "role": role, "content": [{"type": kind, "text": role}]}
        talk.client("conversation.item.create", item=item)
    assert talk.told == [AddText(role, role) for role in ("system", "user", "assistant")]
    previous = [event["previous_item_id"] for event in talk.events("conversation.item.added")]
    assert previous == [None, "old_system", "old_user"]


def test_the_id_of_what_is_being_said_is_taken(talk):
    talk.user_speaks(1_000)
    typed(talk, "hello", id=talk.events("input_audio_buffer.speech_started")[0]["item_id"])
    assert talk.sent[-1]["error"]["code"] == "item_create_duplicate_item_id"
    talk.silence(700)
    assert talk.phase is Phase.ANSWERING
    typed(talk, "hello", id="item_000002")  # will be the answer's
    assert talk.sent[-1]["error"]["code"] == "item_create_duplicate_item_id"
    talk.engine_says("Red.")
    talk.engine_ends()
    assert talk.sent[-1]["response"]["output"][0]["id"] == "item_000002"


def test_an_item_cannot_exist_twice(talk):
    typed(talk, "one", id="x")
    typed(talk, "two", id="x")
    assert talk.sent[-1]["error"]["code"] == "item_create_duplicate_item_id"
    assert talk.told == [AddText("user", "one")]


# --- what the client takes back ------------------------------------------------------------------------------------


def test_a_deleted_item_was_never_said(talk):
    talk.client("session.update", session={"instructions": "Be brief."})
    typed(talk, "I am seven", id="age")
    typed(talk, "what is this?", id="question")
    talk.forget()
    talk.client("conversation.item.delete", item_id="age")
    assert [(event["type"], event["item_id"]) for event in talk.sent] == [("conversation.item.deleted", "age")]
    talk.client("conversation.item.retrieve", item_id="age")
    assert talk.sent[-1]["error"]["code"] == "item_retrieve_invalid_item_id"
    typed(talk, "go on")
    assert talk.events("conversation.item.added")[-1]["previous_item_id"] == "question"
    talk.client("response.create")
    words = [AddText("system", "Be brief."), AddText("user", "what is this?"), AddText("user", "go on")]
    assert talk.told == [Forget(), *words, Answer(1, False, 4_096)]


def test_ten_changes_are_told_at_once_when_the_user_speaks(talk):
    for number in range(10):
        typed(talk, f"fact {number}", id=f"fact_{number}")
    talk.forget()
    for number in range(9):
        talk.client("conversation.item.delete", item_id=f"fact_{number}")
        typed(talk, f"news {number}")
    assert talk.told == []
    talk.user_speaks(1_200)
    assert talk.did == [Forget, *[AddText] * 10, Prefill]
    assert [action.text for action in talk.told[1:3]] == ["fact 9", "news 0"]


def test_what_was_said_aloud_is_told_again_as_sound_and_answers_as_words(talk):
    typed(talk, "I am seven", id="age")
    talk.answer_begun()
    talk.engine_ends()
    talk.silence(2_500)
    heard = talk.fed
    talk.forget()
    talk.client("conversation.item.delete", item_id="age")
    talk.client("response.create")
    assert talk.did == [Forget, Prefill, Prefill, Prefill, AddText, Answer]
    assert talk.fed == heard
    assert talk.told[4] == AddText("assistant", "Well, there is a red circle.")


def test_a_deletion_leaves_the_answer_under_way_alone(talk):
    typed(talk, "I am seven", id="age")
    talk.answer_begun()
    talk.client("conversation.item.delete", item_id="age")
    typed(talk, "by the way")
    talk.forget()
    talk.engine_ends(turn=1)
    assert talk.told == []
    talk.client("response.create")
    assert talk.did == [
        Forget,
        Prefill,
        Prefill,
        Prefill,
        AddText,
        AddText,
        Answer,
    ]  # question, answer, and what waited, once
    assert talk.told[-2] == AddText("user", "by the way")


def test_an_interrupted_answer_ends_before_the_conversation_is_told_anew(talk):
    typed(talk, "I am seven", id="age")
    talk.answer_begun()
    talk.client("conversation.item.delete", item_id="age")
    talk.forget()
    talk.user_speaks(100)
    talk.wait(300)
    assert talk.did == [StopPlayback, Cut, Forget, Prefill, Prefill, Prefill, AddText]


def test_a_camera_s_picture_leaves_the_model_alone(talk):
    """Clients that show one every second delete them as fast."""
    image = {"type": "input_image", "image_url": picture(5)}
    talk.client("conversation.item.create", item={"id": "frame", "role": "user", "content": [image]})
    talk.client("conversation.item.delete", item_id="frame")
    assert talk.sent_types[-1] == "conversation.item.deleted"
    talk.client("response.create")
    assert talk.did == [Answer]


def test_nobody_can_delete_what_does_not_exist(talk):
    talk.client("conversation.item.delete", item_id="nobody", event_id="d1")
    error = talk.sent[-1]["error"]
    assert (error["code"], error["param"], error["event_id"]) == ("item_delete_invalid_item_id", "item_id", "d1")
    assert "'nobody'" in error["message"]
    assert talk.did == []


def test_an_item_between_others_is_told_in_its_place(talk):
    typed(talk, "one", id="one")
    typed(talk, "three", id="three")
    talk.forget()
    item = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "two"}]}
    talk.client("conversation.item.create", item=item, previous_item_id="one")
    talk.client("response.create")
    assert talk.told[:-1] == [Forget(), *(AddText("user", word) for word in ("one", "two", "three"))]


def test_a_voice_can_change_until_it_has_been_heard(talk):
    def voice(name):
        talk.client("session.update", session={"audio": {"output": {"voice": name}}}, event_id=name)

    voice("marin")
    talk.answer_begun()
    voice("cedar")
    error = talk.sent[-1]["error"]
    assert (error["code"], error["event_id"]) == ("cannot_update_voice", "cedar")
    voice("marin")
    assert talk.sent[-1]["type"] == "session.updated"


def test_one_answer_may_have_another_voice_until_the_model_has_been_heard():
    talk = Simulation(SessionConfig(voices=("nora", "hugo")))
    hugo = {"audio": {"output": {"voice": "hugo"}}}
    typed(talk, "hello")
    talk.client("response.create", response={**hugo, "output_modalities": ["text"]})
    assert talk.told[-1].voice == "hugo"
    talk.engine_says("hello")
    talk.engine_ends()
    typed(talk, "aloud")
    talk.client("response.create")
    assert talk.told[-1].voice == "", "the session's own is the first"
    talk.engine_says("hello")
    talk.engine_ends()
    talk.client("response.create", response=hugo)
    assert talk.sent[-1]["error"]["code"] == "cannot_update_voice"


def test_the_model_is_told_the_voice_and_the_client_its_name():
    talk = Simulation(SessionConfig(voices=("nora", "hugo")))
    talk.client("session.update", session={"audio": {"output": {"voice": "hugo"}}})
    typed(talk, "hello")
    talk.client("response.create")
    assert talk.told[-1].voice == "hugo"
    assert talk.events("response.created")[-1]["response"]["audio"]["output"]["voice"] == "hugo"


# --- instructions ---------------------------------------------------------------------------------------------------


def test_instructions_are_told_once(talk):
    talk.client("session.update", session={"instructions": "Be brief."})
    talk.client("session.update", session={"tracing": "auto"})  # R13
    assert talk.told == [AddText("system", "Be brief.")]
    assert talk.sent[-1]["session"]["instructions"] == "Be brief."


# --- when nobody says anything --------------------------------------------------------------------------------------


@pytest.fixture
def impatient(talk) -> Simulation:
    """A telephone call in which six seconds of silence are too long."""
    talk.client("session.update", session={"audio": {"input": {"turn_detection": {"idle_timeout_ms": 6_000}}}})
    talk.answer_begun()
    talk.engine_ends()
    talk.forget()
    return talk


def test_after_a_long_silence_the_model_goes_on(impatient):
    impatient.silence(2_000 + 5_900)  # two seconds of answer are still to be heard
    assert impatient.sent == []
    impatient.silence(200)
    assert impatient.sent_types == ["input_audio_buffer.timeout_triggered", *USER_ITEM[2:], "response.created"]
    timeout, committed = impatient.sent[:2]
    assert timeout["item_id"] == committed["item_id"]
    assert timeout["audio_end_ms"] - timeout["audio_start_ms"] == pytest.approx(6_000, abs=32)
    assert impatient.did == [Prefill, Answer]
    impatient.engine_says("Are you still there?")
    impatient.engine_ends()
    assert impatient.sent_types[-1] == "response.done"


def test_it_goes_on_once_more_after_that(impatient):
    impatient.silence(8_100)
    impatient.engine_says("Are you still there?", ms=1_000)
    impatient.engine_ends()
    impatient.silence(7_200)
    assert impatient.sent_types.count("input_audio_buffer.timeout_triggered") == 2


def test_a_word_is_enough_to_be_waited_for(impatient):
    impatient.silence(7_000)
    impatient.user_speaks(3_000)
    impatient.silence(200)
    assert "input_audio_buffer.timeout_triggered" not in impatient.sent_types


def test_a_muted_microphone_is_silent_too(impatient):
    impatient.wait(8_100)
    timeout = impatient.sent[0]
    assert timeout["type"] == "input_audio_buffer.timeout_triggered"
    assert 1_200 < timeout["audio_start_ms"] <= timeout["audio_end_ms"] < 1_800  # no part of the question before it
    assert impatient.sent_types[-1] == "response.created"


def test_nobody_is_hurried_before_the_first_answer(talk):
    talk.client("session.update", session={"audio": {"input": {"turn_detection": {"idle_timeout_ms": 6_000}}}})
    talk.silence(20_000)
    assert "input_audio_buffer.timeout_triggered" not in talk.sent_types


def test_instructions_that_are_withdrawn_are_forgotten(talk):
    talk.client("session.update", session={"instructions": "Be brief."})
    typed(talk, "hello")
    talk.client("session.update", session={"instructions": None})
    talk.forget()
    talk.client("response.create")
    assert talk.told[:-1] == [Forget(), AddText("user", "hello")]


# --- turns that the client ends -------------------------------------------------------------------------------------


def test_push_to_talk():
    talk = manual()
    talk.user_speaks(1_500)
    assert talk.did == []
    talk.client("input_audio_buffer.commit")
    assert talk.sent_types == ["input_audio_buffer.committed", "conversation.item.added", "conversation.item.done"]
    talk.client("response.create")
    assert talk.did == [Prefill, Prefill, Answer]
    talk.engine_says("Red.")
    talk.engine_ends()
    assert talk.sent_types[-1] == "response.done"


def test_what_was_said_before_turn_detection_ended_is_no_part_of_the_next_turn(talk):
    talk.silence(1_024)
    talk.client("session.update", session={"audio": {"input": {"turn_detection": None}}})
    talk.user_speaks(512)
    talk.client("input_audio_buffer.commit")
    assert [(chunk.start_ms, chunk.audio.ms) for chunk in talk.fed] == [(1_024, 512)]


def test_what_is_cleared_was_never_said():
    talk = manual()
    talk.user_speaks(1_500)
    talk.client("input_audio_buffer.clear")
    talk.client("input_audio_buffer.commit", event_id="c")
    assert talk.sent_types == ["input_audio_buffer.cleared", "error"]
    assert talk.sent[-1]["error"]["code"] == "input_audio_buffer_commit_empty"
    talk.user_speaks(320)
    talk.client("input_audio_buffer.commit")
    assert [chunk.start_ms for chunk in talk.fed] == [1_472]  # the last whole window began to wait there


def test_a_commit_during_an_answer_waits_for_its_end():
    talk = manual()
    typed(talk, "hello")
    talk.client("response.create")
    talk.user_speaks(500)
    talk.client("input_audio_buffer.commit")
    assert Prefill not in talk.did
    talk.engine_says("Hi.")
    talk.engine_ends()
    assert talk.did[-1] is Prefill


def test_a_long_speech_does_not_wait_for_its_end():
    talk = manual()
    talk.sound(62_100, 0.9, step_ms=1_000)
    assert [chunk.start_ms for chunk in talk.fed] == [0, 1_000]


def test_turns_found_but_not_answered_unasked(talk):
    quiet = {"audio": {"input": {"turn_detection": {"create_response": False}}}}
    talk.client("session.update", session=quiet)
    talk.question_asked()
    talk.question_asked()
    assert Answer not in talk.did
    assert talk.sent_types.count("input_audio_buffer.committed") == 2
    talk.client("response.create")
    assert talk.did[-1] is Answer


def test_commit_ends_a_spoken_turn_at_once(talk):
    talk.user_speaks(1_000)
    talk.client("input_audio_buffer.commit")
    assert talk.phase is Phase.ANSWERING
    talk.silence(2_000)
    assert talk.did == [Prefill, Answer]


# --- when something goes wrong --------------------------------------------------------------------------------------


def test_a_bad_event_is_named_and_the_talk_goes_on(talk):
    talk.client("dance", event_id="d1")
    error = talk.sent[-1]["error"]
    assert (error["code"], error["param"], error["event_id"]) == ("unknown_event_type", "type", "d1")
    talk.question_asked()
    assert talk.phase is Phase.ANSWERING


def test_the_model_fails_while_it_answers(talk):
    talk.answer_begun()
    talk.engine_fails("out of memory", turn=1)
    response = talk.sent[-1]["response"]
    assert response["status"] == "failed"
    assert response["status_details"]["error"]["message"] == "out of memory"
    assert talk.did[-2:] == [StopPlayback, Cancel]
    assert talk.phase is Phase.LISTENING


def test_the_model_fails_while_it_guesses(talk):
    talk.user_speaks(1_000)
    talk.silence(300)
    talk.engine_fails(turn=1)
    assert talk.did[-1] is Rewind
    assert talk.sent_types[1:] == [*USER_ITEM, "error"]
    talk.silence(2_000)
    assert talk.phase is Phase.LISTENING
    talk.question_asked()
    assert talk.phase is Phase.ANSWERING


@pytest.mark.parametrize("speaking_ms", [0, 500])
def test_the_model_fails_while_nobody_or_the_user_speaks(talk, speaking_ms):
    talk.user_speaks(speaking_ms)
    talk.engine_fails("the checkpoint is gone")
    assert talk.sent[-1]["error"]["message"] == "the checkpoint is gone"
    assert talk.phase is Phase.LISTENING


@pytest.mark.parametrize(
    ("scene", "ending"),
    [
        (lambda talk: talk.silence(100), []),
        (lambda talk: talk.user_speaks(500), []),
        (lambda talk: (talk.user_speaks(1_000), talk.silence(300)), [Rewind]),
        (lambda talk: talk.answer_begun(), [Cancel]),
        (lambda talk: (talk.answer_begun(), talk.user_speaks(100)), [Cut]),
    ],
    ids=["listening", "hearing", "guessing", "answering", "interrupted"],
)
def test_hanging_up(talk, scene, ending):
    scene(talk)
    talk.forget()
    talk.hang_up()
    assert talk.did == [*ending, Close]
    assert talk.sent == []
    talk.question_asked()
    talk.client("dance")
    assert talk.sent == []
    assert talk.phase is Phase.CLOSED


def test_raw_audio_is_for_the_driver(talk):
    with pytest.raises(LocalError, match="takes no AudioAppend"):
        talk.session.receive(AudioAppend(b""), 0)


def test_what_becomes_of_a_long_conversation_is_told_to_the_model_when_it_changes():
    talk = Simulation()
    for truncation in ("auto", "disabled", "disabled", {"type": "retention_ratio", "retention_ratio": 0.8}, None):
        talk.client("session.update", session={"truncation": truncation})
    assert talk.told == [Truncate(forgets=False), Truncate(0.8), Truncate()]
