"""Invocation counters on disk: each number leaves this table once, whatever is killed and whenever.

A counter used twice with one key gives AES-GCM the same nonce twice, which gives the authentication key away
(NIST SP 800-38D, 8; Green Book 9.2.3.3.7.3). So the reservation is committed, with fsync, before a number is used.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from sqlalchemy import Connection, select, update

from amity.devices.freshness import UNPROVED_JUMP_MAX
from amity.kernel.errors import LocalProtocolError, SecurityError
from amity.storage.dialect import insert_or_ignore, insert_or_update
from amity.storage.ot.tables import invocation_counter, push_counter
from amity.storage.transactions import Transactions

COUNTER_MAX: Final = 0xFFFF_FFFF
_FIRST: Final = 1
UNPROVED_FIRST_MAX: Final = 0x7FFF_FFFF


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

    @contextmanager
    def moved(self, meter_id: str, counter: int, *, authenticated: bool) -> Iterator[None]:
        """A transaction that moves the counter up if, and only if, all that is done within it is done.

        Raise SecurityError before it begins when the counter is not above the last one, or when it is not
        `authenticated` and jumps further than a meter does.
        """
        with self._transactions.write() as connection:
            of_meter = push_counter.c.meter_id == meter_id
            query = select(push_counter.c.last_counter).where(of_meter).with_for_update()
            last = connection.execute(query).scalar_one_or_none()
            _check(meter_id, counter, last, authenticated=authenticated)
            row = {"meter_id": meter_id, "last_counter": counter}
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
