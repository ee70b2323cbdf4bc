"""Pushes that were not believed, for a person to look at: a bounded list in which every sender has his share."""

from collections import Counter
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from amity.headend.pushes.senders import reason_of
from amity.kernel.errors import AmityError

SENDERS_COUNTED_MAX: Final = 1024


@dataclass(frozen=True, slots=True)
class Parked:
    """A push that was not believed, as it came."""

    at: datetime
    peer: str
    octets: bytes
    error: AmityError

    @property
    def sender(self) -> str:
        """Who answers for it: who calls a collector is what the collector says, so that it is the collector."""
        return self.peer.partition("/")[0]


class Parking:
    """The newest pushes that were not believed, and how many there were of each kind and of whom, since the start.

    In a list that is full the sender who has most of it makes room, so that nobody empties it of the others. Of senders
    beyond `SENDERS_COUNTED_MAX` those with the fewest are forgotten.
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self._listed: list[Parked] = []
        self._shares: Counter[str] = Counter()
        self.newest_of: dict[str, Parked] = {}
        self.counts: Counter[str] = Counter()
        self.senders: Counter[str] = Counter()

    @property
    def newest(self) -> tuple[Parked, ...]:
        """Those that are listed, the newest last."""
        return tuple(self._listed)

    def park(self, parked: Parked) -> None:
        """Keep it and count it."""
        reason = reason_of(parked.error)
        self.newest_of[reason] = parked
        self.counts[reason] += 1
        self._count_sender(parked.sender)
        if len(self._listed) >= self._size:
            self._make_room()
        self._listed.append(parked)
        self._shares[parked.sender] += 1

    def _make_room(self) -> None:
        largest = max(self._shares.values())
        oldest = next(at for at, one in enumerate(self._listed) if self._shares[one.sender] == largest)
        sender = self._listed.pop(oldest).sender
        self._shares[sender] -= 1
        if not self._shares[sender]:
            del self._shares[sender]

    def _count_sender(self, sender: str) -> None:
        if sender not in self.senders and len(self.senders) >= SENDERS_COUNTED_MAX:
            self.senders = Counter(dict(self.senders.most_common(SENDERS_COUNTED_MAX // 2)))
        self.senders[sender] += 1
