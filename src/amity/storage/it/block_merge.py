"""The merge of channel-days into the store, exact under any number of writers.

First `INSERT … ON CONFLICT DO NOTHING`; then, for what was there before and differs, merge and compare-and-swap on the
revision, again for whoever lost a race. (`SELECT … FOR UPDATE`, merge, upsert lost readings with several
writers: before the first insert there is no row to lock.) On SQLite the write lock is held from the start, so the
first round always wins.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

import numpy as np
from sqlalchemy import Connection, Row, bindparam, select, tuple_, update

from amity.domain.blocks import Block, Stage
from amity.domain.readings import Int64Column, QualityColumn
from amity.kernel.errors import StorageError
from amity.kernel.time import SECONDS_PER_DAY
from amity.storage.columns import microseconds
from amity.storage.dialect import execute_rows, insert_or_ignore
from amity.storage.it import tables
from amity.storage.packing import Packed, pack, unpack

Key = tuple[int, int]
"""Channel id and day."""

Combine = Callable[[Block, Block], tuple[Int64Column, QualityColumn]]
"""What becomes of the stored block and a newer one."""

_CAS = (
    update(tables.block)
    .where(
        tables.block.c.stage == bindparam("at_stage"),
        tables.block.c.channel_id == bindparam("at_channel_id"),
        tables.block.c.day == bindparam("at_day"),
        tables.block.c.revision == bindparam("at_revision"),
    )
    .values({name: bindparam(name) for name in ("revision", "content_hash", "contents", "source", "recorded_at")})
)


def the_newer(_stored: Block, newer: Block) -> tuple[Int64Column, QualityColumn]:
    """The newer block as it is: how a computed day takes the place of an earlier computation."""
    return newer.values, newer.qualities


def blocks_of(rows: Collection[Row[Any]]) -> list[Block]:
    """The blocks in rows of `block` or `block_history`; raise StorageError when their octets are damaged."""
    return [
        Block(
            row.channel_id,
            row.day,
            SECONDS_PER_DAY // len(values),
            values,
            qualities,
            row.revision,
            row.source,
            row.recorded_at,
        )
        for row, (values, qualities) in zip(rows, unpack(row.contents for row in rows), strict=True)
    ]


class BlockMerge(NamedTuple):
    """One write: where, how stored and newer combine, and what new versions are signed with, all or by channel."""

    connection: Connection
    stage: Stage
    combine: Combine
    source: str | Mapping[int, str]
    recorded_at: datetime

    def settle(self, blocks: Sequence[Block]) -> int:
        """Store blocks of one slot count (later is newer); return how many stored rows changed."""
        wanted = self._folded(blocks)
        packed = dict(zip(wanted, pack_blocks(wanted.values()), strict=True))
        changed = self._insert(packed)
        settled = changed == len(wanted)
        while not settled:
            stored = {key: row for key, row in self._stored(wanted) if row.content_hash != packed[key].content_hash}
            merged = self._merged(stored, wanted)
            swapped = self._swap(merged, stored)
            settled = swapped == len(merged)
            changed += swapped
        return changed

    def _folded(self, blocks: Sequence[Block]) -> dict[Key, Block]:
        """One block for each channel-day."""
        wanted: dict[Key, Block] = {}
        for block in blocks:
            key = (block.channel_id, block.day)
            earlier = wanted.get(key)
            wanted[key] = block if earlier is None else self._combined(earlier, block)
        return wanted

    def _combined(self, stored: Block, newer: Block) -> Block:
        """Raise StorageError when they do not have the same grid."""
        if stored.slots != newer.slots:
            raise StorageError(
                f"channel {newer.channel_id} has {stored.slots} intervals a day, not {newer.slots}",
                tried=f"merge day {newer.day} from {self._signature(newer.channel_id)}",
                next_step="another interval length is another channel: ask the store for that one",
            )
        values, qualities = self.combine(stored, newer)
        return Block(newer.channel_id, newer.day, newer.interval_s, values, qualities)

    def _stored(self, keys: Iterable[Key]) -> list[tuple[Key, Row[Any]]]:
        stored = tables.block.c
        wanted = select(tables.block).where(
            stored.stage == self.stage, tuple_(stored.channel_id, stored.day).in_(list(keys))
        )
        return [((row.channel_id, row.day), row) for row in self.connection.execute(wanted).all()]

    def _merged(self, stored: dict[Key, Row[Any]], newer: dict[Key, Block]) -> dict[Key, Packed]:
        """The combined contents, where they differ from the stored ones."""
        blocks = zip(stored, blocks_of(stored.values()), strict=True)
        combined = [self._combined(block, newer[key]) for key, block in blocks]
        packed = zip(stored.items(), pack_blocks(combined), strict=True)
        return {key: new for (key, row), new in packed if new.content_hash != row.content_hash}

    def _insert(self, packed: dict[Key, Packed]) -> int:
        rows = [
            {"stage": self.stage, "channel_id": channel_id, "day": day, **self._version(channel_id, 1, new)}
            for (channel_id, day), new in packed.items()
        ]
        return execute_rows(self.connection, insert_or_ignore(self.connection, tables.block), rows)

    def _swap(self, merged: dict[Key, Packed], stored: dict[Key, Row[Any]]) -> int:
        """Compare-and-swap on the revision; the superseded version goes to history whoever wins, as it is the same."""
        superseded = [self._row(stored[key]) for key in merged]
        execute_rows(self.connection, insert_or_ignore(self.connection, tables.block_history), superseded)
        swaps = []
        for (channel_id, day), new in merged.items():
            revision = stored[channel_id, day].revision
            place = {"at_stage": self.stage, "at_channel_id": channel_id, "at_day": day, "at_revision": revision}
            swaps.append({**place, **self._version(channel_id, revision + 1, new)})
        return execute_rows(self.connection, _CAS, swaps)

    def _version(self, channel_id: int, revision: int, new: Packed) -> dict[str, Any]:
        return {
            "revision": revision,
            "content_hash": new.content_hash,
            "contents": new.contents,
            "source": self._signature(channel_id),
            "recorded_at": microseconds(self.recorded_at),
        }

    def _signature(self, channel_id: int) -> str:
        return self.source if isinstance(self.source, str) else self.source[channel_id]

    @staticmethod
    def _row(stored: Row[Any]) -> dict[str, Any]:
        return {**stored._asdict(), "recorded_at": microseconds(stored.recorded_at)}


def pack_blocks(blocks: Iterable[Block]) -> list[Packed]:
    """Pack blocks of one slot count."""
    all_blocks = list(blocks)
    if not all_blocks:
        return []
    return pack(np.stack([b.values for b in all_blocks]), np.stack([b.qualities for b in all_blocks]))
