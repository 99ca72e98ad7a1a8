"""A second opinion: a relay in a process of its own, which notes by its own clock which bytes passed it when, and knows nothing of
the bench. What it saw is taken apart here by RFC 6455 and nothing else.

    python capture.py HOST PORT FILE   # prints the port it listens on
"""

import asyncio
import base64
import json
import struct
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

RATE_HZ = 24_000
HEADER = struct.Struct("<BqI")
"""Which connection and direction, nanoseconds, bytes that follow."""


async def relay(host: str, port: int, out: Path) -> None:
    """Until it is killed."""
    connections = 0
    with out.open("wb", buffering=0) as file:

        async def carry(way: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            while data := await reader.read(65_536):
                file.write(HEADER.pack(way, time.time_ns(), len(data)) + data)
                writer.write(data)
            writer.close()

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            nonlocal connections
            number, connections = connections, connections + 1
            far_reader, far_writer = await asyncio.open_connection(host, port)
            await asyncio.gather(carry(2 * number, reader, far_writer), carry(2 * number + 1, far_reader, writer))

        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        print(server.sockets[0].getsockname()[1], flush=True)
        await server.serve_forever()


def events(file: Path, way: int) -> Iterator[tuple[float, dict]]:
    """(seconds, event) of one direction: 2 n from the client of connection n, 2 n + 1 to it. Pings and closes are passed over."""
    data, pending, upgraded = file.read_bytes(), b"", False
    at, text = 0, b""
    while at + HEADER.size <= len(data):
        direction, nanoseconds, length = HEADER.unpack_from(data, at)
        at += HEADER.size + length
        if direction != way:
            continue
        pending += data[at - length : at]
        if not upgraded:
            head, blank, rest = pending.partition(b"\r\n\r\n")
            if not blank:
                continue
            upgraded, pending = True, rest
        while (frame := first_frame(pending)) is not None:
            opcode, final, payload, pending = frame
            text += payload if opcode in (0, 1) else b""
            if final and opcode in (0, 1):
                yield nanoseconds / 1e9, json.loads(text)
                text = b""


def first_frame(data: bytes) -> tuple[int, bool, bytes, bytes] | None:
    """Opcode, whether it is the last of its message, payload, and what follows; None if it is not all there."""
    if len(data) < 2:
        return None
    length, at = data[1] & 0x7F, 2
    if length >= 126:
        size, form = (2, ">H") if length == 126 else (8, ">Q")
        if len(data) < at + size:
            return None
        (length,) = struct.unpack_from(form, data, at)
        at += size
    mask = data[at : at + 4] if data[1] & 0x80 else b""
    at += len(mask)
    if len(data) < at + length:
        return None
    payload = np.frombuffer(data[at : at + length], np.uint8)
    if mask:
        payload = payload ^ np.resize(np.frombuffer(mask, np.uint8), length)
    return data[0] & 0x0F, bool(data[0] & 0x80), payload.tobytes(), data[at + length :]


def waits_ms(file: Path, connection: int) -> list[float]:
    """Of each answer, from the last loud sample that passed towards the server to the first that passed back.

    A packet passes when its last sample has been spoken; sound that comes back is played at once. Where it becomes audible is a
    matter of definition, and so the bench's: 2.5 ms of it are above -50 dB of full scale, or 40 dB below the loudest.
    """
    spoken = [
        (when, sound(event["audio"]))
        for when, event in events(file, 2 * connection)
        if event["type"] == "input_audio_buffer.append"
    ]
    said = [
        (when, event["item_id"], sound(event["delta"]))
        for when, event in events(file, 2 * connection + 1)
        if event["type"] == "response.output_audio.delta"
    ]
    least = threshold([pcm for _, pcm in spoken])
    ends = [when - (len(pcm) - 1 - loud[-1]) / RATE_HZ for when, pcm in spoken if len(loud := audible(pcm, least))]
    made, item = [], None
    least = threshold([pcm for _, _, pcm in said])
    for when, of, pcm in said:
        if of != item and len(loud := audible(pcm, least)):
            item, heard = of, when + loud[0] / RATE_HZ
            made.append((heard - max(end for end in ends if end < heard)) * 1000)
    return made


WINDOW = RATE_HZ // 400


def power(pcm: np.ndarray) -> np.ndarray:
    """Of the 2.5 ms around each sample."""
    return np.convolve(pcm**2, np.full(WINDOW, 1 / WINDOW), "same")


def threshold(pieces: list[np.ndarray]) -> float:
    """As a power."""
    loudest = max(float(power(pcm).max()) for pcm in pieces)
    return max(1e-5, loudest * 1e-4)


def audible(pcm: np.ndarray, least: float) -> np.ndarray:
    """Indices of samples that are, and are loud themselves."""
    return np.flatnonzero((power(pcm) > least) & (pcm**2 >= least))


def sound(text: str) -> np.ndarray:
    return np.frombuffer(base64.b64decode(text), "<i2") / 32_768


if __name__ == "__main__":
    asyncio.run(relay(sys.argv[1], int(sys.argv[2]), Path(sys.argv[3])))
