"""The session object: merged, checked, echoed."""

import pytest

from vivavoce.realtime.actions import Truncate
from vivavoce.realtime.config import SessionConfig
from vivavoce.realtime.errors import ClientError
from vivavoce.realtime.settings import Settings


@pytest.fixture
def settings() -> Settings:
    return Settings(SessionConfig(), "sess_1")


def detection(**value):
    return {"audio": {"input": {"turn_detection": value}}}


def test_an_update_is_partial(settings):
    settings.update(detection(threshold=0.8))
    assert settings.turn_detection == {
        "type": "server_vad",
        "threshold": 0.8,
        "prefix_padding_ms": 300,
        "silence_duration_ms": None,
        "idle_timeout_ms": None,
        "create_response": True,
        "interrupt_response": True,
    }


def test_null_clears_and_a_new_object_starts_again(settings):
    settings.update({"audio": {"input": {"turn_detection": None, "transcription": {"model": "m", "delay": 3}}}})
    assert settings.vad() is None
    assert settings.echo()["audio"]["input"]["transcription"] == {"model": "m"}  # R8
    settings.update(detection(type="server_vad", silence_duration_ms=200))
    assert (settings.vad().pause_ms, settings.vad().end_ms) == (200, 200)


def test_a_silence_that_the_client_has_set_stands_until_it_takes_it_back(settings):
    assert settings.silence_ms is None
    settings.update(detection(silence_duration_ms=500))
    settings.update(detection(threshold=0.7))
    assert (settings.silence_ms, settings.vad().end_ms) == (500, 500)
    settings.update(detection(silence_duration_ms=None))
    assert (settings.silence_ms, settings.vad().end_ms) == (None, 600)


def test_eagerness_is_a_price_and_a_limit(settings):
    assert settings.eagerness is None
    settings.update(detection(type="semantic_vad", eagerness="low"))
    dear, longest_ms = settings.eagerness
    assert (dear, longest_ms, settings.silence_ms) == (4.0, 8_000, None)


def test_null_is_off_or_what_it_was_at_first(settings):
    before = settings.echo()
    settings.update(
        {
            "instructions": "Be brief.",
            "output_modalities": ["text"],
            "tools": [{"type": "function", "name": "dance"}],
            "tool_choice": "none",
            "max_output_tokens": 7,
            "tracing": "auto",
            "audio": {"input": {"noise_reduction": {"type": "far_field"}, "transcription": {"model": "any"}}},
        }
    )
    assert settings.echo() != before
    whole = ("instructions", "output_modalities", "tools", "tool_choice", "max_output_tokens", "tracing")
    off = {"noise_reduction": None, "transcription": None}
    settings.update({**dict.fromkeys(whole), "audio": {"input": off}})
    assert settings.echo() == before


def test_every_object_is_merged_key_by_key(settings):
    settings.update(detection(silence_duration_ms=900, create_response=False))
    settings.update(detection(threshold=0.7))
    settings.update({"audio": {"input": {"transcription": {"model": "a", "language": "de"}}}})
    settings.update({"audio": {"input": {"transcription": {"model": "b"}, "noise_reduction": {"type": "near_field"}}}})
    settings.update({"audio": {"input": {"noise_reduction": {"strength": 0.5}}, "output": {"voice": "marin"}}})
    told = settings.echo()["audio"]["input"]
    assert (told["turn_detection"]["silence_duration_ms"], told["turn_detection"]["threshold"]) == (900, 0.7)
    assert told["turn_detection"]["create_response"] is False
    assert told["transcription"] == {"model": "b", "language": "de"}
    assert told["noise_reduction"] == {"type": "near_field", "strength": 0.5}


def test_a_client_may_send_back_the_whole_session(settings):
    settings.update(settings.echo())
    assert settings.echo() == Settings(SessionConfig(), "sess_1").echo()


def test_the_model_keeps_the_name_it_was_first_called_by():
    connected = Settings(SessionConfig(alias="gpt-realtime"), "sess_1")
    for name in ("gpt-realtime", "kitten"):
        connected.update({"model": name})
    with pytest.raises(ClientError, match="'gpt-live', expected 'gpt-realtime': the model cannot change") as caught:
        connected.update({"model": "gpt-live"})
    assert caught.value.param == "session.model"


