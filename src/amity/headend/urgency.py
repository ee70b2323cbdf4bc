"""Which deliveries overtake the others on their way out: alarms and last gasps, not the readings of a night."""

from datetime import timedelta
from enum import IntEnum
from typing import Final

from amity.domain.collection import Delivery, Outcome
from amity.domain.events import MeterEvent, Severity

NEWS: Final = timedelta(hours=1)
"""An alarm that a log brings later than this is history: somebody knows already, or it is too late to run."""


ALARMS: Final = ".alarms"


class Urgency(IntEnum):
    """Lanes of the outbox, the faster first."""

    ALARM = 0
    READINGS = 1


def urgency_of(delivery: Delivery) -> Urgency:
    """ALARM for what a meter called in to say, and for alarms that a log brings while they are news."""
    if not delivery.events:
        return Urgency.READINGS
    if delivery.outcome is Outcome.PUSHED or any(_is_news(event, delivery) for event in delivery.events):
        return Urgency.ALARM
    return Urgency.READINGS


def subject_of(delivery: Delivery, subject: str) -> str:
    """Where it is published: alarms have a lane of their own through the broker too, below the given subject."""
    return subject + ALARMS if urgency_of(delivery) is Urgency.ALARM else subject


def _is_news(event: MeterEvent, delivery: Delivery) -> bool:
    return event.severity is Severity.ALARM and delivery.collected_at - event.at < NEWS
