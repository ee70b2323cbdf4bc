"""A client reads every model of a simulated fleet over TCP and compares with the simulated truth."""

import contextlib
import random
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

import numpy as np
import pytest

from amity.devices.client import AssociationSettings, Authentication, Ciphering, Ports, Protection, associate, release
from amity.devices.client.session import Session
from amity.devices.profiles import DeviceProfile, Form, Quantity, packaged_profile
from amity.devices.readout import (
    interval_starts,
    read_clock,
    read_logical_device_name,
    read_profile,
    read_profile_layout,
    read_registers,
    stamp_range,
)
from amity.kernel.errors import AmityError
from amity.kernel.obis import Obis
from amity.protocols.dlms.general_protection import PublicKeys
from amity.protocols.dlms.key_ring import KeyRing, Keys
from amity.simulation.faults import FaultKind
from amity.simulation.fleet import Fleet, FleetSettings, build_fleet, truth_wh
from amity.simulation.serving import serve_fleet
from amity.simulation.virtual_time import VirtualClock, run_virtually
from amity.transports.failures import (
    ConnectionRefusedByPeerError,
    TimerT1Error,
)
from amity.transports.wrapper_channel import WrapperChannel

NOW = datetime(2026, 11, 20, 6, 7, 30, tzinfo=UTC)
CANONICAL = {
    Quantity.ACTIVE_IMPORT: Obis.parse("1.0.1.29.0.255"),
    Quantity.ACTIVE_EXPORT: Obis.parse("1.0.2.29.0.255"),
    Quantity.REACTIVE_IMPORT: Obis.parse("1.0.3.29.0.255"),
}


class FixedClock:
    def now(self) -> datetime:
        return NOW


octets_of_test = random.Random(7).randbytes


def settings_of(entry: dict[str, Any], **changes: Any) -> AssociationSettings:
    how, keyed = Authentication(entry["auth"]), entry["ciphering"] != "none"
    secret, signing = entry["password"].encode(), bytes.fromhex(entry["client_signing_key"])
    keys = Keys(bytes.fromhex(entry["guek"]), bytes.fromhex(entry["gak"]), secret=secret, signing=signing or None)
    values = {
        "authentication": how,
        "ciphering": Ciphering(entry["ciphering"]),
        "protection": Protection(entry["protection"]),
        "client_title": b"AMY\0\0\0\0\1" if keyed else b"",
        "password": entry["password"].encode() if entry["auth"] == "lls" else b"",
        "protector": KeyRing(entry["suite"], keys) if keyed or how.hls else None,
        "server_keys": PublicKeys(bytes.fromhex(entry["meter_signing_key"])),
        "broken_digests_allowed": how.broken,
    }
    return AssociationSettings(**{**values, **changes})


@contextlib.asynccontextmanager
async def session_with(entry: dict[str, Any], timeout_s: float = 5.0) -> AsyncIterator[tuple[WrapperChannel, Session]]:
    channel = await WrapperChannel.open(entry["host"], entry["port"], entry["client"], entry["server"], 3.0)
    try:
        ports = Ports(octets_of_test, count(1).__next__)
        yield channel, await channel.run(associate(settings_of(entry), ports), timeout_s)
    finally:
        await channel.close()


async def rows_read(entry: dict[str, Any], start: datetime, end: datetime) -> dict[str, np.ndarray]:
    """Column name of the device profile -> values, besides `starts`; rows of the intervals in [start, end)."""
    profile = packaged_profile(entry["profile"])
    first, last = stamp_range(start, end, profile.load_profile)
    async with session_with(entry) as (channel, session):
        layout = await channel.run(read_profile_layout(session, profile.load_profile.obis), 5.0)
        readout = await channel.run(
            read_profile(
                session, layout, first, last, clock=profile.clock, access=profile.load_profile.access, now=NOW
            ),
            5.0,
        )
        with contextlib.suppress(AmityError):
            if profile.association.answers_release:
                await channel.run(release(session), 5.0)
    columns = readout.columns(profile.clock, null_timestamps=profile.load_profile.null_timestamps)
    named = dict(zip(profile.load_profile.columns, columns.columns, strict=True))
    return {**named, "starts": interval_starts(columns.timestamps_s, profile.load_profile)}


