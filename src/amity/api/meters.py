"""GET /api/v1/meters and /api/v1/meters/{id}: the registry with the state of collection."""

from datetime import datetime
from decimal import Decimal
from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field

from amity.api.access import Asked
from amity.api.models import ChannelModel, EventModel, FindingModel, MeterModel
from amity.api.problems import PROBLEM_RESPONSES
from amity.domain.readings import RegisterReading, UnknownObject
from amity.usecases.condition import Condition
from amity.usecases.meters import PAGE_SIZE_MAX, MeterDetail, MeterOrder, MeterQuery, list_meters, meter_detail

router = APIRouter(prefix="/api/v1/meters", tags=["meters"], responses=PROBLEM_RESPONSES)


class MeterPageModel(BaseModel):
    """Some of the `total` meters that match; `conditions` counts matches before the filter by condition."""

    total: int
    offset: int
    conditions: dict[Condition, int]
    meters: list[MeterModel]


class RegisterModel(BaseModel):
    """One register reading; `value` is in `unit`, exact."""

    obis: str
    value: Decimal
    unit: str
    at: datetime

    @classmethod
    def of(cls, reading: RegisterReading) -> "RegisterModel":
        """From the domain."""
        kind = reading.reading_type
        return cls(obis=str(kind.obis), value=reading.quantity(), unit=kind.unit.symbol, at=reading.at)


class UnknownObjectModel(BaseModel):
    """An object that no mapping names, as the meter sent it: `octets` are A-XDR in hexadecimal."""

    class_id: int
    obis: str
    attribute: int
    octets: str
    at: datetime

    @classmethod
    def of(cls, unknown: UnknownObject) -> "UnknownObjectModel":
        """From the domain."""
        return cls(
            class_id=unknown.class_id,
            obis=str(unknown.obis),
            attribute=unknown.attribute,
            octets=unknown.octets.hex(),
            at=unknown.at,
        )


class MeterDetailModel(BaseModel):
    """One meter with its channels, newest register readings, newest events, open findings and unknown objects.

    It has no place on the earth and no feeder when the registry does not know it.
    """

    meter: MeterModel
    latitude: float | None
    longitude: float | None
    feeder_id: str | None
    timezone: str
    channels: list[ChannelModel]
    registers: list[RegisterModel]
    events: list[EventModel]
    findings: list[FindingModel]
    unknown: list[UnknownObjectModel]

    @classmethod
    def of(cls, detail: MeterDetail) -> "MeterDetailModel":
        """From the use case."""
        channels = {channel.channel_id: channel for channel in detail.channels}
        row = detail.row
        return cls(
            meter=MeterModel.of(detail.row),
            latitude=row.usage_point.latitude if row.registered else None,
            longitude=row.usage_point.longitude if row.registered else None,
            feeder_id=detail.transformer.feeder_id if detail.transformer else None,
            timezone=detail.timezone,
            channels=[ChannelModel.of(channel) for channel in detail.channels],
            registers=[RegisterModel.of(reading) for reading in detail.registers],
            events=[EventModel.of(event) for event in detail.events],
            findings=[FindingModel.of(found, channels.get(found.channel_id)) for found in detail.findings],
            unknown=[UnknownObjectModel.of(unknown) for unknown in detail.unknown],
        )


class MeterFilter(BaseModel):
    """Query parameters of the list."""

    text: str = Field("", description="looked for in id, serial, address, profile, maker and transformer")
    condition: list[Condition] = Field(default=[], description="one or several")
    transformer: str | None = None
    order: MeterOrder = MeterOrder.METER
    descending: bool = False
    offset: int = Field(0, ge=0)
    limit: int = Field(100, ge=1, le=PAGE_SIZE_MAX)

    def query(self) -> MeterQuery:
        """As the use case takes it."""
        return MeterQuery(
            text=self.text,
            conditions=frozenset(self.condition),
            transformer_id=self.transformer,
            order=self.order,
            descending=self.descending,
            offset=self.offset,
            limit=self.limit,
        )


@router.get("")
def get_meters(services: Asked, wanted: Annotated[MeterFilter, Query()]) -> MeterPageModel:
    """Meters by text, condition or transformer, in order, page by page."""
    page = list_meters(services, wanted.query())
    return MeterPageModel(
        total=page.total,
        offset=wanted.offset,
        conditions=dict(page.conditions),
        meters=[MeterModel.of(row) for row in page.rows],
    )


@router.get("/{meter_id}")
def get_meter(services: Asked, meter_id: str) -> MeterDetailModel:
    """One meter with all that is known of it."""
    return MeterDetailModel.of(meter_detail(services, meter_id))
