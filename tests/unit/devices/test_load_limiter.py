"""A limiter over a day: how long above, how long below, and emergencies."""

from datetime import datetime, timedelta

import pytest

from amity.devices.cosem.disconnect import SwitchEvent
from amity.devices.cosem.limits import NO_EMERGENCY, NOTHING, EmergencyProfile, MonitoredValue, ScriptCall
from amity.devices.equipment.limiter import Limiter, Limits, limiter_object
from amity.devices.equipment.relay import Relay
from amity.devices.equipment.script_table import DISCONNECT_SCRIPTS, Action, Script, Scripts, Service
from amity.devices.interface_classes import LIMITER
from amity.kernel.obis import Obis
from amity.protocols.dlms.data import (
    Data,
    array,
    double_long_unsigned,
    integer,
    long_unsigned,
    natural,
    octet_string,
    structure,
)
from amity.protocols.dlms.results import ActionResult, DataAccessResult
from tests.unit.devices.conversing import NOW

POWER = MonitoredValue(3, Obis.parse("1.0.1.7.0.255"), 2)
OPEN, CLOSE = ScriptCall(DISCONNECT_SCRIPTS, 1), ScriptCall(DISCONNECT_SCRIPTS, 2)
MINUTE = timedelta(minutes=1)


class Household:
    """Power by the minute since NOW; the scripts that ran, with their minute."""

    def __init__(self, watts: list[int], **limits: object) -> None:
        self.watts = watts
        self.ran: list[tuple[int, int]] = []
        settings = {"normal": 1000, "emergency": 300, "over_s": 120, "under_s": 180, "over": OPEN, "under": CLOSE}
        self.limiter = Limiter(Limits(POWER, **(settings | limits)), self.power, self.run, NOW)

    def power(self, at: datetime) -> int:
        return self.watts[min((at - NOW) // MINUTE, len(self.watts) - 1)]

    def run(self, script: ScriptCall, at: datetime) -> None:
        self.ran.append(((at - NOW) // MINUTE, script.selector))

    def live(self, minutes: int) -> list[tuple[int, int]]:
        self.limiter.advance(NOW + MINUTE * minutes)
        return self.ran


def test_above_for_long_enough_and_below_for_long_enough():
    household = Household([500] * 10 + [2000] * 10 + [500] * 20)
    assert household.live(40) == [(12, 1), (23, 2)]


def test_a_short_peak_does_nothing():
    assert Household([500] * 10 + [2000] * 2 + [500] * 20).live(40) == []


def test_the_threshold_itself_is_not_above():
    assert Household([1000] * 40).live(40) == []


def test_without_patience_it_acts_at_once():
    assert Household([500, 2000, 2000, 500], over_s=0, under_s=0).live(5) == [(1, 1), (3, 2)]


def test_it_does_not_matter_when_it_is_asked():
    watts = [500] * 10 + [2000] * 10 + [500] * 20
    often = Household(watts)
    for minute in range(41):
        often.live(minute)
    assert often.ran == Household(watts).live(40)


def test_after_a_long_silence_only_the_last_day_is_looked_at():
    looked: list[datetime] = []

    def power(at: datetime) -> int:
        looked.append(at)
        return 0

    limiter = Limiter(Limits(POWER, 1000, 300, over=OPEN), power, lambda *_: None, NOW)
    limiter.advance(NOW + timedelta(days=400))
    assert len(looked) == 24 * 60
    idle = Limiter(Limits(POWER, 1000, 300), power, lambda *_: None, NOW)
    idle.advance(NOW + timedelta(days=400))
    assert len(looked) == 24 * 60


def test_in_an_emergency_the_lower_threshold_holds_for_its_time_and_its_groups():
    profile = EmergencyProfile.at(7, NOW + 10 * MINUTE, 600)
    household = Household([500] * 60, emergency_profile=profile, groups=(6, 7), over_s=0, under_s=0)
    assert household.live(60) == [(10, 1), (20, 2)]
    others = Household([500] * 60, emergency_profile=profile, groups=(6,), over_s=0)
    assert others.live(60) == []


def switching(method: int, run: Script) -> Action:
    return Action(Service.EXECUTE, 70, Obis.parse("0.0.96.3.10.255"), method, integer(0), run)


def test_with_a_relay_behind_its_scripts_it_cuts_and_reconnects():
    relay = Relay(6)
    scripts = Scripts(
        {
            DISCONNECT_SCRIPTS: {
                1: switching(1, lambda at: relay.apply(SwitchEvent.LOCAL_DISCONNECT, at)),
                2: switching(2, lambda at: relay.apply(SwitchEvent.LOCAL_RECONNECT, at)),
            }
        }
    )

    def power(at: datetime) -> int:
        return 2000 if relay.connected and at < NOW + 10 * MINUTE else 0

    limits = Limits(POWER, 1000, 300, over_s=60, under_s=300, over=OPEN, under=CLOSE)
    limiter = Limiter(limits, power, scripts.run, NOW)
    limiter.advance(NOW + 3 * MINUTE)
    assert not relay.connected
    limiter.advance(NOW + 20 * MINUTE)
    assert relay.connected


# ------------------------------------------------------------------ the object
def index(name: str) -> int:
    return LIMITER.index_of(name)


def test_the_object_shows_what_is_set():
    household = Household([0])
    shown = limiter_object(household.limiter)
    values = [natural(shown.attribute(number, None, NOW)) for number in range(2, 12)]
    nowhere, never = bytes(6), bytes.fromhex("ffffffffffffffffff8000ff")
    scripts = bytes(DISCONNECT_SCRIPTS)
    assert values == [
        [3, bytes(POWER.obis), 2], 1000, 1000, 300, 120, 180, [0, never, 0], [], False, [[scripts, 1], [scripts, 2]],
    ]  # fmt: skip
    assert NOTHING.table == Obis(nowhere)
    assert NO_EMERGENCY.duration_s == 0


@pytest.mark.parametrize(
    ("name", "value", "field", "taken"),
    [
        ("threshold_normal", double_long_unsigned(2300), "normal", 2300),
        ("threshold_emergency", long_unsigned(200), "emergency", 200),
        ("min_over_threshold_duration", double_long_unsigned(5), "over_s", 5),
        ("min_under_threshold_duration", double_long_unsigned(6), "under_s", 6),
        ("emergency_profile_group_id_list", array((long_unsigned(3), long_unsigned(4))), "groups", (3, 4)),
        ("monitored_value", MonitoredValue(3, POWER.obis, 4).to_data(), "monitored", POWER._replace(attribute=4)),
        (
            "emergency_profile",
            EmergencyProfile.at(1, NOW, 60).to_data(),
            "emergency_profile",
            EmergencyProfile.at(1, NOW, 60),
        ),
        ("actions", structure(CLOSE.to_data(), NOTHING.to_data()), "over", CLOSE),
    ],
)
def test_the_object_takes_what_is_written(name: str, value: Data, field: str, taken: object):
    household = Household([0])
    shown = limiter_object(household.limiter)
    assert shown.set_attribute(index(name), None, value, NOW) is DataAccessResult.SUCCESS
    assert getattr(household.limiter.limits, field) == taken


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("threshold_normal", integer(-1)),
        ("threshold_normal", octet_string(b"much")),
        ("emergency_profile", structure(long_unsigned(1), octet_string(bytes(12)), double_long_unsigned(1))),
        ("emergency_profile", structure(long_unsigned(1), octet_string(b"soon"), double_long_unsigned(1))),
        ("emergency_profile_group_id_list", array((double_long_unsigned(1 << 16),))),
        ("monitored_value", structure(double_long_unsigned(1 << 16), octet_string(bytes(6)), integer(2))),
        ("monitored_value", structure(long_unsigned(3), octet_string(bytes(5)), integer(2))),
        ("actions", structure(OPEN.to_data())),
    ],
)
def test_what_means_nothing_is_not_taken(name: str, value: Data):
    household = Household([0])
    before = household.limiter.limits
    shown = limiter_object(household.limiter)
    assert shown.set_attribute(index(name), None, value, NOW) is DataAccessResult.OTHER_REASON
    assert household.limiter.limits == before


# ------------------------------------------------------------------ script tables
def test_a_script_runs_by_its_number():
    ran: list[datetime] = []
    (table,) = Scripts({DISCONNECT_SCRIPTS: {1: switching(1, ran.append)}}).objects()
    assert table.act(1, long_unsigned(1), NOW).result is ActionResult.SUCCESS
    assert table.act(1, long_unsigned(2), NOW).result is ActionResult.OTHER_REASON
    assert ran == [NOW]
    assert natural(table.attribute(2, None, NOW)) == [[1, [[2, 70, bytes((0, 0, 96, 3, 10, 255)), 1, 0]]]]
