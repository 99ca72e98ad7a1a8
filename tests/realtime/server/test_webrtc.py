"""A conversation over WebRTC, with a telephone at the other end of the loopback."""

import asyncio
import json
import threading
from pathlib import Path

import httpx
import numpy as np
import pytest
from caller import server
from openai import AsyncOpenAI
from scripted_host import PIECE, WORDS, ScriptedHost
from telephone import Telephone, call
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus
from websockets.typing import Subprotocol

from vivavoce.model import messages
from vivavoce.realtime.config import SessionConfig
from vivavoce.realtime.events import AudioClear
from vivavoce.realtime.recording import Recording, Unreadable
from vivavoce.realtime.server import webrtc
from vivavoce.realtime.server.local import LocalModel
from vivavoce.realtime.server.metrics import Metrics
from vivavoce.realtime.server.rerun import load, replay
from vivavoce.realtime.session import HANDLERS

pytestmark = pytest.mark.usefixtures("loopback")


async def post(where: str, path: str, body: str = "", kind: str = "application/sdp") -> httpx.Response:
    async with httpx.AsyncClient(trust_env=False) as client:
        return await client.post(f"http://{where}/v1/realtime{path}", content=body, headers={"Content-Type": kind})


async def test_a_spoken_question_is_answered_aloud(spoken: np.ndarray) -> None:
    host = ScriptedHost()
    async with server(LocalModel(host)) as where, call(where) as phone:
        phone.microphone.say(spoken)
        stopped = await phone.expect("output_audio_buffer.stopped")
        await phone.listen_for(loud=1, quiet=10)
    kinds = phone.kinds()
    assert "response.output_audio.delta" not in kinds
    order = ["input_audio_buffer.speech_started", "output_audio_buffer.started", "response.done", stopped["type"]]
    assert [kind for kind in kinds if kind in order] == order
    assert phone.words() == "".join(WORDS)
    assert 29 <= phone.loud <= 31, "600 ms, and what the codec leaves at the edges"
    assert 0.8 * len(spoken) / 48 < host.heard_ms()


async def test_a_voice_silences_the_answer(spoken: np.ndarray) -> None:
    class Talkative(ScriptedHost):
        """Says 6 seconds at once."""

        def handle(self, message: messages.Request) -> list[messages.Reply]:
            replies = super().handle(message)
            if isinstance(message, messages.Answer):
                tone = np.resize(self._script[1].pcm, 20 * PIECE)  # type: ignore[union-attr]
                self._script[1] = messages.Spoke(message.session, message.turn, "Oh, so much.", tone, 0)
            return replies

    host = Talkative()
    async with server(LocalModel(host)) as where, call(where) as phone:
        phone.microphone.say(spoken)
        await phone.expect("output_audio_buffer.started")
        await phone.listen_for(loud=10)
        phone.microphone.say(spoken)
        cleared = await phone.expect("output_audio_buffer.cleared")
        truncated = await phone.expect("conversation.item.truncated")
        await phone.listen_for(quiet=10)
        session = phone.heard[0]["session"]["id"]
    (cut,) = host.asked(session, messages.Cut)
    assert cleared["response_id"] == "resp_000001"
    assert cut.heard_ms == truncated["audio_end_ms"]  # type: ignore[union-attr]
    assert truncated["audio_end_ms"] < 6_000
    assert abs(truncated["audio_end_ms"] - 20 * phone.loud) <= 40, "what the server says was heard, was"


async def test_the_camera_is_seen_while_one_speaks(spoken: np.ndarray) -> None:
    host = ScriptedHost()
    async with server(LocalModel(host)) as where, call(where, camera=True) as phone:
        phone.microphone.say(spoken)
        await phone.expect("response.done")
    chunks = [request.chunk for request in host.requests if isinstance(request, messages.Listen)]
    frames = [frame for chunk in chunks for frame in chunk.frames]
    red, green, _ = frames[0].rgb.reshape(-1, 3).mean(axis=0)
    assert red > 200 and green < 50
    assert frames[0].rgb.shape == (120, 160, 3)


async def test_a_second_video_track_is_the_screen(spoken: np.ndarray) -> None:
    host = ScriptedHost()
    async with server(LocalModel(host)) as where, call(where, camera=True, screen=True) as phone:
        phone.microphone.say(spoken)
        await phone.expect("response.done")
    chunks = [request.chunk for request in host.requests if isinstance(request, messages.Listen)]
    frames = [frame for chunk in chunks for frame in chunk.frames]
    brightest = {frame.source: int(frame.rgb.reshape(-1, 3).mean(axis=0).argmax()) for frame in frames}
    assert brightest == {"camera": 0, "screen": 2}
    assert all(len({frame.source for frame in chunk.frames}) < 2 for chunk in chunks), "no pair of both"


