"""What a meter shows of itself: name, association, counters and security; and to whom it shows what."""

import pytest

from amity.devices.client import AttributeRefusedError, Authentication, Ciphering, Protection, get
from amity.devices.equipment.push_setup import push_setup_object, to_tcp
from amity.devices.interface_classes import CURRENT_ASSOCIATION, INTERFACE_CLASSES
from amity.devices.objects import NOT_SPECIFIED_TIME, CaptureObject
from amity.devices.profiles import CLOCK_OBIS
from amity.devices.server import ClientAccess, MeterSettings, invocation_counter_obis
from amity.devices.server.own_objects import LOGICAL_DEVICE_NAME, security_setup_obis
from amity.kernel.errors import ConfigurationError
from amity.kernel.obis import Obis
from amity.protocols.dlms.apdu import (
    ActionRequestNormal,
    ActionResponseNormal,
    ActionResult,
    Attribute,
    Conformance,
    DataAccessResult,
    ExceptionResponse,
    Method,
    ServiceError,
    SetRequestNormal,
    SetResponseNormal,
    StateError,
    decode,
)
from amity.protocols.dlms.data import double_long_unsigned, enum, natural, octet_string
from tests.unit.devices.conversing import (
    IMPORT,
    KEYS,
    LOAD_PROFILE,
    METER_TITLE,
    NOW,
    PUBLIC,
    Line,
    access,
    meter,
    ports,
    settings_for,
    stamp,
)

GMAC = access(Authentication.HLS_GMAC, Ciphering.GLO, Protection.AUTHENTICATED_ENCRYPTED)
COUNTER = Attribute(1, invocation_counter_obis(0), 2)
PUBLIC_ONLY = ClientAccess(PUBLIC, visible=frozenset({LOGICAL_DEVICE_NAME, invocation_counter_obis(0)}))
PUSH = Obis.parse("0.1.25.9.0.255")


def of_association(index: int) -> Attribute:
    return Attribute(15, CURRENT_ASSOCIATION, index)


@pytest.mark.parametrize(
    ("index", "plain", "gmac"),
    [
        (3, [16, 1], [1, 1]),
        (4, bytes.fromhex("60857405080101"), bytes.fromhex("60857405080103")),
        (6, bytes.fromhex("60857405080200"), bytes.fromhex("60857405080205")),
        (8, 2, 2),
        (9, b"", bytes(security_setup_obis(0))),
    ],
)
def test_the_association_tells_what_was_agreed(index: int, plain: object, gmac: object):
    line = Line(meter(), client=PUBLIC)
    session = line.associate(settings_for(access()))
    assert natural(line.lead(get(session, of_association(index)))) == plain
    line = Line(meter(GMAC))
    session = line.associate(settings_for(GMAC))
    assert natural(line.lead(get(session, of_association(index)))) == gmac


def test_the_association_tells_the_granted_services_and_sizes():
    line = Line(meter(max_pdu_octets=700), client=PUBLIC)
    session = line.associate(settings_for(access(), max_pdu_octets=500))
    conformance, receives, sends, version, *_ = line.lead(get(session, of_association(5))).value
    assert str(conformance.value) == f"{0x1E1D:024b}"
    assert (receives.value, sends.value, version.value) == (700, 500, 6)


def test_the_secret_is_never_given_out():
    line = Line(meter(), client=PUBLIC)
    session = line.associate(settings_for(access()))
    with pytest.raises(AttributeRefusedError, match="read-write-denied"):
        line.lead(get(session, of_association(7)))


def test_the_public_client_learns_the_counter_and_nothing_else():
    server = meter(GMAC, public=PUBLIC_ONLY)
    reader = Line(server)
    reader.associate(settings_for(GMAC), ports(500))
    reader.association.close()
    line = Line(server, client=PUBLIC)
    session = line.associate(settings_for(access()))
    assert line.lead(get(session, COUNTER)) == double_long_unsigned(server.received_counter(1))
    assert server.received_counter(1) == 502
    with pytest.raises(AttributeRefusedError, match="object-undefined"):
        line.lead(get(session, Attribute(3, IMPORT, 2)))
    listed = {row[2] for row in natural(line.lead(get(session, of_association(2))))}
    assert listed == {bytes(LOGICAL_DEVICE_NAME), bytes(invocation_counter_obis(0)), bytes(CURRENT_ASSOCIATION)}


