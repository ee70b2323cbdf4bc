"""What is known of each push from outside: that it was said, confirmed, kept by a collector, taken, and stored.

None of it asks the head-end what it thinks: a meter hears its confirmation, a disk commits, the MDM side stores.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Engine

from amity.collector.ports import HeldPush, StoreFullError
from amity.collector.push_intake import PushIntake
from amity.domain.collection import Delivery, Outcome
from amity.headend.collectors.ports import ForwardedPushes
from amity.headend.ports import PushCounterStore
from amity.protocols.relay.messages import PUSH_ID_OCTETS
from amity.protocols.wrapper.frame import Frame
from amity.simulation.campaign.machine import Machine
from amity.simulation.campaign.moments import Moments
from amity.simulation.campaign.overtaking import Overtaking
from amity.simulation.campaign.shelves import Shelves
from amity.simulation.campaign.wire import apdus_in
from amity.simulation.campaign.witness import Invariant, Witness
from amity.simulation.happenings import Happening
from amity.storage.collector.pushes import SqlPushStore

_ALL: Final = 1_000_000


@dataclass(eq=False)
class MeterPushes:
    """Those of one meter: how often each APDU was said, when the alarms among them were, and what was confirmed.

    One that is said again is another APDU, under another counter: `tells_of` is what both of them tell of.
    """

    now_s: Callable[[], float]
    said: Counter[bytes] = field(default_factory=Counter)
    tells_of: dict[bytes, Happening | int] = field(default_factory=dict)
    alarms: dict[bytes, float] = field(default_factory=dict)
    confirmed: frozenset[bytes] = frozenset()
    """Time and body of the notifications whose confirmation the meter has heard."""

    def saying(self, frame: bytes | None, what: Happening | int) -> bytes | None:
        """Note a frame on its way out, of something that happened or the interval that began then; give it back."""
        for apdu in apdus_in(frame or b""):
            self.said[apdu] += 1
            self.tells_of[apdu] = what
            if isinstance(what, Happening):
                self.alarms.setdefault(apdu, self.now_s())
        return frame


class PushEvidence:
    """Of all meters, collectors, nodes and the MDM side of a world; APDUs stand for pushes."""

    def __init__(self, witness: Witness) -> None:
        self.overtaking = Overtaking(witness)
        self.shelves = Shelves(witness)
        self._witness = witness
        self._taken: set[str] = set()
        self._takings = Moments()
        self._collector_of: dict[str, str] = {}
        self._promised: Counter[bytes] = Counter()
        self.meters: dict[str, MeterPushes] = defaultdict(lambda: MeterPushes(witness.now_s))
        self.kept: defaultdict[str, Counter[bytes]] = defaultdict(Counter)
        """What collectors had on their disks, by the host that it came from."""
        self.dropped: set[bytes] = set()
        """What found no room in a collector's store, or made some."""
        self.stored_s: dict[bytes, float] = {}
        """When the MDM side first had each push on its disk."""

    def kept_by_collector(self, name: str, pushes: Sequence[HeldPush]) -> None:
        """A collector's disk has these."""
        self.overtaking.kept(name, pushes)
        self.shelves.put(name, pushes)
        for push in pushes:
            self._collector_of[push.number.to_bytes(PUSH_ID_OCTETS, "big").hex()] = name
            self.kept[push.peer].update(apdus_in(push.frame))

    def gone_from_collector(self, name: str, numbers: Collection[int]) -> None:
        """A collector's disk has these no more: the head-end has them."""
        self.overtaking.gone(name, numbers)
        self.shelves.gone(name, numbers)

    def dropped_by_collector(self, name: str, left: Collection[int], counted: int) -> None:
        """A collector's store made room, and has these left."""
        going = self.shelves.dropped(name, left, counted)
        self.overtaking.gone(name, [push.number for push in going])
        self.without_room(going)

    def without_room(self, pushes: Sequence[HeldPush]) -> None:
        """A collector's store has no room for these."""
        self.dropped.update(apdu for push in pushes for apdu in apdus_in(push.frame))

    def promised_by_collector(self, apdu: bytes) -> None:
        """A collector says to whoever brought a push that it is on its disk: is it?"""
        self._promised[apdu] += 1
        self._witness.checked(Invariant.PUSHES_ARRIVE)
        if self._promised[apdu] > sum(kept[apdu] for kept in self.kept.values()):
            self._witness.violated(
                Invariant.PUSHES_ARRIVE, f"a collector took {len(apdu)} octets that are not on its disk"
            )

    def taken(self, push_id: str) -> None:
        """A node has committed a push that a collector forwarded under this id; nobody must do so again."""
        self._witness.checked(Invariant.PUSHES_ONCE)
        if push_id in self._taken:
            self._witness.violated(Invariant.PUSHES_ONCE, f"the forwarded push {push_id} was taken before")
        self._taken.add(push_id)
        self._takings.tell(self._collector_of.get(push_id))

    async def next_taken(self, name: str, within_s: float) -> None:
        """Wait until a node has committed one of this collector's, and may not have said so yet; only so long."""
        await self._takings.next(name, within_s)

    def received(self, by: Machine) -> None:
        """The MDM side has a message and begins to store it."""
        self._takings.tell(by)

    async def next_received(self, by: Machine, within_s: float) -> None:
        """Wait until this machine has a message that it has not stored; only so long."""
        await self._takings.next(by, within_s)

    def stored(self, delivery: Delivery) -> None:
        """The MDM side has committed a delivery."""
        if delivery.outcome is Outcome.PUSHED:
            for apdu in apdus_in(delivery.exchanges[0].response):
                self.stored_s.setdefault(apdu, self._witness.now_s())


