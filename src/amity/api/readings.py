"""GET /api/v1/meters/{id}/readings: one channel over a time range as JSON, CSV or Parquet."""

from collections.abc import Iterator
from datetime import datetime
from enum import StrEnum
from io import RawIOBase
from typing import Annotated

from fastapi import APIRouter, Header, Query, Response
from fastapi.responses import StreamingResponse
from pydantic import AwareDatetime, BaseModel, Field
from typing_extensions import Buffer

from amity.api.access import Asked
from amity.api.models import ChannelModel, ObisParameter
from amity.api.problems import PROBLEM_RESPONSES
from amity.domain.blocks import Stage
from amity.kernel.time import from_epoch_s, isoformat
from amity.kernel.units import Unit
from amity.usecases.readings import Readings, quality_words, read_channel

router = APIRouter(prefix="/api/v1/meters/{meter_id}/readings", tags=["readings"], responses=PROBLEM_RESPONSES)

CSV_LINES_AT_A_TIME = 1000
ROW_GROUP = 8192


class Format(StrEnum):
    """In which form the readings are wanted."""

    JSON = "json"
    CSV = "csv"
    PARQUET = "parquet"


MEDIA_TYPES = {
    Format.JSON: "application/json",
    Format.CSV: "text/csv",
    Format.PARQUET: "application/vnd.apache.parquet",
}


class IntervalModel(BaseModel):
    """One interval, named by its start; `value` is null and `quality` is `["missing"]` where nothing is known."""

    start: datetime
    value: int | None
    quality: list[str]


class ReadingsModel(BaseModel):
    """Every interval of [from, to) of one channel; a value v stands for v x 10**channel.exponent of the unit."""

    meter_id: str
    channel: ChannelModel
    stage: Stage
    known: int
    intervals: list[IntervalModel]


class ReadingsQuery(BaseModel):
    """Query parameters: times carry their zone (2026-03-18T00:00:00Z), the range [from, to) is half-open."""

    obis: ObisParameter
    start: AwareDatetime = Field(alias="from")
    end: AwareDatetime = Field(alias="to")
    stage: Stage = Field(Stage.FINAL, description="`final` after validation, `raw` as the meter sent it")
    as_known_at: AwareDatetime | None = Field(None, description="as the store knew it at that time")
    format: Format | None = Field(None, description="wins over the Accept header")


class _Pipe(RawIOBase):
    """A file to write into whose octets are taken out at the other end, so that no answer is held whole."""

    def __init__(self) -> None:
        self._written = bytearray()
        self._position = 0

    def writable(self) -> bool:
        """It is."""
        return True

    def write(self, octets: Buffer, /) -> int:
        """Take octets in."""
        count = memoryview(octets).nbytes
        self._written += octets
        self._position += count
        return count

    def tell(self) -> int:
        """How many octets were ever written: the position that a Parquet footer refers to."""
        return self._position

    def drain(self) -> bytes:
        """Take out what was written since the last time."""
        octets = bytes(self._written)
        self._written.clear()
        return octets


@router.get(
    "",
    response_model=ReadingsModel,
    responses={200: {"content": {MEDIA_TYPES[Format.CSV]: {}, MEDIA_TYPES[Format.PARQUET]: {}}}},
)
def get_readings(
    services: Asked,
    meter_id: str,
    query: Annotated[ReadingsQuery, Query()],
    accept: Annotated[str, Header(include_in_schema=False)] = "",
) -> Response:
    """Interval readings of one channel; at most 400 days at a time."""
    readings = read_channel(
        services, meter_id, query.obis, query.start, query.end, stage=query.stage, as_known_at=query.as_known_at
    )
    wanted = query.format or _accepted(accept)
    if wanted is Format.CSV:
        return _download(_csv(readings), wanted, readings)
    if wanted is Format.PARQUET:
        return _download(_parquet(readings), wanted, readings)
    return Response(_json(readings, query.stage).model_dump_json(), media_type=MEDIA_TYPES[Format.JSON])


def _accepted(accept: str) -> Format:
    return next((kind for kind, media_type in MEDIA_TYPES.items() if media_type in accept), Format.JSON)


def _json(readings: Readings, stage: Stage) -> ReadingsModel:
    columns = zip(readings.starts.tolist(), readings.values.tolist(), readings.qualities.tolist(), strict=True)
    return ReadingsModel(
        meter_id=readings.channel.meter_id,
        channel=ChannelModel.of(readings.channel),
        stage=stage,
        known=readings.known,
        intervals=[
            IntervalModel(start=from_epoch_s(s), value=v if q else None, quality=quality_words(q))
            for s, v, q in columns
        ],
    )


def _download(chunks: Iterator[bytes], kind: Format, readings: Readings) -> StreamingResponse:
    name = f"{readings.channel.meter_id}_{readings.channel.obis}.{kind}".replace('"', "")
    safe = name.encode("ascii", "replace").decode("ascii")
    headers = {"content-disposition": f'attachment; filename="{safe}"'}
    return StreamingResponse(chunks, media_type=MEDIA_TYPES[kind], headers=headers)


def _csv(readings: Readings) -> Iterator[bytes]:
    """`start,value,unit,exponent,quality`; an empty value is a missing one."""
    yield b"start,value,unit,exponent,quality\r\n"
    unit, exponent = Unit(readings.channel.unit).symbol, readings.channel.exponent
    columns = zip(readings.starts.tolist(), readings.values.tolist(), readings.qualities.tolist(), strict=True)
    lines = [
        f"{isoformat(from_epoch_s(s))},{v if q else ''},{unit},{exponent},{' '.join(quality_words(q))}\r\n"
        for s, v, q in columns
    ]
    for first in range(0, len(lines), CSV_LINES_AT_A_TIME):
        yield "".join(lines[first : first + CSV_LINES_AT_A_TIME]).encode()


def _parquet(readings: Readings) -> Iterator[bytes]:
    """Columns start (timestamp[s, UTC]), value (int64, null where missing), quality (uint8); unit in the metadata."""
    import pyarrow as pa  # noqa: PLC0415 - a third of a second of start-up that few requests need
    import pyarrow.parquet as pq  # noqa: PLC0415

    channel = readings.channel
    facts = {
        "meter_id": channel.meter_id,
        "obis": str(channel.obis),
        "unit": Unit(channel.unit).symbol,
        "exponent": str(channel.exponent),
        "interval_s": str(channel.interval_s),
    }
    start, value, quality = pa.timestamp("s", tz="UTC"), pa.int64(), pa.uint8()
    schema = pa.schema([("start", start), ("value", value), ("quality", quality)], metadata=facts)
    sink = _Pipe()
    with pq.ParquetWriter(sink, schema, compression="zstd") as writer:
        for first in range(0, len(readings.starts), ROW_GROUP):
            part = slice(first, first + ROW_GROUP)
            qualities = readings.qualities[part]
            columns = [
                pa.array(readings.starts[part], start),
                pa.array(readings.values[part], value, mask=qualities == 0),
                pa.array(qualities, quality),
            ]
            writer.write_table(pa.table(columns, schema=schema))
            yield sink.drain()
    yield sink.drain()
