"""Meters that call in, say nothing, and keep the association in which they were asked for their name.

Over the wrapper each client has an association of its own (IEC 62056-47: a pair of wPorts), so such a meter is read on
that line all the same. One that has a single association at a time refuses the next client, and nothing but the end of
the connection ends what it ignores the release of: when it calls again from there, it is not asked again.
"""

from typing import Final, NamedTuple, Protocol

from amity.headend.calls.lines import CalledLines
from amity.kernel.backoff import Chance

_ADDRESSES_MAX: Final = 20_000
_METERS_AT_ONE_ADDRESS_MAX: Final = 128


class SilentCall(Protocol):
    """A connection, as far as its caller's address goes."""

    @property
    def peer(self) -> str:
        """The caller's address."""
        ...

    @property
    def ended(self) -> bool:
        """True when it is gone."""
        ...


class _Named(NamedTuple):
    meter_id: str
    remembered: bool


class SilentCallers:
    """Who was asked and kept hold of that association, by the address it called from; none of it proves anything.

    A line that ends without the meter's own proof decides how its next call is met: after one on which it was asked it
    is remembered, after one on which it was remembered it is asked.
    """

    def __init__(self, lines: CalledLines, chance: Chance) -> None:
        self._lines = lines
        self._chance = chance
        self._named: dict[SilentCall, _Named] = {}
        self._meters_at: dict[str, list[str]] = {}

    def remembered(self, call: SilentCall) -> str | None:
        """Who calls from there and is not on the line, None when somebody is to be asked.

        Many may share an address. Chance chooses among them, so that no two take each other's turn for ever.
        """
        absent = [one for one in self._meters_at.get(call.peer, ()) if self._lines.line_of(one) is None]
        if not absent:
            return None
        meter_id = absent[int(self._chance() * len(absent))]
        self._named[call] = _Named(meter_id, remembered=True)
        return meter_id

    def kept_hold(self, call: SilentCall, meter_id: str) -> None:
        """It was asked on this line, and its association may still stand."""
        self._named[call] = _Named(meter_id, remembered=False)
        if call.ended:
            self.gone(call, proven=False)

    def gone(self, call: SilentCall, *, proven: bool) -> None:
        """The line has ended; `proven` when the meter proved itself on it."""
        named = self._named.pop(call, None)
        if named is None or proven:
            return
        meters = self._meters_at.pop(call.peer, [])
        others = [one for one in meters if one != named.meter_id]
        now = others if named.remembered else [*others, named.meter_id][-_METERS_AT_ONE_ADDRESS_MAX:]
        if now:
            self._meters_at[call.peer] = now
        if len(self._meters_at) > _ADDRESSES_MAX:
            del self._meters_at[next(iter(self._meters_at))]
