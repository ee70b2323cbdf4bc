"""Metrics for Prometheus: a page on a port of this machine's loopback, for each role that is given one.

Names follow https://prometheus.io/docs/practices/naming: base units, `_total` on what only grows. They are listed, with
what each means, in docs/observability.md; a test compares that list with what is served.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import structlog
from prometheus_client import CollectorRegistry, ProcessCollector, start_http_server

from amity.kernel.errors import TransportError

LOOPBACK: Final = "127.0.0.1"


def new_registry() -> CollectorRegistry:
    """A registry that already has what every process tells: `process_cpu_seconds_total` and its kin."""
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    return registry


@contextmanager
def serving_metrics(registry: CollectorRegistry, port: int, role: str) -> Iterator[int]:
    """Serve the registry at http://127.0.0.1:PORT/metrics while this lasts; gives the port.

    Port 0 serves nothing. Raise TransportError when the port cannot be had.
    """
    if port == 0:
        yield 0
        return
    try:
        server, thread = start_http_server(port, LOOPBACK, registry)
    except OSError as error:
        raise TransportError(
            f"cannot serve metrics on {LOOPBACK}:{port}: {error.strerror or error}",
            next_step=f"choose another metrics_port for the {role}, or end the program that holds it",
        ) from error
    structlog.get_logger(role).info("serving metrics", url=f"http://{LOOPBACK}:{port}/metrics")
    try:
        yield port
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
