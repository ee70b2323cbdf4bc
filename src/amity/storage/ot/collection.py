"""Outbox, raw frames and each meter's standing in the OT database."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, delete, select, update

from amity.domain.collection import Delivery, Outcome
from amity.headend.ports import Progress, QueuedDelivery, Standing
from amity.storage.dialect import insert_or_ignore, insert_or_update
from amity.storage.ot.tables import delivery as delivery_table
from amity.storage.ot.tables import standing as standing_table
from amity.storage.transactions import Transactions

_PROGRESS = ("intervals_until", "registers_until", "events_until")


class SqlCollection:
    """Implements `headend.ports.CollectionStore`."""

    def __init__(self, transactions: Transactions) -> None:
        self._transactions = transactions

    def standings(self) -> Mapping[str, Standing]:
        """Every meter that was ever tried, by meter id."""
        with self._transactions.read() as connection:
            rows = connection.execute(select(standing_table)).mappings()
            return {row["meter_id"]: _standing(row) for row in rows}

    def save(self, delivery: Delivery, subject: str, body: bytes, *, progress: Progress) -> None:
        """In one transaction: queue the encoded delivery, keep its frames, move the meter's progress forward."""
        with self._transactions.write() as connection:
            inserted = connection.execute(
                insert_or_ignore(connection, delivery_table), _delivery_row(delivery, subject, body)
            )
            if inserted.rowcount == 1:
                _move(connection, delivery, progress)

    def queued(self, limit: int) -> Sequence[QueuedDelivery]:
        """The oldest deliveries that the broker does not have yet."""
        columns = delivery_table.c
        query = (
            select(columns.sequence, columns.message_id, columns.subject, columns.body)
            .where(columns.sent == 0)
            .order_by(columns.sequence)
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
        "subject": subject,
        "body": body,
        "sent": 0,
    }


def _move(connection: Connection, delivery: Delivery, progress: Progress) -> None:
    query = select(standing_table).where(standing_table.c.meter_id == delivery.meter_id).with_for_update()
    stored = connection.execute(query).mappings().one_or_none()
    before = _standing(stored) if stored else Standing()
    moved = {name: _later(getattr(before.progress, name), getattr(progress, name)) for name in _PROGRESS}
    row = {"meter_id": delivery.meter_id, **_last_word(before, delivery), **moved}
    connection.execute(insert_or_update(connection, standing_table), row)


def _last_word(before: Standing, delivery: Delivery) -> dict[str, Any]:
    """A push says nothing of our way to the meter: it neither ends a row of failures nor counts as an attempt."""
    if delivery.outcome is Outcome.PUSHED:
        outcome, at, failures = before.outcome, before.attempted_at, before.failures_in_a_row
    else:
        failures = 0 if delivery.outcome.answered else before.failures_in_a_row + 1
        outcome, at = delivery.outcome, delivery.collected_at
    return {"outcome": outcome, "attempted_at": at, "failures_in_a_row": failures}


def _later(one: datetime | None, other: datetime | None) -> datetime | None:
    return max(filter(None, (one, other)), default=None)


def _standing(row: Mapping[Any, Any]) -> Standing:
    return Standing(
        Progress(*(row[name] for name in _PROGRESS)),
        row["outcome"] and Outcome(row["outcome"]),
        row["attempted_at"],
        row["failures_in_a_row"],
    )
