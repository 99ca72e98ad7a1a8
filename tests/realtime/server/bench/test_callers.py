"""The bench measures what a listener would notice."""

import base64
import json
from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
import pytest
import soundfile
from websockets.asyncio.server import ServerConnection, serve
from websockets.typing import Subprotocol

from vivavoce.realtime.server.bench.callers import (
    late_ms,
    measure,
    real_time_factor,
    save_report,
    spoken_question,
    summarize,
)
from vivavoce.realtime.server.client import TalkFailed
from vivavoce.realtime.server.serving import Unusable

RATE_HZ = 24_000
QUESTION = np.full(RATE_HZ // 5, 0.25, np.float32)
"""200 ms of steady sound."""


def test_an_answer_that_comes_ahead_of_its_playing_is_never_late() -> None:
    arrivals = [(700, 200), (800, 200), (1_000, 200)]
    assert late_ms(arrivals) == 0
    assert real_time_factor(arrivals) == pytest.approx(300 / 400)


def test_silence_inside_an_answer_is_late_and_delays_what_follows() -> None:
    """Played 0..200, then nothing until 250; played 250..450, then nothing until 500."""
    assert late_ms([(0, 200), (250, 200), (500, 200)]) == 50 + 50


def test_one_late_piece_is_counted_once() -> None:
    """Played 0..200 and 300..500; the third is there in time for that."""
    assert late_ms([(0, 200), (300, 200), (450, 200)]) == 100


def test_answers_without_sound_are_counted_and_spoil_no_median() -> None:
    level = summarize(2, [[], [(500, 100)], [(900, 100)]])
    assert (level.answers, level.silent) == (3, 1)
    assert (level.first_audio_ms, level.worst_first_audio_ms) == (700, 900)
    assert level.real_time_factor is None


def test_a_frame_is_missed_if_its_listener_had_run_dry() -> None:
    in_time = [(0, 60), *((30 + 60 * n, 60) for n in range(1, 100))]
    level = summarize(1, [in_time, [(0, 180), (200, 60), (260, 60)]])
    assert (level.frames, level.missed_frames, level.worst_late_ms) == (105, 2, 30)
    assert level.late_p99_ms == 20


def test_one_frame_in_a_hundred_may_be_missed_at_the_99th_percentile() -> None:
    steady = [(60 * n, 60) for n in range(99)]
    assert summarize(1, [[*steady, (60 * 99 + 7, 60)]]).late_p99_ms == 0
    assert summarize(1, [[*steady[:-1], (60 * 98 + 9, 60), (60 * 99 + 20, 60)]]).late_p99_ms == 9
    assert summarize(1, [[], []]).late_p99_ms == 0


class ScriptedServer:
    """Answers each question, which ends with the first silent packet, with the same pieces of sound."""

    def __init__(self) -> None:
        self.pieces_ms = [100, 60]
        self.status = "completed"
        self.questions = self.pictures = 0

    async def call(self, connection: ServerConnection) -> None:
        await connection.send(json.dumps({"type": "session.created"}))
        speaking = False
        async for text in connection:
            event = json.loads(text)
            match event["type"]:
                case "session.update":
                    await connection.send(json.dumps({"type": "session.updated"}))
                case "input_image_buffer.append":
                    self.pictures += 1
                case "input_audio_buffer.append":
                    loud = any(base64.b64decode(event["audio"]))
                    if speaking and not loud:
                        await self.answer(connection)
                    speaking = loud

    async def answer(self, connection: ServerConnection) -> None:
        self.questions += 1
        heard = {"type": "conversation.item.input_audio_transcription.completed", "transcript": "what"}
        response = {"id": f"resp_{self.questions}", "status": self.status}
        sounds = [base64.b64encode(bytes(RATE_HZ * ms // 1000 * 2)).decode() for ms in self.pieces_ms]
        deltas = [{"type": "response.output_audio.delta", "response_id": response["id"], "delta": s} for s in sounds]
        begin, end = ({"type": kind, "response": response} for kind in ("response.created", "response.done"))
        for event in (heard, begin, *deltas, end):
            await connection.send(json.dumps(event))


@pytest.fixture
def script() -> ScriptedServer:
    return ScriptedServer()


@pytest.fixture
async def url(script: ScriptedServer) -> AsyncIterator[str]:
    async with serve(script.call, "127.0.0.1", 0, subprotocols=[Subprotocol("realtime")]) as server:
        yield f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}"


async def test_callers_ask_in_turn_and_each_answer_is_heard(script: ScriptedServer, url: str) -> None:
    done: list[bool] = []
    level = await measure(url, QUESTION, callers=2, turns=2, answered=lambda: done.append(True))
    assert script.questions == level.answers == len(done) == 4
    assert script.pictures >= 4
    assert level.silent == 0 and level.sound_ms == 4 * 160
    assert level.worst_first_audio_ms is not None and level.worst_first_audio_ms >= 0
    assert level.callers_cores is not None and level.server_cores is None


async def test_an_answer_that_fails_ends_the_bench_in_words(script: ScriptedServer, url: str) -> None:
    script.status = "failed"
    with pytest.raises(TalkFailed, match="failed"):
        await measure(url, QUESTION, callers=1, turns=1)


def test_a_silent_question_is_refused(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "nothing.wav", np.zeros(2_400), RATE_HZ)
    with pytest.raises(Unusable, match="silent"):
        spoken_question(tmp_path / "nothing.wav")


def test_the_report_says_on_what_and_how_it_was_measured(tmp_path: Path) -> None:
    save_report([summarize(1, [[(700, 100)]])], 1, tmp_path / "bench.json")
    report = json.loads((tmp_path / "bench.json").read_text())
    assert report["machine"]["cores"] >= 1
    assert report["levels"][0]["first_audio_ms"] == 700
