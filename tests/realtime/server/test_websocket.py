"""Conversations over a real WebSocket on the loopback, with a model that has learned its part by heart."""

import asyncio
import base64
import io
import socket
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import numpy as np
import pytest
from caller import SILENCE, Caller, call, server
from PIL import Image
from scripted_host import QUESTION, WORDS, ScriptedHost, tone
from starlette.applications import Starlette
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from vivavoce.codecs.formats import FORMATS, Decoder
from vivavoce.codecs.pcm import float_to_pcm16, pcm16_to_float, resample
from vivavoce.model.messages import AddImage, Answer, Close, Listen
from vivavoce.realtime.config import SessionConfig
from vivavoce.realtime.events import AudioAppend, AudioCommit, ImageAppend
from vivavoce.realtime.server import websocket
from vivavoce.realtime.server.app import create_app
from vivavoce.realtime.server.local import LocalModel
from vivavoce.realtime.server.serving import address, bind, make_server, running
from vivavoce.realtime.server.websocket import SocketOutlet, portions
from vivavoce.realtime.server.worker import Worker


@asynccontextmanager
async def connect_after(app: Starlette, listener: socket.socket) -> AsyncIterator[Caller]:
    """A caller whose server has been told to end, as by SIGTERM."""
    serving = make_server(app)
    task = asyncio.create_task(serving.serve(sockets=[listener]))
    try:
        async with call(address(listener)) as caller:
            serving.should_exit = True
            yield caller
    finally:
        await asyncio.wait_for(task, 10)


def red_circle() -> str:
    data = io.BytesIO()
    Image.new("RGB", (64, 48), (220, 20, 20)).save(data, "JPEG")
    return base64.b64encode(data.getvalue()).decode()


async def ask_and_hear(caller: Caller, wire_question: np.ndarray) -> None:
    await caller.say(wire_question)
    await caller.say(SILENCE)
    await caller.expect("response.done")


async def test_a_spoken_question_is_answered_aloud(wire_question: np.ndarray) -> None:
    host = ScriptedHost()
    async with server(LocalModel(host)) as where, call(where) as caller:
        wants = {"type": "realtime", "audio": {"input": {"transcription": {"model": "any"}}}}
        await caller.send("session.update", session=wants)
        await caller.expect("session.updated")
        await ask_and_hear(caller, wire_question)
    kinds = caller.kinds()
    landmarks = [
        "input_audio_buffer.speech_started",
        "input_audio_buffer.speech_stopped",
        "input_audio_buffer.committed",
        "response.created",
        "response.output_item.added",
        "response.output_audio.delta",
        "response.output_audio.done",
        "response.done",
    ]
    assert [kind for kind in kinds if kind in landmarks] == sorted(
        (kind for kind in kinds if kind in landmarks), key=landmarks.index
    )
    assert set(landmarks) <= set(kinds)
    transcripts = [event["transcript"] for event in caller.heard if event["type"].endswith("transcription.completed")]
    assert transcripts == [QUESTION]
    words = [e["delta"] for e in caller.heard if e["type"] == "response.output_audio_transcript.delta"]
    assert "".join(words) == "".join(WORDS)
    sound = b"".join(base64.b64decode(e["delta"]) for e in caller.heard if e["type"] == "response.output_audio.delta")
    assert pcm16_to_float(sound) == pytest.approx(np.tile(tone(), len(WORDS)), abs=1e-4)
    assert host.heard_ms() == pytest.approx(1_210 + 300, abs=700), "the question with some silence around it"


async def test_what_the_camera_shows_reaches_the_model_with_the_words(wire_question: np.ndarray) -> None:
    host = ScriptedHost()
    async with server(LocalModel(host)) as where, call(where) as caller:
        await caller.send("input_image_buffer.append", image=red_circle(), timestamp_ms=0)
        await ask_and_hear(caller, wire_question)
    frames = [frame for request in host.asked(caller.session["id"], Listen) for frame in request.chunk.frames]
    assert len(frames) == 1
    assert frames[0].rgb.shape == (48, 64, 3)
    assert frames[0].rgb[..., 0].mean() > 200


async def test_what_the_model_saw_can_be_looked_at_again(wire_question: np.ndarray) -> None:
    async with server(LocalModel(ScriptedHost())) as where, call(where) as caller:
        await caller.send("input_image_buffer.append", image=red_circle(), timestamp_ms=77)
        await ask_and_hear(caller, wire_question)
        (committed,) = [event for event in caller.heard if event["type"] == "input_audio_buffer.committed"]
        include = ["item.frames.image"]
        await caller.send("conversation.item.retrieve", item_id=committed["item_id"], include=include)
        (frame,) = (await caller.expect("conversation.item.retrieved"))["item"]["frames"]
    assert (frame["timestamp_ms"], frame["source"], frame["width"], frame["height"]) == (77, "camera", 64, 48)
    jpeg = base64.b64decode(frame["image"].removeprefix("data:image/jpeg;base64,"))
    assert np.asarray(Image.open(io.BytesIO(jpeg)))[..., 0].mean() > 200


