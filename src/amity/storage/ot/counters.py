"""Invocation counters on disk: each number leaves this table once, whatever is killed and whenever.

A counter used twice with one key gives AES-GCM the same nonce twice, which gives the authentication key away
(NIST SP 800-38D, 8; Green Book 9.2.3.3.7.3). So the reservation is committed, with fsync, before a number is used.
"""

from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Final

from sqlalchemy import Connection, update

from amity.devices.freshness import UNPROVED_JUMP_MAX
from amity.headend.heard_counters import KEYS_MAX, HeardCounters
from amity.headend.ports import PushClaim
from amity.kernel.errors import LocalProtocolError, SecurityError
from amity.storage.dialect import execute_rows, insert_or_ignore, insert_or_update
from amity.storage.ot.tables import invocation_counter, push_counter
from amity.storage.row_sets import INTEGER, ROWS, TEXT, as_parameter, run, statement
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


_Window = tuple[str, str]
"""A meter and the name of one of its keys, in hexadecimal; empty for a window from before keys had names."""


class SqlPushCounters:
    """Implements `headend.ports.PushCounterStore`."""

    def __init__(self, transactions: Transactions) -> None:
        self._transactions = transactions

    def transaction(self) -> AbstractContextManager[object]:
        """All calls within are committed together, also those of the other stores of this database."""
        return self._transactions.write()

    def move_all(self, claims: Sequence[PushClaim]) -> Sequence[SecurityError | None]:
        """In one transaction, with one statement to look and one to move, however many they are.

        Whoever looks holds the rows until he commits: what another node moves meanwhile waits, and is then seen.
        """
        if not claims:
            return []
        with self._transactions.write() as connection:
            heard = self._heard(connection, {_window(claim) for claim in claims})
            moved: dict[_Window, HeardCounters] = {}
            refusals = [_moved(heard, moved, claim) for claim in claims]
            self._keep(connection, moved)
        return refusals

    def _heard(self, connection: Connection, wanted: set[_Window]) -> dict[_Window, HeardCounters]:
        """Those in which something was heard. A row that is not there cannot be held: then it is made, and held."""
        found = self._held(connection, {meter_id for meter_id, _ in wanted})
        if new := wanted - found.keys():
            self._make(connection, new, found)
            _forget(connection, wanted, found)
            found |= self._held(connection, {meter_id for meter_id, _ in new})
        return {window: heard for window, heard in found.items() if heard.last != _UNHEARD}

    def _held(self, connection: Connection, meter_ids: set[str]) -> dict[_Window, HeardCounters]:
        rows = as_parameter((meter_id,) for meter_id in sorted(meter_ids))
        found = connection.execute(statement(connection, _HELD[connection.dialect.name], _METERS), {ROWS: rows})
        return {
            (meter_id, key_name): HeardCounters(last, int.from_bytes(missing, "big"), settled, mark, marked_s)
            for meter_id, key_name, last, missing, settled, mark, marked_s in found
        }

    def _make(self, connection: Connection, new: set[_Window], found: Collection[_Window]) -> None:
        """What was heard before keys had names here is taken for heard under the first key that a push names."""
        first_named = dict(sorted(new, reverse=True))
        adopted = [
            (meter_id, first_named[meter_id]) for meter_id, name in found if not name and meter_id in first_named
        ]
        run(connection, _ADOPT, _WINDOWS, sorted(adopted))
        run(connection, _MAKE, _WINDOWS, sorted(new), nothing=b"", unheard=_UNHEARD)

    def _keep(self, connection: Connection, moved: Mapping[_Window, HeardCounters]) -> None:
        """Octets do not travel in JSON: windows in which some are missing go row by row."""
        whole = [
            (*window, heard.last, heard.settled, heard.mark, heard.marked_s)
            for window, heard in moved.items()
            if not heard.missing
        ]
        run(connection, _MOVE_ALL, _COUNTERS, whole, nothing=b"")
        rows = [_row(window, heard) for window, heard in moved.items() if heard.missing]
        execute_rows(connection, insert_or_update(connection, push_counter), rows)


_UNHEARD: Final = -1
"""The last counter of a window in which none was heard."""
_METERS: Final = (("meter_id", TEXT),)
_WINDOWS: Final = (*_METERS, ("key_name", TEXT))
_COUNTERS: Final = (
    *_WINDOWS, ("last_counter", INTEGER), ("settled", INTEGER), ("mark", INTEGER), ("marked_s", INTEGER)
)  # fmt: skip
_LOOK: Final = """
    SELECT meter_id, key_name, last_counter, missing, settled, mark, marked_s FROM push_counter
    WHERE meter_id IN (SELECT wanted.meter_id FROM {rows} AS wanted)"""
