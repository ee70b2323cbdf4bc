"""Logs as lines of `key=value` on standard error, which whoever started the process keeps."""

import logging
import sys
from datetime import UTC, datetime
from typing import Final, Protocol, TextIO, cast

import structlog
from structlog.typing import EventDict, Processor

CORRELATION: Final = "correlation"
"""The word that every line has which one command or job brought about, on both sides of a thread."""

_RENDER: Final = structlog.processors.LogfmtRenderer(key_order=["timestamp", "level", "event"], bool_as_flag=False)
_BIDIRECTIONAL: Final = {0x061C, 0x200E, 0x200F, *range(0x202A, 0x202F), *range(0x2066, 0x206A)}
_CONTROL: Final = dict.fromkeys(
    {*range(0x20), *range(0x7F, 0xA0), 0x2028, 0x2029, *_BIDIRECTIONAL} - {ord("\n")}, "\N{REPLACEMENT CHARACTER}"
)
"""What would break a line, move a terminal or show words in another order; the renderer itself escapes line ends."""


class Stream(Protocol):
    """Where lines go."""

    def write(self, text: str, /) -> int:
        """Take a text; raise OSError when the disk does not."""
        ...

    def flush(self) -> None:
        """Let nothing wait."""
        ...


class LossyStream:
    """A text stream that never fails: a full disk under the log must not end what is logged.

    `held_up` counts the lines that could not be written; when writing succeeds again, a line says how many they were.
    """

    def __init__(self, stream: Stream) -> None:
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
    return logfmt({"level": "warning", "event": "log lines came late or not at all", "count": count}) + "\n"


def logfmt(fields: EventDict) -> str:
    """One line of `key=value`, with the time in front; what would break the line or move a terminal is replaced."""
    now = datetime.now(UTC).isoformat().replace("+00:00", "Z")
    return str(_RENDER(None, "", plain({"timestamp": now, **fields})))


def plain(fields: EventDict) -> EventDict:
    """The fields without what a meter could do to a terminal or to whoever reads the lines."""
    return {key: harmless(value) if isinstance(value, str) else value for key, value in fields.items()}


def harmless(text: str) -> str:
    """A text that may hold what a meter said, as it may be shown on a terminal; line ends stay."""
    return text.translate(_CONTROL)


def configure_logs(*, quiet: bool = False, more: Processor | None = None) -> None:
    """Set structlog up once per process; times are UTC. `more` sees each line's fields before they are rendered."""
    level = logging.CRITICAL if quiet else logging.INFO
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.format_exc_info,
            *([more] if more is not None else []),
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            lambda _logger, _method, fields: plain(fields),
            _RENDER,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.WriteLoggerFactory(cast("TextIO", LossyStream(sys.stderr))),
        cache_logger_on_first_use=True,
    )
