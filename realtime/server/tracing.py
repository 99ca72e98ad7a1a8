"""Conversations as OpenTelemetry spans: a session, the turns in it, the stages of each.

    vivavoce.session
      vivavoce.turn             from the end of the user's voice (or the request) to response.done
        vivavoce.turn.pause, .queue, .encode, .prefill, .decode, .codec, .held, .playback    one behind the other

Spans are made when a turn is over, out of what was measured of it (`response.metrics`), with the times at which things happened;
nothing is done while somebody waits. Without the opentelemetry API installed, or without an SDK that records, nothing is done
at all. `configure` gives the process an SDK, if the standard variables ask for one.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from typing import Any

from vivavoce.realtime.stages import PARTS

try:
    from opentelemetry import trace
except ImportError:  # the extra `vivavoce[otel]`
    trace = None  # type: ignore[assignment]

log = logging.getLogger(__name__)

NAME = "vivavoce"
MOMENTS = (
    "speculative_start_ms",
    "turn_end_ms",
    "first_token_ms",
    "first_code_ms",
    "first_sound_ms",
    "first_audio_ms",
    "played_ms",
)
"""Events of a turn's span, named without their unit."""


class Trace:
    """One conversation's spans. Times are milliseconds since it began."""

    def __init__(self, session: str, model: str) -> None:
        self._span: Any = None
        if trace is None:
            return
        self._began_ns = time.time_ns()
        self._tracer = trace.get_tracer(NAME)
        span = self._tracer.start_span(f"{NAME}.session", start_time=self._began_ns)
        if span.is_recording():
            span.set_attributes({"session.id": session, "gen_ai.request.model": model})
            self._span, self._inside = span, trace.set_span_in_context(span)

    def turn(self, report: Mapping[str, Any]) -> None:
        """An answer has ended; `report` is its `response.metrics`."""
        if self._span is None:
            return
        asked, spoken, parts = report["speculative_start_ms"], report["speech_end_ms"], report["parts_ms"]
        begin = asked if spoken is None else spoken
        at = begin - (parts["capture"] if parts else 0)
        turn = self._tracer.start_span(f"{NAME}.turn", self._inside, start_time=self._ns(at))
        facts = {
            "response.id": report["response_id"],
            "status": report["status"],
            "rollback_count": report["rollback_count"],
        }
        sound = {f"audio.{name}_ms": ms for name, ms in report["audio_ms"].items()}
        turn.set_attributes({f"{NAME}.{name}": value for name, value in {**facts, **sound}.items()})
        for moment in MOMENTS:
            if report[moment] is not None:
                turn.add_event(moment.removesuffix("_ms"), timestamp=self._ns(report[moment]))
        if report["status"] == "failed":
            turn.set_status(trace.Status(trace.StatusCode.ERROR))
        inside = trace.set_span_in_context(turn)
        for part in PARTS if parts else ():
            if parts[part]:
                stage = self._tracer.start_span(f"{NAME}.turn.{part}", inside, start_time=self._ns(at))
                at += parts[part]
                stage.end(self._ns(at))
        turn.end(self._ns(max(at, report["done_ms"])))

    def end(self, now_ms: int) -> None:
        """The conversation is over."""
        if self._span is not None:
            self._span.end(self._ns(now_ms))
            self._span = None

    def _ns(self, ms: int) -> int:
        return self._began_ns + ms * 1_000_000


def configure(environ: Mapping[str, str]) -> bool:
    """Give this process an SDK that sends spans where `OTEL_EXPORTER_OTLP_*` say. Returns whether it did.

    Nothing is done if the variables name no collector, if they say `OTEL_SDK_DISABLED=true` or `OTEL_TRACES_EXPORTER=none`, or if
    somebody has configured an SDK already (`opentelemetry-instrument vivavoce serve`). All else (headers, protocol's timeouts,
    `OTEL_SERVICE_NAME`, `OTEL_TRACES_SAMPLER`, `OTEL_BSP_*`) the SDK reads by itself.
    """
    wanted = "OTEL_EXPORTER_OTLP_ENDPOINT" in environ or "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT" in environ
    refused = (
        environ.get("OTEL_SDK_DISABLED", "").lower() == "true" or environ.get("OTEL_TRACES_EXPORTER", "otlp") == "none"
    )
    if not wanted or refused:
        return False
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ImportError:
        log.warning("OTEL_EXPORTER_OTLP_ENDPOINT is set, but there is no SDK: pip install 'vivavoce[otel]'")
        return False
    if isinstance(trace.get_tracer_provider(), TracerProvider):
        return False
    named = {} if "OTEL_SERVICE_NAME" in environ else {"service.name": NAME}
    provider = TracerProvider(resource=Resource.create(named))
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    trace.set_tracer_provider(provider)
    return True