_HELD: Final = {"sqlite": _LOOK, "postgresql": f"{_LOOK} ORDER BY meter_id, key_name FOR UPDATE"}
"""In the order of their names, so that two nodes which lock the same meters do not wait for each other in a ring."""
_ADOPT: Final = """
    UPDATE push_counter SET key_name = adopted.key_name FROM {rows} AS adopted
    WHERE push_counter.meter_id = adopted.meter_id AND push_counter.key_name = ''"""
_MAKE: Final = """
    INSERT INTO push_counter (meter_id, key_name, last_counter, missing)
    SELECT meter_id, key_name, CAST(:unheard AS bigint), :nothing FROM {rows} AS new WHERE true
    ORDER BY meter_id, key_name
    ON CONFLICT (meter_id, key_name) DO NOTHING"""
_FORGET: Final = """
    DELETE FROM push_counter WHERE EXISTS (
        SELECT 1 FROM {rows} AS one
        WHERE one.meter_id = push_counter.meter_id AND one.key_name = push_counter.key_name)"""
_MOVE_ALL: Final = """
    INSERT INTO push_counter (meter_id, key_name, last_counter, missing, settled, mark, marked_s)
    SELECT meter_id, key_name, last_counter, :nothing, settled, mark, marked_s FROM {rows} AS moved WHERE true
    ON CONFLICT (meter_id, key_name) DO UPDATE SET last_counter = excluded.last_counter, missing = excluded.missing,
        settled = excluded.settled, mark = excluded.mark, marked_s = excluded.marked_s"""


def _window(claim: PushClaim) -> _Window:
    return claim.meter_id, claim.key_name.hex()


def _forget(connection: Connection, wanted: set[_Window], found: Mapping[_Window, HeardCounters]) -> None:
    """A meter that has a new key leaves the windows of those keys behind that it used longest ago."""
    others: defaultdict[str, list[_Window]] = defaultdict(list)
    for window in sorted(found.keys() - wanted, key=lambda one: found[one].marked_s, reverse=True):
        others[window[0]].append(window)
    claimed = Counter(meter_id for meter_id, _ in wanted)
    room = {meter_id: max(KEYS_MAX - claimed[meter_id], 0) for meter_id in others}
    surplus = [window for meter_id, windows in others.items() for window in windows[room[meter_id] :]]
    run(connection, _FORGET, _WINDOWS, surplus)


def _moved(
    heard: dict[_Window, HeardCounters], moved: dict[_Window, HeardCounters], claim: PushClaim
) -> SecurityError | None:
    """Let the claim count, in both; what speaks against it otherwise."""
    window, counter = _window(claim), claim.counter
    before = heard.get(window)
    refusal = _unproved(claim, None) if before is None else _refusal(claim, before)
    if refusal is not None:
        return refusal
    if before is None:
        after = HeardCounters.first(counter, claim.heard_s, late=claim.late)
    else:
        after = before.having(counter, claim.heard_s)
    heard[window] = moved[window] = after
    return None


def _row(window: _Window, heard: HeardCounters) -> dict[str, object]:
    meter_id, key_name = window
    return {
        "meter_id": meter_id, "key_name": key_name, "last_counter": heard.last, "missing": heard.missing_octets,
        "settled": heard.settled, "mark": heard.mark, "marked_s": heard.marked_s,
    }  # fmt: skip


def _refusal(claim: PushClaim, before: HeardCounters) -> SecurityError | None:
    meter_id, counter = claim.meter_id, claim.counter
    if before.believes(counter, claim.heard_s, late=claim.late):
        return _unproved(claim, before.last)
    if before.lacks(counter):
        return SecurityError(
            f"a push of meter {meter_id} with invocation counter {counter} came long after a later one",
            next_step="somebody may hold messages back; look where it came from",
        )
    return SecurityError(
        f"a push of meter {meter_id} with invocation counter {counter} was heard before",
        next_step="somebody may replay old messages; look where it came from",
    )


def _unproved(claim: PushClaim, last: int | None) -> SecurityError | None:
    """Without a tag anybody can name any number: it must go up, and not far."""
    lowest, highest = (0, UNPROVED_FIRST_MAX) if last is None else (last + 1, last + UNPROVED_JUMP_MAX)
    if claim.authenticated or lowest <= claim.counter <= highest:
        return None
    return SecurityError(
        f"a push of meter {claim.meter_id} without a tag names invocation counter {claim.counter}, after {last or 0}",
        next_step="somebody may try to lock the meter out; have it push with authentication",
    )
