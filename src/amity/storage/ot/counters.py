"""Invocation counters on disk: each number leaves this table once, whatever is killed and whenever.

A counter used twice with one key gives AES-GCM the same nonce twice, which gives the authentication key away
(NIST SP 800-38D, 8; Green Book 9.2.3.3.7.3). So the reservation is committed, with fsync, before a number is used.
"""

from typing import Final

from sqlalchemy import Connection, update

from amity.kernel.errors import LocalProtocolError
from amity.storage.dialect import insert_or_ignore
from amity.storage.ot.tables import invocation_counter, push_counter
from amity.storage.transactions import Transactions

COUNTER_MAX: Final = 0xFFFF_FFFF
_FIRST: Final = 1


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

    def advance(self, meter_id: str, counter: int) -> bool:
        """Remember the counter; False, and nothing changes, when it is not above the last one."""
        with self._transactions.write() as connection:
            row = {"meter_id": meter_id, "last_counter": -1}
            connection.execute(insert_or_ignore(connection, push_counter), row)
            moved = connection.execute(
                update(push_counter)
                .where(push_counter.c.meter_id == meter_id, push_counter.c.last_counter < counter)
                .values(last_counter=counter)
            )
            return moved.rowcount == 1
