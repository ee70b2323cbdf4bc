"""Outbox, raw frames and each meter's standing in the OT database."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, delete, select, update

from amity.domain.collection import Delivery, Outcome
from amity.headend.ports import Progress, QueuedDelivery, Standing
from amity.headend.urgency import subject_of, urgency_of
from amity.storage.dialect import insert_or_ignore, insert_or_update
from amity.storage.ot.tables import delivery as delivery_table
from amity.storage.ot.tables import standing as standing_table
from amity.storage.transactions import Transactions

_PROGRESS = ("intervals_until", "registers_until", "events_until")
_NOWHERE = Progress()


class SqlCollection:
    """Implements `headend.ports.CollectionStore`."""

    def __init__(self, transactions: Transactions) -> None:
        self._transactions = transactions

    def standings(self) -> Mapping[str, Standing]:
        """Every meter that was ever tried, by meter id."""
        with self._transactions.read() as connection:
            rows = connection.execute(select(standing_table)).mappings()
            return {row["meter_id"]: standing_of(row) for row in rows}

    def save(
        self, delivery: Delivery, subject: str, body: bytes, *, progress: Progress, unmapped: Progress = _NOWHERE
    ) -> None:
        """In one transaction: queue the encoded delivery, keep its frames, move the meter's progress forward."""
        with self._transactions.write() as connection:
            inserted = connection.execute(
                insert_or_ignore(connection, delivery_table), _delivery_row(delivery, subject, body)
            )
            if inserted.rowcount == 1:
                _move(connection, delivery, progress, unmapped)

    def rewind(self, meter_id: str, mapping_version: str) -> Progress:
        """Go back to where another mapping than this first left columns raw; return how far the meter is read then."""
        with self._transactions.write() as connection:
            before = _stored(connection, meter_id)
            if not before.is_behind(mapping_version):
                return before.progress
            progress = _combined(_earlier, before.progress, before.unmapped)
            row = _standing_row(meter_id, replace(before, progress=progress, unmapped=_NOWHERE, unmapped_by=""))
            connection.execute(insert_or_update(connection, standing_table), row)
            return progress

    def queued(self, limit: int) -> Sequence[QueuedDelivery]:
        """Deliveries that the broker does not have yet: by urgency, the oldest first."""
        columns = delivery_table.c
        query = (
            select(columns.sequence, columns.message_id, columns.subject, columns.body)
            .where(columns.sent == 0)
            .order_by(columns.urgency, columns.sequence)
            .limit(limit)
        )
        with self._transactions.read() as connection:
            return [QueuedDelivery(*row) for row in connection.execute(query)]

    def sent(self, sequences: Iterable[int]) -> None:
        """Take deliveries out of the outbox: the broker acknowledged them."""
        wanted = list(sequences)
        if wanted:
            with self._transactions.write() as connection:
                connection.execute(update(delivery_table).where(delivery_table.c.sequence.in_(wanted)).values(sent=1))

    def prune_frames(self, before: datetime) -> int:
        """Delete the raw frames of delivered sessions that ended before this; return of how many sessions."""
        columns = delivery_table.c
        with self._transactions.write() as connection:
            gone = connection.execute(delete(delivery_table).where(columns.sent == 1, columns.collected_at < before))
            return gone.rowcount


def _delivery_row(delivery: Delivery, subject: str, body: bytes) -> dict[str, Any]:
    return {
        "message_id": delivery.message_id,
        "meter_id": delivery.meter_id,
        "collected_at": delivery.collected_at,
        "outcome": delivery.outcome,
        "detail": delivery.detail,
        "attempts": delivery.attempts,
        "subject": subject_of(delivery, subject),
        "body": body,
        "sent": 0,
        "urgency": urgency_of(delivery),
    }


def _move(connection: Connection, delivery: Delivery, progress: Progress, unmapped: Progress) -> None:
    before = _stored(connection, delivery.meter_id)
    after = replace(
        _last_word(before, delivery),
        progress=_combined(_later, before.progress, progress),
        unmapped=_combined(_earlier, before.unmapped, unmapped),
        unmapped_by=before.unmapped_by or (delivery.mapping_version if unmapped != _NOWHERE else ""),
    )
    connection.execute(insert_or_update(connection, standing_table), _standing_row(delivery.meter_id, after))


def _last_word(before: Standing, delivery: Delivery) -> Standing:
    """A push says nothing of our way to the meter: it neither ends a row of failures nor counts as an attempt."""
    if delivery.outcome is Outcome.PUSHED:
        return before
    failures = 0 if delivery.outcome.answered else before.failures_in_a_row + 1
    return replace(before, outcome=delivery.outcome, attempted_at=delivery.collected_at, failures_in_a_row=failures)


def _combined(choose: Callable[..., datetime | None], one: Progress, other: Progress) -> Progress:
    return Progress(*(choose(getattr(one, name), getattr(other, name)) for name in _PROGRESS))


def _later(one: datetime | None, other: datetime | None) -> datetime | None:
    return max(filter(None, (one, other)), default=None)


def _earlier(one: datetime | None, other: datetime | None) -> datetime | None:
    return min(filter(None, (one, other)), default=None)


# ------------------------------------------------------------------ standings and their rows
def _stored(connection: Connection, meter_id: str) -> Standing:
    """The meter's standing, locked for this transaction where the database locks rows."""
    query = select(standing_table).where(standing_table.c.meter_id == meter_id).with_for_update()
    row = connection.execute(query).mappings().one_or_none()
    return standing_of(row) if row else Standing()


def standing_of(row: Mapping[Any, Any]) -> Standing:
    """From a row of the table."""
    return Standing(
        Progress(*(row[name] for name in _PROGRESS)),
        row["outcome"] and Outcome(row["outcome"]),
        row["attempted_at"],
        row["failures_in_a_row"],
        Progress(*(row[f"unmapped_{name}"] for name in _PROGRESS)),
        row["unmapped_by"],
    )


def _standing_row(meter_id: str, standing: Standing) -> dict[str, Any]:
    return {
        "meter_id": meter_id,
        "outcome": standing.outcome,
        "attempted_at": standing.attempted_at,
        "failures_in_a_row": standing.failures_in_a_row,
        "unmapped_by": standing.unmapped_by,
        **{name: getattr(standing.progress, name) for name in _PROGRESS},
        **{f"unmapped_{name}": getattr(standing.unmapped, name) for name in _PROGRESS},
    }
