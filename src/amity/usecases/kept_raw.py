"""An interval that a delivery did bring, but as objects that no rule of the mapping names."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from amity.domain.blocks import Channel
from amity.domain.collection import Delivery, Outcome
from amity.domain.readings import UnknownObject
from amity.kernel.errors import RemoteProtocolError
from amity.kernel.time import from_epoch_s
from amity.usecases.data_tree import DataNode
from amity.usecases.evidence import profile_rows
from amity.usecases.services import Services

_DELIVERIES_MAX: Final = 8
"""The session that brings an interval is among the first after its end: the head-end asks for what is new."""
_DEVIATION_LEFT_OPEN_MIN: Final = 0
"""Any will do: only differences between the clocks of one buffer count."""


@dataclass(frozen=True, slots=True)
class KeptRaw:
    """A delivery that brought the interval raw; `objects` are those without a rule, the likeliest first."""

    message_id: str
    session_id: str
    collected_at: datetime
    mapping_version: str
    objects: tuple[UnknownObject, ...]


def kept_raw(services: Services, channel: Channel, start_s: int) -> KeptRaw | None:
    """The first delivery that brought the interval which starts at `start_s` without a rule; None when none did."""
    end = from_epoch_s(start_s + channel.interval_s)
    for _, body in services.database.deliveries.answered(channel.meter_id, end, limit=_DELIVERIES_MAX):
        try:
            delivery = services.codec.decode(body)
        except RemoteProtocolError:
            continue
        found = [thing for thing in delivery.unknown if _brought(delivery, thing, start_s, channel.interval_s)]
        if found and all(series.reading_type.obis != channel.obis for series in delivery.intervals):
            # Value group C is the quantity (IEC 62056-6-1): the channel's own is likelier than another.
            found.sort(key=lambda thing: thing.obis[2] != channel.obis[2])
            return KeptRaw(
                delivery.message_id,
                delivery.session_id,
                delivery.collected_at,
                delivery.mapping_version,
                tuple(found),
            )
    return None


def _brought(delivery: Delivery, thing: UnknownObject, start_s: int, interval_s: int) -> bool:
    """True when a row of the profile that held the object is stamped with the interval's start or its end.

    A profile of another kind (snapshots of midnight) has no row one interval away; a push is one row alone.
    """
    exchanges = [delivery.exchanges[i] for i in thing.evidence if 0 <= i < len(delivery.exchanges)]
    try:
        stamps = _stamps(profile_rows(exchanges), thing.at, interval_s)
    except RemoteProtocolError:
        return False
    interval = timedelta(seconds=interval_s)
    edges = {from_epoch_s(start_s), from_epoch_s(start_s) + interval} & stamps
    return bool(edges) and (
        delivery.outcome is Outcome.PUSHED or any({edge - interval, edge + interval} & stamps for edge in edges)
    )


def _stamps(rows: Sequence[DataNode], newest: datetime, interval_s: int) -> set[datetime]:
    """The rows' stamps, counted back from the newest one: so clocks that do not name their deviation are of use too.

    A row without a clock follows the one before by one interval (Green Book, null-data in a buffer).
    """
    clocks: list[datetime] = []
    for row in rows:
        moment = next((cell.moment for cell in row.children if cell.moment is not None), None)
        if moment is not None:
            clocks.append(moment.to_utc(_DEVIATION_LEFT_OPEN_MIN))
        elif clocks:
            clocks.append(clocks[-1] + timedelta(seconds=interval_s))
    last = max(clocks, default=None)
    return set() if last is None else {newest - (last - clock) for clock in clocks}
