"""The latest word on each meter's collection, whatever order deliveries arrive in: it only moves forward in time."""

import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, func, select, update

from amity.domain.collection import Delivery
from amity.storage.columns import microseconds
from amity.storage.dialect import execute_rows, insert_or_update
from amity.storage.it import tables


def move_states(connection: Connection, deliveries: Sequence[Delivery]) -> None:
    """Let recorded deliveries of different meters speak: their outcome if no newer is known, their answer if the last.

    `mapping_version` is that of the last answer, `clock_offset_s` the last one that was read; `failures_in_a_row`
    counts the recorded sessions since the last answer, so a delivery that comes late corrects the count instead of
    confusing it.
    """
    known = _known(connection, [one.meter_id for one in deliveries])
    newest = []
    for delivery in deliveries:
        before = known.get(delivery.meter_id)
        answer = _of_the_answer(connection, before, delivery)
        if before is not None and before.collected_at > delivery.collected_at:
            of_meter = tables.collection_state.c.meter_id == delivery.meter_id
            connection.execute(update(tables.collection_state).where(of_meter).values(answer))
        else:
            newest.append(_row(before, delivery, answer))
    execute_rows(connection, insert_or_update(connection, tables.collection_state, newer_by="collected_at"), newest)


def _known(connection: Connection, meter_ids: Sequence[str]) -> dict[str, Row[Any]]:
    state = tables.collection_state
    rows = connection.execute(select(state).where(state.c.meter_id.in_(meter_ids)))
    return {row.meter_id: row for row in rows}


def _of_the_answer(connection: Connection, known: Row[Any] | None, delivery: Delivery) -> dict[str, Any]:
    """What follows from the last answer, this delivery taken into account."""
    last_answer_at = _last_answer_at(known, delivery)
    return {
        "last_answer_at": last_answer_at,
        "failures_in_a_row": _failures(connection, known, delivery, last_answer_at),
        "mapping_version": _mapping_version(known, delivery, last_answer_at),
    }


def _row(known: Row[Any] | None, delivery: Delivery, answer: dict[str, Any]) -> dict[str, Any]:
    """As the driver takes it."""
    offset_s, answered_at = delivery.clock_offset_s, answer["last_answer_at"]
    if offset_s is None and known is not None:
        offset_s = known.clock_offset_s
    return {
        **answer,
        "meter_id": delivery.meter_id,
        "outcome": delivery.outcome.value,
        "collected_at": microseconds(delivery.collected_at),
        "detail": json.dumps(delivery.detail, ensure_ascii=False),
        "last_answer_at": None if answered_at is None else microseconds(answered_at),
        "attempts": delivery.attempts,
        "clock_offset_s": offset_s,
    }


def _last_answer_at(known: Row[Any] | None, delivery: Delivery) -> Any:
    answers = [known.last_answer_at] if known is not None and known.last_answer_at is not None else []
    if delivery.outcome.answered:
        answers.append(delivery.collected_at)
    return max(answers, default=None)


def _mapping_version(known: Row[Any] | None, delivery: Delivery, last_answer_at: Any) -> str:
    if delivery.outcome.answered and delivery.collected_at == last_answer_at:
        return delivery.mapping_version
    return "" if known is None else str(known.mapping_version)


def _failures(
    connection: Connection, known: Row[Any] | None, delivery: Delivery, last_answer_at: datetime | None
) -> int:
    """None when this one is the last answer and nothing newer is recorded, as nearly always."""
    if last_answer_at == delivery.collected_at and (known is None or known.collected_at <= delivery.collected_at):
        return 0
    return _sessions_after(connection, delivery.meter_id, last_answer_at)


def _sessions_after(connection: Connection, meter_id: str, instant: Any) -> int:
    sessions = tables.delivery.c
    after = select(func.count()).select_from(tables.delivery).where(sessions.meter_id == meter_id)
    if instant is not None:
        after = after.where(sessions.collected_at > instant)
    return connection.execute(after).scalar_one()