def intervals_wh(profile: DeviceProfile, rows: dict[str, np.ndarray], quantity: Quantity) -> dict[int, int]:
    """Interval start -> Wh; running totals are differenced."""
    measured = next(
        one for one in profile.objects if one.name in profile.load_profile.columns and one.quantity is quantity
    )
    values = np.asarray(rows[measured.name], np.int64)
    starts = rows["starts"]
    if measured.form is Form.TOTAL:
        values, starts = np.diff(values), starts[1:]
    return {
        int(at): int(value) * 10**3 // 10 ** (3 - measured.scaler) for at, value in zip(starts, values, strict=True)
    }


def fleet_of(meters: int, **choices: Any) -> Fleet:
    return build_fleet(FleetSettings(meters=meters, seed=5, anchor=NOW, **choices))


async def test_every_model_gives_a_day_that_agrees_with_the_truth_to_the_watt_hour():
    fleet = fleet_of(5)
    end = NOW.replace(minute=0, second=0)
    async with serve_fleet(fleet, clock=FixedClock()) as document:
        assert len({entry["profile"] for entry in document}) == 5
        for entry in document:
            profile = packaged_profile(entry["profile"])
            rows = await rows_read(entry, end - timedelta(days=1), end)
            assert np.isin(np.arange((end - timedelta(days=1)).timestamp(), end.timestamp(), 900), rows["starts"]).all()
            for quantity, obis in CANONICAL.items():
                read = intervals_wh(profile, rows, quantity)
                assert len(read) >= 95
                for start_s, energy_wh in read.items():
                    assert energy_wh == fleet.truth_wh(entry["logical_device_name"], obis, start_s)


async def test_registers_clock_and_name_are_the_meters_own():
    fleet = fleet_of(5)
    async with serve_fleet(fleet, clock=FixedClock()) as document:
        for meter, entry in zip(fleet.meters, document, strict=True):
            total = meter.profile.object_named("import_total")
            async with session_with(entry) as (channel, session):
                name = await channel.run(read_logical_device_name(session), 5.0)
                clock = await channel.run(read_clock(session), 5.0)
                wanted = [(total.class_id, total.obis)]
                (register,) = await channel.run(read_registers(session, wanted), 5.0)
            assert name == entry["logical_device_name"]
            assert abs(clock.to_utc(meter.profile.clock) - NOW) < timedelta(seconds=40)
            assert register.value.value == meter.element.total(0, total.scaler, int(NOW.timestamp()))
            assert (register.scaler_unit.scaler, register.scaler_unit.unit) == (total.scaler, total.unit)


async def test_daily_snapshots_agree_with_the_load_profile():
    """Between two midnights the registers moved by the sum of the intervals, in the register's own resolution."""
    fleet = fleet_of(5)
    midnight = NOW.replace(hour=0, minute=0, second=0)
    async with serve_fleet(fleet, clock=FixedClock()) as document:
        for meter, entry in zip(fleet.meters, document, strict=True):
            daily = meter.profile.daily_profile.obis
            async with session_with(entry) as (channel, session):
                layout = await channel.run(read_profile_layout(session, daily), 5.0)
                reading = read_profile(
                    session, layout, midnight - timedelta(days=1), midnight,
                    clock=meter.profile.clock, access=meter.profile.load_profile.access, now=NOW,
                )  # fmt: skip
                columns = (await channel.run(reading, 5.0)).columns(meter.profile.clock)
            assert columns.timestamps_s[-1] == midnight.timestamp()
            total = meter.profile.object_named("import_total")
            moved = int(columns.columns[1][-1] - columns.columns[1][-2])
            day_s = int(midnight.timestamp()) - 86_400
            truth = sum(meter.truth_wh(CANONICAL[Quantity.ACTIVE_IMPORT], day_s + slot * 900) for slot in range(96))
            assert abs(moved * 10 ** (total.scaler + 1) - truth * 10) < 10 ** (total.scaler + 1) or total.scaler < 0
            assert total.scaler >= 0 or moved == truth * 10


