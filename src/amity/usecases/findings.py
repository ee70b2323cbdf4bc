"""What validation found and what meters said on their own, newest first."""

from collections.abc import Sequence

from amity.domain.blocks import Channel
from amity.usecases.happenings import CorrelatedEvent, correlated
from amity.usecases.ports import EventQuery, UnnamedCode, VeeException
from amity.usecases.services import Services


def open_findings(
    services: Services, meter_id: str | None = None, *, limit: int = 500
) -> list[tuple[VeeException, Channel | None]]:
    """Open VEE findings of one meter or of all, each with its channel."""
    channels = {channel.channel_id: channel for channel in services.database.blocks.channels(meter_id)}
    found = services.database.exceptions.open(meter_id, limit=limit)
    return [(finding, channels.get(finding.channel_id)) for finding in found]


def events_of(services: Services, query: EventQuery) -> Sequence[CorrelatedEvent]:
    """Entries of event logs and alarms that a person asks for, newest first."""
    return correlated(services.database.deliveries.events_of(query))


def unnamed_codes(services: Services) -> Sequence[UnnamedCode]:
    """Codes in event logs that no table knows."""
    return services.database.deliveries.unnamed_codes()
