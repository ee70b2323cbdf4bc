"""The ExceptionStore: what VEE found and what became of it."""

from collections.abc import Collection, Sequence
from dataclasses import asdict, astuple, replace
from typing import Final

from sqlalchemy import and_, delete, insert, select

from amity.kernel.time import EPOCH, SECONDS_PER_DAY
from amity.storage.it import tables
from amity.storage.row_sets import INTEGER, Columns, run
from amity.storage.transactions import Transactions
from amity.usecases.ports import VeeException

_FOUND = tables.vee_exception.c


_CHANNELS: Final[Columns] = (("channel_id", INTEGER),)
_CLEAR: Final = """
    DELETE FROM vee_exception WHERE start_s >= :start_s AND start_s < :end_s
        AND channel_id IN (SELECT channel_id FROM {rows} AS wanted)"""


class SqlExceptionStore:
    """Findings in the table `vee_exception`."""

    def __init__(self, transactions: Transactions) -> None:
        self._transactions = transactions

    def replace(self, channel_id: int, first_day: int, last_day: int, found: Sequence[VeeException]) -> None:
        """Put the findings that start in the days [first_day, last_day] in place of the earlier ones.

        A finding that was there before keeps the time at which it was first found.
        """
        of_these_days = and_(
            _FOUND.channel_id == channel_id,
            _FOUND.start_s.between(first_day * SECONDS_PER_DAY, (last_day + 1) * SECONDS_PER_DAY - 1),
        )
        with self._transactions.write() as connection:
            earlier = [
                VeeException(**row._asdict()) for row in connection.execute(select(*_FOUND).where(of_these_days))
            ]
            first_found = {_identity(finding): finding.found_at for finding in earlier}
            dated = [replace(new, found_at=first_found.get(_identity(new), new.found_at)) for new in found]
            if set(dated) == set(earlier):
                return
            connection.execute(delete(tables.vee_exception).where(of_these_days))
            if dated:
                connection.execute(insert(tables.vee_exception), [asdict(finding) for finding in dated])

    def clear(self, channel_ids: Collection[int], start_s: int, end_s: int) -> None:
        """Forget the findings of these channels that start in [start_s, end_s)."""
        with self._transactions.write() as connection:
            run(connection, _CLEAR, _CHANNELS, [(one,) for one in channel_ids], start_s=start_s, end_s=end_s)

    def open(self, meter_id: str | None = None, *, limit: int = 500) -> Sequence[VeeException]:
        """Findings that nothing has resolved, newest first."""
        wanted = select(*_FOUND).where(_FOUND.resolved.is_(False))
        if meter_id is not None:
            wanted = wanted.join(tables.channel).where(tables.channel.c.meter_id == meter_id)
        newest_first = wanted.order_by(_FOUND.found_at.desc(), _FOUND.start_s.desc(), _FOUND.channel_id, _FOUND.rule)
        with self._transactions.read() as connection:
            return [VeeException(**row._asdict()) for row in connection.execute(newest_first.limit(limit))]

    def covering(self, channel_id: int, start_s: int, end_s: int) -> Sequence[VeeException]:
        """Findings, open and resolved, that touch [start_s, end_s) of one channel, oldest interval first."""
        touching = and_(_FOUND.channel_id == channel_id, _FOUND.start_s < end_s, _FOUND.end_s > start_s)
        with self._transactions.read() as connection:
            rows = connection.execute(select(*_FOUND).where(touching).order_by(_FOUND.start_s, _FOUND.rule))
            return [VeeException(**row._asdict()) for row in rows]


def _identity(finding: VeeException) -> tuple[object, ...]:
    """All that it says, but not when it was first said."""
    return astuple(replace(finding, found_at=EPOCH))
