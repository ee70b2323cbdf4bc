"""The order in which senders hand over what waits: alarms first, at the collectors and out of the head-end's outbox."""

from collections import defaultdict
from collections.abc import Collection, Sequence
from typing import Any

from amity.collector.ports import HeldPush
from amity.domain.collection import Delivery, Outcome
from amity.headend.ports import CollectionStore, QueuedDelivery, Saving
from amity.protocols.relay.link import Link
from amity.protocols.relay.messages import Message, Push
from amity.simulation.campaign.witness import Invariant, Witness
from amity.transports.relay_peer import PeerRules, RelayPeer


class Overtaking:
    """The alarms that wait at each sender."""

    def __init__(self, witness: Witness) -> None:
        self._witness = witness
        self._at_collectors: defaultdict[str, dict[int, None]] = defaultdict(dict)
        self._told: dict[str, bool | None] = {}

    def waiting_at(self, name: str) -> dict[int, None]:
        """The alarms on the disk of this collector."""
        return self._at_collectors[name]

    def kept(self, name: str, pushes: Sequence[HeldPush]) -> None:
        """A collector's disk has these."""
        self._at_collectors[name].update((push.number, None) for push in pushes if push.urgent)

    def gone(self, name: str, numbers: Collection[int]) -> None:
        """They are on the disk of this collector no more."""
        for number in numbers:
            self._at_collectors[name].pop(number, None)

    def sent(self, name: str, number: int, owed: Collection[int]) -> None:
        """A collector sends a push over a link that it `owed` these alarms since it was laid."""
        waiting = self._at_collectors[name]
        self._witness.checked(Invariant.ALARMS_FIRST)
        if number not in waiting and any(one in waiting for one in owed):
            self._witness.violated(Invariant.ALARMS_FIRST, f"{name} sent bulk over a new link, and an alarm waits")

    def saved(self, savings: Sequence[Saving]) -> None:
        """These go to the outbox, or fail to."""
        self._told.update((one.delivery.message_id, _is_alarm(one.delivery)) for one in savings)

    def fetched(self, queued: Sequence[QueuedDelivery]) -> None:
        """They leave the outbox in this order."""
        are_alarms = [told for one in queued if (told := self._told.get(one.message_id)) is not None]
        self._witness.checked(Invariant.ALARMS_FIRST, sum(are_alarms))
        if are_alarms != sorted(are_alarms, reverse=True):
            self._witness.violated(Invariant.ALARMS_FIRST, f"an alarm left the outbox behind readings: {are_alarms}")


def _is_alarm(delivery: Delivery) -> bool | None:
    """None for what a session brought with events: whether they are news is for the head-end to say."""
    if not delivery.events:
        return False
    return True if delivery.outcome is Outcome.PUSHED else None


class WatchedPeer(RelayPeer):
    """A collector's end of a link; what waited there before it was laid is owed to it."""

    def __init__(self, rules: PeerRules, address: str, name: str, overtaking: Overtaking) -> None:
        super().__init__(Link(opens=False), rules, address)
        self._name = name
        self._overtaking = overtaking
        self._owed = dict(overtaking.waiting_at(name))

    def send(self, stream: int, message: Message) -> None:
        """As the other."""
        if isinstance(message, Push):
            self._owed.pop(message.number, None)
            self._overtaking.sent(self._name, message.number, self._owed)
        super().send(stream, message)


class WatchedOutbox:
    """Implements `headend.ports.CollectionStore`: another one, and the order in which it gives."""

    def __init__(self, collection: CollectionStore, overtaking: Overtaking) -> None:
        self._collection = collection
        self._overtaking = overtaking

    def __getattr__(self, name: str) -> Any:
        return getattr(self._collection, name)

    def save_all(self, savings: Sequence[Saving]) -> None:
        """As the other."""
        self._overtaking.saved(savings)
        self._collection.save_all(savings)

    def queued(self, limit: int) -> Sequence[QueuedDelivery]:
        """As the other."""
        queued = self._collection.queued(limit)
        self._overtaking.fetched(queued)
        return queued
