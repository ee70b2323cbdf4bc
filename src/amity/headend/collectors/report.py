"""What a collector tells of itself, believed in form alone: numbers within bounds, addresses that print."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Final

OCTETS_MAX: Final = 64 * 1024
METERS_MAX: Final = 200
_COUNT_MAX: Final = (1 << 53) - 1
_ADDRESS_MAX: Final = 200
_RSSI_DBM: Final = range(-200, 50)


@dataclass(frozen=True, slots=True)
class HeldPushes:
    """Pushes that wait in a collector, and how many of the bulk it had to drop ever."""

    alarms: int = 0
    bulk: int = 0
    octets: int = 0
    dropped: int = 0


@dataclass(frozen=True, slots=True)
class MeterLine:
    """Exchanges with one address near the collector: how many, how many of them failed, what they take."""

    exchanges: int = 0
    failures: int = 0
    rtt_ms: int | None = None


@dataclass(frozen=True, slots=True)
class Report:
    """How the links of a collector do; `connects` since it was started, `refused` pushes that it could not keep."""

    held: HeldPushes = HeldPushes()
    rssi_dbm: int | None = None
    connects: int = 0
    refused: int = 0
    meters: Mapping[str, MeterLine] = field(default_factory=dict)

    @property
    def exchanges(self) -> int:
        """With all its meters."""
        return sum(line.exchanges for line in self.meters.values())

    @property
    def failures(self) -> int:
        """Those that brought no answer."""
        return sum(line.failures for line in self.meters.values())

    def document(self) -> dict[str, Any]:
        """As JSON values."""
        return asdict(self)


def read_report(text: str) -> Report | None:
    """The report; what has no place in one is left out. None for what is no JSON object, or too long."""
    try:
        document = json.loads(text) if len(text) <= OCTETS_MAX else None
    except (ValueError, RecursionError):
        document = None
    if not isinstance(document, dict):
        return None
    held, meters, rssi_dbm = _object(document, "held"), _object(document, "meters"), document.get("rssi_dbm")
    return Report(
        HeldPushes(*(_count(held, name) for name in ("alarms", "bulk", "octets", "dropped"))),
        rssi_dbm if type(rssi_dbm) is int and rssi_dbm in _RSSI_DBM else None,
        _count(document, "connects"),
        _count(document, "refused"),
        {address: _line(meters, address) for address in list(meters)[:METERS_MAX] if _prints(address)},
    )


def _line(meters: dict[str, Any], address: str) -> MeterLine:
    line = _object(meters, address)
    rtt_ms = _count(line, "rtt_ms") if line.get("rtt_ms") is not None else None
    return MeterLine(_count(line, "exchanges"), _count(line, "failures"), rtt_ms)


def _object(document: dict[str, Any], name: str) -> dict[str, Any]:
    found = document.get(name)
    return found if isinstance(found, dict) else {}


def _count(document: dict[str, Any], name: str) -> int:
    found = document.get(name)
    return found if type(found) is int and 0 <= found <= _COUNT_MAX else 0


def _prints(address: str) -> bool:
    return len(address) <= _ADDRESS_MAX and address.isprintable()
