"""Whatever a client sends: an answer or an `error`, never an exception, and the conversation goes on."""

import base64
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from simulate import MEDIA, Simulation, picture, speech

from vivavoce.realtime import beta, wire
from vivavoce.realtime.extensions import GROUPS
from vivavoce.realtime.fields import FIELDS

WORDS = st.sampled_from(
    [
        *("", "auto", "none", "root", "audio", "text", "user", "assistant", "system", "message", "item_reference"),
        *("function_call", "function_call_output", "input_text", "input_audio", "input_image", "output_text"),
        *("output_audio", "server_vad", "semantic_vad", "low", "audio/pcm", "audio/pcmu", "g711_ulaw", "inf", "a"),
        *("disabled", "retention_ratio", "only_activity", "screen", "high", "item.frames.image", *GROUPS),
        *(picture(3), speech(20), base64.b64encode(b"abc").decode(), "a\ud800b"),
    ]
)
NAMES = st.sampled_from(
    [
        *("type", "id", "role", "content", "text", "audio", "transcript", "image_url", "name", "call_id", "arguments"),
        *("output", "input", "format", "rate", "voice", "speed", "turn_detection", "threshold", "eagerness"),
        *("idle_timeout_ms", "transcription", "noise_reduction", "model", "metadata", "conversation", "instructions"),
        *("max_output_tokens", "audio_end_ms", "content_index", "previous_item_id", "item_id", "response_id"),
        *("video", "fps", "response_fps", "detail", "turn_coverage", "max_frames", "include", "source", "timestamp_ms"),
        *("retention_ratio", "token_limits", "post_instructions"),
        *(*FIELDS, *beta.FIELDS.values()),
    ]
)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 10_000) | st.floats(allow_nan=False) | WORDS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=5),
    max_leaves=12,
)
BODIES = st.dictionaries(st.sampled_from(["session", "item", "response"]) | NAMES, VALUES, max_size=6)
EVENTS = st.builds(lambda kind, body: {**body, "type": kind}, st.sampled_from(sorted(wire.PARSERS)), BODIES)


@pytest.mark.parametrize("translate", [lambda raw: raw, beta.to_ga], ids=["GA", "beta"])
@settings(max_examples=100)
@given(events=st.lists(EVENTS, max_size=6))
def test_nothing_a_client_sends_breaks_a_session(translate, events):
    talk = Simulation()
    for event in events:
        if event["type"] == "input_audio_buffer.append":
            continue  # the driver's
        before = len(talk.sent)
        talk.give(wire.decode(json.dumps(event), MEDIA, translate))
        for told in talk.sent[before:]:
            json.dumps(beta.from_ga(told))
    talk.client("session.update", session={})
    assert talk.sent_types[-1] == "session.updated"
