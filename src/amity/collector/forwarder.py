"""Pushes on their way from the disk to the head-end: alarms first, each sent until the head-end has it."""

import asyncio
from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

from amity.collector.confirmations import Confirmations
from amity.collector.ports import Disk, HeldPush, PushStore
from amity.kernel.errors import StorageError
from amity.kernel.time import EPOCH
from amity.protocols.relay.messages import Push
from amity.protocols.relay.peer import Peer
from amity.protocols.relay.scheduler import ALARMS, BULK

_RETRY_S: Final = 5.0


@dataclass(frozen=True, slots=True)
class ForwardRules:
    """How many pushes of a kind may be under way, and how many octets may wait in the link before more are fetched."""

    under_way_max: int = 256
    waiting_octets_max: int = 64 * 1024


class Forwarder:
    """Sends to the head-end that joined first; when its link is lost, what was under way is sent to the next."""

    def __init__(
        self, store: PushStore, disk: Disk, confirmations: Confirmations, rules: ForwardRules | None = None
    ) -> None:
        self._store = store
        self._disk = disk
        self._confirmations = confirmations
        self._rules = rules or ForwardRules()
        self._peers: list[Peer] = []
        self._under_way: dict[int, tuple[Peer, bool]] = {}
        self._kept: set[int] = set()
        self._wake = asyncio.Event()
        self.forwarded = 0
        self.last_error: StorageError | None = None

    def joined(self, peer: Peer) -> None:
        """A head-end accepted us."""
        self._peers.append(peer)
        self._wake.set()

    def left(self, peer: Peer) -> None:
        """Its link is lost; nobody knows what it still took."""
        if peer in self._peers:
            self._peers.remove(peer)
        self._under_way = {number: way for number, way in self._under_way.items() if way[0] is not peer}
        self._wake.set()

    def confirmed(self, number: int, apdu: bytes) -> None:
        """The head-end has this one, and this is what its meter waits to hear."""
        self._confirmations.confirmed(number, apdu)

    def kept(self, numbers: Collection[int]) -> None:
        """The head-end has these."""
        self._confirmations.kept(numbers)
        self._kept.update(numbers)
        self._wake.set()

    def wake(self) -> None:
        """Something new is kept."""
        self._wake.set()

    async def run(self) -> None:
        """Forward until cancelled; a disk that fails is tried again."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            try:
                await self._delete_kept()
                more = await self._send(urgent=True) or await self._send(urgent=False)
            except StorageError as error:
                self.last_error = error
                more = True
                await asyncio.sleep(_RETRY_S)
            else:
                self.last_error = None
            if more:
                self._wake.set()

    async def _delete_kept(self) -> None:
        kept = frozenset(self._kept)
        if not kept:
            return
        await self._disk(lambda: self._store.delete(kept))
        self._kept -= kept
        self.forwarded += len(kept)
        for number in kept:
            self._under_way.pop(number, None)

    async def _send(self, *, urgent: bool) -> bool:
        """Send what there is room for; True when there may be more and room for it."""
        if not self._peers:
            return False
        peer, stream = self._peers[0], ALARMS if urgent else BULK
        under_way = frozenset(self._under_way)
        room = self._rules.under_way_max - sum(is_urgent is urgent for _, is_urgent in self._under_way.values())
        if room <= 0 or peer.waiting_octets(stream) > self._rules.waiting_octets_max:
            return False
        limit = min(room, 32)
        found = await self._disk(lambda: self._store.oldest(limit, urgent=urgent, without=under_way))
        if peer not in self._peers:
            return True
        for one in found:
            self._under_way[one.number] = peer, urgent
            peer.send(stream, self._push(one))
        return len(found) == limit

    def _push(self, one: HeldPush) -> Push:
        at_ms = max(0, round((one.at - EPOCH).total_seconds() * 1000))  # a clock that was never set has an epoch too
        return Push(one.number, at_ms, one.peer, self._confirmations.awaited(one.number), one.frame)
