"""Which invocation counters of a meter's pushes were heard under a key: the highest, and what is missing just below it.

Pushes overtake each other: datagrams change places, of two connections the later may be the faster, alarms go first, a
broker gives again what a node that was killed had taken. So each counter is good once, as in the window of IPsec
(RFC 4303, 3.4.3); what has fallen out of the window is not believed any more. One thing more than there: straight from
a meter an overtaken push has to come soon, or whoever stands in between could hold an alarm back and let it in, never
heard before, on the day that suits him. What a collector kept may come late.

A counter begins anew with each key (9.2.3.3.7.3 of the Green Book), so each key of a meter has a window of its own.
"""

from typing import Final, NamedTuple

WINDOW: Final = 2048
"""Three weeks of quarter-hourly pushes."""
SOON_S: Final = 60
"""Twice what the broker waits for a node that does not acknowledge.

An overtaken push is believed for so long at the least, for three times that at most.
"""
KEYS_MAX: Final = 4
"""Of so many keys of a meter the windows are kept.

One is in force; others may be so for a node that is behind, and are again when an older copy of the keys is put back.
"""
_BITS: Final = 8
_MASK: Final = (1 << WINDOW) - 1


class HeardCounters(NamedTuple):
    """`missing` has bit i set when counter `last` - 1 - i was not heard.

    How long ago it was overtaken is known by a mark: at `marked_s` (epoch seconds) the highest rose above `mark`, and
    what is at `settled` or below had then been overtaken for `SOON_S`. A mark stands until a counter rises `SOON_S`
    after it.
    """

    last: int
    missing: int = 0
    settled: int = 0
    mark: int = 0
    marked_s: int = 0

    @classmethod
    def first(cls, counter: int, heard_s: int, *, late: bool) -> "HeardCounters":
        """The first that is heard of a meter; if a collector brings it, what it has overtaken may follow."""
        return cls(counter, _MASK if late else 0, counter, counter, heard_s)

    @property
    def missing_octets(self) -> bytes:
        """`missing` as octets, none where nothing is."""
        return self.missing.to_bytes((self.missing.bit_length() + _BITS - 1) // _BITS, "big")

    def lacks(self, counter: int) -> bool:
        """True for a counter below the highest that was not heard and may still come."""
        back = self.last - 1 - counter
        return 0 <= back < WINDOW and bool(self.missing >> back & 1)

    def believes(self, counter: int, heard_s: int, *, late: bool) -> bool:
        """True for one that was not heard and came in time, at `heard_s`; what is `late` has time."""
        return counter > self.last or (self.lacks(counter) and (late or counter > self._settled_at(heard_s)))

    def having(self, counter: int, heard_s: int) -> "HeardCounters":
        """The same with this one heard too."""
        if counter <= self.last:
            back = self.last - 1 - counter
            return self._replace(missing=self.missing & ~(1 << back)) if self.lacks(counter) else self
        missing = self._passed_over(counter - self.last)
        if abs(heard_s - self.marked_s) <= SOON_S:
            return self._replace(last=counter, missing=missing)
        return HeardCounters(counter, missing, self._settled_at(heard_s), self.last, heard_s)

    def _passed_over(self, ahead: int) -> int:
        """What is missing when the highest rises by so many."""
        return (self.missing << ahead | (1 << ahead - 1) - 1) & _MASK if ahead <= WINDOW else _MASK

    def _settled_at(self, instant_s: int) -> int:
        """At this one and below, all was overtaken for `SOON_S` at the least.

        Below the mark it was overtaken before the mark was set, else within `SOON_S` of that.
        """
        age_s = instant_s - self.marked_s
        if age_s < -SOON_S:
            return self.last  # the mark was set by a clock that was ahead: nobody knows how old it is
        if age_s <= SOON_S:
            return self.settled
        return self.mark if age_s <= 2 * SOON_S else self.last
