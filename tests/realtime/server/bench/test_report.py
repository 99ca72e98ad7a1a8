"""What is left of a measurement: files that anybody can read without us."""

import io
import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
import soundfile
from rich.console import Console
from signals import said, take, told

from vivavoce.realtime.server.bench.metrics import TITLES
from vivavoce.realtime.server.bench.page import page
from vivavoce.realtime.server.bench.report import headed, load_report, measured, save, show
from vivavoce.realtime.server.bench.take import Take
from vivavoce.realtime.server.serving import Unusable

SERVER = {"address": "ws://there/v1/realtime", "transport": "ws", "model": "<script>alert(1)</script>", "own": False}


@pytest.fixture(scope="module")
def conversation() -> Take:
    """25 questions, a wait between 300 and 540 ms each, every fifth answer interrupted."""
    asked, heard, events = [], [], []
    for n in range(25):
        at = 5_000 * n
        asked.append(said(at, 500, turn=n))
        heard.append((at + 800 + 10 * n, at + (2_200 if n % 5 else 1_700)))
        events.append(told(at + 700, "response.created", response={"id": f"r{n}"}))
        if not n % 5:
            asked.append(said(at + 1_500, 600, kind="interruption", turn=n))
            events.append(told(at + 1_700, "output_audio_buffer.cleared", response_id=f"r{n}"))
    return take(125_000, heard, *asked, told=events)


@pytest.fixture(scope="module")
def report(conversation: Take) -> dict:
    return headed("duplex", SERVER, {"seed": 5}) | measured([conversation])


def test_every_figure_is_there_and_says_of_how_many(report: dict) -> None:
    assert report["bench_schema"] == 1
    assert set(report["metrics"]) <= set(TITLES)
    assert all("n" in figure for figure in report["metrics"].values())
    assert report["metrics"]["v2v"]["p50"]["value"] == pytest.approx(420, abs=2)
    assert report["metrics"]["stop"]["n"] == 5 and "p50" not in report["metrics"]["stop"]
    assert report["machine"]["cores"] >= 1 and report["machine"]["packages"]["vivavoce"]


def test_what_was_saved_can_be_loaded(report: dict, conversation: Take, tmp_path: Path) -> None:
    save(report, [conversation], tmp_path / "out")
    assert load_report(tmp_path / "out") == load_report(tmp_path / "out" / "report.json") == report
    rows = [json.loads(line) for line in (tmp_path / "out" / "turns.jsonl").read_text().splitlines()]
    assert rows == report["turns"] and len(rows) == 25
    events = [json.loads(line) for line in (tmp_path / "out" / "events-0.jsonl").read_text().splitlines()]
    assert events[0] == {"at_ms": 700, "type": "response.created", "response": {"id": "r0"}}
    pcm, rate = soundfile.read(tmp_path / "out" / "conversation-0.wav")
    assert (rate, pcm.shape) == (24_000, (len(conversation.microphone), 2))


def test_no_room_for_it_is_told(report: dict, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(Unusable, match="cannot be written"):
        save(report, [], tmp_path / "file" / "out")


class Strict(HTMLParser):
    """Counts elements, and fails on any that is not closed in its place."""

    VOID = ("meta", "br")

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.count: dict[str, int] = {}

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.count[tag] = self.count.get(tag, 0) + 1
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.count[tag] = self.count.get(tag, 0) + 1

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_the_page_needs_nothing_else_and_is_well_formed(report: dict) -> None:
    text = page(report)
    parser = Strict()
    parser.feed(text)
    assert parser.open == [] and "script" not in parser.count
    assert not re.search(r"(src|href|url\()\s*=?\s*[\"']?http", text)
    assert parser.count["svg"] == 4  # ECDF, waterfall, over the call, interruption raster
    assert "&lt;script&gt;" in text


def test_levels_are_drawn_as_a_knee(report: dict) -> None:
    levels = [report | {"name": f"{n} at once", "sessions": n, "holds": n < 4, "problems": []} for n in (1, 2, 4)]
    both = headed("load", SERVER, {"slo": "v2v.p95<=700"}) | {"levels": levels, "knee": 2}
    parser = Strict()
    parser.feed(page(both))
    assert parser.open == [] and parser.count["svg"] == 1 + 3 * 4


def test_a_person_reads_the_same(report: dict) -> None:
    console = Console(width=110, record=True, file=io.StringIO())
    show(report, console)
    text = console.export_text()
    assert "voice to voice" in text and "[" in text and "median turn: 420 ms = endpointing 200" in text
