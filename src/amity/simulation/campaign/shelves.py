"""What lies in the collectors' stores, and what a full one drops: its oldest bulk, counted, and no alarm."""

from collections import defaultdict
from collections.abc import Collection, Sequence

from amity.collector.ports import HeldPush
from amity.simulation.campaign.witness import Invariant, Witness


class Shelves:
    """The pushes on each collector's disk, in the order in which they came; and how many it says that it dropped."""

    def __init__(self, witness: Witness) -> None:
        self._witness = witness
        self._on_disk: defaultdict[str, dict[int, HeldPush]] = defaultdict(dict)
        self._dropped: defaultdict[str, int] = defaultdict(int)

    def put(self, name: str, pushes: Sequence[HeldPush]) -> None:
        """A collector's disk has these."""
        self._on_disk[name].update((push.number, push) for push in pushes)

    def gone(self, name: str, numbers: Collection[int]) -> None:
        """The head-end has them, and the collector has them no more."""
        for number in numbers:
            self._on_disk[name].pop(number, None)

    def has_room(self, name: str, dropped: int) -> bool:
        """True when a collector has dropped no more than before."""
        return dropped == self._dropped[name]

    def dropped(self, name: str, left: Collection[int], counted: int) -> Sequence[HeldPush]:
        """A store made room, says how many it ever dropped, and has those that are left; give those that are not."""
        on_disk = self._on_disk[name]
        going = [push for number, push in on_disk.items() if number not in left]
        bulk = [push for push in on_disk.values() if not push.urgent]
        self._witness.checked(Invariant.ROOM, len(going))
        if going != bulk[: len(going)]:
            kinds = ["alarm" if push.urgent else "bulk" for push in going]
            self._witness.violated(Invariant.ROOM, f"{name} dropped {kinds}, and has or had older bulk")
        if counted - self._dropped[name] != len(going):
            self._witness.violated(Invariant.ROOM, f"{name} dropped {len(going)}, and counts {counted} in all")
        self._dropped[name] = counted
        self.gone(name, [push.number for push in going])
        return going
