"""How the links of a collector do: to each head-end, and to each meter; a bounded number of meters."""

from collections import OrderedDict
from dataclasses import dataclass
from typing import Any, Final

METERS_MAX: Final = 500
_REPORTED_MAX: Final = 200
_SMOOTHING: Final = 8  # RFC 6298, 2


@dataclass(slots=True)
class MeterLine:
    """Exchanges with one address: how many, how many of them failed, how long they take, smoothed."""

    exchanges: int = 0
    failures: int = 0
    rtt_s: float | None = None

    def answered(self, rtt_s: float) -> None:
        """One more, with its time."""
        self.exchanges += 1
        self.rtt_s = rtt_s if self.rtt_s is None else self.rtt_s + (rtt_s - self.rtt_s) / _SMOOTHING

    def failed(self) -> None:
        """One more, without answer."""
        self.exchanges += 1
        self.failures += 1

    def document(self) -> dict[str, Any]:
        """For the report."""
        rtt_ms = None if self.rtt_s is None else round(self.rtt_s * 1000)
        return {"exchanges": self.exchanges, "failures": self.failures, "rtt_ms": rtt_ms}


class MeterLines:
    """By address, those used last."""

    def __init__(self) -> None:
        self._lines: OrderedDict[str, MeterLine] = OrderedDict()

    def line(self, address: str) -> MeterLine:
        """Of this address; whoever was not used for longest makes room."""
        line = self._lines.pop(address, None) or MeterLine()
        self._lines[address] = line
        if len(self._lines) > METERS_MAX:
            self._lines.popitem(last=False)
        return line

    def document(self) -> dict[str, Any]:
        """Those used last, for the report."""
        last = list(self._lines)[-_REPORTED_MAX:]
        return {address: self._lines[address].document() for address in last}
