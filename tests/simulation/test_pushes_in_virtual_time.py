"""A town calls in for some hours of virtual time; every call is decoded and compared with the truth."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

import pytest

from amity.devices.profiles import Form, Stamp
from amity.devices.push import normalise, normalise_event
from amity.devices.push_reading import NormalisedReading
from amity.kernel.obis import Obis
from amity.kernel.time import from_epoch_s
from amity.protocols.dlms import apdu
from amity.protocols.dlms.apdu import Ciphered, DataNotification, EventNotification
from amity.protocols.dlms.ciphering import CipherKeys, unwrap
from amity.protocols.wrapper.frame import Reader
from amity.simulation.faults import FaultKind
from amity.simulation.fleet import Fleet, FleetSettings, build_fleet
from amity.simulation.meter import SimulatedMeter
from amity.simulation.push_schedule import Destination
from amity.simulation.serving import serve_fleet
from amity.simulation.virtual_time import VirtualClock, run_virtually

START = datetime(2026, 11, 20, 6, 7, 30, tzinfo=UTC)
NAME = Obis.parse("0.0.42.0.0.255")
EVENT_CODE = Obis.parse("0.0.96.11.0.255")
CLOCK = Obis.parse("0.0.1.0.0.255")


class Call(NamedTuple):
    """What arrived: when, the frame's payload."""

    at: datetime
    payload: bytes


def listen(fleet: Fleet, hours: float, deaf_s: float = 0.0, start: datetime = START) -> list[Call]:
    """All calls of the first hours; for `deaf_s` seconds nobody listens yet."""

    async def main(clock: VirtualClock) -> list[Call]:
        calls: list[Call] = []

        async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            (frame,) = Reader().feed(await reader.read())
            calls.append(Call(clock.now(), frame.payload))
            writer.close()

        held = await asyncio.start_server(answer, "127.0.0.1", 0)
        port = held.sockets[0].getsockname()[1]
        if deaf_s:
            held.close()
            await held.wait_closed()
        async with serve_fleet(fleet, clock=clock, push_to=Destination("127.0.0.1", port)):
            if deaf_s:
                await asyncio.sleep(deaf_s)
                held = await asyncio.start_server(answer, "127.0.0.1", port)
            await asyncio.sleep(hours * 3600)
        held.close()
        await held.wait_closed()
        return calls

    return run_virtually(main, start)


def opened(fleet: Fleet, call: Call) -> tuple[SimulatedMeter, tuple[NormalisedReading, ...], int | None]:
    """Who called, what it said, and the invocation counter of a protected call."""
    message = apdu.decode(call.payload)
    counter = None
    sender = None
    if isinstance(message, Ciphered):
        sender = next(meter for meter in fleet.meters if meter.system_title == message.system_title)
        keys = CipherKeys(0, sender.keys.guek, sender.keys.gak)
        counter = message.invocation_counter
        message = apdu.decode(unwrap(keys, sender.profile.association.protection.control, None, message))
    if isinstance(message, EventNotification):
        assert sender is not None
        return sender, normalise_event(message), counter
    assert isinstance(message, DataNotification)
    readings = normalise(message.body).readings
    name = next(reading.value for reading in readings if reading.obis == NAME)
    named = fleet.meter(name if isinstance(name, str) else bytes(name).decode())
    assert sender in {None, named}
    return named, readings, counter


def fleet_of(meters: int, seed: int = 5, **choices: object) -> Fleet:
    return build_fleet(FleetSettings(meters=meters, seed=seed, anchor=START, **choices))


