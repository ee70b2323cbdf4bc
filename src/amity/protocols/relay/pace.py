"""How much somebody may do in a second: control messages have no credit that would bound them."""


class Pace:
    """So many each second; those of one second are saved up. Instants are those of any clock that only goes on."""

    __slots__ = ("_at_s", "_left", "_per_s")

    def __init__(self, per_s: int, now_s: float) -> None:
        self._per_s = per_s
        self._left = float(per_s)
        self._at_s = now_s

    def left(self, now_s: float) -> int:
        """How many may be done now."""
        self._left = min(self._per_s, self._left + self._per_s * (now_s - self._at_s))
        self._at_s = now_s
        return int(self._left)

    def spend(self, count: int) -> None:
        """So many were done, no more than were left."""
        self._left -= count