async def test_a_written_question_with_a_picture_is_answered() -> None:
    host = ScriptedHost()
    async with server(LocalModel(host)) as where, call(where) as caller:
        picture = {"type": "input_image", "image_url": f"data:image/jpeg;base64,{red_circle()}"}
        content = [picture, {"type": "input_text", "text": "what is it?"}]
        await caller.send("conversation.item.create", item={"type": "message", "role": "user", "content": content})
        await caller.send("response.create")
        await caller.expect("response.done")
    assert len(host.asked(caller.session["id"], AddImage)) == 1


async def test_push_to_talk_reaches_the_model_to_its_last_sample(wire_question: np.ndarray) -> None:
    host = ScriptedHost()
    async with server(LocalModel(host)) as where, call(where) as caller:
        await caller.send("session.update", session={"type": "realtime", "audio": {"input": {"turn_detection": None}}})
        await caller.say(wire_question)
        await caller.send("input_audio_buffer.commit")
        await caller.send("response.create")
        await caller.expect("response.done")
    assert 0 <= host.heard_ms() - len(wire_question) // 24 < 64


async def test_a_session_has_an_end_that_is_announced() -> None:
    config = SessionConfig(model="script", max_session_ms=600, going_away_ms=400)
    before = int(time.time())
    async with server(LocalModel(ScriptedHost()), config=config) as where, call(where) as caller:
        assert before <= caller.session["expires_at"] <= int(time.time())
        await caller.send("session.update", session={"type": "realtime", "extensions": ["session.going_away"]})
        assert 0 < (await caller.expect("session.going_away"))["time_left_ms"] <= 400
        error = await caller.error()
        with pytest.raises(ConnectionClosed) as closed:
            await caller.expect("nothing more")
    assert error["code"] == "session_expired"
    assert closed.value.rcvd is not None
    assert (closed.value.rcvd.code, closed.value.rcvd.reason) == (1001, "the session has expired")


async def test_a_server_that_ends_says_goodbye_first() -> None:
    listener = bind("127.0.0.1", 0)
    host = ScriptedHost()
    app = create_app(LocalModel(host), SessionConfig(model="script"))
    async with running(app, listener), call(address(listener)) as caller, call(address(listener)) as other:
        await caller.send("session.update", session={"type": "realtime", "extensions": ["session.going_away"]})
        await caller.expect("session.updated")
        ending = asyncio.create_task(app.state.leave())
        assert (await caller.expect("session.going_away"))["time_left_ms"] == 0
        for each in (caller, other):
            with pytest.raises(ConnectionClosed) as closed:
                await each.expect("nothing more")
            assert closed.value.rcvd is not None and closed.value.rcvd.code == 1001
        await asyncio.wait_for(ending, 5)
    assert [event["type"] for event in other.heard] == ["session.created"]
    assert len([request for request in host.requests if isinstance(request, Close)]) == 2


async def test_a_signal_is_a_goodbye_too() -> None:
    listener = bind("127.0.0.1", 0)
    app = create_app(LocalModel(ScriptedHost()), SessionConfig(model="script"))
    async with connect_after(app, listener) as caller:
        with pytest.raises(ConnectionClosed) as closed:
            await caller.expect("nothing more")
    assert closed.value.rcvd is not None
    assert (closed.value.rcvd.code, closed.value.rcvd.reason) == (1001, "the server is shutting down")


@pytest.mark.parametrize("name", ["audio/pcmu", "audio/pcma"])
async def test_a_telephone_is_understood_and_answered_in_its_own_sound(name: str, question: np.ndarray) -> None:
    host, form = ScriptedHost(), FORMATS[name]
    async with server(LocalModel(host)) as where, call(where) as caller:
        telephone = {"input": {"format": {"type": name}}, "output": {"format": {"type": name}}}
        await caller.send("session.update", session={"type": "realtime", "audio": telephone})
        echo = (await caller.expect("session.updated"))["session"]["audio"]
        await caller.say(resample(question, 16_000, form.rate), form)
        await caller.say(np.zeros(form.rate, np.float32), form)
        response = (await caller.expect("response.done"))["response"]
    assert (
        echo["input"]["format"] == echo["output"]["format"] == response["audio"]["output"]["format"] == {"type": name}
    )
    sent = b"".join(base64.b64decode(e["delta"]) for e in caller.heard if e["type"] == "response.output_audio.delta")
    assert len(sent) == 600 * 8
    decoder = Decoder(name, 24_000)
    heard = np.concatenate([decoder.push(sent), decoder.flush()])
    assert heard[1_000:-1_000] == pytest.approx(np.tile(tone(), len(WORDS))[1_000:-1_000], abs=0.02)
    assert host.heard_ms() == pytest.approx(1_210 + 300, abs=700)


