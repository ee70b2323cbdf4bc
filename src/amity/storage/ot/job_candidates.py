"""Which meters a worker may take now: the most pressing ones that the gates on the way to them let through."""

from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, func, select, text

from amity.domain.jobs import Place, Priority
from amity.headend.jobs.ports import LeaseTerms
from amity.headend.jobs.throttle import ALL, Gates, gates_of
from amity.storage.columns import MICROSECOND, microseconds
from amity.storage.dialect import insert_or_update
from amity.storage.ot.job_tables import job_gate, job_line

_ROUNDS_MAX: Final = 16
_LOOK_AHEAD: Final = 4
"""Where gates are in force, this many times more lines are looked at than are wanted."""
_ADMISSION_LOCK: Final = 0x414D4954  # any number that nobody else takes: "AMIT"
_KINDS: Final = Place._fields
_PATIENCE_MAX_US: Final = max(priority.patience for priority in Priority) // MICROSECOND
"""How far ahead the rank of a due job may lie."""


def candidates(connection: Connection, terms: LeaseTerms, limit: int, now: datetime) -> Sequence[str]:
    """Ids of free meters with something due, at most `limit`, in the order of rank; their lines are locked."""
    rules, only = terms.throttle, terms.only
    if rules.none:
        return [meter_id for meter_id, _ in _due(connection, now, limit, only=only)]
    _one_at_a_time(connection)
    gates = Gates(rules, _open_sessions(connection), _paced(connection), now)
    admitted: list[str] = []
    seen: set[str] = set()
    for _ in range(_ROUNDS_MAX):
        shut = _shut(gates)
        if len(admitted) == limit or gates.is_shut(ALL):
            break
        looked_at = _due(connection, now, _LOOK_AHEAD * limit, only=only, without=seen, shut=shut)
        for meter_id, place in looked_at:
            if len(admitted) < limit and gates.admits(place):
                admitted.append(meter_id)
        seen.update(meter_id for meter_id, _ in looked_at)
        if len(looked_at) < _LOOK_AHEAD * limit:
            break
    _keep_pace(connection, gates)
    return admitted


def _due(
    connection: Connection,
    now: datetime,
    limit: int,
    *,
    only: Collection[str] | None,
    without: Collection[str] = (),
    shut: Mapping[str, Collection[str]] | None = None,
) -> Sequence[tuple[str, Place]]:
    columns = job_line.c
    at = microseconds(now)
    query = (
        select(columns.meter_id, *(columns[kind] for kind in _KINDS))
        .where(columns.rank <= at + _PATIENCE_MAX_US, columns.due_at <= at)
        .order_by(columns.rank)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    for kind, names in (shut or {}).items():
        query = query.where(columns[kind].not_in(names))
    if only is not None:
        query = query.where(columns.meter_id.in_(only))
    if without:
        query = query.where(columns.meter_id.not_in(without))
    return [(meter_id, Place(*place)) for meter_id, *place in connection.execute(query)]


def _one_at_a_time(connection: Connection) -> None:
    """Workers that admit at the same time would not see each other's sessions (SQLite has one writer anyway)."""
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _ADMISSION_LOCK})


def _open_sessions(connection: Connection) -> Mapping[str, int]:
    """Leases by gate: nobody can say of one that its session is over before it is given back or revoked."""
    columns = job_line.c
    place = [columns[kind] for kind in _KINDS]
    query = select(*place, func.count()).where(columns.worker != "").group_by(*place)
    counts: dict[str, int] = {}
    for *names, count in connection.execute(query):
        for gate in gates_of(Place(*names)):
            counts[gate] = counts.get(gate, 0) + count
    return counts


def _paced(connection: Connection) -> dict[str, datetime]:
    return {row.gate: row.paced for row in connection.execute(select(job_gate))}


def _keep_pace(connection: Connection, gates: Gates) -> None:
    rows: list[dict[str, Any]] = [{"gate": gate, "paced": paced} for gate, paced in gates.paced.items()]
    if rows:
        connection.execute(insert_or_update(connection, job_gate), rows)


def _shut(gates: Gates) -> Mapping[str, list[str]]:
    """The gates that let nobody through now, by kind: lines behind them need not be looked at."""
    shut: dict[str, list[str]] = {}
    for gate in {*gates.sessions, *gates.paced} - {ALL}:
        with suppress(ValueError):
            kind, name = gate.split(":", 1)
            if gates.is_shut(gate):
                shut.setdefault(kind, []).append(name)
    return shut
