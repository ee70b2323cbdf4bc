"""Sessions and jobs as spans: times, nesting, and one trace per correlation id. Only the API is needed, no SDK."""

from datetime import timedelta
from hashlib import sha256

import pytest

from amity.domain.collection import Delivery, Exchange, Outcome
from amity.domain.jobs import Bundle, Job, JobKind, JobOutcome, JobState, Lease, Priority
from amity.headend.jobs.worker import Done
from amity.runtime.logs.traces import SessionTraces, session_traces
from tests.unit.headend.jobs.requests import NOW

trace = pytest.importorskip("opentelemetry.trace", reason="the extra `traces` is not installed")
SECOND = timedelta(seconds=1)


class Span(trace.NonRecordingSpan):
    def __init__(self, name: str, parent: object, attributes: dict[str, object], start_ns: int) -> None:
        super().__init__(trace.SpanContext(parent.trace_id, start_ns, is_remote=False))
        self.name, self.parent, self.attributes, self.start_ns, self.end_ns = name, parent, attributes, start_ns, 0

    def end(self, end_time: int | None = None) -> None:
        self.end_ns = end_time or 0


class Tracer:
    def __init__(self) -> None:
        self.spans: list[Span] = []

    def start_span(self, name: str, context: object, *, attributes: dict[str, object], start_time: int) -> Span:
        parent = trace.get_current_span(context).get_span_context()
        self.spans.append(Span(name, parent, attributes, start_time))
        return self.spans[-1]


def ns(seconds: float) -> int:
    return int((NOW.timestamp() + seconds) * 1000) * 1_000_000


def test_a_session_is_a_span_with_its_exchanges_in_the_trace_of_its_word() -> None:
    exchanges = (Exchange(NOW, b"123", b"12", b""), Exchange(NOW + SECOND, b"1", b"", b""))
    delivery = Delivery(
        "m", "M1", "s", NOW + 2 * SECOND, Outcome.COMPLETE, duration_ms=2500, exchanges=exchanges,
        correlation_id="word,default@2026",
    )  # fmt: skip
    tracer, told = Tracer(), []
    SessionTraces(tracer).tracing(told.append)(delivery)
    session, first, second = tracer.spans
    assert told[0] is delivery
    assert [one.name for one in tracer.spans] == ["amity.session", "amity.exchange", "amity.exchange"]
    assert (session.start_ns, session.end_ns) == (ns(-0.5), ns(2))
    assert [(one.start_ns, one.end_ns) for one in (first, second)] == [(ns(0), ns(1)), (ns(1), ns(2))]
    assert session.parent.trace_id == int.from_bytes(sha256(b"word").digest()[:16], "big")
    assert first.parent == second.parent == session.get_span_context()
    assert session.attributes["amity.correlation_id"] == "word,default@2026"
    assert first.attributes == {"amity.exchange": 0, "amity.sent": 3, "amity.received": 2}


def test_without_a_provider_nothing_is_traced() -> None:
    assert session_traces() is None


def test_a_job_is_a_span_of_the_same_trace() -> None:
    job = Job("j", "M1", JobKind.PING, Priority.ON_DEMAND, JobState.LEASED, NOW + SECOND, NOW, correlation_id="word")
    done = Done(Bundle(Lease("M1", "w", 1, NOW), (job,)), (JobOutcome("j", JobState.DONE),), accepted=True)
    tracer = Tracer()
    SessionTraces(tracer).jobs(done, NOW + 3 * SECOND)
    (span,) = tracer.spans
    assert (span.name, span.start_ns, span.end_ns) == ("amity.job", ns(1), ns(3))
    assert span.parent.trace_id == int.from_bytes(sha256(b"word").digest()[:16], "big")
    assert span.attributes["amity.job_state"] == "done"
