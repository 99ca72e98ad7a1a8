"""What a client sends, well and badly."""

import base64
import json

import numpy as np
import pytest
from simulate import MEDIA, picture

from vivavoce.realtime import wire
from vivavoce.realtime.events import (
    AudioAppend,
    AudioCommit,
    ImageAppend,
    ItemCreate,
    ItemTruncate,
    Refused,
    ResponseCreate,
    Usage,
)


def decode(**event):
    return wire.decode(json.dumps(event), MEDIA)


def b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def test_audio_arrives_as_bytes():
    assert decode(type="input_audio_buffer.append", audio=b64(b"\x01\x02\x03\x04")) == AudioAppend(b"\x01\x02\x03\x04")


def test_event_ids_are_kept():
    assert decode(type="input_audio_buffer.commit", event_id="e7") == AudioCommit("e7")
    assert decode(type="response.create", event_id="e8") == ResponseCreate({}, "e8")


@pytest.mark.parametrize("image", [picture(7), "data:image/jpeg;base64," + picture(7)])
def test_a_camera_frame_bare_or_as_data_uri(image):
    event = decode(type="input_image_buffer.append", image=image, timestamp_ms=40, source="screen")
    assert isinstance(event, ImageAppend)
    assert event.rgb[0, 0, 0] == 7
    assert (event.timestamp_ms, event.source) == (40, "screen")


def test_the_other_name_for_a_camera_frame():
    event = decode(type="input_audio_buffer.append_video_frame", video_frame=picture(7))
    assert isinstance(event, ImageAppend) and event.source == "camera"


def test_camera_frames_beside_the_sound_of_their_time():
    """As clients of vLLM-Omni send them."""
    event = decode(type="input_audio_buffer.append", audio=b64(bytes(4)), video_frames=[picture(7), picture(8)])
    assert isinstance(event, AudioAppend) and event.data == bytes(4)
    assert [rgb[0, 0, 0] for rgb in event.pictures] == [7, 8]
    refused = decode(type="input_audio_buffer.append", audio=b64(bytes(4)), video_frames=[picture(7), "aGVsbG8="])
    assert isinstance(refused, Refused) and refused.param == "video_frames[1]"


def test_an_item_with_pictures():
    content = [{"type": "input_text", "text": "what is this?"}, {"type": "input_image", "image_url": picture(9)}]
    event = decode(type="conversation.item.create", item={"type": "message", "role": "user", "content": content})
    assert isinstance(event, ItemCreate)
    assert [rgb[0, 0, 0] for rgb in event.pictures] == [9]
    assert "image_url" not in json.dumps(event.item)


def test_truncate():
    event = decode(type="conversation.item.truncate", item_id="item_1", content_index=0, audio_end_ms=1500)
    assert event == ItemTruncate("item_1", 1500, 0)


BAD = {
    "not JSON": ("{", "invalid_json", "not JSON"),
    "not an object": ("[1]", "invalid_json", "holds a list, expected an object"),
    "NaN": ('{"type":"session.update","session":{"x":NaN}}', "invalid_json", "NaN is no JSON value"),
    "a bottomless pit": ("[" * 100_000, "invalid_json", "not JSON"),
    "deep": ('{"type":"session.update","session":' + '{"a":' * 90 + "1" + "}" * 91, "invalid_json", "64 levels"),
    "no type": ('{"audio":""}', "missing_required_parameter", "type is missing"),
    "a type of another type": ('{"type":3}', "invalid_value", "type is 3, expected a string"),
    "unknown type": ('{"type":"dance"}', "unknown_event_type", "'dance'"),
    "bad base64": ('{"type":"input_audio_buffer.append","audio":"a b"}', "invalid_base64", "audio is not base64"),
    "odd PCM": (
        '{"type":"input_audio_buffer.append","audio":"AAAA"}',
        "invalid_audio",
        "3 bytes, expected whole samples",
    ),
    "no audio": ('{"type":"input_audio_buffer.append"}', "missing_required_parameter", "audio is missing"),
    "no picture": (
        '{"type":"input_image_buffer.append","image":"AAAA"}',
        "invalid_image",
        "3 bytes that are no picture",
    ),
    "a link": ('{"type":"input_image_buffer.append","image":"https://x/y.png"}', "invalid_image", "is a link"),
    "no session": ('{"type":"session.update","session":[]}', "invalid_value", "session is [], expected an object"),
    "a negative end": (
        '{"type":"conversation.item.truncate","item_id":"a","audio_end_ms":-1}',
        "invalid_value",
        "audio_end_ms is -1",
    ),
    "an endless end": (
        '{"type":"conversation.item.truncate","item_id":"a","audio_end_ms":1e999}',
        "invalid_value",
        "inf",
    ),
}


@pytest.mark.parametrize(("text", "code", "words"), BAD.values(), ids=BAD.keys())
def test_bad_input_is_refused_by_name(text, code, words):
    event = wire.decode(text, MEDIA)
    assert isinstance(event, Refused)
    assert event.code == code
    assert words in event.message


def test_a_binary_frame_is_refused():
    refused = wire.decode(b"\x00\x01", MEDIA)
    assert refused.message == "a binary frame of 2 bytes, expected a text frame with JSON"


def test_a_refusal_echoes_the_event_id():
    assert decode(type="dance", event_id="e9").event_id == "e9"
    assert wire.error(Refused("c", "m", "p", "e9"))["error"] == {
        "type": "invalid_request_error",
        "code": "c",
        "message": "m",
        "param": "p",
        "event_id": "e9",
    }


def test_a_picture_that_is_none_names_its_place():
    content = [{"type": "input_text", "text": "look"}, {"type": "input_image", "image_url": "AAAA"}]
    event = decode(type="conversation.item.create", item={"role": "user", "content": content})
    assert event.param == "item.content[1].image_url"


def test_pcm_is_clipped_not_wrapped():
    pcm = np.array([0.0, 0.5, 1.0, -1.0, 2.0, -2.0], np.float32)
    sent = np.frombuffer(wire.Pcm16().push(pcm), "<i2")
    assert sent.tolist() == [0, 16384, 32767, -32768, 32767, -32768]


def test_usage_adds_up():
    usage = wire.usage(Usage(1, 20, 300, 4, 50))
    assert (usage["input_tokens"], usage["output_tokens"], usage["total_tokens"]) == (321, 54, 375)
    assert usage["input_token_details"]["image_tokens"] == 300
