"""A town of 200 meters with three days of data and its troubles, written into any Database through its ports."""

import hashlib
import math
import random
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import numpy as np

from amity.domain.blocks import Block, Channel, Stage
from amity.domain.collection import Delivery, Exchange, Outcome
from amity.domain.events import EventKind, MeterEvent
from amity.domain.ports import DeliveryCodec
from amity.domain.readings import (
    Int64Column,
    IntervalSeries,
    Quality,
    QualityColumn,
    ReadingType,
    RegisterReading,
    UnknownObject,
)
from amity.domain.registry import Meter, Town, Transformer, UsagePoint
from amity.kernel.obis import Obis
from amity.kernel.time import SECONDS_PER_DAY, epoch_s, utc_day
from amity.kernel.units import Unit
from amity.protocols.dlms import data as cosem
from amity.protocols.dlms.apdu import GetRequestNext, GetResponseWithBlock
from amity.protocols.dlms.datetime import CosemDateTime
from amity.protocols.wrapper import frame as wrapper_frame
from amity.usecases.ports import Database, VeeException

NOW = datetime(2026, 3, 18, 13, 40, tzinfo=UTC)
IMPORT = ReadingType(Obis.parse("1.0.1.29.0.255"), Unit.WATT_HOUR, 0, 900)
EXPORT = ReadingType(Obis.parse("1.0.2.29.0.255"), Unit.WATT_HOUR, 0, 900)
DAYS = 3
STREETS = (
    "Mill Lane",
    "Station Road",
    "Orchard Way",
    "Quay Street",
    "Hill Rise",
    "Chapel Row",
    "Weir Walk",
    "Green End",
)
PROFILES = ("aster-e1", "borealis-3p", "corvus-g3", "delta-classic")


def meter_name(number: int) -> str:
    return f"AST{PROFILES[number % 4][:2].upper()}{10_000_000 + number * 7919:010d}"


