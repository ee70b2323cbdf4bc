"""A meter that is told to push does: to where its push set-up says, with what its push set-up says.

What it pushes of itself at the end of an interval holds what happened in it, though nobody has looked."""

import asyncio
from datetime import timedelta

import pytest

from amity.devices.client import MethodRefusedError
from amity.devices.client.limiting import set_threshold
from amity.devices.client.named import write
from amity.devices.client.push_setting import push_now, set_push_destination, set_push_objects
from amity.devices.client.supply import read_supply
from amity.devices.cosem.limits import LIMITER_OBIS, NOTHING, ScriptCall
from amity.devices.cosem.push import PushDestination, PushMessage, PushTransport
from amity.devices.equipment.script_table import DISCONNECT_SCRIPTS
from amity.devices.interface_classes import LIMITER, Role
from amity.devices.objects import CaptureObject
from amity.devices.push import normalise
from amity.devices.push_reading import NormalisedReading
from amity.devices.readout import LOGICAL_DEVICE_NAME
from amity.kernel.obis import Obis
from amity.kernel.time import epoch_s
from amity.protocols.dlms import apdu
from amity.protocols.dlms.apdu import DataNotification
from amity.protocols.dlms.ciphering import Ciphered, CipherKeys, unwrap
from amity.protocols.dlms.data import structure
from amity.protocols.wrapper.frame import Reader
from amity.simulation.cosem_objects import PUSH_ON_ALARM, PUSH_ON_INTERVAL
from amity.simulation.household import INTERVAL_S
from amity.simulation.outgoing import Outgoing
from tests.unit.simulation.installed import Installed

HEAD_END = PushDestination(PushTransport.TCP, "192.0.2.1:4059")
IMPORT_INTERVAL = Obis.parse("1.0.1.29.0.255")
NOBODY = CaptureObject(3, Obis.parse("1.0.99.99.99.255"), 2)


def readings(house: Installed, frame: bytes) -> dict[Obis, NormalisedReading]:
    """What the head-end reads in a push, opened with the meter's keys where it is sealed."""
    (received,) = Reader().feed(frame)
    message = apdu.decode(received.payload)
    if isinstance(message, Ciphered):
        keys = CipherKeys(house.meter.keys.suite, house.meter.keys.guek, house.meter.keys.gak)
        message = apdu.decode(unwrap(keys, house.meter.profile.association.protection.control, None, message))
    assert isinstance(message, DataNotification)
    return {reading.obis: reading for reading in normalise(message.body).readings}


@pytest.mark.parametrize("number", range(4))
def test_it_pushes_what_its_set_up_says_to_where_it_says(number: int):
    house = Installed(number)
    session, led = house.visit(Role.MANAGEMENT)
    total = house.meter.profile.object_named("import_total")
    name, value = CaptureObject(1, LOGICAL_DEVICE_NAME.obis, 2), CaptureObject(total.class_id, total.obis, 2)
    led(set_push_destination(session, PUSH_ON_INTERVAL, HEAD_END))
    led(set_push_objects(session, PUSH_ON_INTERVAL, (name, NOBODY, value)))
    led(push_now(session, PUSH_ON_INTERVAL))
    ((destination, frame),) = house.pushed
    told = readings(house, frame)
    assert destination == HEAD_END
    assert set(told) == {name.obis, value.obis}
    assert told[name.obis].value == house.meter.meter_id
    shown = house.meter.element.total(0, total.scaler, epoch_s(house.now))
    assert told[value.obis].value == shown * 10**total.scaler or told[value.obis].value == shown


@pytest.mark.parametrize("looks", [False, True])
def test_the_push_of_an_interval_holds_what_the_limiter_did_in_it_though_nobody_looked(looks: bool):
    house = Installed()
    session, led = house.visit(Role.CONTROL)
    opens = structure(ScriptCall(DISCONNECT_SCRIPTS, 1).to_data(), NOTHING.to_data())
    led(write(session, LIMITER, LIMITER_OBIS, "actions", opens))
    led(set_threshold(session, 1, over_s=300, under_s=0))
    start_s = epoch_s(house.now)
    house.now += timedelta(seconds=INTERVAL_S + 5)
    if looks:
        assert not led(read_supply(session)).output
    frame = house.pusher.interval(start_s, house.now)
    assert frame is not None
    truth_wh, uncut_wh = (each.meter.truth_wh(IMPORT_INTERVAL, start_s) for each in (house, Installed()))
    assert readings(house, frame)[IMPORT_INTERVAL].value == 10 * truth_wh  # this model counts tenths
    assert 0 < truth_wh < uncut_wh // 2


def test_the_alarm_set_up_pushes_the_last_code():
    house = Installed()
    session, led = house.visit(Role.MANAGEMENT)
    led(set_push_destination(session, PUSH_ON_ALARM, HEAD_END))
    led(push_now(session, PUSH_ON_ALARM))
    assert Obis.parse("0.0.96.11.0.255") in readings(house, house.pushed[0][1])


def test_without_a_way_out_the_client_is_told():
    house = Installed()
    session, led = house.visit(Role.MANAGEMENT)
    with pytest.raises(MethodRefusedError, match="temporary-failure") as caught:
        led(push_now(session, PUSH_ON_INTERVAL))
    assert "names no destination" in str(caught.value.next_step)


async def test_frames_go_out_over_tcp():
    received: asyncio.Queue[bytes] = asyncio.Queue()

    async def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await received.put(await reader.read())
        writer.close()

    listener = await asyncio.start_server(take, "127.0.0.1", 0)
    outgoing = Outgoing()
    port = listener.sockets[0].getsockname()[1]
    assert outgoing.send(PushDestination(PushTransport.TCP, f"127.0.0.1:{port}"), b"a frame")
    assert await asyncio.wait_for(received.get(), 5) == b"a frame"
    await outgoing.close()
    listener.close()
    await listener.wait_closed()


@pytest.mark.parametrize(
    "destination",
    [
        PushDestination(PushTransport.TCP, ""),
        PushDestination(PushTransport.TCP, "192.0.2.1"),
        PushDestination(PushTransport.TCP, "192.0.2.1:0"),
        PushDestination(PushTransport.TCP, "192.0.2.1:99999"),
        PushDestination(PushTransport.SMS, "192.0.2.1:4059"),
        PushDestination(PushTransport.TCP, "192.0.2.1:4059", PushMessage.APDU_IN_XML),
    ],
)
async def test_what_is_no_way_out_is_said_to_be_none(destination: PushDestination):
    assert not Outgoing().send(destination, b"a frame")


async def test_a_call_that_nobody_takes_ends_with_the_fleet():
    outgoing = Outgoing()
    assert outgoing.send(PushDestination(PushTransport.TCP, "127.0.0.1:1"), b"a frame")
    await outgoing.close()
