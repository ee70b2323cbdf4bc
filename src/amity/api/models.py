"""Shapes that several nouns of the API share."""

from datetime import datetime
from typing import Annotated

from pydantic import BaseModel, PlainValidator, WithJsonSchema
from pydantic_core import PydanticCustomError

from amity.domain.blocks import Channel
from amity.domain.collection import Outcome
from amity.domain.events import EventClass, Severity
from amity.kernel.errors import ConfigurationError
from amity.kernel.obis import Obis
from amity.kernel.time import from_epoch_s
from amity.kernel.units import Unit
from amity.usecases.condition import Condition
from amity.usecases.happenings import CorrelatedEvent
from amity.usecases.meters import MeterRow
from amity.usecases.ports import VeeException


def _obis(text: str) -> Obis:
    try:
        return Obis.parse(text)
    except ConfigurationError as error:  # here it is the caller's parameter, not a setting of ours
        facts = {"what": error.what, "next": error.next_step}
        raise PydanticCustomError("obis", "{what}", facts) from error


ObisParameter = Annotated[
    Obis, PlainValidator(_obis), WithJsonSchema({"type": "string", "examples": ["1.0.1.29.0.255"]})
]


class ChannelModel(BaseModel):
    """One measured quantity of one meter: a value v stands for v x 10**exponent of the unit."""

    obis: str
    unit: str
    exponent: int
    interval_s: int

    @classmethod
    def of(cls, channel: Channel) -> "ChannelModel":
        """From the domain."""
        return cls(
            obis=str(channel.obis),
            unit=Unit(channel.unit).symbol,
            exponent=channel.exponent,
            interval_s=channel.interval_s,
        )


class CollectionStateModel(BaseModel):
    """How the last session with a meter ended. `clock_offset_s` is the meter's clock minus ours."""

    outcome: Outcome
    collected_at: datetime
    detail: list[str]
    last_answer_at: datetime | None
    attempts: int
    failures_in_a_row: int
    clock_offset_s: int | None


class MeterModel(BaseModel):
    """A meter, where it hangs and how it is doing; `state` is null for a meter that nobody tried yet.

    `registered` is false for a meter whose readings were imported and that the registry does not know: then its
    serial, profile, address, account and transformer are empty. `maker` is null for a profile that is not packaged.
    """

    meter_id: str
    serial: str
    profile: str
    maker: str | None
    registered: bool
    address: str
    account_id: str
    transformer_id: str
    has_solar: bool
    condition: Condition
    state: CollectionStateModel | None

    @classmethod
    def of(cls, row: MeterRow) -> "MeterModel":
        """From a use case."""
        return cls(
            meter_id=row.meter.meter_id,
            serial=row.meter.serial,
            profile=row.meter.profile,
            maker=row.maker,
            registered=row.registered,
            address=row.usage_point.address,
            account_id=row.usage_point.account_id,
            transformer_id=row.usage_point.transformer_id,
            has_solar=row.usage_point.has_solar,
            condition=row.condition,
            state=_state(row),
        )


class EventModel(BaseModel):
    """One entry of a meter's event log, or an alarm that it pushed; `code` is the meter's own number.

    `event_id` is the same whatever told it; an alarm bit and the log entry of the same have the same `happening`, the
    event_id of the one that tells it best. `text` is empty for a code that no table knows. `log` is where the meter
    keeps it, `alarm-1` or `alarm-2` when `code` is a bit of an alarm register.
    """

    event_id: str
    happening: str
    meter_id: str
    kind: str
    event_class: EventClass
    severity: Severity
    code: int
    log: str
    occurrence: int
    at: datetime
    text: str
    pushed: bool

    @classmethod
    def of(cls, stored: CorrelatedEvent) -> "EventModel":
        """From a use case."""
        event = stored.event
        return cls(
            event_id=stored.event_id,
            happening=stored.happening,
            meter_id=stored.meter_id,
            kind=event.kind,
            event_class=event.event_class,
            severity=event.severity,
            code=event.code,
            log=event.log,
            occurrence=event.occurrence,
            at=event.at,
            text=event.text,
            pushed=event.pushed,
        )


class FindingModel(BaseModel):
    """What one VEE rule found for [start, end); a resolved finding only says how a value came about."""

    meter_id: str | None
    obis: str | None
    rule: str
    rule_version: str
    start: datetime
    end: datetime
    message: str
    found_at: datetime
    resolved: bool

    @classmethod
    def of(cls, found: VeeException, channel: Channel | None) -> "FindingModel":
        """From a use case."""
        return cls(
            meter_id=channel.meter_id if channel else None,
            obis=str(channel.obis) if channel else None,
            rule=found.rule,
            rule_version=found.rule_version,
            start=from_epoch_s(found.start_s),
            end=from_epoch_s(found.end_s),
            message=found.message,
            found_at=found.found_at,
            resolved=found.resolved,
        )


def _state(row: MeterRow) -> CollectionStateModel | None:
    state = row.state
    if state is None:
        return None
    return CollectionStateModel(
        outcome=state.outcome,
        collected_at=state.collected_at,
        detail=list(state.detail),
        last_answer_at=state.last_answer_at,
        attempts=state.attempts,
        failures_in_a_row=state.failures_in_a_row,
        clock_offset_s=state.clock_offset_s,
    )