def build_town(meters: int = 200, seed: int = 7) -> Town:
    chance = random.Random(seed)
    transformers = []
    for t in range(max(2, meters // 10)):
        angle, radius = t * 2.399963, 0.0042 * math.sqrt(t + 0.6)
        transformers.append(
            Transformer(
                f"T-{t + 1:02d}",
                f"F{t % 4 + 1}",
                47.402 + radius * math.sin(angle),
                15.27 + radius * 1.5 * math.cos(angle),
            )
        )
    points, devices = [], []
    for n in range(meters):
        transformer = transformers[n % len(transformers)]
        angle, radius = chance.uniform(0, math.tau), chance.uniform(0.0008, 0.0026)
        point = UsagePoint(
            f"UP-{n + 1:05d}",
            f"{STREETS[n % 8]} {n // 8 + 1}",
            f"A-{n + 1:06d}",
            transformer.transformer_id,
            transformer.latitude + radius * math.sin(angle),
            transformer.longitude + 1.5 * radius * math.cos(angle),
            has_solar=chance.random() < 0.18,
        )
        points.append(point)
        devices.append(Meter(meter_name(n), f"{34_000_000 + n}", PROFILES[n % 4], point.usage_point_id))
    return Town("Ravensbrook", "Europe/Vienna", tuple(transformers), tuple(points), tuple(devices))


def fill(database: Database, codec: DeliveryCodec, now: datetime = NOW, meters: int = 200, seed: int = 7) -> Town:
    town = build_town(meters, seed)
    database.registry.provision(town)
    points = {p.usage_point_id: p for p in town.usage_points}
    with database.transaction():
        for number, meter in enumerate(town.meters):
            _fill_meter(database, codec, now, number, meter, points[meter.usage_point_id])
    return town


def outcome_of(number: int, point: UsagePoint) -> Outcome:
    if point.transformer_id == "T-07":
        return Outcome.SILENT
    fixed = {31: Outcome.SILENT, 118: Outcome.REFUSED, 54: Outcome.WRONG_KEY, 161: Outcome.WRONG_KEY}
    return fixed.get(
        number, {77: Outcome.BROKEN, 92: Outcome.PARTIAL, 140: Outcome.PARTIAL}.get(number, Outcome.COMPLETE)
    )


def household_wh(start_s: int, number: int, chance: random.Random) -> int:
    hour = start_s % SECONDS_PER_DAY / 3600 + 1
    peak = 1.7 * math.exp(-(((hour - 19) / 2.1) ** 2)) + 0.8 * math.exp(-(((hour - 7.4) / 1.4) ** 2))
    size = 0.6 + (number * 37 % 100) / 90
    return max(9, int(1000 / 4 * size * (0.16 + 0.55 * peak * chance.uniform(0.6, 1.4) + 0.08 * chance.random())))


def solar_wh(start_s: int, number: int, chance: random.Random) -> int:
    hour = start_s % SECONDS_PER_DAY / 3600 + 1
    height = max(0.0, math.sin((hour - 6.2) / 11.8 * math.pi)) if 6.2 < hour < 18 else 0.0
    return int(1250 * (0.7 + number % 5 * 0.12) * height**1.3 * chance.uniform(0.75, 1))


@dataclass(frozen=True)
class Told:
    """What one meter told, and how its last session ended."""

    meter: Meter
    outcome: Outcome
    starts: Int64Column
    imported: Int64Column
    exported: Int64Column | None


def _fill_meter(
    database: Database, codec: DeliveryCodec, now: datetime, number: int, meter: Meter, point: UsagePoint
) -> None:
    chance = random.Random(f"{meter.meter_id}")
    outcome = outcome_of(number, point)
    end_s = epoch_s(now) // 900 * 900
    first_s = end_s - end_s % SECONDS_PER_DAY - (DAYS - 1) * SECONDS_PER_DAY
    if outcome in {Outcome.SILENT, Outcome.REFUSED}:
        end_s -= 2 * 3600 + 900 * (number % 3)
    starts = np.arange(first_s, end_s, 900, dtype=np.int64)
    load = np.array([household_wh(int(s), number, chance) for s in starts], np.int64)
    sun = np.array([solar_wh(int(s), number, chance) if point.has_solar else 0 for s in starts], np.int64)
    imported, exported = np.maximum(load - sun, 0), np.maximum(sun - load, 0)
    if number == 12:
        imported[-40] = 98_000
    keep = np.ones(len(starts), bool)
    if number % 23 == 4:
        keep[-30:-26] = False
    if number in {92, 140}:
        keep[-60:-44] = False
    if outcome is Outcome.WRONG_KEY:
        keep[:] = False
    sold = exported[keep] if point.has_solar else None
    _store(database, codec, now, number, Told(meter, outcome, starts[keep], imported[keep], sold))


def _store(database: Database, codec: DeliveryCodec, now: datetime, number: int, told: "Told") -> None:
    meter, outcome, starts = told.meter, told.outcome, told.starts
    if len(starts):
        answered_at = datetime.fromtimestamp(int(starts[-1]) + 1000, UTC)
        delivery = _delivery(number, answered_at, told)
        _record(database, codec, delivery, answered_at)
        _blocks(database, told, IMPORT, delivery.message_id, answered_at)
        if told.exported is not None:
            _blocks(database, told, EXPORT, delivery.message_id, answered_at)
    if not outcome.answered or outcome is Outcome.PARTIAL:
        _record(database, codec, _failure(meter, number, outcome, now), now)


def _record(database: Database, codec: DeliveryCodec, delivery: Delivery, at: datetime) -> None:
    database.deliveries.record(delivery, codec.encode(delivery), received_at=at)


def _failure(meter: Meter, number: int, outcome: Outcome, now: datetime) -> Delivery:
    words = {
        Outcome.SILENT: (
            "no answer within 5 s", "tried: 4 times to open an association",
            "next: check power and modem at the site; ping the address",
        ),
        Outcome.REFUSED: (
            "the connection was refused", "tried: TCP 127.0.0.1:41118",
            "next: see whether the port of the modem is open",
        ),
        Outcome.WRONG_KEY: (
            "the tag of the answer does not verify", "tried: HLS-GMAC with the key of the import of 2 March",
            "answer: authentication failure", "next: import the key file of this serial number again",
        ),
        Outcome.BROKEN: (
            "the meter closed in the middle of a frame", "answer: 118 of 412 octets",
            "next: look at the last frames; a noisy line is likely",
        ),
        Outcome.PARTIAL: (
            "16 intervals are missing from the load profile", "next: nothing; the head-end asks again at each session",
        ),
    }  # fmt: skip
    at = now - timedelta(seconds=60 + number % 300)
    return Delivery(
        hashlib.sha256(f"fail{meter.meter_id}".encode()).hexdigest()[:32],
        meter.meter_id,
        f"S-{number:05d}-2",
        at,
        outcome,
        words[outcome],
        attempts=4,
        duration_ms=20_000,
        profile=meter.profile,
    )


def _delivery(number: int, at: datetime, told: Told) -> Delivery:
    meter, starts, imported, exported = told.meter, told.starts, told.imported, told.exported
    evidence, exchanges = _exchanges(at, starts[-96:], imported[-96:], exported[-96:] if exported is not None else None)
    quality = np.full(len(starts), int(Quality.MEASURED), np.uint8)
    series = [
        IntervalSeries(IMPORT, starts[:-96], imported[:-96], quality[:-96]),
        IntervalSeries(IMPORT, starts[-96:], imported[-96:], quality[-96:], evidence),
    ]
    if exported is not None:
        series.append(IntervalSeries(EXPORT, starts[-96:], exported[-96:], quality[-96:], evidence))
    midnight = at.replace(hour=0, minute=0, second=0, microsecond=0)
    registers = tuple(
        RegisterReading(ReadingType(Obis.parse(obis), unit), 4_210_000 + number * 977 + offset + k * 9_000, when)
        for k, when in enumerate((midnight - timedelta(days=1), midnight))
        for obis, unit, offset in (
            ("1.0.1.8.0.255", Unit.WATT_HOUR, 0),
            ("1.0.2.8.0.255", Unit.WATT_HOUR, -4_100_000),
            ("1.0.3.8.0.255", Unit.VAR_HOUR, -3_600_000),
        )
    )
    return Delivery(
        hashlib.sha256(f"ok{meter.meter_id}".encode()).hexdigest()[:32],
        meter.meter_id,
        f"S-{number:05d}-1",
        at,
        Outcome.COMPLETE,
        attempts=1,
        duration_ms=180,
        clock_offset_s=412 if number == 67 else number % 9 - 4,
        profile=meter.profile,
        mapping_version="2026-03-01",
        intervals=tuple(series),
        registers=registers,
        events=tuple(_events(number, at)),
        unknown=(UnknownObject(1, Obis.parse("1.128.96.7.4.255"), 2, bytes.fromhex("0600000104"), at),)
        if number % 50 == 3
        else (),
        exchanges=exchanges,
    )


def _events(number: int, at: datetime) -> list[MeterEvent]:
    if number % 20 == 6:
        return [MeterEvent(EventKind.POWER_DOWN, 1, at + timedelta(minutes=number % 3), "last gasp", pushed=True)]
    if number == 101:
        return [MeterEvent(EventKind.TERMINAL_COVER_OPENED, 40, at - timedelta(hours=5), "", pushed=True)]
    return [MeterEvent(EventKind.CLOCK_ADJUSTED, 4, at - timedelta(hours=7 + number % 30))] if number % 17 == 0 else []


def _exchanges(
    at: datetime, starts: Int64Column, imported: Int64Column, exported: Int64Column | None
) -> tuple[tuple[int, ...], tuple[Exchange, ...]]:
    rows = [
        cosem.structure(
            cosem.octet_string(CosemDateTime.from_utc(datetime.fromtimestamp(int(s) + 900, UTC), -60).to_octets()),
            cosem.unsigned(0),
            cosem.double_long_unsigned(int(imported[i])),
            cosem.double_long_unsigned(int(exported[i]) if exported is not None else 0),
        )
        for i, s in enumerate(starts)
    ]
    whole = cosem.encode(cosem.array(rows))
    blocks = [whole[i : i + 700] for i in range(0, len(whole), 700)]
    exchanges = []
    for k, block in enumerate(blocks):
        plain = GetResponseWithBlock(0xC1, k == len(blocks) - 1, k + 1, block).encode()
        exchanges.append(
            Exchange(
                at + timedelta(milliseconds=40 * k),
                wrapper_frame.encode(1, 1, GetRequestNext(0xC1, k).encode()),
                wrapper_frame.encode(1, 1, plain),
                plain,
            )
        )
    return tuple(range(len(blocks))), tuple(exchanges)


def _blocks(database: Database, told: Told, reading_type: ReadingType, source: str, at: datetime) -> None:
    starts = told.starts
    values = told.imported if reading_type is IMPORT else told.exported
    channel = database.blocks.channel(told.meter.meter_id, reading_type)
    raw = [_block(channel, day, starts, values) for day in sorted({utc_day(int(s)) for s in starts})]
    database.blocks.merge(Stage.RAW, raw, source=source, recorded_at=at)
    final, findings = [], []
    for block in raw:
        values_, qualities = block.values.copy(), block.qualities.copy()
        for first, last in _short_gaps(qualities):
            left, right = values_[first - 1], values_[last]
            steps = np.arange(1, last - first + 1)
            values_[first:last] = left + steps * (right - left) // (last - first + 1)
            qualities[first:last] = int(Quality.LINEAR)
            start_s = block.first_start_s + first * 900
            message = f"{last - first} intervals interpolated between {left} Wh and {right} Wh"
            findings.append(
                VeeException(
                    channel.channel_id,
                    "linear-interpolation",
                    "1",
                    start_s,
                    start_s + (last - first) * 900,
                    message,
                    at,
                    resolved=True,
                )
            )
        if values_.max() > 50_000:
            slot = int(values_.argmax())
            qualities[slot] |= int(Quality.QUESTIONABLE)
            start_s = block.first_start_s + slot * 900
            message = f"{values_.max()} Wh in one interval, the third highest of the day is {sorted(values_)[-3]} Wh"
            findings.append(VeeException(channel.channel_id, "spike-check", "1", start_s, start_s + 900, message, at))
        final.append(Block(channel.channel_id, block.day, 900, values_, qualities))
    database.blocks.merge(Stage.FINAL, final, source="vee 1", recorded_at=at + timedelta(seconds=2))
    database.exceptions.replace(channel.channel_id, raw[0].day, raw[-1].day, findings)


def _block(channel: Channel, day: int, starts: Int64Column, values: Int64Column) -> Block:
    inside = (starts // SECONDS_PER_DAY) == day
    slots = (starts[inside] % SECONDS_PER_DAY) // 900
    dense, qualities = np.zeros(96, np.int64), np.zeros(96, np.uint8)
    dense[slots], qualities[slots] = values[inside], int(Quality.MEASURED)
    return Block(channel.channel_id, day, 900, dense, qualities)


def _short_gaps(qualities: QualityColumn) -> list[tuple[int, int]]:
    known = np.flatnonzero(qualities)
    return [(int(a) + 1, int(b)) for a, b in pairwise(known) if 1 < b - a <= 8]
