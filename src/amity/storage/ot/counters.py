"""Invocation counters on disk: each number leaves this table once, whatever is killed and whenever.

A counter used twice with one key gives AES-GCM the same nonce twice, which gives the authentication key away
(NIST SP 800-38D, 8; Green Book 9.2.3.3.7.3). So the reservation is committed, with fsync, before a number is used.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Final

from sqlalchemy import Connection, select, update

from amity.devices.freshness import UNPROVED_JUMP_MAX
from amity.headend.heard_counters import HeardCounters
from amity.kernel.errors import LocalProtocolError, SecurityError
from amity.storage.dialect import insert_or_ignore, insert_or_update
from amity.storage.ot.tables import invocation_counter, push_counter
from amity.storage.row_sets import ROWS, TEXT, as_parameter, statement
from amity.storage.transactions import Transactions

COUNTER_MAX: Final = 0xFFFF_FFFF
_FIRST: Final = 1
UNPROVED_FIRST_MAX: Final = 0x7FFF_FFFF


_RESERVE_ALL: Final = """
    INSERT INTO invocation_counter (meter_id, next_counter)
    SELECT meter_id, CAST(:first AS bigint) + CAST(:count AS bigint) FROM {rows} AS wanted WHERE true
    ON CONFLICT (meter_id) DO UPDATE SET next_counter = invocation_counter.next_counter + CAST(:count AS bigint)
    WHERE invocation_counter.next_counter + CAST(:count AS bigint) <= :end
    RETURNING meter_id, next_counter"""


class SqlCounters:
    """Implements `headend.ports.CounterStore`."""

    def __init__(self, transactions: Transactions) -> None:
        self._transactions = transactions

    def reserve(self, meter_id: str, count: int) -> int:
        """Durably reserve `count` counters; return the first; raise LocalProtocolError when too few are left."""
        with self._transactions.write() as connection:
            self._ensure(connection, meter_id)
            end = connection.execute(
                update(invocation_counter)
                .where(invocation_counter.c.meter_id == meter_id)
                .values(next_counter=invocation_counter.c.next_counter + count)
                .returning(invocation_counter.c.next_counter)
            ).scalar_one()
            if end - 1 > COUNTER_MAX:
                raise LocalProtocolError(
                    f"meter {meter_id} has used up its invocation counters",
                    next_step="give the meter a new key: the counter starts again with it",
                )
        return int(end) - count

    def reserve_all(self, meter_ids: Sequence[str], count: int) -> Mapping[str, int]:
        """Durably reserve `count` counters for each; the first of them by meter.

        Left out are meters that have too few left: asked for one by one they say so.
        """
        if not meter_ids:
            return {}
        rows = as_parameter((meter_id,) for meter_id in sorted(set(meter_ids)))
        with self._transactions.write() as connection:
            parameters = {ROWS: rows, "first": _FIRST, "count": count, "end": COUNTER_MAX + 1}
            reserved = connection.execute(statement(connection, _RESERVE_ALL, (("meter_id", TEXT),)), parameters)
            return {meter_id: end - count for meter_id, end in reserved}

    def raise_to(self, meter_id: str, minimum: int) -> None:
        """Never hand out less than `minimum` from now on; never lowers."""
        with self._transactions.write() as connection:
            self._ensure(connection, meter_id)
            connection.execute(
                update(invocation_counter)
                .where(invocation_counter.c.meter_id == meter_id, invocation_counter.c.next_counter < minimum)
                .values(next_counter=minimum)
            )

    def _ensure(self, connection: Connection, meter_id: str) -> None:
        row = {"meter_id": meter_id, "next_counter": _FIRST}
        connection.execute(insert_or_ignore(connection, invocation_counter), row)


class SqlPushCounters:
    """Implements `headend.ports.PushCounterStore`."""

    def __init__(self, transactions: Transactions) -> None:
        self._transactions = transactions

    def transaction(self) -> AbstractContextManager[object]:
        """All calls within are committed together, also those of the other stores of this database."""
        return self._transactions.write()

    @contextmanager
    def moved(self, meter_id: str, counter: int, *, authenticated: bool, late: bool = False) -> Iterator[None]:
        """A transaction that moves the counter up if, and only if, all that is done within it is done.

        Raise SecurityError before it begins when the counter is not above the last one, or when it is not
        `authenticated` and jumps further than a meter does. One that may come `late`, and is authenticated, need only
        be one that was not heard.
        """
        with self._transactions.write() as connection:
            of_meter = push_counter.c.meter_id == meter_id
            query = select(push_counter.c.last_counter, push_counter.c.missing).where(of_meter).with_for_update()
            found = connection.execute(query).one_or_none()
            heard = None if found is None else HeardCounters(found.last_counter, int.from_bytes(found.missing, "big"))
            if heard is None or not (late and authenticated and heard.lacks(counter)):
                _check(meter_id, counter, None if heard is None else heard.last, authenticated=authenticated)
            heard = HeardCounters.first(counter, late=late) if heard is None else heard.having(counter)
            row = {"meter_id": meter_id, "last_counter": heard.last, "missing": heard.missing_octets}
            connection.execute(insert_or_update(connection, push_counter), row)
            yield


def _check(meter_id: str, counter: int, last: int | None, *, authenticated: bool) -> None:
    if last is not None and counter <= last:
        raise SecurityError(
            f"a push of meter {meter_id} with invocation counter {counter} was heard before",
            next_step="somebody may replay old messages; look where it came from",
        )
    highest = UNPROVED_FIRST_MAX if last is None else last + UNPROVED_JUMP_MAX
    if not authenticated and counter > highest:
        raise SecurityError(
            f"a push of meter {meter_id} without a tag names invocation counter {counter}, after {last or 0}",
            next_step="somebody may try to lock the meter out; have it push with authentication",
        )
