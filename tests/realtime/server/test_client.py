"""The client that `vivavoce talk` is, against a server with a scripted model, in a hurry."""

import numpy as np
import pytest
from caller import server
from scripted_host import PIECE, QUESTION, WORDS, ScriptedHost
from websockets.asyncio.server import ServerConnection, serve

from vivavoce.model.messages import Listen
from vivavoce.realtime.server.client import TalkFailed, ask, end_of_speech, endpoint
from vivavoce.realtime.server.local import LocalModel

HURRY = 20.0


async def test_a_question_and_its_picture_are_answered(wire_question: np.ndarray) -> None:
    host, said = ScriptedHost(), []
    jpeg = (b"\xff\xd8\xff", "not quite a picture")[0]
    async with server(LocalModel(host)) as where:
        got = await ask(f"ws://{where}", wire_question, lambda at_ms: jpeg, said.append, HURRY)
    assert got.question == QUESTION
    assert got.reply == "".join(WORDS)
    assert got.reply_ms == len(WORDS) * PIECE * 1000 // 24_000
    assert np.abs(got.pcm).max() > 0.25
    assert got.first_audio_ms is not None and got.total_ms is not None
    assert 0 < got.first_audio_ms <= got.total_ms
    assert said[:3] == [20, 40, 60]
    assert "no picture" in got.errors[0], "the server's complaint is kept"
    assert host.asked(host.requests[0].session, Listen)


async def test_silence_is_no_question() -> None:
    async with server(LocalModel(ScriptedHost())) as where:
        with pytest.raises(TalkFailed, match="no answer within 0.2 seconds"):
            await ask(f"ws://{where}", np.zeros(4_800, np.float32), speed=HURRY, patience=0.2)


async def test_nobody_there() -> None:
    with pytest.raises(TalkFailed, match="cannot reach ws://127.0.0.1:9"):
        await ask("ws://127.0.0.1:9", np.zeros(480, np.float32))


async def test_a_server_that_hangs_up(wire_question: np.ndarray) -> None:
    async def rude(socket: ServerConnection) -> None:
        await socket.send('{"type": "session.created"}')
        await socket.send('{"type": "session.updated"}')
        await socket.recv()

    async with serve(rude, "127.0.0.1", 0, subprotocols=["realtime"]) as there:
        port = there.sockets[0].getsockname()[1]
        with pytest.raises(TalkFailed, match="hung up"):
            await ask(f"ws://127.0.0.1:{port}", wire_question, speed=HURRY)


def test_speech_ends_where_it_is_last_audible() -> None:
    speech = np.ones(4_800, np.float32)
    quiet = np.full(4_800, 0.001, np.float32)
    assert end_of_speech(np.concatenate([speech, quiet])) == 10
    assert end_of_speech(np.zeros(960, np.float32)) == 2


@pytest.mark.parametrize("given", ["ws://a:1", "ws://a:1/", "http://a:1"])
def test_the_path_is_added_to_a_bare_address(given: str) -> None:
    assert endpoint(given) == "ws://a:1/v1/realtime?model=kitten"


def test_a_full_address_is_left_alone() -> None:
    assert endpoint("wss://a/v1/realtime?model=b") == "wss://a/v1/realtime?model=b"
