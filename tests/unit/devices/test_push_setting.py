"""What a meter pushes, where to, when and how often, set by a client in every version of the class."""

from collections.abc import Callable
from datetime import datetime, timedelta

import pytest

from amity.devices.client import MethodRefusedError, WriteRefusedError
from amity.devices.client.push_setting import (
    push_now,
    read_push,
    read_push_confirmation,
    set_push_destination,
    set_push_objects,
    set_push_operation,
    set_push_timing,
)
from amity.devices.cosem.push import PushDestination, PushOperation, PushTransport, PushWindow, RepetitionDelay
from amity.devices.equipment.push_setup import PushSetup, push_setup_object
from amity.devices.interface_classes import INTERFACE_CLASSES
from amity.devices.objects import CaptureObject
from amity.kernel.errors import ConfigurationError, RemoteProtocolError
from amity.kernel.obis import Obis
from amity.protocols.dlms.data import Data, encode, long_unsigned, null, structure
from amity.protocols.dlms.datetime import CosemDateTime
from tests.unit.devices.conversing import IMPORT, NOW
from tests.unit.devices.equipped import EquippedMeter, Visit

PUSH = Obis.parse("0.1.25.9.0.255")
COLUMN = CaptureObject(3, IMPORT, 2)
ELSEWHERE = PushDestination(PushTransport.UDP, "198.51.100.7:4059")
WINDOW = PushWindow(CosemDateTime.from_utc(NOW), CosemDateTime.from_utc(NOW + timedelta(hours=1)))
STEADY, GROWING = RepetitionDelay(60), RepetitionDelay(10, 150, 600)


def pushing(version: int, push: Callable[[PushSetup, datetime], bool] | None = None) -> tuple[PushSetup, Visit]:
    setup = PushSetup((), PushDestination(PushTransport.TCP, "192.0.2.1:4059"), push)
    return setup, EquippedMeter([push_setup_object(setup, PUSH, version)]).visit()


@pytest.mark.parametrize(("version", "delay"), [(0, STEADY), (1, STEADY), (2, GROWING), (2, STEADY)])
def test_a_push_is_configured_and_sent(version: int, delay: RepetitionDelay):
    pushed: list[PushSetup] = []

    def push(setup: PushSetup, _now: datetime) -> bool:
        pushed.append(setup)
        return True

    setup, visit = pushing(version, push)
    session = visit.session
    visit.lead(set_push_objects(session, PUSH, [COLUMN], version=version))
    visit.lead(set_push_destination(session, PUSH, ELSEWHERE))
    timing = set_push_timing(session, PUSH, [WINDOW], randomisation_s=30, retries=2, repetition=delay, version=version)
    visit.lead(timing)
    assert visit.lead(read_push(session, PUSH)) == ((COLUMN,), ELSEWHERE, (WINDOW,), 30, 2, delay)
    visit.lead(push_now(session, PUSH))
    assert pushed == [setup]


@pytest.mark.parametrize(
    ("address", "advice"),
    [("", "names no destination: write send_destination_and_method"), ("192.0.2.1:4059", "reach '192.0.2.1:4059'")],
)
def test_a_push_that_does_not_go_out_is_explained(address: str, advice: str):
    setup, visit = pushing(0)
    setup.destination = setup.destination._replace(address=address)
    with pytest.raises(MethodRefusedError, match="temporary-failure") as caught:
        visit.lead(push_now(visit.session, PUSH))
    assert advice in caught.value.next_step


def test_a_delay_that_is_not_given_stays():
    setup, visit = pushing(0)
    setup.repetition = STEADY
    visit.lead(set_push_timing(visit.session, PUSH, [], randomisation_s=0, retries=1))
    assert visit.lead(read_push(visit.session, PUSH)).repetition == STEADY


def test_a_delay_that_cannot_grow_is_refused_before_anything_is_written():
    setup, visit = pushing(1)
    timing = set_push_timing(visit.session, PUSH, [WINDOW], randomisation_s=9, retries=9, repetition=GROWING, version=1)
    with pytest.raises(ConfigurationError, match="version 1"):
        visit.lead(timing)
    assert (setup.windows, visit.lead(read_push(visit.session, PUSH)).retries) == ((), 0)


@pytest.mark.parametrize(("version", "said"), [(0, 2), (2, 0)])
def test_a_delay_of_another_version_is_not_taken(version: int, said: int):
    _, visit = pushing(version)
    timing = set_push_timing(visit.session, PUSH, [], randomisation_s=0, retries=0, repetition=STEADY, version=said)
    with pytest.raises(WriteRefusedError, match="type-unmatched"):
        visit.lead(timing)


@pytest.mark.parametrize(
    ("version", "octets"),
    [
        (0, "0101 0204 120003 0906 0100010800ff 0f02 120000"),
        (2, "0101 0206 120003 0906 0100010800ff 0f02 120000 0202 1600 00 0100"),  # no restriction, all columns
    ],
)
def test_objects_travel_as_their_version_has_them(version: int, octets: str):
    setup, visit = pushing(version)
    visit.lead(set_push_objects(visit.session, PUSH, [COLUMN], version=version))
    shown = push_setup_object(setup, PUSH, version).attribute(2, None, NOW)
    assert isinstance(shown, Data)
    assert encode(shown) == bytes.fromhex(octets)
    assert setup.objects == (COLUMN,)


@pytest.mark.parametrize(("version", "said"), [(0, 2), (1, 2), (2, 0), (2, 1)])
def test_objects_of_another_version_are_not_taken(version: int, said: int):
    setup, visit = pushing(version)
    with pytest.raises(WriteRefusedError, match="other-reason"):
        visit.lead(set_push_objects(visit.session, PUSH, [COLUMN], version=said))
    assert setup.objects == ()


def test_whether_pushes_are_confirmed_is_set_and_read_in_version_two():
    setup, visit = pushing(2)
    visit.lead(set_push_operation(visit.session, PUSH, PushOperation.CONFIRMED))
    assert setup.operation is PushOperation.CONFIRMED
    confirmation = visit.lead(read_push_confirmation(visit.session, PUSH))
    assert (confirmation.operation, confirmation.last_at.year) == (PushOperation.CONFIRMED, None)
    _, older = pushing(1)
    with pytest.raises(WriteRefusedError):
        older.lead(set_push_operation(older.session, PUSH, PushOperation.CONFIRMED))


@pytest.mark.parametrize("version", [0, 1, 2])
def test_a_set_up_has_every_attribute_of_its_version(version: int):
    cosem = push_setup_object(PushSetup((), ELSEWHERE), PUSH, version)
    for index, spec in enumerate(INTERFACE_CLASSES[40, version].attributes[1:], 2):
        value = cosem.attribute(index, None, NOW)
        assert isinstance(value, Data), spec.name
        assert value.tag is spec.tag, spec.name


@pytest.mark.parametrize("data", [structure(), structure(long_unsigned(1)), null()])
def test_what_is_no_delay_is_one_typed_error(data: Data):
    with pytest.raises(RemoteProtocolError, match="repetition delay"):
        RepetitionDelay.from_data(data)