async def test_here_the_server_knows_when_its_answer_is_played(spoken: np.ndarray) -> None:
    wanted = {"type": "realtime", "extensions": ["response.metrics"]}
    async with server(LocalModel(ScriptedHost())) as where, call(where, **wanted) as phone:
        phone.microphone.say(spoken)
        told = await phone.expect("response.metrics")
    parts = told["parts_ms"]
    assert told["first_audio_ms"] <= told["played_ms"]
    assert parts["playback"] == told["played_ms"] - told["first_audio_ms"]
    assert parts["total"] == sum(ms for part, ms in parts.items() if part != "total")


async def test_a_call_is_recorded_and_runs_again(spoken: np.ndarray, tmp_path: Path) -> None:
    """Camera frames came as pixels; what was played when it was stopped came from the loudspeaker."""
    config = SessionConfig(model="script", record_to=str(tmp_path))
    async with (
        server(LocalModel(ScriptedHost()), config=config) as where,
        call(where, camera=True, type="realtime", recording=True) as phone,
    ):
        assert phone.heard[0]["session"]["recording"] is True
        phone.microphone.say(spoken)
        await phone.expect("output_audio_buffer.started")
        phone.send("output_audio_buffer.clear")
        await phone.expect("conversation.item.truncated")
    (path,) = tmp_path.iterdir()
    while not (complete := await asyncio.to_thread(whole, path)):
        await asyncio.sleep(0.01)
    outcome = replay(complete, ScriptedHost)
    assert outcome.difference is None
    assert outcome.answers == 1 and outcome.sound_ms == 600


def whole(path: Path) -> Recording | None:
    """A recording that has been closed."""
    try:
        recording = load(path)
    except Unreadable:
        return None
    return recording if recording.steps and recording.steps[-1].kind == "end" else None


async def test_a_call_has_an_end_that_is_announced() -> None:
    config = SessionConfig(model="script", max_session_ms=600)
    wanted = {"type": "realtime", "extensions": ["session.going_away"]}
    async with server(LocalModel(ScriptedHost()), config=config) as where, call(where, **wanted) as phone:
        assert phone.heard[0]["session"]["expires_at"] > 1_700_000_000
        assert (await phone.expect("session.going_away"))["time_left_ms"] <= 600
        assert (await phone.expect("error"))["error"]["code"] == "session_expired"
        await asyncio.wait_for(phone.ended.wait(), 10)


async def test_a_form_says_what_the_session_is_to_be() -> None:
    host = ScriptedHost()
    async with server(LocalModel(host)) as where:
        phone = Telephone(where)
        response = await phone.dial(type="realtime", model="gpt-realtime", instructions="Be brief.")
        created = await phone.expect("session.created")
        await phone.hang_up()
    assert response.headers["Location"].startswith("/v1/realtime/calls/rtc_")
    assert response.headers["Content-Type"].startswith("application/sdp")
    assert (created["session"]["model"], created["session"]["instructions"]) == ("script", "Be brief.")


async def test_a_key_brings_its_session_along() -> None:
    async with server(LocalModel(ScriptedHost())) as where:
        asked = json.dumps({"session": {"type": "realtime", "instructions": "Be brief."}})
        key = (await post(where, "/client_secrets", asked, "application/json")).json()["value"]
        phone = Telephone(where)
        await phone.dial(key=key)
        created = await phone.expect("session.created")
        await phone.hang_up()
        stranger = Telephone(where)
        refused = await stranger.dial(key="ek_invented")
        await stranger.hang_up()
        nonsense = await post(where, "/client_secrets", "[", "application/json")
    assert created["session"]["instructions"] == "Be brief."
    assert (refused.status_code, refused.json()["error"]["code"]) == (401, "client_secret_expired")
    assert (nonsense.status_code, nonsense.json()["error"]["code"]) == (400, "invalid_json")


async def test_the_openai_package_s_own_client_makes_a_key_and_a_call() -> None:
    async with server(LocalModel(ScriptedHost())) as where:
        phone = Telephone(where)
        offer = await phone.offer()
        async with AsyncOpenAI(api_key="none", base_url=f"http://{where}/v1") as client:
            secret = await client.realtime.client_secrets.create(session={"type": "realtime"})
            answer = await client.realtime.calls.create(sdp=offer, session={"type": "realtime", "model": "script"})
            await phone.accept(answer.text)
            await phone.expect("session.created")
            await client.realtime.calls.hangup(answer.response.headers["Location"].rpartition("/")[2])
            await asyncio.wait_for(phone.ended.wait(), 5)
        await phone.hang_up()
    assert secret.value.startswith("ek_")


