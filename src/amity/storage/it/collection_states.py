"""The latest word on each meter's collection, whatever order deliveries arrive in: it only moves forward in time."""

from typing import Any

from sqlalchemy import Connection, Row, func, select, update

from amity.domain.collection import Delivery
from amity.storage.dialect import insert_or_update
from amity.storage.it import tables


def move_state(connection: Connection, delivery: Delivery) -> None:
    """Let a recorded delivery speak: its outcome if no newer one is known, its answer if it is the last one.

    `mapping_version` is that of the last answer, `clock_offset_s` the last one that was read; `failures_in_a_row`
    counts the recorded sessions since the last answer, so a delivery that comes late corrects the count instead of
    confusing it.
    """
    of_meter = tables.collection_state.c.meter_id == delivery.meter_id
    known = connection.execute(select(tables.collection_state).where(of_meter)).one_or_none()
    last_answer_at = _last_answer_at(known, delivery)
    failures = _sessions_after(connection, delivery.meter_id, last_answer_at)
    mapping_version = _mapping_version(known, delivery, last_answer_at)
    if known is not None and known.collected_at > delivery.collected_at:
        late = {
            "last_answer_at": last_answer_at,
            "failures_in_a_row": failures,
            "mapping_version": mapping_version,
        }
        connection.execute(update(tables.collection_state).where(of_meter).values(late))
        return
    offset_s = delivery.clock_offset_s
    if offset_s is None and known is not None:
        offset_s = known.clock_offset_s
    state = {
        "meter_id": delivery.meter_id,
        "outcome": delivery.outcome,
        "collected_at": delivery.collected_at,
        "detail": delivery.detail,
        "last_answer_at": last_answer_at,
        "attempts": delivery.attempts,
        "clock_offset_s": offset_s,
        "failures_in_a_row": failures,
        "mapping_version": mapping_version,
    }
    connection.execute(insert_or_update(connection, tables.collection_state, newer_by="collected_at"), state)


def _last_answer_at(known: Row[Any] | None, delivery: Delivery) -> Any:
    answers = [known.last_answer_at] if known is not None and known.last_answer_at is not None else []
    if delivery.outcome.answered:
        answers.append(delivery.collected_at)
    return max(answers, default=None)


def _mapping_version(known: Row[Any] | None, delivery: Delivery, last_answer_at: Any) -> str:
    if delivery.outcome.answered and delivery.collected_at == last_answer_at:
        return delivery.mapping_version
    return "" if known is None else str(known.mapping_version)


def _sessions_after(connection: Connection, meter_id: str, instant: Any) -> int:
    sessions = tables.delivery.c
    after = select(func.count()).select_from(tables.delivery).where(sessions.meter_id == meter_id)
    if instant is not None:
        after = after.where(sessions.collected_at > instant)
    return connection.execute(after).scalar_one()
