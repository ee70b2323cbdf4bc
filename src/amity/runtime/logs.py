"""Logs as lines of `key=value` on standard error, which whoever started the process keeps."""

import logging
import sys
from datetime import UTC, datetime
from typing import TextIO, cast

import structlog


class LossyStream:
    """A text stream that never fails: a full disk under the log must not end what is logged.

    `held_up` counts the lines that could not be written; when writing succeeds again, a line says how many they were.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self.held_up = 0

    def write(self, line: str) -> int:
        """Write one line with its end, or drop it."""
        try:
            if self.held_up:
                self._stream.write(_lost(self.held_up))
            self._stream.write(line)
            self._stream.flush()
        except (OSError, ValueError):  # ValueError: the stream is closed
            self.held_up += 1
        else:
            self.held_up = 0
        return len(line)

    def flush(self) -> None:
        """Nothing waits: every line was flushed or dropped."""


def _lost(count: int) -> str:
    now = datetime.now(UTC).isoformat().replace("+00:00", "Z")
    return f'timestamp={now} level=warning event="log lines came late or not at all" count={count}\n'


def configure_logs(*, quiet: bool = False) -> None:
    """Set structlog up once per process; times are UTC."""
    level = logging.CRITICAL if quiet else logging.INFO
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.processors.LogfmtRenderer(key_order=["timestamp", "level", "event"], bool_as_flag=False),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.WriteLoggerFactory(cast("TextIO", LossyStream(sys.stderr))),
        cache_logger_on_first_use=True,
    )
