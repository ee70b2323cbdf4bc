"""ingest.log and error.log: what each session with a meter brought, and why those that failed did.

Both are lines of `key=value` (logfmt): a person greps them as they are (`OBIS Code 1.0.1.8.0.255`), and every log
shipper reads them. ingest.log has one line for each session or push whose delivery is on the disk, written after the
commit; error.log has one for each that failed, with cause and remedy, and every error of the process itself. Every line
has `correlation`: the word that the command gave, or the session's own name; with `log_frames` each frame has it too.
No line holds a reading, a key or a password: the password in an association request was masked when it was recorded.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import Any, Final

import structlog
from structlog.typing import EventDict, WrappedLogger

from amity.domain.collection import Delivery, Exchange
from amity.headend.outcomes import read_told
from amity.headend.ports import CollectionStore, Progress, QueuedDelivery, Saving, Standing
from amity.kernel.errors import AmityError
from amity.runtime.folder import Folder
from amity.runtime.logs.files import LogFile
from amity.runtime.logs.lines import CORRELATION, logfmt
from amity.runtime.logs.remedies import remedy_for

_NOWHERE: Final = Progress()
_WORST: Final = frozenset({"error", "critical", "exception"})


class SessionLogs:
    """The two files of one installation."""

    def __init__(self, folder: Folder, *, frames: bool = False) -> None:
        """Open both; raise ConfigurationError when this user may not write them."""
        self._folder = folder
        self._frames = frames
        self.ingest = LogFile(folder.ingest_log)
        self.errors = LogFile(folder.error_log)

    def close(self) -> None:
        """Close both files."""
        self.ingest.close()
        self.errors.close()

    def tell(self, delivery: Delivery) -> None:
        """Write the lines of one session; `correlation` is the word bound here, else the job's, else the session's."""
        bound = structlog.contextvars.get_contextvars().get(CORRELATION)
        correlation = bound or delivery.correlation_id or delivery.session_id
        about = {CORRELATION: correlation, "meter": delivery.meter_id, "session": delivery.session_id}
        self.ingest.write(logfmt(_session_line(delivery, about)))
        if self._frames:
            for line in _frame_lines(delivery.exchanges, about):
                self.ingest.write(line)
        if not delivery.outcome.answered:
            self.errors.write(logfmt(self._error_line(delivery, about)))

    def keep_errors(self, _logger: WrappedLogger, _method: str, fields: EventDict) -> EventDict:
        """A processor of structlog: errors of the process itself go into error.log as well."""
        if fields.get("level") in _WORST:
            self.errors.write(logfmt(dict(fields)))
        return fields

    def tell_end(self, error: Exception) -> None:
        """Write why the process ends, or could not begin: who looks into error.log alone must find it."""
        told: EventDict = {"level": "error", "event": str(error) or type(error).__name__}
        if isinstance(error, AmityError):
            told.update(event=error.what, tried=error.tried, answer=error.answer, remedy=error.next_step)
        self.errors.write(logfmt({key: value for key, value in told.items() if value is not None}))

    def _error_line(self, delivery: Delivery, about: EventDict) -> EventDict:
        failure = read_told(delivery.detail)
        remedy = remedy_for(delivery, self._folder)
        return {
            "level": "error",
            "event": failure.what,
            **about,
            "outcome": str(delivery.outcome),
            "address": failure.address,
            "attempts": failure.attempts,
            "tried": failure.tried,
            "answer": failure.answer,
            "cause": remedy.cause,
            "remedy": remedy.step,
        }


class LoggedCollection:
    """Implements `headend.ports.CollectionStore`: another one, and a line in the logs for each delivery it keeps.

    `afterwards` does something once the transaction is committed that is being written: a line says only what is kept.
    """

    def __init__(
        self, collection: CollectionStore, logs: SessionLogs, afterwards: Callable[[Callable[[], None]], None]
    ) -> None:
        self._collection = collection
        self._logs = logs
        self._afterwards = afterwards

    def save(
        self, delivery: Delivery, subject: str, body: bytes, *, progress: Progress, unmapped: Progress = _NOWHERE
    ) -> None:
        """Keep it, then tell of it."""
        self.save_all([Saving(delivery, subject, body, progress, unmapped)])

    def save_all(self, savings: Sequence[Saving]) -> None:
        """Keep them, and tell of them once they are."""
        self._collection.save_all(savings)
        for saving in savings:
            self._afterwards(partial(self._logs.tell, saving.delivery))

    def standings(self) -> Mapping[str, Standing]:
        """As kept."""
        return self._collection.standings()

    def rewind(self, meter_id: str, mapping_version: str) -> Progress:
        """As kept."""
        return self._collection.rewind(meter_id, mapping_version)

    def queued(self, limit: int) -> Sequence[QueuedDelivery]:
        """As kept."""
        return self._collection.queued(limit)

    def sent(self, sequences: Iterable[int]) -> None:
        """As kept."""
        self._collection.sent(sequences)

    def prune_frames(self, before: datetime) -> int:
        """As kept."""
        return self._collection.prune_frames(before)


def _session_line(delivery: Delivery, about: EventDict) -> EventDict:
    line: dict[str, Any] = {
        "level": "info" if delivery.outcome.answered else "warning",
        "event": f"session {delivery.outcome}",
        **about,
        "parsed": ", ".join(f"OBIS Code {code}" for code in _parsed(delivery)),
        "registers": len(delivery.registers),
        "intervals": sum(len(series.starts) for series in delivery.intervals),
        "events": len(delivery.events),
        "unmapped": len(delivery.unknown),
        "attempts": delivery.attempts,
        "duration_ms": delivery.duration_ms,
        "exchanges": len(delivery.exchanges),
        "octets": sum(len(one.request) + len(one.response) for one in delivery.exchanges),
        "clock_offset_s": "" if delivery.clock_offset_s is None else delivery.clock_offset_s,
        "mapping": delivery.mapping_version,
        "message": delivery.message_id,
    }
    if delivery.detail and delivery.outcome.answered:
        line["remarks"] = "; ".join(delivery.detail)
    return line


def _parsed(delivery: Delivery) -> Iterable[str]:
    """The registers by their OBIS codes, then the channels that brought only intervals; each once."""
    registers = (str(one.reading_type.obis) for one in delivery.registers)
    channels = (str(series.reading_type.obis) for series in delivery.intervals)
    return dict.fromkeys((*registers, *channels))


def _frame_lines(exchanges: Sequence[Exchange], about: EventDict) -> Iterable[str]:
    for number, one in enumerate(exchanges):
        for direction, octets in (("to meter", one.request), ("from meter", one.response)):
            if octets:
                line = {"level": "debug", "event": "frame", **about, "number": number, "direction": direction}
                yield logfmt({**line, "sent_at": one.at.isoformat(), "octets": octets.hex()})
