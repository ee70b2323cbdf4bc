"""Which invocation counters of a meter's pushes were heard: the highest, and what is still missing just below it.

A collector sends alarms first, so older pushes of the same meter come after them. Each counter is good once, as in the
window of IPsec (RFC 4303, 3.4.3); what has fallen out of the window is not believed any more.
"""

from dataclasses import dataclass
from typing import Final

WINDOW: Final = 2048
"""Three weeks of quarter-hourly pushes."""
_BITS: Final = 8
_MASK: Final = (1 << WINDOW) - 1


@dataclass(frozen=True, slots=True)
class HeardCounters:
    """`missing` has bit i set when counter `last` - 1 - i was not heard."""

    last: int
    missing: int = 0

    @classmethod
    def first(cls, counter: int, *, late: bool) -> "HeardCounters":
        """The first that is heard of a meter; if a collector brings it, what it has overtaken may follow."""
        return cls(counter, _MASK if late else 0)

    @property
    def missing_octets(self) -> bytes:
        """`missing` as octets, none where nothing is."""
        return self.missing.to_bytes((self.missing.bit_length() + _BITS - 1) // _BITS, "big")

    def lacks(self, counter: int) -> bool:
        """True for a counter below the highest that was not heard and may still come."""
        back = self.last - 1 - counter
        return 0 <= back < WINDOW and bool(self.missing >> back & 1)

    def having(self, counter: int) -> "HeardCounters":
        """The same with this one heard too."""
        if counter <= self.last:
            back = self.last - 1 - counter
            return HeardCounters(self.last, self.missing & ~(1 << back)) if self.lacks(counter) else self
        ahead = counter - self.last
        if ahead > WINDOW:
            return HeardCounters(counter, _MASK)
        passed_over = (1 << ahead - 1) - 1
        return HeardCounters(counter, (self.missing << ahead | passed_over) & _MASK)
