"""The clients, what each of them is judged by, and the table of what came of it.

`python tests/conformance/matrix.py` writes the table of the last run into the README.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import jsonschema

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
LAST = HERE / ".env" / "matrix.md"
"""The table of the last run."""
BEGIN, END = "<!-- conformance -->", "<!-- /conformance -->"
"""Between these lines of the README stands the table."""

ANSWER_MS = 2_400
"""The answer that is interrupted after 700 ms lasts longer."""
QUIET_MS = 1_000
"""What a browser's own buffer may still play of an answer that the server has stopped."""
LOUD = 0.02
"""RMS of an answer that is heard."""

SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {"city": {"enum": ["Rome", "Paris"]}, "days": {"enum": [1, 2, 3]}},
    "required": ["city", "days"],
    "additionalProperties": False,
}

Report = Mapping[str, Any]


@dataclass(frozen=True)
class Client:
    """A row. `environment` is what its `program` is installed in; `camera` says as what it shows pictures."""

    name: str
    where: str
    transport: str
    program: str
    environment: str
    camera: str

    @property
    def id(self) -> str:
        return f"{self.program.partition('.')[0]}-{self.transport}"

    @property
    def version(self) -> str:
        """The one that is pinned, and so the one that ran."""
        if self.environment == "ours":
            return version(self.name)
        if self.environment == "node":
            pins: dict[str, str] = json.loads((HERE / "package.json").read_text())["dependencies"]
            return pins[self.name]
        lines = (HERE / f"requirements-{self.environment}.txt").read_text()
        pinned = re.search(rf"^{re.escape(self.name)}==(\S+)$", lines, re.M)
        assert pinned is not None, f"{self.name} is not pinned"
        return pinned[1]


AGENTS_JS = "@openai/agents-realtime"
CLIENTS = (
    Client("openai", "Python", "WebSocket", "openai_python.py", "ours", "`input_image_buffer`"),
    Client("openai", "Python", "WebRTC", "openai_webrtc.py", "ours", "video track"),
    Client("openai", "Node", "WebSocket", "openai_node.mjs", "node", "image item"),
    Client(AGENTS_JS, "Node", "WebSocket", "agents_node.mjs", "node", "image item"),
    Client(AGENTS_JS, "Chromium", "WebSocket", "agents_browser.html", "node", "image item"),
    Client(AGENTS_JS, "Chromium", "WebRTC", "agents_browser.html", "node", "video track"),
    Client("openai-agents", "Python", "WebSocket", "agents_python.py", "agents", "image item"),
    Client("livekit-plugins-openai", "Python", "WebSocket", "livekit_python.py", "livekit", "image item"),
    Client("pipecat-ai", "Python", "WebSocket", "pipecat_python.py", "pipecat", "image item"),
)


def spoken(told: Report) -> None:
    """It was heard, and answered aloud with what is true."""
    assert told["question"] == "what is your name"
    assert "kitten" in told["answer"].lower()
    assert told["seconds"] > 1
    assert told["loudness"] > LOUD


def barge_in(told: Report) -> None:
    """The sound stopped, client and server agree where, and the question in between was answered.

    It also is the control of `camera`: the same question without a picture gets no colour for an answer.
    """
    assert told["questions"] == ["what colour is the circle", "what is your name"]
    first, second = told["answers"][:2]
    assert "red" not in words(first)
    assert 300 < told["played_ms"] < ANSWER_MS
    assert abs(told["audio_end_ms"] - told["played_ms"]) < 300
    assert told.get("tail_ms", 0) < QUIET_MS
    kept = told.get("kept", first[:1])
    assert first.startswith(kept.strip()) and 0 < len(kept) < len(first), "what stays is what was heard"
    assert "kitten" in second.lower()
    assert told["second_ms"] > 1_000


def tool_call(told: Report) -> None:
    """It was called once, with arguments that its schema allows; its result was taken, and there was an answer."""
    assert (told["name"], told["calls"]) == ("weather", 1)
    jsonschema.validate(json.loads(told["arguments"]), SCHEMA)
    assert "sunny" in told["result"]
    assert re.search(r"\w", told["answer"])


def camera(told: Report) -> None:
    """The question is the one of `barge_in`, and now there is a red circle to be seen."""
    assert told["question"] == "what colour is the circle"
    assert "red" in words(told["answer"])
    assert told["loudness"] > LOUD


def words(text: str) -> list[str]:
    return re.findall(r"\w+", text.lower())


JUDGES: dict[str, Callable[[Report], None]] = {
    "spoken": spoken,
    "barge_in": barge_in,
    "tool_call": tool_call,
    "camera": camera,
}


def judge(report: Report, capability: str) -> None:
    """Raises AssertionError with what the client told of it."""
    told = report[capability]
    assert "failed" not in told, told["failed"]
    JUDGES[capability](told)


def check_transport(client: Client, report: Report) -> None:
    """It went over the transport that its row names: over WebRTC no sound is among the events."""
    assert ("output_audio_buffer.started" in report["events"]) == (client.transport == "WebRTC")
    assert ("response.output_audio.delta" in report["events"]) == (client.transport == "WebSocket")


def passes(report: Report, capability: str) -> bool:
    try:
        judge(report, capability)
    except (AssertionError, jsonschema.ValidationError):
        return False
    return True


def table(reports: Iterable[tuple[Client, Report]]) -> str:
    """Markdown, a row for each client."""
    head = ("client", "", "over", "spoken turn", "interrupted by voice", "function called", "camera", "errors it saw")
    rows = [row(client, report) for client, report in reports]
    lines = [head, ("---",) * 3 + (":-:",) * 4 + ("--:",), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"


def row(client: Client, report: Report) -> tuple[str, ...]:
    marks = {capability: "✓" if passes(report, capability) else "✗" for capability in JUDGES}
    marks["camera"] += f" {client.camera}"
    name = f"`{client.name}` {client.version}"
    return (name, client.where, client.transport, *marks.values(), str(len(report["errors"])))


def told_by(readme: str) -> str:
    """The table in the README."""
    return readme.partition(BEGIN)[2].partition(END)[0].strip() + "\n"


def rewritten(readme: str, table: str) -> str:
    """The README with another table."""
    before, _, rest = readme.partition(BEGIN)
    return f"{before}{BEGIN}\n{table}{END}{rest.partition(END)[2]}"


def main() -> None:
    if not LAST.exists():
        sys.exit("README.md stays as it is: not all clients could be run")
    readme = ROOT / "README.md"
    readme.write_text(rewritten(readme.read_text(), LAST.read_text()))


if __name__ == "__main__":
    main()
