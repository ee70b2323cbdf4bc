"""A push set-up that is written and told to push; an M-Bus channel with a sub-meter on it."""

from datetime import datetime

import pytest

from amity.devices.cosem.mbus import (
    MBusIdentity,
    MBusMedium,
    manufacturer_code,
    manufacturer_letters,
    serial_from_bcd,
    serial_to_bcd,
)
from amity.devices.cosem.push import PushDestination, PushTransport, PushWindow
from amity.devices.equipment.mbus_client import MBusChannel, SubMeter, mbus_client, mbus_value
from amity.devices.equipment.push_setup import PushSetup, push_setup_object, to_tcp
from amity.devices.interface_classes import MBUS_CLIENT
from amity.devices.objects import NOT_SPECIFIED_TIME, CaptureObject
from amity.kernel.errors import RemoteProtocolError
from amity.kernel.obis import Obis
from amity.kernel.units import Unit
from amity.protocols.dlms.data import (
    Data,
    array,
    double_long_unsigned,
    enum,
    integer,
    long_unsigned,
    natural,
    null,
    octet_string,
    structure,
    unsigned,
)
from amity.protocols.dlms.datetime import CosemDateTime
from amity.protocols.dlms.results import ActionResult, DataAccessResult
from tests.unit.devices.conversing import IMPORT, NOW, stamp

PUSH = Obis.parse("0.1.25.9.0.255")
COLUMN = CaptureObject(3, IMPORT, 2)


# ------------------------------------------------------------------ push set-up
def test_what_is_written_is_what_is_pushed():
    pushed: list[tuple[CaptureObject, ...]] = []

    def push(setup: PushSetup, _now: datetime) -> bool:
        pushed.append(setup.objects)
        return True

    cosem = push_setup_object(PushSetup((), PushDestination(PushTransport.TCP, "192.0.2.1:4059"), push), PUSH)
    assert cosem.set_attribute(2, None, array((COLUMN.definition(),)), NOW) is DataAccessResult.SUCCESS
    assert cosem.act(1, integer(0), NOW).result is ActionResult.SUCCESS
    assert pushed == [(COLUMN,)]


def test_destination_windows_and_numbers_are_written_and_read_back():
    setup = to_tcp((COLUMN,), "192.0.2.1:4059")
    cosem = push_setup_object(setup, PUSH)
    destination = PushDestination(PushTransport.UDP, "198.51.100.7:5000")
    window = PushWindow(CosemDateTime(None, None, None, None, 1, 0, 0), CosemDateTime(None, None, None, None, 3, 0, 0))
    for index, value in ((3, destination.to_data()), (4, array((window.to_data(),))), (5, long_unsigned(60))):
        assert cosem.set_attribute(index, None, value, NOW) is DataAccessResult.SUCCESS
        assert cosem.attribute(index, None, NOW) == value
    assert (setup.destination, setup.windows) == (destination, (window,))


@pytest.mark.parametrize(
    ("index", "value"),
    [
        (2, array((structure(long_unsigned(3)),))),
        (2, array((structure(long_unsigned(3), octet_string(b"?"), integer(2), long_unsigned(0)),))),
        (3, structure(enum(0), enum(0), enum(0))),
        (4, array((octet_string(bytes(12)),))),
    ],
)
def test_what_means_nothing_is_not_taken(index: int, value: Data):
    setup = to_tcp((COLUMN,), "192.0.2.1:4059")
    assert push_setup_object(setup, PUSH).set_attribute(index, None, value, NOW) is DataAccessResult.OTHER_REASON
    assert setup.objects == (COLUMN,)


def test_a_meter_without_a_way_out_says_so():
    cosem = push_setup_object(to_tcp((), ""), PUSH)
    assert cosem.act(1, integer(0), NOW).result is ActionResult.TEMPORARY_FAILURE


def test_a_makers_own_transport_is_kept():
    destination = PushDestination(200, "somewhere", 128)
    assert PushDestination.from_data(destination.to_data()) == destination
    with pytest.raises(RemoteProtocolError, match="transport"):
        PushDestination.from_data(structure(long_unsigned(300), octet_string(b""), enum(0)))


# ------------------------------------------------------------------ M-Bus
WATER = SubMeter(
    MBusIdentity("12345678", "AMY", 7, MBusMedium.WATER),
    lambda at: 1000 + (at - NOW).seconds,
    -3,
    Unit.CUBIC_METRE,
    bytes([0x13]),
)


