"""Outbox, raw frames and each meter's standing in the OT database."""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, delete, select, update

from amity.domain.collection import Delivery, Outcome
from amity.headend.ports import Heard, Progress, QueuedDelivery, Saving, Standing
from amity.headend.urgency import subject_of, urgency_of
from amity.storage.columns import microseconds
from amity.storage.dialect import execute_rows, insert_or_ignore, insert_or_update
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
        self.save_all([Saving(delivery, subject, body, progress, unmapped)])

    def save_all(self, savings: Sequence[Saving]) -> None:
        """All of them in one transaction, each table gone through once."""
        with self._transactions.write() as connection:
            moving = _fresh(connection, [one for one in savings if _moves(one)])
            execute_rows(connection, insert_or_ignore(connection, delivery_table), list(map(_delivery_row, savings)))
            if not moving:
                return
            standings = _stored(connection, [one.delivery.meter_id for one in moving])
            for one in moving:
                meter_id = one.delivery.meter_id
                standings[meter_id] = _moved(standings.get(meter_id, Standing()), one)
            rows = [_standing_row(meter_id, standing) for meter_id, standing in standings.items()]
            connection.execute(insert_or_update(connection, standing_table), rows)

    def rewind(self, meter_id: str, mapping_version: str) -> Progress:
        """Go back to where another mapping than this first left columns raw; return how far the meter is read then."""
        with self._transactions.write() as connection:
            before = _stored(connection, [meter_id]).get(meter_id, Standing())
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


def _fresh(connection: Connection, savings: Sequence[Saving]) -> list[Saving]:
    """Those that are not stored yet, each once."""
    if not savings:
        return []
    by_id = {one.delivery.message_id: one for one in savings}
    column = delivery_table.c.message_id
    stored = set(connection.execute(select(column).where(column.in_(by_id))).scalars())
    return [one for message_id, one in by_id.items() if message_id not in stored]


def _delivery_row(saving: Saving) -> dict[str, Any]:
    delivery = saving.delivery
    return {
        "message_id": delivery.message_id,
        "meter_id": delivery.meter_id,
        "collected_at": microseconds(delivery.collected_at),
        "outcome": delivery.outcome,
        "detail": json.dumps(delivery.detail, ensure_ascii=False),
        "attempts": delivery.attempts,
        "subject": subject_of(delivery, saving.subject),
        "body": saving.body,
        "sent": 0,
        "urgency": urgency_of(delivery),
    }


def _moves(saving: Saving) -> bool:
    """A push leaves its meter where it stood."""
    at_rest = saving.progress == _NOWHERE and saving.unmapped == _NOWHERE and saving.heard is None
    return saving.delivery.outcome is not Outcome.PUSHED or not at_rest


def _moved(before: Standing, saving: Saving) -> Standing:
    delivery, unmapped = saving.delivery, saving.unmapped
    return replace(
        _last_word(before, delivery),
        progress=_combined(_later, before.progress, saving.progress),
        unmapped=_combined(_earlier, before.unmapped, unmapped),
        unmapped_by=before.unmapped_by or (delivery.mapping_version if unmapped != _NOWHERE else ""),
        heard=_highest(before.heard, saving.heard),
    )


def _last_word(before: Standing, delivery: Delivery) -> Standing:
    """A push says nothing of our way to the meter: it neither ends a row of failures nor counts as an attempt."""
    if delivery.outcome is Outcome.PUSHED:
        return before
    failures = 0 if delivery.outcome.answered else before.failures_in_a_row + 1
    return replace(before, outcome=delivery.outcome, attempted_at=delivery.collected_at, failures_in_a_row=failures)


def _highest(before: Heard | None, now: Heard | None) -> Heard | None:
    if before is None or now is None or before.key_name != now.key_name:
        return now or before
    return max(before, now)


def _combined(choose: Callable[..., datetime | None], one: Progress, other: Progress) -> Progress:
    return Progress(*(choose(getattr(one, name), getattr(other, name)) for name in _PROGRESS))


def _later(one: datetime | None, other: datetime | None) -> datetime | None:
    return max(filter(None, (one, other)), default=None)


def _earlier(one: datetime | None, other: datetime | None) -> datetime | None:
    return min(filter(None, (one, other)), default=None)


# ------------------------------------------------------------------ standings and their rows
def _stored(connection: Connection, meter_ids: Sequence[str]) -> dict[str, Standing]:
    """The standings that these meters have, locked for this transaction where the database locks rows."""
    query = select(standing_table).where(standing_table.c.meter_id.in_(meter_ids)).with_for_update()
    return {row["meter_id"]: standing_of(row) for row in connection.execute(query).mappings()}


def standing_of(row: Mapping[Any, Any]) -> Standing:
    """From a row of the table."""
    return Standing(
        Progress(*(row[name] for name in _PROGRESS)),
        row["outcome"] and Outcome(row["outcome"]),
        row["attempted_at"],
        row["failures_in_a_row"],
        Progress(*(row[f"unmapped_{name}"] for name in _PROGRESS)),
        row["unmapped_by"],
        None if row["heard_key"] is None else Heard(row["heard_key"], row["heard_counter"]),
    )


def _standing_row(meter_id: str, standing: Standing) -> dict[str, Any]:
    key_name, counter = standing.heard or (None, None)
    return {
        "meter_id": meter_id,
        "outcome": standing.outcome,
        "attempted_at": standing.attempted_at,
        "failures_in_a_row": standing.failures_in_a_row,
        "unmapped_by": standing.unmapped_by,
        "heard_key": key_name,
        "heard_counter": counter,
        **{name: getattr(standing.progress, name) for name in _PROGRESS},
        **{f"unmapped_{name}": getattr(standing.unmapped, name) for name in _PROGRESS},
    }
