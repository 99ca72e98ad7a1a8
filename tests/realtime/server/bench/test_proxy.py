"""Networks that delay, stall and drop, and say in the table which they are."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import pytest
from virtual import run

from vivavoce.realtime.server.bench.jobs import troubles
from vivavoce.realtime.server.bench.lossy import Weather, detour, without_addresses
from vivavoce.realtime.server.bench.proxy import RETRANSMISSION_S, Proxy, Trouble, troubled


@asynccontextmanager
async def echo() -> AsyncIterator[str]:
    """A server that says everything back."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError):
            while data := await reader.read(100):
                writer.write(data)
        writer.close()
        over.set()

    over = asyncio.Event()
    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        yield f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1/realtime?model=x"
        await over.wait()


async def connect(url: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    host, port = url.removeprefix("ws://").partition("/")[0].split(":")
    return await asyncio.open_connection(host, int(port))


async def test_what_goes_through_comes_out_whole_and_in_order() -> None:
    async with echo() as there, troubled(there, Trouble(jitter_ms=5, loss=0.02), seed=1) as url:
        assert url.endswith("/v1/realtime?model=x") and url != there
        reader, writer = await connect(url)
        sent = b"".join(bytes([n]) * 50 for n in range(60))
        for at in range(0, len(sent), 50):
            writer.write(sent[at : at + 50])
            await writer.drain()
        async with asyncio.timeout(10):
            assert await reader.readexactly(len(sent)) == sent
        writer.close()


async def test_a_connection_is_dropped_once_and_the_next_is_let_alone() -> None:
    async with echo() as there, troubled(there, Trouble(drop_at_s=0.05), seed=1) as url:
        reader, writer = await connect(url)
        async with asyncio.timeout(5):
            with suppress(ConnectionError):
                assert await reader.read() == b""
        writer.close()
        reader, writer = await connect(url)
        writer.write(b"again")
        assert await reader.readexactly(5) == b"again"
        writer.close()


def test_delays_are_what_the_trouble_says() -> None:
    calm, stalled = (Proxy("", 0, trouble, 1) for trouble in (Trouble(), Trouble(stall_ms=500, stall_at_s=10)))
    assert calm._delay_s(3) == 0
    assert [stalled._delay_s(age) for age in (9.9, 10.0, 10.4, 10.6)] == pytest.approx([0, 0.5, 0.1, 0])
    lossy = Proxy("", 0, Trouble(loss=0.25), 1)
    delays = [lossy._delay_s(0) for _ in range(400)]
    assert set(delays) == {0, RETRANSMISSION_S} and 60 < delays.count(RETRANSMISSION_S) < 140


def test_the_command_line_speaks_of_networks() -> None:
    clean, one, five = troubles("1,5", 30, 2, "500ms@10s", "20s")
    assert clean == Trouble() and clean.name == "clean"
    assert (one.loss, five.loss, one.jitter_ms, one.reorder) == (0.01, 0.05, 30, 0.02)
    assert one.name == "1% loss, 30 ms jitter, 2% reordered, stall 500 ms at 10 s, dropped at 20 s"


@pytest.mark.parametrize(
    "words",
    [("many", 0, 0, None, None), ("101", 0, 0, None, None), ("1", 0, 0, "long", None), ("1", 0, 0, None, "soon")],
)
def test_what_cannot_be_understood_is_quoted(words: tuple) -> None:
    with pytest.raises(ValueError, match="expected"):
        troubles(*words)


SDP = (
    "v=0\r\na=candidate:1 1 udp 21 192.0.2.7 4000 typ host\r\na=candidate:2 1 udp 21 2001:db8::1 4001 typ host\r\n"
    "a=end-of-candidates\r\na=mid:0\r\n"
)


def test_a_detour_takes_the_place_of_every_address() -> None:
    async def story() -> str:
        transport, answer = await detour(SDP.replace("192.0.2.7", "127.0.0.1"), Weather(), 1)
        port = transport.get_extra_info("sockname")[1]
        transport.close()
        await asyncio.sleep(0)
        assert f"127.0.0.1 {port} typ host" in answer
        return answer

    answer = run(story())
    assert answer.count("a=candidate") == 1 and "4001" not in answer and "a=mid:0" in answer
    assert "candidate" not in without_addresses(SDP)
    with pytest.raises(ValueError, match="no IPv4 host candidate"):
        run(detour(without_addresses(SDP), Weather(), 1))
