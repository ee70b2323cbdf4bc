"""The BlockStore: channel-day blocks with every version of them, as known at any time."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from itertools import islice
from typing import Any, Final, TypeVar

from sqlalchemy import Row, Select, and_, bindparam, func, select, union_all

from amity.domain.blocks import Block, Channel, Stage, merge
from amity.domain.readings import ReadingType
from amity.kernel.obis import Obis
from amity.storage.columns import microseconds
from amity.storage.dialect import insert_or_ignore
from amity.storage.it import tables
from amity.storage.it.block_merge import BlockMerge, Combine, blocks_of, the_newer
from amity.storage.row_sets import INTEGER, TEXT, Columns, run
from amity.storage.transactions import Transactions

_BLOCKS_AT_ONCE = 4_000  # two parameters each in one statement: SQLite takes 32,766
_CHANNELS_AT_ONCE = 8_000

T = TypeVar("T")


class SqlBlockStore:
    """Blocks in the tables `channel`, `block` and `block_history`."""

    def __init__(self, transactions: Transactions) -> None:
        self._transactions = transactions

    def channel(self, meter_id: str, reading_type: ReadingType) -> Channel:
        """Find or create the channel; another unit, exponent or interval length makes another channel."""
        names = {
            "meter_id": meter_id,
            "obis": reading_type.obis,
            "unit": int(reading_type.unit),
            "exponent": reading_type.exponent,
            "interval_s": reading_type.interval_s,
        }
        wanted = select(tables.channel).filter_by(**names)
        with self._transactions.read() as connection:
            row = connection.execute(wanted).one_or_none()
        if row is None:
            with self._transactions.write() as connection:
                connection.execute(insert_or_ignore(connection, tables.channel), names)
                row = connection.execute(wanted).one()
        return Channel(**row._asdict())

    def channels(self, meter_id: str | None = None) -> Sequence[Channel]:
        """Channels of one meter or of all, by meter and OBIS code."""
        wanted = select(tables.channel).order_by(tables.channel.c.meter_id, tables.channel.c.obis)
        if meter_id is not None:
            wanted = wanted.filter_by(meter_id=meter_id)
        with self._transactions.read() as connection:
            return [Channel(**row._asdict()) for row in connection.execute(wanted)]

    def channels_of(self, meter_ids: Sequence[str]) -> Sequence[Channel]:
        """Channels of these meters."""
        with self._transactions.read() as connection:
            rows = run(connection, _CHANNELS_OF, _METERS, [(meter_id,) for meter_id in meter_ids])
            return [Channel(one, meter_id, Obis(obis), *rest) for one, meter_id, obis, *rest in rows]

    def merge(
        self, stage: Stage, blocks: Sequence[Block], *, source: str | Mapping[int, str], recorded_at: datetime
    ) -> int:
        """Merge per interval (newer wins; later in `blocks` is newer); return how many stored blocks changed."""
        return self._write(stage, blocks, merge, source, recorded_at)

    def replace(
        self, stage: Stage, blocks: Sequence[Block], *, source: str | Mapping[int, str], recorded_at: datetime
    ) -> int:
        """Put these contents in place of the stored ones; return how many stored blocks changed."""
        return self._write(stage, blocks, the_newer, source, recorded_at)

    def adopt_raw(self, sources: Mapping[int, str], first_day: int, last_day: int, *, recorded_at: datetime) -> None:
        """Copy raw blocks, packed as they are, to where no final ones are yet; those that differ are replaced."""
        days = {"first_day": first_day, "last_day": last_day}
        with self._transactions.write() as connection:
            run(connection, _ADOPT, _SOURCES, list(sources.items()), recorded_at=microseconds(recorded_at), **days)
            differing = run(connection, _DIFFERING, _CHANNELS, [(one,) for one in sources], **days)
            replaced = sorted({channel_id for (channel_id,) in differing})
            if replaced:
                raw = self.read(Stage.RAW, replaced, first_day, last_day)
                self.replace(Stage.FINAL, raw, source=sources, recorded_at=recorded_at)

    def read(
        self,
        stage: Stage,
        channel_ids: Sequence[int],
        first_day: int,
        last_day: int,
        *,
        as_known_at: datetime | None = None,
    ) -> Sequence[Block]:
        """Blocks of the days [first_day, last_day], by channel then day; with `as_known_at`, as they stood then."""
        wanted = _newest(stage) if as_known_at is None else _known_at(stage, as_known_at)
        found: dict[tuple[int, int], Row[Any]] = {}
        with self._transactions.read() as connection:
            for some in _pieces(sorted(set(channel_ids)), _CHANNELS_AT_ONCE):
                version = wanted.selected_columns
                narrowed = wanted.where(version.channel_id.in_(some), version.day.between(first_day, last_day))
                for row in connection.execute(narrowed).all():
                    found[row.channel_id, row.day] = row  # by revision: the last one stands
        return blocks_of(found.values())

    def span_with_neighbours(self, stage: Stage, channel_id: int, first_day: int, last_day: int) -> tuple[int, int]:
        """[first_day, last_day] widened to the nearest stored day on either side, where there is one."""
        span = {"stage": stage, "channel_id": channel_id, "first_day": first_day, "last_day": last_day}
        with self._transactions.read() as connection:
            earlier, later = connection.execute(_NEIGHBOURS, span).one()
        return first_day if earlier is None else earlier, last_day if later is None else later

    def spans_with_neighbours(
        self, stage: Stage, channel_ids: Sequence[int], first_day: int, last_day: int
    ) -> Mapping[int, tuple[int, int]]:
        """The same for many channels, by their ids."""
        span = {"stage": stage.value, "first_day": first_day, "last_day": last_day}
        with self._transactions.read() as connection:
            found = run(connection, _NEIGHBOURS_OF, _CHANNELS, [(one,) for one in channel_ids], **span)
            return {
                channel_id: (first_day if earlier is None else earlier, last_day if later is None else later)
                for channel_id, earlier, later in found
            }

    def revisions(self, stage: Stage, channel_id: int, day: int) -> Sequence[Block]:
        """Every version of one block, oldest first."""
        wanted = _every_version(stage)
        version = wanted.selected_columns
        narrowed = wanted.where(version.channel_id == channel_id, version.day == day)
        with self._transactions.read() as connection:
            return blocks_of(connection.execute(narrowed).all())

    def _write(
        self,
        stage: Stage,
        blocks: Sequence[Block],
        combine: Combine,
        source: str | Mapping[int, str],
        recorded_at: datetime,
    ) -> int:
        alike: dict[int, list[Block]] = defaultdict(list)  # by number of slots: they are packed as one matrix
        for block in blocks:
            alike[block.slots].append(block)
        with self._transactions.write() as connection:
            writer = BlockMerge(connection, stage, combine, source, recorded_at)
            return sum(writer.settle(some) for group in alike.values() for some in _pieces(group, _BLOCKS_AT_ONCE))


def _neighbours() -> Select[Any]:
    """The nearest stored days before and after a span."""
    day = tables.block.c.day
    of_channel = and_(tables.block.c.stage == bindparam("stage"), tables.block.c.channel_id == bindparam("channel_id"))
    before = select(func.max(day)).where(of_channel, day < bindparam("first_day")).scalar_subquery()
    after = select(func.min(day)).where(of_channel, day > bindparam("last_day")).scalar_subquery()
    return select(before, after)


_NEIGHBOURS = _neighbours()  # built once: it is asked twice for every channel of every delivery


_METERS: Final[Columns] = (("meter_id", TEXT),)
_CHANNELS: Final[Columns] = (("channel_id", INTEGER),)
_SOURCES: Final[Columns] = (("channel_id", INTEGER), ("source", TEXT))

_CHANNELS_OF: Final = """
    SELECT channel_id, meter_id, obis, unit, exponent, interval_s FROM channel
    WHERE meter_id IN (SELECT meter_id FROM {rows} AS wanted) ORDER BY meter_id, obis"""

_NEIGHBOURS_OF: Final = """
    SELECT channel_id,
        (SELECT max(day) FROM block WHERE stage = :stage AND block.channel_id = wanted.channel_id AND day < :first_day),
        (SELECT min(day) FROM block WHERE stage = :stage AND block.channel_id = wanted.channel_id AND day > :last_day)
    FROM {rows} AS wanted"""

# CROSS JOIN: SQLite takes tables of such a join in this order, and would else go through every raw block of the days.
_ADOPT: Final = """
    INSERT INTO block (stage, channel_id, day, revision, content_hash, contents, source, recorded_at)
    SELECT 'final', raw.channel_id, raw.day, 1, raw.content_hash, raw.contents, wanted.source,
           CAST(:recorded_at AS bigint)
    FROM {rows} AS wanted CROSS JOIN block AS raw
    WHERE raw.stage = 'raw' AND raw.channel_id = wanted.channel_id AND raw.day BETWEEN :first_day AND :last_day
    ON CONFLICT (stage, channel_id, day) DO NOTHING"""

_DIFFERING: Final = """
    SELECT raw.channel_id FROM {rows} AS wanted CROSS JOIN block AS raw CROSS JOIN block AS made
    WHERE raw.stage = 'raw' AND raw.channel_id = wanted.channel_id AND raw.day BETWEEN :first_day AND :last_day
        AND made.stage = 'final' AND made.channel_id = raw.channel_id AND made.day = raw.day
        AND made.content_hash <> raw.content_hash"""


def _newest(stage: Stage) -> Select[Any]:
    return select(tables.block).filter_by(stage=stage).order_by(tables.block.c.channel_id, tables.block.c.day)


def _every_version(stage: Stage) -> Select[Any]:
    """Current and superseded versions, by channel, day and revision."""
    versions = union_all(select(tables.block), select(tables.block_history)).subquery()
    ordered = (versions.c.channel_id, versions.c.day, versions.c.revision)
    return select(versions).where(versions.c.stage == stage).order_by(*ordered)


def _known_at(stage: Stage, instant: datetime) -> Select[Any]:
    versions = _every_version(stage)
    return versions.where(versions.selected_columns.recorded_at <= instant)


def _pieces(whole: Sequence[T], size: int) -> Iterator[list[T]]:
    rest = iter(whole)
    while piece := list(islice(rest, size)):
        yield piece
