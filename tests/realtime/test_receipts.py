"""Visual receipts: which frames the model saw for an item."""

import base64
from dataclasses import replace

import numpy as np
import pytest
from simulate import Simulation, picture

from vivavoce.codecs.media import VideoFrame
from vivavoce.realtime import wire
from vivavoce.realtime.actions import Prefill
from vivavoce.realtime.config import SessionConfig
from vivavoce.realtime.errors import LocalError
from vivavoce.realtime.events import FrameIn, ItemRetrieve
from vivavoce.realtime.receipts import Receipt, listed, pictured
from vivavoce.realtime.session import Session

IMAGES = ["item.frames.image"]


def asked(talk: Simulation, item_id: str, **fields: object) -> dict:
    talk.client("conversation.item.retrieve", item_id=item_id, **fields)
    return talk.sent[-1]["item"]


def shades(item: dict) -> list[int | None]:
    """Of the pictures that came, None where none did."""
    heads = [entry.get("image", "").partition("base64,")[2] for entry in item["frames"]]
    return [int(base64.b64decode(head).removeprefix(b"picture")) if head else None for head in heads]


def film(talk: Simulation, count: int, first: int = 0) -> None:
    """Frames of different shades, two a second, while the user speaks."""
    for number in range(first, first + count):
        talk.camera(number, timestamp_ms=1_000_000 + number)
        talk.user_speaks(500)


def spoken_item(talk: Simulation) -> str:
    return talk.events("input_audio_buffer.committed")[-1]["item_id"]


def test_a_spoken_turn_names_its_frames() -> None:
    talk = Simulation()
    talk.silence(960)
    talk.camera(7)  # from before the words
    talk.silence(2_000)
    talk.user_speaks(300)
    talk.camera(8, source="screen", timestamp_ms=70_000)
    talk.question_asked()
    item = asked(talk, spoken_item(talk))
    assert item["frames"] == [
        {"timestamp_ms": 960, "audio_ms": 960, "source": "camera", "width": 3, "height": 2},
        {"timestamp_ms": 70_000, "audio_ms": 3_260, "source": "screen", "width": 3, "height": 2},
    ]
    assert item["frames_left_out"] == 0
    assert "images_left_out" not in item


def test_they_are_those_that_the_model_was_given_and_no_others() -> None:
    talk = Simulation()
    for shade in range(40):
        talk.camera(shade)
        talk.user_speaks(60)
    talk.silence(700)
    fed = [frame for portion in talk.fed for frame in portion.frames]
    item = asked(talk, spoken_item(talk), include=IMAGES)
    assert [entry["audio_ms"] for entry in item["frames"]] == [frame.at_ms for frame in fed]
    assert shades(item) == [frame.rgb[0, 0, 0] for frame in fed]
    assert 4 <= len(fed) < 10, "of forty"


def test_a_turn_without_a_camera_has_nothing_to_tell() -> None:
    talk = Simulation()
    talk.question_asked()
    assert asked(talk, spoken_item(talk)).keys() == {"id", "object", "type", "status", "role", "content"}


def test_frames_of_one_turn_are_not_the_next_one_s() -> None:
    talk = Simulation()
    film(talk, 2)
    talk.silence(700)
    first = spoken_item(talk)
    talk.engine_ends()
    film(talk, 3, first=100)
    talk.silence(700)
    assert shades(asked(talk, first, include=IMAGES)) == [0, 1]
    assert shades(asked(talk, spoken_item(talk), include=IMAGES)) == [100, 101, 102]


def test_a_written_question_names_what_the_camera_showed_and_not_its_own_picture() -> None:
    talk = Simulation()
    talk.camera(9, timestamp_ms=5)
    words = {"type": "input_text", "text": "what is this?"}
    talk.client("conversation.item.create", item={"id": "plain", "role": "user", "content": [words]})
    shown = {"type": "input_image", "image_url": picture(4)}
    talk.client("conversation.item.create", item={"id": "own", "role": "user", "content": [words, shown]})
    assert asked(talk, "plain")["frames"][0]["timestamp_ms"] == 5
    assert shades(asked(talk, "plain", include=IMAGES)) == [9]
    assert "frames" not in asked(talk, "own")


