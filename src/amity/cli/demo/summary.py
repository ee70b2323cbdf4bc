"""What `amity demo --once` says at the end: who answered, what is stored, is every healthy meter complete."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from amity.domain.collection import Outcome
from amity.domain.spans import EpochSpan
from amity.kernel.obis import Obis
from amity.kernel.time import epoch_s, from_epoch_s, isoformat
from amity.usecases.completeness import completeness_of
from amity.usecases.grid import INTERVAL_S
from amity.usecases.ports import Database

_IMPORT = Obis.parse("1.0.1.29.0.255")


@dataclass(frozen=True, slots=True)
class Summary:
    """One round over the fleet. `healthy` meters have no simulated fault; `incomplete` are those of them with gaps.

    `intervals` counts stored measured quarter hours of active import in the span, `expected` those of healthy meters.
    """

    town: str
    simulated: bool
    meters: int
    answered: int
    outcomes: Mapping[str, int]
    healthy: int
    healthy_complete: int
    incomplete: Sequence[str]
    span_from: str
    span_to: str
    intervals: int
    expected: int
    exceptions: int
    unknown_objects: int
    seconds: float

    @property
    def good(self) -> bool:
        """True when every healthy meter is complete."""
        return self.healthy_complete == self.healthy

    def to_json(self) -> dict[str, Any]:
        """All of it."""
        return {**asdict(self), "ok": self.good}


def summarise(
    database: Database, town: str, fleet: Sequence[Mapping[str, Any]], outcomes: Mapping[str, Outcome],
    first: datetime, last: datetime, seconds: float,
) -> Summary:  # fmt: skip
    """Compare the store with what healthy meters must have given for the quarter hours in [first, last)."""
    span = EpochSpan(_floor(first), _floor(last))
    meter_ids = [str(entry["logical_device_name"]) for entry in fleet]
    healthy = [str(entry["logical_device_name"]) for entry in fleet if not entry["faults"]]
    completeness = completeness_of(database, meter_ids, _IMPORT, span)
    whole = [meter_id for meter_id in healthy if completeness[meter_id].whole]
    return Summary(
        town=town,
        simulated=True,
        meters=len(meter_ids),
        answered=sum(outcome.answered for outcome in outcomes.values()),
        outcomes=dict(Counter(str(outcome) for outcome in outcomes.values())),
        healthy=len(healthy),
        healthy_complete=len(whole),
        incomplete=sorted(set(healthy) - set(whole)),
        span_from=_text(span.start_s),
        span_to=_text(span.end_s),
        intervals=sum(one.measured for one in completeness.values()),
        expected=sum(completeness[meter_id].expected for meter_id in healthy),
        exceptions=len(database.exceptions.open(limit=_ALL)),
        unknown_objects=len(database.deliveries.unknown(limit=_ALL)),
        seconds=round(seconds, 1),
    )


_ALL = 1_000_000


def _floor(instant: datetime) -> int:
    return epoch_s(instant) // INTERVAL_S * INTERVAL_S


def _text(seconds: int) -> str:
    return isoformat(from_epoch_s(seconds))
