"""What a simulated meter has besides measuring, asked for by the clients that may; by everybody else in vain."""

from datetime import timedelta

import pytest

from amity.devices.client import MethodRefusedError, get
from amity.devices.client import payment as paying
from amity.devices.client.clock_setting import Correction, shift_clock, synchronise_clock
from amity.devices.client.image_transfer import (
    ImageRefusedError,
    activate_image,
    begin_image,
    send_image_blocks,
    verify_image,
)
from amity.devices.client.limiting import set_threshold
from amity.devices.client.named import call, write
from amity.devices.client.sub_meters import (
    capture_sub_meter,
    change_sub_meter_key,
    read_key_status,
    read_sub_meter,
    send_to_sub_meter,
    set_sub_meter_key,
)
from amity.devices.client.supply import disconnect, read_supply, reconnect
from amity.devices.cosem.disconnect import ControlState
from amity.devices.cosem.image import Image
from amity.devices.cosem.limits import LIMITER_OBIS, NOTHING, ScriptCall
from amity.devices.cosem.mbus import DataElement, KeyStatus
from amity.devices.cosem.payment import ACCOUNT_OBIS, TokenStatus, charge_obis, credit_obis
from amity.devices.equipment.script_table import DISCONNECT_SCRIPTS
from amity.devices.interface_classes import ACCOUNT, LIMITER, Role
from amity.devices.object_tree import read_object_list
from amity.devices.server import PUBLIC_CLIENT
from amity.protocols.dlms.apdu import Attribute
from amity.protocols.dlms.data import enum, octet_string, structure, unsigned
from amity.simulation.device import role_clients
from amity.simulation.equipment import ACTIVE_FIRMWARE, firmware, make_token, token_key
from amity.simulation.fleet import document_entry
from amity.simulation.sub_meters import GAS_CHANNEL, WATER_CHANNEL, encrypted_for, sub_meter_key
from tests.unit.simulation.installed import Installed

IMAGE = firmware(b"1.1.0", bytes(range(256)) * 5)


@pytest.mark.parametrize("number", range(4))
def test_control_switches_supply_off_and_on(number: int):
    session, led = Installed(number).visit(Role.CONTROL)
    assert led(read_supply(session)).state is ControlState.CONNECTED
    assert led(disconnect(session)).state is ControlState.DISCONNECTED
    assert led(reconnect(session)).state is ControlState.READY_FOR_RECONNECTION


def test_management_does_not_switch_and_control_sets_no_clock():
    house = Installed()
    session, led = house.visit(Role.MANAGEMENT)
    with pytest.raises(MethodRefusedError, match="read-write-denied"):
        led(disconnect(session))
    session, led = house.visit(Role.CONTROL)
    with pytest.raises(MethodRefusedError, match="read-write-denied"):
        led(begin_image(session, IMAGE))
    with pytest.raises(MethodRefusedError, match="read-write-denied"):
        led(shift_clock(session, 10))


def test_keys_of_a_role_open_no_other_association():
    house = Installed()
    _, control = role_clients(house.meter)[Role.CONTROL]
    _, management = role_clients(house.meter)[Role.MANAGEMENT]
    assert len({control.guek, management.guek, house.meter.keys.guek}) == 3


@pytest.mark.parametrize("suite", [1, 2])
def test_roles_have_keys_of_the_meters_suite_and_change_them_under_their_master_key(suite: int):
    house = Installed(suite=suite)
    session, led = house.visit(Role.CONTROL)
    _, keys = role_clients(house.meter)[Role.CONTROL]
    assert (keys.suite, len(keys.guek), len(keys.kek)) == (suite, 16 * suite, 16 * suite)
    assert led(disconnect(session)).state is ControlState.DISCONNECTED
    entry = document_entry(house.meter, "127.0.0.1", 4059)
    told = next(one for one in entry["associations"] if one["role"] == "control")
    assert (told["suite"], told["guek"], told["kek"]) == (suite, keys.guek.hex(), keys.kek.hex())
    assert bytes.fromhex(told["client_signing_key"]) == keys.client_signing != b""


def test_a_clock_that_is_off_is_put_right():
    house = Installed()
    session, led = house.visit(Role.MANAGEMENT)
    rules = house.meter.profile.clock
    done = led(synchronise_clock(session, lambda: house.now, rules, tolerance_s=0))
    assert done.correction in {Correction.SHIFTED, Correction.SET, Correction.NONE}
    assert abs(done.ahead_after_s) <= 1


def test_firmware_goes_in_is_verified_and_becomes_active():
    house = Installed()
    session, led = house.visit(Role.MANAGEMENT)
    version = Attribute(1, ACTIVE_FIRMWARE, 2)
    assert led(get(session, version)) == octet_string(b"1.0.0")
    led(begin_image(session, IMAGE))
    led(send_image_blocks(session, IMAGE))
    assert not led(verify_image(session))
    house.now += timedelta(seconds=2)
    assert led(verify_image(session))
    assert not led(activate_image(session))
    assert led(get(session, version)) == octet_string(b"1.0.0")
    house.now += timedelta(seconds=5)
    assert led(activate_image(session))
    assert led(get(session, version)) == octet_string(b"1.1.0")


