"""Calls through a TURN server: coturn on the loopback, with no other way in than the story says."""

import asyncio
import logging
from pathlib import Path

import httpx
import numpy as np
import pytest
from caller import server
from relay import SECRET, TURNSERVER, WAYS, WITHOUT, free_port, relay
from scripted_host import WORDS, ScriptedHost
from telephone import Telephone, ask_network, call

from vivavoce.realtime.server import webrtc
from vivavoce.realtime.server.ice import Ice
from vivavoce.realtime.server.local import LocalModel

pytestmark = [pytest.mark.skipif(TURNSERVER is None, reason=WITHOUT), pytest.mark.usefixtures("loopback")]


@pytest.mark.parametrize("way", WAYS)
async def test_a_question_and_its_answer_go_through_a_relay(
    way: str, spoken: np.ndarray, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    host = ScriptedHost()
    monkeypatch.setattr(webrtc, "SILENT_SECONDS", 1.0)  # what comes through a relay is a sign of life, too
    with relay(tmp_path, way) as turn:
        monkeypatch.setenv("SSL_CERT_FILE", str(turn.certificate))  # who signs for the relay is who the system trusts
        async with server(LocalModel(host), Ice(turn=(turn.url,), secret=SECRET, relay_only=True)) as where:
            async with call(where, network=await ask_network(where)) as phone:
                phone.microphone.say(spoken)
                await phone.expect("output_audio_buffer.stopped")
                await phone.listen_for(loud=1, quiet=10)
        assert len(turn.users()) == 2 and "server" in turn.users(), "both sides have an address at the relay"
    assert phone.ways() == {"relay"}, "and no other"
    assert phone.words() == "".join(WORDS)
    assert 29 <= phone.loud <= 31, "600 ms, and what the codec leaves at the edges"
    assert 0.8 * len(spoken) / 48 < host.heard_ms()


async def test_a_caller_behind_a_firewall_reaches_a_server_in_the_open(spoken: np.ndarray, tmp_path: Path) -> None:
    with relay(tmp_path) as turn:
        async with server(LocalModel(ScriptedHost()), Ice(turn=(turn.url,), secret=SECRET)) as where:
            behind = {**await ask_network(where), "iceTransportPolicy": "relay"}
            async with call(where, network=behind) as phone:
                phone.microphone.say(spoken)
                await phone.expect("output_audio_buffer.stopped")
    assert phone.words() == "".join(WORDS)


async def test_both_sides_ask_a_stun_server_who_they_are(tmp_path: Path) -> None:
    with relay(tmp_path) as turn:
        async with server(LocalModel(ScriptedHost()), Ice(stun=(turn.url.replace("turn:", "stun:"),))) as where:
            async with call(where, network=await ask_network(where)) as phone:
                offered, answered = phone.connection.localDescription.sdp, phone.connection.remoteDescription.sdp
    assert "typ srflx" in offered and "typ srflx" in answered


async def test_a_credential_that_has_expired_opens_nothing(tmp_path: Path) -> None:
    with relay(tmp_path) as turn:
        ice = Ice(turn=(turn.url,), secret=SECRET, relay_only=True)
        async with server(LocalModel(ScriptedHost()), ice) as where:
            late = Telephone(where, network=ice.configuration("late", 0))
            assert "a=candidate" not in await late.offer()
            await late.hang_up()
        assert turn.users() == set()


async def test_a_server_that_does_not_know_the_secret_says_that_it_has_no_address(tmp_path: Path) -> None:
    with relay(tmp_path) as turn:
        ice = Ice(turn=(turn.url,), secret="a guess", relay_only=True)
        async with server(LocalModel(ScriptedHost()), ice) as where:
            phone = Telephone(where)
            refused = await phone.dial()
            await phone.hang_up()
    assert (refused.status_code, refused.json()["error"]["code"]) == (503, "no_media_address")
    assert "TURN" in refused.json()["error"]["message"]


async def test_a_relay_whose_certificate_nobody_signed_is_not_used(tmp_path: Path) -> None:
    with relay(tmp_path, "tls") as turn:
        async with server(LocalModel(ScriptedHost()), Ice(turn=(turn.url,), secret=SECRET, relay_only=True)) as where:
            phone = Telephone(where)
            assert (await phone.dial()).status_code == 503
            await phone.hang_up()


async def test_calls_are_direct_while_the_relay_is_away(caplog: pytest.LogCaptureFixture) -> None:
    away = f"turn:127.0.0.1:{free_port()}?transport=tcp"
    async with server(LocalModel(ScriptedHost()), Ice(turn=(away,), secret=SECRET)) as where:
        async with call(where):
            pass
    assert [record.levelno for record in caplog.records if "TURN" in record.message] == [logging.WARNING]


async def test_a_relay_that_goes_away_does_not_keep_a_call_from_ending(tmp_path: Path) -> None:
    with relay(tmp_path) as turn:
        async with server(LocalModel(ScriptedHost()), Ice(turn=(turn.url,), secret=SECRET)) as where:
            phone = Telephone(where)
            address = (await phone.dial()).headers["Location"]
            await phone.expect("session.created")
            turn.stop()
            async with asyncio.timeout(10), httpx.AsyncClient(trust_env=False) as client:
                assert (await client.post(f"http://{where}{address}/hangup")).status_code == 200
            await phone.hang_up()
