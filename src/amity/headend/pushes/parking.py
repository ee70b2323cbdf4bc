"""Pushes that were not believed, for a person to look at: a bounded list in which every sender has his share."""

from collections import Counter
from dataclasses import dataclass
from datetime import datetime
from typing import Final, NamedTuple

from amity.headend.calls.callers import BY_DATAGRAM
from amity.headend.pushes.senders import reason_of
from amity.kernel.addresses import share_of
from amity.kernel.errors import AmityError

SENDERS_COUNTED_MAX: Final = 1024
_V4_PREFIX: Final = 24


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

    @property
    def share(self) -> str:
        """With whom he shares his room: with all senders of datagrams, who may have forged it, or with his network.

        That is a /24, or a /64 of IPv6. A collector is by itself, and so is a meter by its certificate or session.
        """
        return BY_DATAGRAM if self.sender.startswith(BY_DATAGRAM) else share_of(self.sender, v4_prefix=_V4_PREFIX)


class _Listed(NamedTuple):
    share: str
    parked: Parked


class Parking:
    """The newest pushes that were not believed, and how many there were of each kind and of whom, since the start.

    In a list that is full the share that has most of it makes room, and within it the sender who has most, so that
    nobody empties it of the others. Of senders beyond `SENDERS_COUNTED_MAX` those with the fewest are forgotten.
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self._listed: list[_Listed] = []
        self._shares: Counter[str] = Counter()
        self._listed_of: Counter[str] = Counter()
        self.newest_of: dict[str, Parked] = {}
        self.counts: Counter[str] = Counter()
        self.senders: Counter[str] = Counter()

    @property
    def newest(self) -> tuple[Parked, ...]:
        """Those that are listed, the newest last."""
        return tuple(one.parked for one in self._listed)

    def park(self, parked: Parked) -> None:
        """Keep it and count it."""
        reason = reason_of(parked.error)
        self.newest_of[reason] = parked
        self.counts[reason] += 1
        self._count_sender(parked.sender)
        if len(self._listed) >= self._size:
            self._make_room()
        listed = _Listed(parked.share, parked)
        self._listed.append(listed)
        self._shares[listed.share] += 1
        self._listed_of[parked.sender] += 1

    def _make_room(self) -> None:
        out = max(self._listed, key=lambda one: (self._shares[one.share], self._listed_of[one.parked.sender]))
        self._listed.remove(out)
        for counter, key in ((self._shares, out.share), (self._listed_of, out.parked.sender)):
            counter[key] -= 1
            if not counter[key]:
                del counter[key]

    def _count_sender(self, sender: str) -> None:
        if sender not in self.senders and len(self.senders) >= SENDERS_COUNTED_MAX:
            self.senders = Counter(dict(self.senders.most_common(SENDERS_COUNTED_MAX // 2)))
        self.senders[sender] += 1