def test_a_client_that_was_told_only_the_address_may_call_the_model_what_it_calls_all_models():
    """@openai/agents-realtime and openai-agents do, in their first update, wherever the address leads."""
    connected = Settings(SessionConfig(alias="kitten"), "sess_1")
    connected.update({"model": "gpt-realtime-2.1", "instructions": "Be brief."})
    assert connected.instructions == "Be brief."
    assert connected.echo()["model"] == "kitten"
    with pytest.raises(ClientError, match="the model cannot change"):
        connected.update({"model": "gpt-live"})


def test_a_voice_that_has_been_heard_stays(settings):
    settings.update({"audio": {"output": {"voice": "marin"}}})
    settings.update({"audio": {"output": {"voice": "marin"}}}, spoken=True)
    with pytest.raises(ClientError) as caught:
        settings.update({"audio": {"output": {"voice": "cedar"}}}, spoken=True)
    assert (caught.value.code, caught.value.param) == ("cannot_update_voice", "session.audio.output.voice")
    assert settings.output_audio["voice"] == "marin"


def test_a_voice_is_one_of_the_model_s_or_bears_a_standard_name():
    settings = Settings(SessionConfig(voices=("nora", "hugo")), "sess_1")
    assert settings.output_audio["voice"] == "nora"
    for name in ("hugo", "alloy", "nora"):
        settings.update({"audio": {"output": {"voice": name}}})
        assert settings.output_audio["voice"] == name, "a client reads back what it asked for"
    with pytest.raises(ClientError, match="is 'rex', expected 'nora' or 'hugo'") as caught:
        settings.update({"audio": {"output": {"voice": "rex"}}})
    assert caught.value.param == "session.audio.output.voice"
    assert settings.output_audio["voice"] == "nora"


def test_a_standard_name_stands_for_the_first_voice_unless_a_voice_is_called_so():
    assert SessionConfig(voices=("nora", "hugo")).voice_of("marin") == "nora"
    assert SessionConfig(voices=("nora", "marin")).voice_of("marin") == "marin"
    assert SessionConfig(voices=("nora", "hugo")).voice_of("rex") is None


@pytest.mark.parametrize(("eagerness", "end_ms"), [("low", 1_200), ("auto", 600), ("high", 400)])
def test_semantic_vad_is_patience(settings, eagerness, end_ms):
    settings.update(detection(type="semantic_vad", eagerness=eagerness))
    assert settings.vad().end_ms == end_ms
    assert settings.turn_detection["interrupt_response"] is True  # R14
    assert "threshold" not in settings.turn_detection


def test_what_stock_clients_ask_for_is_accepted(settings):  # R12
    settings.update(
        {
            "type": "realtime",
            "model": "gpt-realtime",
            "output_modalities": ["audio"],
            "instructions": None,
            "tracing": None,
            "max_output_tokens": "inf",
            "tool_choice": "auto",
            "tools": [],
            "video": {"input": {"fps": 2, "representation_compact": True}},
            "audio": {
                "input": {
                    "format": {"type": "audio/pcm", "rate": 24000},
                    "noise_reduction": {"type": "near_field"},
                    "transcription": {"model": "gpt-4o-mini-transcribe"},
                    "turn_detection": {"type": "semantic_vad"},
                },
                "output": {"voice": {"id": "marin"}, "speed": 1, "format": {"type": "audio/pcm"}},
            },
        }
    )
    echo = settings.echo()
    assert echo["model"] == "kitten"
    assert echo["audio"]["output"]["voice"] == "marin"  # R6
    assert echo["video"]["input"]["fps"] == 2
    assert "representation_compact" not in echo["video"]["input"]


def retention(ratio, **limits):
    return {"truncation": {"type": "retention_ratio", "retention_ratio": ratio, "token_limits": limits}}


