"""What an OpenTelemetry collector receives: a small one of ours on the loopback, told by the real SDK and exporter."""

from collections.abc import Iterator
from datetime import timedelta
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest

from amity.domain.collection import Delivery, Exchange, Outcome
from amity.runtime.logs import traces
from amity.runtime.logs.traces import session_traces
from tests.unit.headend.jobs.requests import NOW

sdk = pytest.importorskip("opentelemetry.sdk.trace", reason="no OpenTelemetry SDK is installed: the operator's choice")
export = pytest.importorskip("opentelemetry.sdk.trace.export")
otlp = pytest.importorskip("opentelemetry.exporter.otlp.proto.http.trace_exporter")
messages = pytest.importorskip("opentelemetry.proto.collector.trace.v1.trace_service_pb2")
SECOND = timedelta(seconds=1)


class Receiver(ThreadingHTTPServer):
    """Keeps what is posted to /v1/traces."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Post)
        self.bodies: list[bytes] = []

    def spans(self) -> list[object]:
        requests = [messages.ExportTraceServiceRequest.FromString(body) for body in self.bodies]
        return [
            span for one in requests for of in one.resource_spans for scope in of.scope_spans for span in scope.spans
        ]


class _Post(BaseHTTPRequestHandler):
    server: Receiver

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.path == "/v1/traces":
            self.server.bodies.append(body)
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Nothing on the terminal."""


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def test_a_session_arrives_at_a_collector_in_the_trace_of_its_word(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    provider = sdk.TracerProvider()
    exporter = otlp.OTLPSpanExporter(endpoint=f"http://127.0.0.1:{receiver.server_port}/v1/traces")
    provider.add_span_processor(export.BatchSpanProcessor(exporter))
    monkeypatch.setattr(traces.trace, "get_tracer_provider", lambda: provider)
    monkeypatch.setattr(traces.trace, "get_tracer", provider.get_tracer)
    made = session_traces()
    assert made is not None
    delivery = Delivery(
        "m", "M1", "s", NOW + 2 * SECOND, Outcome.COMPLETE, duration_ms=2500,
        exchanges=(Exchange(NOW, b"123", b"12", b""),), correlation_id="word",
    )  # fmt: skip
    told: list[Delivery] = []
    made.tracing(told.append)(delivery)
    assert told == [delivery]
    provider.shutdown()  # sends what waits

    exchange, session = sorted(receiver.spans(), key=lambda span: span.name)
    assert (exchange.name, session.name) == ("amity.exchange", "amity.session")
    assert session.trace_id == exchange.trace_id == sha256(b"word").digest()[:16]
    assert exchange.parent_span_id == session.span_id
    assert session.end_time_unix_nano - session.start_time_unix_nano == 2_500_000_000
    assert {one.key: one.value.string_value for one in session.attributes}["amity.meter_id"] == "M1"