class WatchedIntake(PushIntake):
    """A collector's intake whose word is compared with its disk."""

    def __init__(self, *arguments: Any, evidence: PushEvidence, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._evidence = evidence

    async def take(self, frame: Frame, *arguments: Any, **named: Any) -> None:
        """As the other."""
        await super().take(frame, *arguments, **named)
        self._evidence.promised_by_collector(frame.payload)


class WatchedPushStore(SqlPushStore):
    """A collector's store that tells what it has committed."""

    def __init__(self, engine: Engine, octets_max: int, name: str, evidence: PushEvidence) -> None:
        super().__init__(engine, octets_max)
        self._name = name
        self._evidence = evidence

    def put(self, pushes: Sequence[HeldPush]) -> None:
        """As the other."""
        try:
            super().put(pushes)
        except StoreFullError:
            self._evidence.without_room(pushes)
            raise
        self._evidence.kept_by_collector(self._name, pushes)
        dropped = self.held().dropped
        if not self._evidence.shelves.has_room(self._name, dropped):
            left = [one.number for urgent in (True, False) for one in self.oldest(_ALL, urgent=urgent, without=())]
            self._evidence.dropped_by_collector(self._name, frozenset(left), dropped)

    def delete(self, numbers: Collection[int]) -> None:
        """As the other."""
        super().delete(numbers)
        self._evidence.gone_from_collector(self._name, numbers)


class WatchedTaking:
    """The push counters and the forwarded pushes of one node: the ids that go in with a transaction are noted with it.

    Implements `headend.ports.PushCounterStore` and `headend.collectors.ports.ForwardedPushes`.
    """

    def __init__(self, counters: PushCounterStore, forwarded: ForwardedPushes, evidence: PushEvidence) -> None:
        self._forwarded = forwarded
        self._counters = counters
        self._evidence = evidence
        self._going_in: list[str] = []
        self.move_all = counters.move_all
        self.known, self.prune = forwarded.known, forwarded.prune

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """As the counters'; what goes in with one that fails has not gone in."""
        self._going_in.clear()
        with self._counters.transaction():
            yield
        for push_id in self._going_in:
            self._evidence.taken(push_id)

    def first(self, push_id: str, at: datetime) -> AbstractContextManager[None]:
        """As the other's."""
        self._going_in.append(push_id)
        return self._forwarded.first(push_id, at)