async def test_a_recording_is_heard_as_well_as_a_voice(wire_question: np.ndarray) -> None:
    host = ScriptedHost()
    async with server(LocalModel(host)) as where, call(where) as caller:
        audio = base64.b64encode(float_to_pcm16(wire_question)).decode()
        part = {"type": "input_audio", "audio": audio}
        await caller.send("conversation.item.create", item={"type": "message", "role": "user", "content": [part]})
        await caller.send("response.create")
        await caller.expect("response.done")
    assert host.heard_ms() == pytest.approx(len(wire_question) / 24, abs=3)


@pytest.mark.parametrize(
    "how",
    [
        {"additional_headers": {"OpenAI-Beta": "realtime=v1"}},
        {"subprotocols": ["realtime", "openai-insecure-api-key.none", "openai-beta.realtime-v1"]},
    ],
    ids=["header", "browser"],
)
async def test_a_client_of_the_beta_is_answered_in_its_own_words(how: dict[str, Any]) -> None:
    async with server(LocalModel(ScriptedHost())) as where:
        async with connect(f"ws://{where}/v1/realtime?model=script", **how) as socket:
            caller = Caller(socket)
            assert (await caller.expect("session.created"))["session"]["modalities"] == ["text", "audio"]
            await caller.send("session.update", session={"modalities": ["text"], "voice": "alloy"})
            assert (await caller.expect("session.updated"))["session"]["modalities"] == ["text"]
            await caller.write("hello")
            await caller.send("response.create")
            await caller.expect("response.done")
    words = [event["delta"] for event in caller.heard if event["type"] == "response.text.delta"]
    assert "".join(words) == "".join(WORDS)


BAD = {
    "an unknown event type": ('{"type": "dance"}', "dance"),
    "no JSON": ("{hello", "JSON"),
    "no object": ("[1]", "object"),
    "no type": ("{}", "type"),
    "invalid base64": ('{"type": "input_audio_buffer.append", "audio": "*"}', "base64"),
    "half a sample": ('{"type": "input_audio_buffer.append", "audio": "AAAA"}', "3 bytes"),
    "no picture": ('{"type": "input_image_buffer.append", "image": "aGVsbG8="}', "JPEG, PNG, WEBP"),
    "an item without parts": ('{"type": "conversation.item.create", "item": {"role": "user"}}', "content"),
    "a cancel of nothing": ('{"type": "response.cancel"}', "Cancellation failed"),
    "an empty commit": ('{"type": "input_audio_buffer.commit"}', "0 ms"),
    "an item nobody knows": ('{"type": "conversation.item.retrieve", "item_id": "no"}', "'no'"),
}


@pytest.mark.parametrize(("text", "named"), BAD.values(), ids=BAD.keys())
async def test_bad_input_is_named_and_the_conversation_goes_on(text: str, named: str) -> None:
    async with server(LocalModel(ScriptedHost())) as where, call(where) as caller:
        await caller.socket.send(text)
        assert named in (await caller.error())["message"]
        await caller.send("session.update", session={"type": "realtime", "instructions": "be brief"})
        assert (await caller.expect("session.updated"))["session"]["instructions"] == "be brief"


async def test_a_binary_frame_is_refused_with_its_size() -> None:
    async with server(LocalModel(ScriptedHost())) as where, call(where) as caller:
        await caller.socket.send(b"\0" * 7)
        assert "7 bytes" in (await caller.error())["message"]


async def test_a_picture_with_too_many_pixels_is_refused_with_both_numbers() -> None:
    data = io.BytesIO()
    Image.new("1", (5000, 5000)).save(data, "PNG")
    async with server(LocalModel(ScriptedHost())) as where, call(where) as caller:
        await caller.send(
            "input_image_buffer.append", image=base64.b64encode(data.getvalue()).decode(), event_id="mine"
        )
        error = await caller.error()
    assert "25000000 pixels, at most 16000000" in error["message"]
    assert error["event_id"] == "mine"