async def test_a_websocket_with_a_key_that_is_none_is_not_let_in() -> None:
    offered = [Subprotocol("realtime"), Subprotocol("openai-insecure-api-key.ek_invented")]
    async with server(LocalModel(ScriptedHost())) as where:
        with pytest.raises(InvalidStatus, match="403"):
            await connect(f"ws://{where}/v1/realtime", subprotocols=offered)


async def test_events_over_the_channel_are_those_of_the_websocket() -> None:
    async with server(LocalModel(ScriptedHost())) as where, call(where) as phone:
        phone.send("session.update", session={"instructions": "Be brief."})
        assert (await phone.expect("session.updated"))["session"]["instructions"] == "Be brief."
        phone.send("input_audio_buffer.append", audio="AAA=", event_id="mine")
        refused = (await phone.expect("error"))["error"]
        phone.channel.send("{")
        assert (await phone.expect("error"))["error"]["code"] == "invalid_json"
    assert (refused["code"], refused["event_id"]) == ("unsupported_event", "mine")


async def test_a_call_is_hung_up_by_its_address() -> None:
    async with server(LocalModel(ScriptedHost())) as where:
        phone = Telephone(where)
        address = (await phone.dial()).headers["Location"].removeprefix("/v1/realtime")
        await phone.expect("session.created")
        assert (await post(where, f"{address}/hangup")).status_code == 200
        await asyncio.wait_for(phone.ended.wait(), 5)
        gone = await post(where, f"{address}/hangup")
        await phone.hang_up()
    assert (gone.status_code, gone.json()["error"]["code"]) == (404, "call_not_found")


async def test_a_call_that_never_connects_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(webrtc, "CONNECT_SECONDS", 0.2)
    phone, given_up = Telephone("nowhere"), asyncio.Event()
    made = webrtc.Call(LocalModel(ScriptedHost()), SessionConfig(), Metrics(), lambda call: given_up.set())
    await made.answer(await phone.offer())
    await asyncio.wait_for(given_up.wait(), 5)
    await phone.hang_up()


async def test_a_call_may_be_hung_up_before_it_connects() -> None:
    async with server(LocalModel(ScriptedHost())) as where:
        phone = Telephone(where)
        made = await post(where, "/calls", await phone.offer())
        address = made.headers["Location"].removeprefix("/v1/realtime")
        assert (await post(where, f"{address}/hangup")).status_code == 200
        await phone.hang_up()


async def test_a_mistake_of_ours_ends_one_call_and_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    async with server(LocalModel(ScriptedHost())) as where, call(where) as phone, call(where) as neighbour:
        with monkeypatch.context() as patched:
            patched.setitem(HANDLERS, AudioClear, broken)
            phone.send("input_audio_buffer.clear")
            assert (await phone.expect("error"))["error"]["code"] == "internal_error"
            await asyncio.wait_for(phone.ended.wait(), 5)
        neighbour.send("input_audio_buffer.clear")
        await neighbour.expect("input_audio_buffer.cleared")


@pytest.mark.parametrize(
    ("body", "kind", "told"),
    [
        ("", "application/sdp", "empty"),
        ("hello", "application/sdp", "no m=audio"),
        ("v=0\r\nm=audio x y z\r\n", "application/sdp", "cannot be used"),
        ("v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\n", "application/sdp", "no m=audio"),
        ("{}", "application/json", "expected application/sdp"),
        ("--x\r\n\r\n--x--", "multipart/form-data; boundary=x", "no part named sdp"),
        ("v=0" * 100_000, "application/sdp", "more than"),
    ],
)
async def test_what_is_no_offer_is_refused_in_one_line(body: str, kind: str, told: str) -> None:
    async with server(LocalModel(ScriptedHost())) as where:
        refused = await post(where, "/calls", body, kind)
    message = refused.json()["error"]["message"]
    assert refused.status_code == 400
    assert told in message and "\n" not in message


async def test_a_machine_without_an_address_says_so_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    async with server(LocalModel(ScriptedHost())) as where:
        phone = Telephone(where)
        offer = await phone.offer()
        monkeypatch.setattr("aioice.ice.get_host_addresses", lambda use_ipv4, use_ipv6: [])
        refused = await post(where, "/calls", offer)
        await phone.hang_up()
    assert (refused.status_code, refused.json()["error"]["code"]) == (503, "no_media_address")


async def test_a_session_that_cannot_be_is_refused() -> None:
    async with server(LocalModel(ScriptedHost())) as where:
        phone = Telephone(where)
        refused = await phone.dial(type="realtime", audio={"output": {"speed": 3}})
        await phone.hang_up()
    assert (refused.status_code, refused.json()["error"]["param"]) == (400, "session.audio.output.speed")