def test_firmware_with_one_octet_changed_is_refused():
    house = Installed()
    session, led = house.visit(Role.MANAGEMENT)
    broken = Image(IMAGE.identifier, b"\xff" + IMAGE.octets[1:])
    led(begin_image(session, broken))
    led(send_image_blocks(session, broken))
    assert not led(verify_image(session))
    house.now += timedelta(seconds=2)
    with pytest.raises(ImageRefusedError, match="sound"):
        led(verify_image(session))


def test_a_limiter_with_scripts_opens_the_relay_when_power_stays_above():
    house = Installed()
    session, led = house.visit(Role.CONTROL)
    actions = structure(ScriptCall(DISCONNECT_SCRIPTS, 1).to_data(), NOTHING.to_data())
    led(write(session, LIMITER, LIMITER_OBIS, "actions", actions))
    led(set_threshold(session, 1, over_s=120, under_s=0))
    assert led(read_supply(session)).output
    house.now += timedelta(minutes=10)
    assert led(read_supply(session)).state is ControlState.READY_FOR_RECONNECTION


def test_prepayment_counts_down_with_consumption_and_a_token_brings_supply_back():
    house = Installed()
    session, led = house.visit(Role.CONTROL)
    led(paying.set_credit(session, credit_obis(0), 40))
    led(write(session, ACCOUNT, ACCOUNT_OBIS, "account_mode_and_status", structure(enum(2), enum(1))))
    led(call(session, ACCOUNT, ACCOUNT_OBIS, "activate_account"))
    used_before = house.meter.element.total(0, 0, int(house.now.timestamp()))
    house.now += timedelta(hours=1)
    used = house.meter.element.total(0, 0, int(house.now.timestamp())) - used_before
    assert led(paying.read_charge(session, charge_obis(0))).paid == used * 31 // 1000
    house.now += timedelta(days=3)
    assert led(read_supply(session)).state is ControlState.READY_FOR_RECONNECTION
    owed = led(paying.read_account(session)).amount_to_clear
    house.now += timedelta(hours=2)
    token = make_token(token_key(house.meter), 1, 500)
    assert led(paying.enter_token(session, token)).executed
    assert led(read_supply(session)).output
    assert led(paying.read_account(session)).available == 500 - owed
    assert led(paying.enter_token(session, token)).status is TokenStatus.VALIDATION_FAILURE
    forged = token[:4] + b"\x7f" + token[5:]
    assert led(paying.enter_token(session, forged)).status is TokenStatus.AUTHENTICATION_FAILURE
    assert led(paying.enter_token(session, b"12345")).status is TokenStatus.FORMAT_FAILURE


def test_an_account_that_was_never_opened_does_nothing():
    house = Installed()
    session, led = house.visit(Role.CONTROL)
    house.now += timedelta(days=30)
    assert led(paying.read_account(session)).status == 1
    assert led(read_supply(session)).output
    assert led(paying.read_charge(session, charge_obis(0))).paid == 0


def test_the_water_meter_is_captured():
    session, led = Installed().visit(Role.MANAGEMENT)
    assert led(read_sub_meter(session, 1)).installed
    assert led(capture_sub_meter(session, 1)).value.value > 0


@pytest.mark.parametrize("channel", [WATER_CHANNEL, GAS_CHANNEL])
def test_a_sub_meter_is_given_a_key_of_its_own(channel: int):
    house = Installed()
    session, led = house.visit(Role.MANAGEMENT)
    key = bytes(range(16))
    encrypted = encrypted_for(sub_meter_key(house.meter, channel), key)
    assert led(read_key_status(session, channel)) is KeyStatus.NONE
    assert led(change_sub_meter_key(session, channel, key, encrypted)) is KeyStatus.SET_AND_TRANSFERRED
    led(capture_sub_meter(session, channel))
    assert led(read_key_status(session, channel)) is KeyStatus.IN_USE
    led(set_sub_meter_key(session, channel, bytes(16)))
    with pytest.raises(MethodRefusedError, match="hardware-fault"):
        led(capture_sub_meter(session, channel))
    with pytest.raises(MethodRefusedError):
        led(change_sub_meter_key(session, channel, key, b"short"))


def test_the_gas_meter_takes_data_and_the_water_meter_does_not():
    session, led = Installed().visit(Role.MANAGEMENT)
    element = DataElement(b"\x01", b"\xfd\x1f", unsigned(1))
    led(send_to_sub_meter(session, GAS_CHANNEL, [element]))
    with pytest.raises(MethodRefusedError):
        led(send_to_sub_meter(session, WATER_CHANNEL, [element]))


def test_the_public_client_sees_none_of_it():
    house = Installed(1)
    session, led = house.visit_as_anybody()
    listed = led(read_object_list(session))
    assert listed.unreadable == 0
    if house.meter.profile.association.client != PUBLIC_CLIENT:
        assert {entry.class_id for entry in listed.objects} <= {1, 8, 15}


def test_a_client_of_each_role_sees_what_it_may_change():
    house = Installed()
    for role, setting in ((Role.MANAGEMENT, 8), (Role.CONTROL, 70)):
        session, led = house.visit(role)
        calls = {
            entry.class_id
            for entry in led(read_object_list(session)).objects
            if any(method.callable for method in entry.methods) and entry.class_id not in {15, 64}
        }
        assert setting in calls
        assert ({8, 18, 40, 72} if role is Role.CONTROL else {70, 112, 113, 115}).isdisjoint(calls)