@pytest.mark.parametrize("auth", list(Authentication))
async def test_a_forced_authentication_gives_plain_models_with_it(auth: Authentication):
    suite = int(auth is Authentication.HLS_ECDSA)
    async with serve_fleet(fleet_of(2, auth=auth, suite=suite), clock=FixedClock()) as document:
        assert {entry["auth"] for entry in document} == {auth.value}
        for entry in document:
            rows = await rows_read(entry, NOW - timedelta(hours=5), NOW - timedelta(hours=3))
            assert len(rows["starts"]) >= 7


@pytest.mark.parametrize(
    ("kind", "error"),
    [
        (FaultKind.SILENT, TimerT1Error),
        (FaultKind.REFUSED, ConnectionRefusedByPeerError),
        (FaultKind.WRONG_KEY, AmityError),
    ],
)
async def test_faults_of_line_and_key_show_every_time(kind: FaultKind, error: type[Exception]):
    fleet = fleet_of(1, auth=Authentication.HLS_GMAC, fault_of={0: kind})
    async with serve_fleet(fleet, clock=FixedClock()) as (entry,):
        assert entry["faults"] == [kind.value]
        for _ in range(3):
            with pytest.raises(error):
                async with session_with(entry, timeout_s=0.2):
                    pass


async def outcomes(kind: FaultKind, sessions: int) -> list[str]:
    seen: list[str] = []
    async with serve_fleet(fleet_of(1, auth=Authentication.HLS_GMAC, fault_of={0: kind}), clock=FixedClock()) as (
        entry,
    ):
        counter = count(1)
        for _ in range(sessions):
            channel = await WrapperChannel.open(entry["host"], entry["port"], entry["client"], entry["server"], 3.0)
            try:
                session = await channel.run(associate(settings_of(entry), Ports(octets_of_test, counter.__next__)), 2.0)
                await channel.run(read_clock(session), 2.0)
                seen.append("read")
            except AmityError as failure:
                seen.append(type(failure).__name__)
            finally:
                await channel.close()
    return seen


@pytest.mark.parametrize(
    ("kind", "failure"),
    [(FaultKind.CLOSES_MID_FRAME, "PartialFrameError"), (FaultKind.GARBAGE_BYTES, "WrapperError")],
)
async def test_a_flaky_line_spoils_some_sessions_and_the_same_ones_each_run(kind: FaultKind, failure: str):
    seen = await outcomes(kind, 12)
    assert set(seen) == {"read", failure}
    assert seen == await outcomes(kind, 12)


def test_a_slow_meter_answers_after_a_while():
    fleet = fleet_of(1, auth=Authentication.NONE, fault_of={0: FaultKind.SLOW})

    async def main(clock: VirtualClock) -> timedelta:
        async with serve_fleet(fleet, clock=clock) as (entry,), session_with(entry) as (channel, session):
            await channel.run(read_clock(session), 5.0)
        return clock.now() - NOW

    assert timedelta(seconds=0.4) < run_virtually(main, NOW) < timedelta(seconds=4)


async def test_an_area_without_power_is_silent_and_has_stopped_counting():
    fleet = fleet_of(40, outage=True)
    dark = [meter for meter in fleet.meters if not meter.is_on(NOW)]
    assert 0 < len(dark) < 40
    async with serve_fleet(fleet, clock=FixedClock()) as document:
        entry = document[fleet.meters.index(dark[0])]
        assert entry["faults"] == ["outage"]
        with pytest.raises(TimerT1Error):
            async with session_with(entry, timeout_s=0.2):
                pass
    before_s = int(NOW.timestamp()) - 2 * 3600
    assert dark[0].truth_wh(CANONICAL[Quantity.ACTIVE_IMPORT], before_s // 900 * 900) == 0


async def test_a_taken_port_is_named_with_what_to_do():
    fleet = fleet_of(1)
    async with serve_fleet(fleet, clock=FixedClock()) as (entry,):
        with pytest.raises(AmityError, match=str(entry["port"])) as caught:
            async with serve_fleet(fleet, clock=FixedClock(), port_base=entry["port"]):
                pass
    assert "another port" in str(caught.value.next_step)


def test_the_truth_can_be_asked_from_settings_alone():
    fleet = fleet_of(3)
    obis, start_s = CANONICAL[Quantity.ACTIVE_IMPORT], 1_795_100_400
    meter = fleet.meters[2]
    assert truth_wh(fleet.settings, meter.meter_id, obis, start_s) == meter.truth_wh(obis, start_s)