def test_a_turn_ended_by_hand_has_its_frames_too() -> None:
    talk = Simulation()
    talk.client("session.update", session={"audio": {"input": {"turn_detection": None}}})
    film(talk, 3)
    talk.client("input_audio_buffer.commit")
    assert shades(asked(talk, spoken_item(talk), include=IMAGES)) == [0, 1, 2]


def test_what_is_deleted_is_gone() -> None:
    talk = Simulation()
    film(talk, 2)
    talk.silence(700)
    item_id = spoken_item(talk)
    talk.client("conversation.item.delete", item_id=item_id)
    assert talk.session._floor.briefing.ledger.seen(item_id) == []


def test_pictures_beyond_the_budget_go_and_their_receipts_stay() -> None:
    talk = Simulation(SessionConfig(kept_bytes=100_000))  # three seconds of sound as float32 are 192 000
    film(talk, 2)
    talk.silence(700)
    first = spoken_item(talk)
    talk.engine_ends()
    film(talk, 6, first=100)
    talk.silence(700)
    item = asked(talk, first, include=IMAGES)
    assert [entry["timestamp_ms"] for entry in item["frames"]] == [1_000_000, 1_000_001]
    assert (shades(item), item["images_left_out"]) == ([None, None], 2)


def test_of_a_long_turn_the_newest_pictures_are_shown() -> None:
    talk = Simulation(SessionConfig(receipt_images=3))
    film(talk, 8)
    talk.silence(700)
    item = asked(talk, spoken_item(talk), include=IMAGES)
    assert (shades(item), item["images_left_out"]) == ([None] * 5 + [5, 6, 7], 5)


def test_no_receipt_is_larger_than_a_mebibyte() -> None:
    """R22: even of an hour of frames, whose pictures are large."""
    frame = VideoFrame(np.zeros((720, 1280, 3), np.uint8), 10**7, "camera", stamp_ms=2**53 - 1)
    receipts, config = [Receipt.of(frame)] * 7_200, SessionConfig()
    most = (config.receipt_frames, config.receipt_images, config.receipt_characters)
    told = pictured(receipts, *most, lambda rgb: bytes(90_000))
    assert len(wire.encode(told)) < 2**20
    assert (len(told["frames"]), told["frames_left_out"]) == (1_000, 6_200)
    assert sum("image" in entry for entry in told["frames"]) == 1_000 - told["images_left_out"] == 4
    assert "image" in told["frames"][-1] and "images_left_out" not in listed(receipts, 3)


def test_an_inclusion_that_there_is_none_of_is_refused_by_name() -> None:
    talk = Simulation()
    talk.client("conversation.item.retrieve", item_id="x", include=["item.logprobs"], event_id="e1")
    error = talk.sent[-1]["error"]
    assert error["message"] == "include[0] is 'item.logprobs', expected 'item.frames.image'"
    assert (error["param"], error["event_id"]) == ("include[0]", "e1")
    talk.client("conversation.item.retrieve", item_id="x", include="all")
    assert talk.sent[-1]["error"]["param"] == "include"


def test_who_can_draw_nothing_says_so() -> None:
    session = Session(SessionConfig(), "s")
    receipt = Receipt.of(VideoFrame(np.zeros((2, 3, 3), np.uint8), 0))
    assert replace(receipt, rgb=None).whole() == receipt.whole()
    with pytest.raises(LocalError, match="JPEG"):
        session._receipts([receipt], with_images=True)
    session.receive(ItemRetrieve("nobody", with_images=True), 0)


def test_a_track_s_frames_have_the_time_of_the_sound() -> None:
    talk = Simulation()
    talk.user_speaks(1_000)
    talk.give(FrameIn(VideoFrame(np.zeros((2, 3, 3), np.uint8), 1_000)))
    talk.user_speaks(300)
    talk.silence(700)
    assert asked(talk, spoken_item(talk))["frames"][0]["timestamp_ms"] == 1_000
    assert [frame.at_ms for action in talk.told if isinstance(action, Prefill) for frame in action.chunk.frames] == [
        1_000
    ]
