"""Optional OpenTelemetry traces: each session as a span with a child for every exchange, one trace per correlation id.

Spans are made when the session is over, with the times at which things happened: whoever watches does not slow it down.
Without the package `opentelemetry-api` (the extra `traces`), or a provider of tracers that somebody set up, as
`opentelemetry-instrument amity serve` does, nothing is traced.
"""

from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any, Final

from amity.domain.collection import Delivery
from amity.domain.jobs import Job
from amity.headend.jobs.sessions import OnSession
from amity.headend.jobs.worker import Done
from amity.kernel.time import EPOCH

try:
    from opentelemetry import trace
except ImportError:  # the extra is not installed
    trace = None  # type: ignore[assignment]

_TRACE_OCTETS: Final = 16
_SPAN_OCTETS: Final = 8


def session_traces() -> "SessionTraces | None":
    """Where OpenTelemetry is at hand and somebody set it up, what tells it; else None."""
    if trace is None or isinstance(trace.get_tracer_provider(), trace.ProxyTracerProvider):
        return None
    return SessionTraces(trace.get_tracer("amity.headend"))


class SessionTraces:
    """Makes spans with a tracer (`opentelemetry.trace.Tracer`)."""

    def __init__(self, tracer: Any) -> None:
        self._tracer = tracer

    def tracing(self, tell: OnSession) -> OnSession:
        """The same, with each session traced first."""

        def trace_and_tell(delivery: Delivery) -> None:
            self.session(delivery)
            tell(delivery)

        return trace_and_tell

    def session(self, delivery: Delivery) -> None:
        """A span from connect to close, with a child for each exchange: from its request to the next."""
        word = delivery.correlation_id or delivery.session_id
        start = delivery.collected_at - timedelta(milliseconds=delivery.duration_ms)
        attributes = {
            "amity.correlation_id": word,
            "amity.meter_id": delivery.meter_id,
            "amity.session_id": delivery.session_id,
            "amity.outcome": delivery.outcome.value,
            "amity.attempts": delivery.attempts,
        }
        span = self._tracer.start_span("amity.session", _within(word), attributes=attributes, start_time=_ns(start))
        around = trace.set_span_in_context(span)
        ends = [one.at for one in delivery.exchanges[1:]] + [delivery.collected_at]
        for number, (one, end) in enumerate(zip(delivery.exchanges, ends, strict=False)):
            octets = {"amity.exchange": number, "amity.sent": len(one.request), "amity.received": len(one.response)}
            child = self._tracer.start_span("amity.exchange", around, attributes=octets, start_time=_ns(one.at))
            child.end(end_time=_ns(end))
        span.end(end_time=_ns(delivery.collected_at))

    def jobs(self, done: Done, now: datetime) -> None:
        """A span for each job of a bundle, from when it was asked for until now, in the trace of its word."""
        states = {outcome.job_id: outcome.state.value for outcome in done.outcomes}
        for job in done.bundle.jobs:
            self._job(job, states.get(job.job_id, "lost"), now)

    def _job(self, job: Job, state: str, now: datetime) -> None:
        attributes = {
            "amity.correlation_id": job.correlation_id,
            "amity.job_id": job.job_id,
            "amity.meter_id": job.meter_id,
            "amity.job_kind": job.kind.value,
            "amity.job_state": state,
        }
        context = _within(job.correlation_id or job.job_id)
        start = _ns(max(job.created_at, job.not_before))
        self._tracer.start_span("amity.job", context, attributes=attributes, start_time=start).end(end_time=_ns(now))


def _within(words: str) -> Any:
    """The trace of the first of these words; whoever knows the word can compute the id of its trace."""
    word = words.partition(",")[0]
    digest = sha256(word.encode()).digest()
    parent = trace.SpanContext(
        trace_id=int.from_bytes(digest[:_TRACE_OCTETS], "big"),
        span_id=int.from_bytes(digest[-_SPAN_OCTETS:], "big"),
        is_remote=True,
        trace_flags=trace.TraceFlags(trace.TraceFlags.SAMPLED),
    )
    return trace.set_span_in_context(trace.NonRecordingSpan(parent))


def _ns(instant: datetime) -> int:
    return (instant - EPOCH) // timedelta(microseconds=1) * 1000