@pytest.mark.parametrize(
    ("wanted", "told", "meant"),
    [
        ({"truncation": "disabled"}, "disabled", Truncate(forgets=False)),
        ({"truncation": "auto"}, "auto", Truncate()),
        ({"truncation": None}, "auto", Truncate()),
        (retention(0.8), {"type": "retention_ratio", "retention_ratio": 0.8}, Truncate(0.8)),
        (retention(1, post_instructions=900), retention(1.0, post_instructions=900)["truncation"], Truncate(1.0, 900)),
    ],
)
def test_how_much_of_a_long_conversation_stays(settings, wanted, told, meant):
    settings.update({"truncation": "disabled"})
    settings.update(wanted)
    assert settings.echo()["truncation"] == told
    assert settings.truncation == meant


@pytest.mark.parametrize(
    ("wanted", "param"),
    [
        ({"type": "transcription"}, "session.type"),
        ({"output_modalities": ["audio", "text"]}, "session.output_modalities"),
        ({"model": 3}, "session.model"),
        ({"tools": [{"type": "mcp", "server_label": "x"}]}, "session.tools[0].type"),
        ({"tools": [{"type": "function"}]}, "session.tools[0].name"),
        ({"tools": "all"}, "session.tools"),
        ({"tool_choice": "sometimes"}, "session.tool_choice"),
        ({"tool_choice": {"type": "function"}}, "session.tool_choice.name"),
        ({"parallel_tool_calls": "yes"}, "session.parallel_tool_calls"),
        ({"reasoning": {"effort": "enormous"}}, "session.reasoning.effort"),
        ({"truncation": "often"}, "session.truncation"),
        ({"truncation": {"type": "summary"}}, "session.truncation.type"),
        ({"truncation": {"type": "retention_ratio"}}, "session.truncation.retention_ratio"),
        (retention(1.5), "session.truncation.retention_ratio"),
        (retention(0.5, post_instructions=-1), "session.truncation.token_limits.post_instructions"),
        (retention(0.5, post_instructions="few"), "session.truncation.token_limits.post_instructions"),
        ({"tracing": 3}, "session.tracing"),
        ({"prompt": {"id": "pmpt_1"}}, "session.prompt"),
        ({"include": ["item.input_audio_transcription.logprobs"]}, "session.include"),
        ({"audio": {"input": {"noise_reduction": {"type": "loud"}}}}, "session.audio.input.noise_reduction.type"),
        ({"audio": {"output": {"speed": 1.2}}}, "session.audio.output.speed"),
        ({"max_output_tokens": 0}, "session.max_output_tokens"),
        ({"max_output_tokens": True}, "session.max_output_tokens"),
        ({"instructions": 3}, "session.instructions"),
        ({"audio": 3}, "session.audio"),
        ({"audio": {"input": {"format": {"type": "audio/opus"}}}}, "session.audio.input.format.type"),
        ({"audio": {"input": {"format": {"type": "audio/pcmu", "rate": 16000}}}}, "session.audio.input.format.rate"),
        ({"audio": {"output": {"format": {"type": "audio/pcm", "rate": 16000}}}}, "session.audio.output.format.rate"),
        ({"audio": {"output": {"voice": 3}}}, "session.audio.output.voice"),
        ({"audio": {"output": {"speed": 9}}}, "session.audio.output.speed"),
        ({"video": {"input": {"max_frames": float("inf")}}}, "session.video.input.max_frames"),
        (detection(type="clairvoyance"), "session.audio.input.turn_detection.type"),
        (detection(threshold=7), "session.audio.input.turn_detection.threshold"),
        (detection(silence_duration_ms="long"), "session.audio.input.turn_detection.silence_duration_ms"),
        (detection(idle_timeout_ms=4_000), "session.audio.input.turn_detection.idle_timeout_ms"),
        (
            detection(type="semantic_vad", idle_timeout_ms=6_000),
            "session.audio.input.turn_detection.idle_timeout_ms",
        ),
        (detection(create_response=1), "session.audio.input.turn_detection.create_response"),
        (detection(type="semantic_vad", eagerness=[]), "session.audio.input.turn_detection.eagerness"),
    ],
)
def test_what_cannot_be_honoured_is_named_and_changes_nothing(settings, wanted, param):
    before = settings.echo()
    with pytest.raises(ClientError) as caught:
        settings.update({"instructions": "new", **wanted})
    assert caught.value.param == param
    assert param in caught.value.message
    assert settings.echo() == before