def client_values(channel: MBusChannel) -> dict[str, object]:
    cosem = mbus_client(channel)
    return {
        spec.name: natural(cosem.attribute(number, None, NOW))
        for number, spec in enumerate(MBUS_CLIENT.attributes[1:], 2)
    }  # fmt: skip


def test_a_channel_says_who_is_on_it():
    values = client_values(MBusChannel(1, WATER))
    assert (values["identification_number"], values["manufacturer_id"]) == (0x12345678, 0x05B9)
    assert (values["version"], values["device_type"], values["primary_address"]) == (7, 7, 1)
    assert len(values) == 13


def test_capturing_brings_the_value_with_its_time():
    channel = MBusChannel(2, WATER)
    value = mbus_value(channel)
    assert value.attribute(2, None, NOW) == null()
    assert value.attribute(5, None, NOW) == octet_string(NOT_SPECIFIED_TIME)
    assert mbus_client(channel).act(3, integer(0), NOW).result is ActionResult.SUCCESS
    assert value.attribute(2, None, NOW) == double_long_unsigned(1000)
    assert value.attribute(5, None, NOW) == octet_string(stamp(NOW))
    assert value.obis == Obis.parse("0.2.24.2.1.255")
    assert channel.access_number == 1


def test_a_sub_meter_is_removed_and_installed_again():
    channel = MBusChannel(1, WATER)
    cosem = mbus_client(channel)
    assert cosem.act(1, unsigned(5), NOW).result is ActionResult.OTHER_REASON
    assert cosem.act(2, integer(0), NOW).result is ActionResult.SUCCESS
    assert client_values(channel)["identification_number"] == 0
    assert cosem.act(3, integer(0), NOW).result is ActionResult.HARDWARE_FAULT
    assert cosem.act(5, integer(0), NOW).result is ActionResult.HARDWARE_FAULT
    assert cosem.act(2, integer(0), NOW).result is ActionResult.OTHER_REASON
    assert cosem.act(1, unsigned(5), NOW).result is ActionResult.SUCCESS
    assert client_values(channel)["primary_address"] == 5
    assert cosem.act(5, integer(0), NOW).result is ActionResult.SUCCESS


@pytest.mark.parametrize(("wanted", "given"), [(0, 3), (1, 1), (250, 250)])
def test_a_meter_that_is_told_no_address_chooses_one(wanted: int, given: int):
    channel = MBusChannel(3, WATER, installed=False)
    assert mbus_client(channel).act(1, unsigned(wanted), NOW).result is ActionResult.SUCCESS
    assert client_values(channel)["primary_address"] == given


def test_an_address_that_no_sub_meter_can_have_is_refused():
    channel = MBusChannel(3, WATER, installed=False)
    assert mbus_client(channel).act(1, unsigned(251), NOW).result is ActionResult.OTHER_REASON
    assert not channel.installed


def test_an_empty_channel_installs_nobody():
    channel = MBusChannel(3, None)
    assert mbus_client(channel).act(1, unsigned(1), NOW).result is ActionResult.OTHER_REASON
    assert client_values(channel)["manufacturer_id"] == 0


def test_an_alarm_is_reset():
    channel = MBusChannel(1, WATER)
    channel.alarm = 4
    assert mbus_client(channel).act(4, integer(0), NOW).result is ActionResult.SUCCESS
    assert channel.alarm == 0


@pytest.mark.parametrize(("letters", "code"), [("KAM", 0x2C2D), ("LGZ", 0x30FA), ("AAA", 0x0421)])
def test_manufacturer_codes(letters: str, code: int):
    assert manufacturer_code(letters) == code
    assert manufacturer_letters(code) == letters


@pytest.mark.parametrize("letters", ["", "ab", "ABCD", "abc", "ÄÖÜ"])
def test_what_is_no_manufacturer(letters: str):
    with pytest.raises(ValueError, match=f"^{letters}$"):
        manufacturer_code(letters)


def test_serial_numbers_travel_as_bcd():
    assert serial_to_bcd("00471100") == 0x00471100
    assert serial_from_bcd(0x00471100) == "00471100"
    with pytest.raises(ValueError, match="123456789"):
        serial_to_bcd("123456789")
