"""Invocation counters at hand: taken from the disk in chunks, so that a session does not wait for one at a time."""

from typing import Final

from amity.devices.client.counters import RESYNC_MAX
from amity.headend.ports import CounterStore
from amity.kernel.errors import RemoteProtocolError

CHUNK: Final = 1024


class CounterBank:
    """Gives out one meter's counters; those of a chunk that a crash interrupts are lost, never repeated."""

    def __init__(self, store: CounterStore, meter_id: str) -> None:
        self._store = store
        self._meter_id = meter_id
        self._next = 0
        self._end = 0

    def has(self, count: int) -> bool:
        """True when so many are at hand, so that the disk need not be asked."""
        return self._end - self._next >= count

    def ensure(self, count: int) -> None:
        """Have at least `count` at hand; what is left of the old chunk is given up."""
        if not self.has(count):
            self._next = self._store.reserve(self._meter_id, max(count, CHUNK))
            self._end = self._next + max(count, CHUNK)

    def take(self) -> int:
        """The next counter; reserves a chunk when none is at hand."""
        self.ensure(1)
        self._next += 1
        return self._next - 1

    def raise_to(self, minimum: int) -> None:
        """Go on at `minimum` if that is higher; raise RemoteProtocolError for a number that nobody should believe.

        Raise StorageError when the disk does not take it.
        """
        if minimum > RESYNC_MAX:
            raise RemoteProtocolError(
                f"meter {self._meter_id} asks for invocation counter {minimum}, beyond what is believed unproved",
                tried=f"go on at the counter it names, if that is {RESYNC_MAX} at most",
                next_step="make sure that nobody stands between; then give the meter a new key",
            )
        self._store.raise_to(self._meter_id, minimum)
        self.drop()

    def drop(self) -> None:
        """Give up what is at hand: somebody else used higher ones, and a meter takes none below what it has seen."""
        self._next = self._end = 0