async def test_one_who_misbehaves_disturbs_nobody_else(wire_question: np.ndarray) -> None:
    host = ScriptedHost()
    async with server(LocalModel(host)) as where, call(where) as rude, call(where) as kind:
        await kind.say(wire_question)
        for text, _ in BAD.values():
            await rude.socket.send(text)
            await rude.error()
        await rude.write("fail")
        assert "the script says so" in (await rude.error())["message"]
        rude.socket.transport.abort()
        await kind.say(SILENCE)
        await kind.expect("response.done")
    assert "error" not in kind.kinds()
    assert len(host.asked(kind.session["id"], Answer)) == 1
    assert len(host.asked(rude.session["id"], Answer)) == 0


async def test_hanging_up_in_the_middle_of_a_word_closes_the_model_s_session(wire_question: np.ndarray) -> None:
    host = ScriptedHost()
    async with server(LocalModel(host)) as where, call(where) as caller:
        await caller.say(wire_question)
        await caller.expect("input_audio_buffer.speech_started")
    assert len(host.asked(caller.session["id"], Close)) == 1


async def test_a_dead_model_is_reported_and_the_next_question_answered(wire_question: np.ndarray) -> None:
    async with server(Worker(ScriptedHost)) as where, call(where) as caller, call(where) as other:
        await caller.write("die")
        for one in (caller, other):
            assert "exit code 7; the conversation goes on without its memory" in (await one.error())["message"]
        await ask_and_hear(caller, wire_question)
    assert [e["response"]["status"] for e in caller.heard if e["type"] == "response.done"] == ["completed"]


async def test_our_own_mistake_ends_one_conversation_with_a_word(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(self: object, pcm16: bytes) -> None:
        raise RuntimeError("a bug")

    async with server(LocalModel(ScriptedHost())) as where, call(where) as caller, call(where) as other:
        monkeypatch.setattr(websocket.Microphone, "hear", broken)
        await caller.say(SILENCE[:480])
        assert (await caller.error())["code"] == "internal_error"
        with pytest.raises(ConnectionClosed) as closed:
            await caller.expect("never")
        assert closed.value.rcvd is not None and closed.value.rcvd.code == 1011
        await other.send("session.update", session={"type": "realtime"})
        await other.expect("session.updated")


async def test_the_subprotocol_is_taken_when_offered_and_only_then() -> None:
    async with server(LocalModel(ScriptedHost())) as where:
        async with connect(
            f"ws://{where}/v1/realtime", subprotocols=["realtime", "openai-insecure-api-key.x"]
        ) as socket:
            assert socket.subprotocol == "realtime"
        async with connect(f"ws://{where}/v1/realtime") as socket:
            assert socket.subprotocol is None


async def test_a_client_that_does_not_read_is_let_go(monkeypatch: pytest.MonkeyPatch) -> None:
    class Socket:
        """Takes nothing before its close frame."""

        async def send_text(self, text: str) -> None:
            raise AssertionError("nothing should be sent")

        async def close(self, code: int, reason: str) -> None:
            self.closed = (code, reason)

    monkeypatch.setattr(websocket, "MAX_WAITING", 100)
    socket, outlet = Socket(), SocketOutlet()
    for _ in range(10):
        outlet.send({"type": "error", "text": "x" * 30})
    await asyncio.wait_for(outlet.write(socket), 1)
    assert socket.closed == (1008, "more than 100 characters wait to be read")


async def test_a_client_that_stalls_in_the_middle_of_an_event_is_let_go(monkeypatch: pytest.MonkeyPatch) -> None:
    class Socket:
        """Has taken all it will ever take."""

        async def send_text(self, text: str) -> None:
            await asyncio.Event().wait()

    monkeypatch.setattr(websocket, "STALLED_SECONDS", 0.01)
    outlet = SocketOutlet()
    outlet.send({"type": "error"})
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(outlet.write(Socket()), 5)


def test_minutes_of_sound_in_one_frame_are_heard_second_by_second() -> None:
    event = AudioAppend(bytes(range(250)) * 400, "mine")
    seconds = list(portions(event, FORMATS["audio/pcm"]))
    assert [len(second.data) for second in seconds] == [48_000, 48_000, 4_000]
    assert b"".join(second.data for second in seconds) == event.data
    assert len(list(portions(event, FORMATS["audio/pcmu"]))) == 13
    assert list(portions(AudioAppend(b""), FORMATS["audio/pcm"])) == [AudioAppend(b"")]
    seen = np.zeros((2, 3, 3), np.uint8)
    *heard, picture = portions(AudioAppend(event.data, "mine", (seen,)), FORMATS["audio/pcm"])
    assert heard == seconds and isinstance(picture, ImageAppend) and picture.rgb is seen
    assert list(portions(AudioCommit(), FORMATS["audio/pcm"])) == [AudioCommit()]