async def test_a_page_from_elsewhere_may_call() -> None:
    asks = {"Origin": "https://elsewhere", "Access-Control-Request-Method": "POST"}
    asks["Access-Control-Request-Headers"] = "authorization,content-type"
    async with server(LocalModel(ScriptedHost())) as where, httpx.AsyncClient(trust_env=False) as client:
        allowed = await client.options(f"http://{where}/v1/realtime/calls", headers=asks)
        called = await client.post(f"http://{where}/v1/realtime/calls", headers={"Origin": "https://elsewhere"})
    assert allowed.status_code == 200
    assert "authorization" in allowed.headers["access-control-allow-headers"].lower()
    assert called.headers["access-control-allow-origin"] == "*"
    assert called.headers["access-control-expose-headers"] == "Location"


async def test_nothing_is_left_of_calls_that_are_over() -> None:
    async with server(LocalModel(ScriptedHost())) as where:
        async with call(where):
            pass  # what is made once has been made
        await settled(where)
        tasks, threads = len(asyncio.all_tasks()), threading.active_count()
        for _ in range(5):
            async with call(where, camera=True):
                pass
        await settled(where)
        async with asyncio.timeout(10):
            while len(asyncio.all_tasks()) > tasks:
                await asyncio.sleep(0.01)
        assert threading.active_count() <= threads + 1  # pixels are converted in a pool of threads, which stay


async def test_a_client_that_knows_no_address_of_its_own_is_found_by_its_packets() -> None:
    async with server(LocalModel(ScriptedHost())) as where:
        phone = Telephone(where)
        offer = await phone.offer()
        bare = "".join(line for line in offer.splitlines(keepends=True) if not line.startswith("a=candidate:"))
        assert "a=end-of-candidates" in bare
        async with httpx.AsyncClient(trust_env=False) as client:
            answer = await client.post(phone.url, content=bare, headers={"Content-Type": "application/sdp"})
        assert answer.status_code == 201
        await phone.accept(answer.text)
        await phone.expect("session.created")
        await phone.hang_up()


async def test_twelve_calls_of_twelve_come_about_and_however_they_end_nothing_is_left(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(webrtc, "SILENT_SECONDS", 1.0)
    async with server(LocalModel(ScriptedHost())) as where:
        await one_call(where, "closed")  # what is made once has been made
        await settled(where)
        before = belongings()
        for number in range(12):
            await one_call(where, ("hung up", "closed", "vanished")[number % 3])
        await settled(where)
        async with asyncio.timeout(10):
            while any(now > then for now, then in zip(belongings(), before, strict=True)):
                await asyncio.sleep(0.05)


async def test_a_caller_who_says_nothing_for_long_but_is_there_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(webrtc, "SILENT_SECONDS", 0.5)
    monkeypatch.setattr("aioice.ice.CONSENT_INTERVAL", 0.1)
    async with server(LocalModel(ScriptedHost())) as where, call(where) as phone:
        await phone.fall_silent()
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(phone.ended.wait(), 1.5)
        phone.send("input_audio_buffer.clear")
        await phone.expect("input_audio_buffer.cleared")


async def test_the_answer_names_one_fingerprint_and_that_by_sha_256() -> None:
    async with server(LocalModel(ScriptedHost())) as where:
        phone = Telephone(where)
        answer = (await phone.dial()).text
        await phone.expect("session.created")
        await phone.hang_up()
    named = [line.split()[0] for line in answer.splitlines() if line.startswith("a=fingerprint:")]
    assert set(named) == {"a=fingerprint:sha-256"} and len(named) == answer.count("m=")


def broken(session: object, event: object) -> None:
    raise RuntimeError("a bug")


async def one_call(where: str, ending: str) -> None:
    """A call that is greeted, and ends."""
    phone = Telephone(where)
    address = (await phone.dial()).headers["Location"].removeprefix("/v1/realtime")
    await phone.expect("session.created")
    if ending == "vanished":
        await phone.vanish()
    if ending == "hung up":
        assert (await post(where, f"{address}/hangup")).status_code == 200
    await phone.hang_up()


def belongings() -> tuple[int, int, int]:
    """Tasks, threads and file descriptors of this process; the event loop's pool of threads grows when it likes, and stays."""
    threads = [thread for thread in threading.enumerate() if not thread.name.startswith("asyncio_")]
    descriptors = Path("/proc/self/fd") if Path("/proc/self/fd").exists() else Path("/dev/fd")
    return len(asyncio.all_tasks()), len(threads), len(list(descriptors.iterdir()))


async def settled(where: str) -> None:
    """Wait until the server counts no session."""
    async with asyncio.timeout(10), httpx.AsyncClient(trust_env=False) as client:
        while "vivavoce_sessions 0.0" not in (await client.get(f"http://{where}/metrics")).text:
            await asyncio.sleep(0.01)
