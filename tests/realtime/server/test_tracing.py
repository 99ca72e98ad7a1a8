"""A conversation as spans, in the SDK's memory; and nothing at all without an SDK."""

import os
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from queue import Queue

import numpy as np
import pytest
from caller import SILENCE, call, server
from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from scripted_host import ScriptedHost

from vivavoce.realtime.server import tracing
from vivavoce.realtime.server.local import LocalModel


@pytest.fixture
def spans(monkeypatch: pytest.MonkeyPatch) -> Iterator[InMemorySpanExporter]:
    """What was traced."""
    provider, exporter = TracerProvider(), InMemorySpanExporter()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    monkeypatch.setattr(trace, "get_tracer", provider.get_tracer)
    yield exporter
    provider.shutdown()


def length_ms(span: ReadableSpan) -> int:
    assert span.start_time is not None and span.end_time is not None
    return (span.end_time - span.start_time) // 1_000_000


async def test_a_session_holds_its_turns_and_a_turn_its_stages(
    spans: InMemorySpanExporter, wire_question: np.ndarray
) -> None:
    async with server(LocalModel(ScriptedHost())) as where, call(where) as caller:
        session = caller.session["id"]
        await caller.send("session.update", session={"type": "realtime", "extensions": ["response.metrics"]})
        await caller.say(np.concatenate([wire_question, SILENCE]))
        told = await caller.expect("response.metrics")
    finished = {span.name: span for span in spans.get_finished_spans()}
    whole, turn = finished.pop("vivavoce.session"), finished.pop("vivavoce.turn")
    assert whole.attributes is not None and turn.attributes is not None and turn.parent is not None
    assert whole.attributes["session.id"] == session
    assert whole.attributes["gen_ai.request.model"] == "script"
    assert turn.parent.span_id == whole.context.span_id
    assert turn.attributes["vivavoce.response.id"] == told["response_id"]
    assert turn.attributes["vivavoce.audio.sent_ms"] == 600
    assert {event.name for event in turn.events} >= {"speculative_start", "turn_end", "first_token", "first_audio"}
    assert all(span.parent and span.parent.span_id == turn.context.span_id for span in finished.values())
    stages = {name.removeprefix("vivavoce.turn."): length_ms(span) for name, span in finished.items()}
    assert stages == {part: ms for part, ms in told["parts_ms"].items() if part != "total" and ms}
    assert sum(stages.values()) == told["parts_ms"]["total"]


async def test_without_an_sdk_nothing_is_traced(wire_question: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> None:
    assert tracing.Trace("s", "kitten")._span is None, "nobody has configured one"
    monkeypatch.setattr(tracing, "trace", None)  # the extra is not installed
    async with server(LocalModel(ScriptedHost())) as where, call(where) as caller:
        await caller.say(np.concatenate([wire_question, SILENCE]))
        assert (await caller.expect("response.done"))["response"]["status"] == "completed"


@pytest.mark.parametrize(
    "environ",
    [
        {},
        {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://localhost:4318", "OTEL_SDK_DISABLED": "true"},
        {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://localhost:4318", "OTEL_TRACES_EXPORTER": "none"},
    ],
)
def test_who_names_no_collector_gets_no_sdk(environ: dict[str, str]) -> None:
    assert not tracing.configure(environ)


class Collector(BaseHTTPRequestHandler):
    """Takes spans by OTLP over HTTP, and keeps them."""

    posts: Queue[tuple[str, bytes]] = Queue()

    def do_POST(self) -> None:
        self.posts.put((self.path, self.rfile.read(int(self.headers["Content-Length"]))))
        self.send_response(200)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Not on the test's output."""


def test_the_standard_variables_lead_spans_to_a_collector(monkeypatch: pytest.MonkeyPatch) -> None:
    chosen: list[TracerProvider] = []
    monkeypatch.setattr(trace, "set_tracer_provider", chosen.append)
    with ThreadingHTTPServer(("127.0.0.1", 0), Collector) as collector:
        serving = threading.Thread(target=collector.serve_forever)
        serving.start()
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{collector.server_port}")
        assert tracing.configure(os.environ)
        (provider,) = chosen
        monkeypatch.setattr(trace, "get_tracer", provider.get_tracer)
        tracing.Trace("sess_1", "kitten").end(1_000)
        provider.shutdown()
        path, spans = Collector.posts.get(timeout=20)
        collector.shutdown()
        serving.join()
    assert path == "/v1/traces"
    assert b"vivavoce.session" in spans and b"sess_1" in spans
    assert provider.resource.attributes["service.name"] == "vivavoce"
