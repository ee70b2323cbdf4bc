"""GET /api/v1/meters/{id}/readings/{obis}/{start}/why: from a number back to the octets that the meter sent."""

from datetime import datetime

from fastapi import APIRouter
from pydantic import AwareDatetime, BaseModel

from amity.api.access import Asked
from amity.api.models import ChannelModel, FindingModel, ObisParameter
from amity.api.problems import PROBLEM_RESPONSES
from amity.domain.blocks import Stage
from amity.domain.collection import Outcome
from amity.usecases.data_tree import DataNode
from amity.usecases.evidence import EvidenceRow, ExplainedExchange
from amity.usecases.why import Explanation, Neighbour, Source, Version, why

router = APIRouter(prefix="/api/v1/meters/{meter_id}/readings", tags=["readings"], responses=PROBLEM_RESPONSES)


class VersionModel(BaseModel):
    """The value in one revision of its block; null where that revision knew none."""

    stage: Stage
    value: int | None
    quality: list[str]
    revision: int
    source: str
    recorded_at: datetime | None

    @classmethod
    def of(cls, version: Version) -> "VersionModel":
        """From the use case."""
        return cls(
            stage=version.stage,
            value=version.value,
            quality=version.quality.words(),
            revision=version.revision,
            source=version.source,
            recorded_at=version.recorded_at,
        )


class NeighbourModel(BaseModel):
    """A measured value that an estimate leans on."""

    start: datetime
    value: int

    @classmethod
    def of(cls, neighbour: Neighbour) -> "NeighbourModel":
        """From the use case."""
        return cls(start=neighbour.start, value=neighbour.value)


class ExchangeModel(BaseModel):
    """Octets in hexadecimal: on the wire, and the answer after decryption; `marks` are ranges [first, end) of it."""

    at: datetime
    request: str
    response: str
    plain: str
    apdu: str
    marks: list[tuple[int, int]]

    @classmethod
    def of(cls, exchange: ExplainedExchange) -> "ExchangeModel":
        """From the use case."""
        return cls(
            at=exchange.at,
            request=exchange.request.hex(),
            response=exchange.response.hex(),
            plain=exchange.plain.hex(),
            apdu=exchange.apdu,
            marks=[(mark.first, mark.end) for mark in exchange.marks],
        )


class CellModel(BaseModel):
    """One decoded value: its type in the words of the standard and its text."""

    type: str
    text: str
    cells: list["CellModel"] = []

    @classmethod
    def of(cls, node: DataNode) -> "CellModel":
        """From the use case."""
        return cls(type=node.label, text=node.text, cells=[cls.of(child) for child in node.children])


class RowModel(BaseModel):
    """A row of the meter's buffer; the value comes from a marked one, from its `marked_cell` when that is sure."""

    position: int
    marked: bool
    marked_cell: int | None
    cells: list[CellModel]

    @classmethod
    def of(cls, row: EvidenceRow) -> "RowModel":
        """From the use case."""
        return cls(
            position=row.position,
            marked=row.marked,
            marked_cell=row.marked_cell,
            cells=[CellModel.of(cell) for cell in row.cells],
        )


class SourceModel(BaseModel):
    """A delivery that brought the interval: session, what it said, and the octets that prove it."""

    message_id: str
    session_id: str
    collected_at: datetime
    outcome: Outcome
    attempts: int
    profile: str
    mapping_version: str
    correlation_id: str
    value: int
    quality: list[str]
    row_count: int
    rows: list[RowModel]
    exchanges: list[ExchangeModel]
    problem: str | None

    @classmethod
    def of(cls, source: Source) -> "SourceModel":
        """From the use case."""
        return cls(
            message_id=source.message_id,
            session_id=source.session_id,
            collected_at=source.collected_at,
            outcome=source.outcome,
            attempts=source.attempts,
            profile=source.profile,
            mapping_version=source.mapping_version,
            correlation_id=source.correlation_id,
            value=source.value,
            quality=source.quality.words(),
            row_count=source.evidence.row_count,
            rows=[RowModel.of(row) for row in source.evidence.rows],
            exchanges=[ExchangeModel.of(exchange) for exchange in source.evidence.exchanges],
            problem=source.evidence.problem,
        )


class WhyModel(BaseModel):
    """The chain in order: final value, rules, revisions, raw value, deliveries, octets."""

    meter_id: str
    channel: ChannelModel
    start: datetime
    end: datetime
    summary: str
    final: VersionModel | None
    findings: list[FindingModel]
    neighbours: list[NeighbourModel]
    final_versions: list[VersionModel]
    raw: VersionModel | None
    raw_versions: list[VersionModel]
    sources: list[SourceModel]
    undecodable: int

    @classmethod
    def of(cls, explanation: Explanation) -> "WhyModel":
        """From the use case."""
        e = explanation
        return cls(
            meter_id=e.meter_id,
            channel=ChannelModel.of(e.channel),
            start=e.start,
            end=e.end,
            summary=e.summary,
            final=VersionModel.of(e.final) if e.final else None,
            findings=[FindingModel.of(found, e.channel) for found in e.findings],
            neighbours=[NeighbourModel.of(neighbour) for neighbour in e.neighbours],
            final_versions=[VersionModel.of(version) for version in e.final_versions],
            raw=VersionModel.of(e.raw) if e.raw else None,
            raw_versions=[VersionModel.of(version) for version in e.raw_versions],
            sources=[SourceModel.of(source) for source in e.sources],
            undecodable=e.undecodable,
        )


@router.get("/{obis}/{start}/why")
def get_why(services: Asked, meter_id: str, obis: ObisParameter, start: AwareDatetime) -> WhyModel:
    """Why the interval that starts at `start` has the value it has."""
    return WhyModel.of(why(services, meter_id, obis, start))