def test_the_security_setup_tells_policy_suite_and_titles():
    line = Line(meter(GMAC))
    session = line.associate(settings_for(GMAC))
    answers = [line.lead(get(session, Attribute(64, security_setup_obis(0), index))) for index in (2, 3, 5)]
    assert answers == [enum(3), enum(0), octet_string(METER_TITLE)]


def test_each_object_is_listed_once_with_its_class_and_version():
    line = Line(meter(GMAC))
    session = line.associate(settings_for(GMAC))
    listed = natural(line.lead(get(session, of_association(2))))
    names = [row[2] for row in listed]
    assert len(set(names)) == len(names)
    assert {(row[0], row[1]) for row in listed} <= set(INTERFACE_CLASSES)
    buffer = next(row for row in listed if row[2] == bytes(LOAD_PROFILE))[3][0][1]
    assert buffer == [2, 1, [1, 2]]


def test_a_clock_without_daylight_saving_says_so():
    line = Line(meter(), client=PUBLIC)
    session = line.associate(settings_for(access()))
    shown = [natural(line.lead(get(session, Attribute(8, CLOCK_OBIS, index)))) for index in range(2, 10)]
    assert shown == [stamp(NOW), 0, 0, NOT_SPECIFIED_TIME, NOT_SPECIFIED_TIME, 0, False, 1]


def test_a_push_setup_tells_what_it_pushes_and_where():
    pushes = push_setup_object(to_tcp([CaptureObject(3, IMPORT, 2)], "192.0.2.1:4059"), PUSH)
    line = Line(meter(objects=[pushes]), client=PUBLIC)
    session = line.associate(settings_for(access()))
    shown = [natural(line.lead(get(session, Attribute(40, PUSH, index)))) for index in range(2, 8)]
    assert shown == [[[3, bytes(IMPORT), 2, 0]], [0, b"192.0.2.1:4059", 0], [], 0, 0, 0]


@pytest.mark.parametrize(
    ("request_apdu", "answer"),
    [
        (
            SetRequestNormal(0xC1, Attribute(3, IMPORT, 2), None, double_long_unsigned(0)),
            SetResponseNormal(0xC1, DataAccessResult.READ_WRITE_DENIED),
        ),
        (
            ActionRequestNormal(0xC1, Method(70, Obis.parse("0.0.96.3.10.255"), 1), double_long_unsigned(0)),
            ActionResponseNormal(0xC1, ActionResult.OBJECT_UNDEFINED),
        ),
        (
            SetResponseNormal(0xC1, DataAccessResult.SUCCESS),
            ExceptionResponse(StateError.SERVICE_NOT_ALLOWED, ServiceError.SERVICE_NOT_SUPPORTED),
        ),
    ],
)
def test_nothing_can_be_written_or_switched(request_apdu: object, answer: object):
    line = Line(meter(), client=PUBLIC)
    line.associate(settings_for(access()))
    assert decode(line.association.receive(request_apdu.encode(), NOW)) == answer


@pytest.mark.parametrize(
    "settings",
    [
        {"system_title": b"short"},
        {"max_pdu_octets": 63},
        {"conformance": Conformance.GET | Conformance.READ},
    ],
)
def test_a_meter_that_cannot_be_is_refused(settings: dict[str, object]):
    with pytest.raises(ConfigurationError):
        MeterSettings(**({"logical_device_name": "X", "system_title": METER_TITLE, "clients": ()} | settings))


@pytest.mark.parametrize(
    "client",
    [
        {"authentication": Authentication.HLS_GMAC},
        {"ciphering": Ciphering.GLO, "protector": KEYS},
        {"protection": Protection.ENCRYPTED, "protector": KEYS},
    ],
)
def test_an_access_that_cannot_be_is_refused(client: dict[str, object]):
    with pytest.raises(ConfigurationError):
        ClientAccess(1, **client)


def test_secrets_of_a_meter_are_in_no_repr():
    assert "sesame" not in repr(meter(access(Authentication.LLS)).settings)
