"""Pushes on the collector's disk: each commit is on the platter, the oldest bulk makes room, alarms never do."""

from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from sqlalchemy import Connection, Engine, delete, insert, select, update

from amity.collector.ports import Held, HeldPush, StoreFullError
from amity.protocols.relay.messages import PUSH_ID_OCTETS
from amity.storage.collector.tables import held_push, tally
from amity.storage.dialect import insert_or_ignore
from amity.storage.migrations import upgrade
from amity.storage.sqlite import open_sqlite
from amity.storage.transactions import Transactions

MIGRATIONS: Final = "amity.storage.collector:migrations"
_ROW_OCTETS: Final = 128
"""What a push takes on disk beside its octets: id, time, sender, index entries, measured on real files."""
_TOGETHER: Final = 256
_ONLY: Final = 1


class SqlPushStore:
    """Implements `collector.ports.PushStore`; `octets_max` is what all pushes together may take."""

    def __init__(self, engine: Engine, octets_max: int) -> None:
        self._engine = engine
        self._transactions = Transactions(engine)
        self._octets_max = octets_max
        with self._transactions.write() as connection:
            nothing = {"only": _ONLY, "alarms": 0, "bulk": 0, "octets": 0, "dropped": 0}
            connection.execute(insert_or_ignore(connection, tally), nothing)

    def close(self) -> None:
        """Close every connection."""
        self._engine.dispose()

    def put(self, pushes: Sequence[HeldPush]) -> None:
        """Keep them all, or none; the oldest bulk makes room. Raise StoreFullError when alarms fill the store."""
        with self._changing() as (connection, count):
            needed = sum(map(_octets, pushes))
            while count.octets + needed > self._octets_max:
                self._make_room(connection, count, needed)
            connection.execute(insert(held_push), [_row(push) for push in pushes])
            count.add(pushes)

    def oldest(self, limit: int, *, urgent: bool, without: Collection[int]) -> Sequence[HeldPush]:
        """The oldest of a kind, but for those numbers."""
        query = (
            select(held_push)
            .where(held_push.c.urgent.is_(urgent), held_push.c.push_id.not_in([_id(number) for number in without]))
            .order_by(held_push.c.sequence)
            .limit(limit)
        )
        with self._transactions.read() as connection:
            return [_push(row) for row in connection.execute(query).mappings()]

    def delete(self, numbers: Collection[int]) -> None:
        """The head-end has them."""
        with self._changing() as (connection, count):
            gone = delete(held_push).where(held_push.c.push_id.in_([_id(number) for number in numbers]))
            count.remove([_push(row) for row in connection.execute(gone.returning(held_push)).mappings()])

    def held(self) -> Held:
        """How much there is."""
        with self._transactions.read() as connection:
            row = connection.execute(select(tally)).mappings().one()
            return Held(row["alarms"], row["bulk"], row["octets"], row["dropped"])

    def _make_room(self, connection: Connection, count: "_Count", needed: int) -> None:
        query = select(held_push).where(held_push.c.urgent.is_(False)).order_by(held_push.c.sequence).limit(_TOGETHER)
        going, excess = [], count.octets + needed - self._octets_max
        for row in connection.execute(query).mappings():
            if excess <= 0:
                break
            going.append(_push(row))
            excess -= _octets(going[-1])
        if not going:
            raise StoreFullError(
                f"alarms fill the store of this collector ({count.octets} of {self._octets_max} octets)",
                next_step="bring its link to the head-end back, or raise [collector] held_megabytes_max",
            )
        connection.execute(delete(held_push).where(held_push.c.push_id.in_([_id(one.number) for one in going])))
        count.remove(going)
        count.dropped += len(going)

    @contextmanager
    def _changing(self) -> Iterator[tuple[Connection, "_Count"]]:
        with self._transactions.write() as connection:
            row = connection.execute(select(tally)).mappings().one()
            count = _Count(row["alarms"], row["bulk"], row["octets"], row["dropped"])
            yield connection, count
            connection.execute(
                update(tally).values(alarms=count.alarms, bulk=count.bulk, octets=count.octets, dropped=count.dropped)
            )


class _Count:
    """The tally of a transaction."""

    def __init__(self, alarms: int, bulk: int, octets: int, dropped: int) -> None:
        self.alarms, self.bulk, self.octets, self.dropped = alarms, bulk, octets, dropped

    def add(self, pushes: Iterable[HeldPush], sign: int = 1) -> None:
        """These came."""
        for push in pushes:
            self.alarms += sign * push.urgent
            self.bulk += sign * (not push.urgent)
            self.octets += sign * _octets(push)

    def remove(self, pushes: Iterable[HeldPush]) -> None:
        """These went."""
        self.add(pushes, -1)


def open_push_store(path: Path, octets_max: int) -> SqlPushStore:
    """Open or create the file and migrate it; raise StorageError when the disk or the file does not allow it."""
    engine = open_sqlite(path)
    upgrade(engine, MIGRATIONS)
    return SqlPushStore(engine, octets_max)


def _octets(push: HeldPush) -> int:
    return _ROW_OCTETS + len(push.frame)


def _id(number: int) -> bytes:
    return number.to_bytes(PUSH_ID_OCTETS, "big")


def _row(push: HeldPush) -> dict[str, Any]:
    return {
        "push_id": _id(push.number), "at": push.at, "peer": push.peer, "urgent": push.urgent, "frame": push.frame,
    }  # fmt: skip


def _push(row: Any) -> HeldPush:
    number = int.from_bytes(row["push_id"], "big")
    return HeldPush(number, row["at"], row["peer"], row["urgent"], row["frame"])