def test_every_meter_pushes_each_interval_once_soon_after_its_end_with_the_values_it_counted():
    fleet = fleet_of(10)
    seen: dict[tuple[str, datetime], int] = {}
    for call in listen(fleet, 2):
        meter, readings, _ = opened(fleet, call)
        if any(reading.obis == EVENT_CODE for reading in readings):
            continue
        end = call.at.replace(minute=call.at.minute // 15 * 15, second=0, microsecond=0)
        assert timedelta(0) < call.at - end < timedelta(seconds=65)
        total = next(
            one for one in meter.profile.objects if one.name.startswith("import_") and one.name in columns(meter)
        )
        reading = next(one for one in readings if one.obis == total.obis)
        start_s = int(end.timestamp()) - 900
        shown_at_s = start_s + (900 if meter.profile.load_profile.stamp is Stamp.END else 0)
        if total.form is Form.TOTAL:
            assert reading.value == meter.element.total(0, total.scaler, shown_at_s)
        else:
            assert reading.value * 10 ** (total.scaler + 1) == 10 * meter.truth_wh(
                Obis.parse("1.0.1.29.0.255"), start_s
            )
        assert (reading.scaling.scaler, reading.scaling.unit) == (total.scaler, total.unit)
        seen[meter.meter_id, end] = seen.get((meter.meter_id, end), 0) + 1
    assert len(seen) == 10 * 8
    assert set(seen.values()) == {1}


def columns(meter: SimulatedMeter) -> tuple[str, ...]:
    return meter.profile.load_profile.columns


def test_counters_of_protected_pushes_rise_and_never_repeat():
    fleet = fleet_of(10)
    used: dict[str, list[int]] = {}
    for call in listen(fleet, 3):
        meter, _, counter = opened(fleet, call)
        if counter is not None:
            used.setdefault(meter.meter_id, []).append(counter)
    assert len(used) == 6  # three of five models cipher
    for counters in used.values():
        assert counters == sorted(set(counters))


def test_an_area_without_power_gasps_once_even_when_nobody_listened_at_first():
    fleet = fleet_of(40, outage=True)
    dark = {meter.meter_id for meter in fleet.meters if meter.happenings.outages}
    gasped = []
    for call in listen(fleet, 0.2, deaf_s=5):
        meter, readings, _ = opened(fleet, call)
        assert meter.meter_id in dark or any(reading.obis != EVENT_CODE for reading in readings)
        if meter.meter_id in dark:
            (code,) = [reading.value for reading in readings if reading.obis == EVENT_CODE]
            assert meter.profile.event_log.kind_of(code) == "power-down"
            gasped.append(meter.meter_id)
    assert sorted(gasped) == sorted(dark)


def test_silent_and_refusing_meters_do_not_call():
    fleet = fleet_of(5, fault_of={0: FaultKind.SILENT, 1: FaultKind.REFUSED})
    callers = {opened(fleet, call)[0].meter_id for call in listen(fleet, 0.5)}
    assert callers == {meter.meter_id for meter in fleet.meters[2:]}


def test_what_happens_is_told_within_seconds():
    """Dips come to all meters of a transformer at once; listen around the next one."""
    fleet = fleet_of(40)
    start_s = int(START.timestamp())
    coming = sorted(
        (event.at_s, meter.meter_id)
        for meter in fleet.meters
        for event in meter.happenings.until(start_s + 60 * 86_400)
        if event.at_s > start_s
    )
    first_s = coming[0][0]
    expected = [(at_s, meter_id) for at_s, meter_id in coming if at_s < first_s + 600]
    assert len(expected) >= 8  # four meters, a dip and its end each
    told = []
    for call in listen(fleet, 0.25, start=from_epoch_s(first_s - 240)):
        meter, readings, _ = opened(fleet, call)
        if any(reading.obis == EVENT_CODE for reading in readings):
            told.append((int(call.at.timestamp()), meter.meter_id))
    assert sorted(told) == expected


@pytest.mark.parametrize("seed", [5, 6])
def test_the_same_seed_gives_the_same_trace(seed: int):
    first, second = (listen(fleet_of(8, seed=seed), 1) for _ in range(2))
    assert first == second, f"seed {seed}"
    assert first != listen(fleet_of(8, seed=seed + 100), 1)
