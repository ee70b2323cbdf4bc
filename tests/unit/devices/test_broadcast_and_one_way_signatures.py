"""Signatures that only one side owes, and requests under the broadcast key inside an association."""

from dataclasses import replace
from datetime import time
from typing import Any

import pytest

from amity.devices.client import (
    AssociationSettings,
    Authentication,
    Ciphering,
    DowngradeError,
    MethodRefusedError,
    Ports,
    ServiceRefusedError,
    Session,
    get,
)
from amity.devices.client.broadcasting import broadcast_act, broadcast_set
from amity.devices.client.security_setup import activate_policy, read_security_setup, transfer_keys
from amity.devices.cosem.calendar import ACTIVITY_CALENDAR_OBIS, TARIFF_SCRIPTS, Calendar, DayAction
from amity.devices.cosem.disconnect import DISCONNECT_CONTROL_OBIS
from amity.devices.cosem.limits import ScriptCall
from amity.devices.cosem.push import PushDestination, PushTransport
from amity.devices.equipment.activity_calendar import ActivityCalendar, activity_calendar
from amity.devices.equipment.push_setup import push_setup_object, to_tcp
from amity.devices.equipment.script_table import DISCONNECT_SCRIPTS, Action, Scripts, Service
from amity.devices.freshness import Received, ReplayError
from amity.devices.interface_classes import Role
from amity.devices.objects import CosemObject
from amity.devices.security_policy import SecurityPolicy
from amity.devices.server import ClientAccess
from amity.kernel.errors import ConfigurationError, SecurityError
from amity.kernel.obis import Obis
from amity.protocols.dlms import apdu
from amity.protocols.dlms.apdu import Attribute, GeneralSigning, Method
from amity.protocols.dlms.ciphering import unwrap, wrap_general_glo, wrap_glo
from amity.protocols.dlms.data import double_long_unsigned, enum, integer, long_unsigned, octet_string
from amity.protocols.dlms.protector import KeyId
from tests.unit.devices.conversing import (
    METER_TITLE,
    NOW,
    PUBLIC,
    Line,
    chance,
    counter,
    measured_objects,
    meter,
    ports,
)
from tests.unit.devices.test_security_setup import SETUP
from tests.unit.devices.test_security_suites import BOTH, IMPORT_VALUE, allowed, ring, settings

NAME_PASSIVE = Attribute(20, ACTIVITY_CALENDAR_OBIS, 6)
PUSH = Obis.parse("0.0.25.9.0.255")
DESTINATION = Attribute(40, PUSH, 3)
GBEK = bytes(range(50, 66))
THERE = PushDestination(PushTransport.TCP, "127.0.0.1:4059")
NEXT = octet_string(b"2027")
STANDARD = Calendar.same_every_day(b"STANDARD", (DayAction(time(0), ScriptCall(TARIFF_SCRIPTS, 1)),))


def read(line: Line, session: Session) -> bool:
    return line.lead(get(session, IMPORT_VALUE)) == double_long_unsigned(4711)


# ------------------------------------------------------------------ signatures in one direction
def signed(octets: bytes, who: int, title: bytes | None = None) -> bool:
    """Whether a message under the global key holds a signed one."""
    message = apdu.decode(octets)
    assert isinstance(message, apdu.Ciphered)
    return unwrap(ring(1, who), None, title or METER_TITLE, message)[0] == GeneralSigning.TAG


@pytest.mark.parametrize("wrap", [Ciphering.GLO, Ciphering.GENERAL_GLO, Ciphering.GENERAL])
@pytest.mark.parametrize(("requests", "answers"), [(True, False), (False, True)])
def test_one_side_signs_and_the_other_does_not(wrap: Ciphering, requests: bool, answers: bool):
    access = allowed(1, Authentication.HLS_GMAC, wrap, signed=requests, answers_signed=answers)
    line = Line(meter(access))
    session = line.associate(settings(access, answers_signed=answers))
    assert read(line, session)
    if wrap is not Ciphering.GENERAL:
        assert signed(line.answers[-1], 1) is answers
        assert signed(line.requests[-1], 2, session.settings.client_title) is requests


def test_an_unsigned_request_is_refused_where_only_requests_are_signed():
    access = allowed(1, signed=True, answers_signed=False)
    line = Line(meter(access))
    session = line.associate(settings(access, signed=False, answers_signed=False))
    with pytest.raises(ServiceRefusedError, match="other-reason"):
        read(line, session)


def test_an_unsigned_answer_is_refused_where_only_answers_are_signed():
    access = allowed(1, signed=False)
    line = Line(meter(access))
    session = line.associate(settings(access, answers_signed=True))
    with pytest.raises(DowngradeError, match="unsigned"):
        read(line, session)


@pytest.mark.parametrize(("requests", "answers", "number"), [(True, False, 0x7C), (False, True, 0xEC)])
def test_a_policy_may_demand_signatures_in_one_direction(requests: bool, answers: bool, number: int):
    access = allowed(1, Authentication.HLS_GMAC, role=Role.MANAGEMENT)
    server = meter(access)
    line = Line(server)
    session = line.associate(settings(access))
    policy = SecurityPolicy(BOTH, BOTH, signed_requests=requests, signed_responses=answers)
    assert policy.number(1) == number
    line.lead(activate_policy(session, policy, 1))
    line.association.close()
    line = Line(server)
    session = line.associate(settings(access, signed=requests, answers_signed=answers), ports(100))
    assert read(line, session)
    assert line.lead(read_security_setup(session, 1)).policy == policy


def test_a_meter_without_a_signing_key_takes_no_policy_that_would_silence_it():
    access = allowed(1, Authentication.HLS_GMAC, role=Role.MANAGEMENT, protector=ring(1, 2, signing=None))
    line = Line(meter(access))
    session = line.associate(settings(access))
    with pytest.raises(MethodRefusedError, match="other-reason"):
        line.lead(activate_policy(session, SecurityPolicy(BOTH, BOTH, signed_responses=True), 1))
    assert read(line, session)


def test_signatures_of_answers_need_curves_and_ciphering_too():
    with pytest.raises(ConfigurationError, match="suite 1 or 2"):
        settings(allowed(0), answers_signed=True)
    with pytest.raises(ConfigurationError, match="ciphered context"):
        ClientAccess(1, answers_signed=True)


@pytest.mark.parametrize("again", [False, True], ids=["in the session", "in the next"])
def test_a_signed_answer_is_not_believed_a_second_time_in_a_new_wrapping(again: bool):
    access, heard = allowed(1, Authentication.HLS_GMAC, Ciphering.GLO, signed=True), Received()
    line = Line(meter(access))
    session = line.associate(settings(access), Ports(chance(), counter(), received=heard))
    assert read(line, session)
    inner = unwrap(ring(1, 2), None, METER_TITLE, apdu.decode(line.answers[-1]))
    if again:
        line.association.close()
        session = line.associate(settings(access), Ports(chance(), counter(100), received=heard))
    line.spoil = lambda _answer: wrap_general_glo(ring(1, 2), 0x31, METER_TITLE, 90_000, inner)
    with pytest.raises(ReplayError, match="transaction id"):
        read(line, session)


# ------------------------------------------------------------------ the broadcast key
def hearing(suite: int = 0, **changes: Any) -> ClientAccess:
    fitting = {"takes_broadcast": True, "role": Role.MANAGEMENT, "protector": holding(suite, 2)}
    return allowed(suite, Authentication.HLS_GMAC, **(fitting | changes))


def holding(suite: int, who: int) -> Any:
    return ring(suite, who, broadcast=GBEK * (2 if suite == 2 else 1))


def opened(access: ClientAccess, *more: CosemObject, **changes: Any) -> tuple[Line, Session, Any]:
    calendar = ActivityCalendar(STANDARD, lambda _script, _now: None, NOW)
    line = Line(meter(access, objects=[*measured_objects(), activity_calendar(calendar), *more]))
    suite = access.protector.suite
    return line, line.associate(settings(access, **({"protector": holding(suite, 1)} | changes))), calendar


@pytest.mark.parametrize("wrap", [Ciphering.GLO, Ciphering.GENERAL_GLO])
@pytest.mark.parametrize("suite", [0, 1, 2])
def test_what_all_are_told_is_done_and_not_answered(suite: int, wrap: Ciphering):
    line, session, calendar = opened(hearing(suite, wrap=wrap))
    octets = broadcast_set(session, NAME_PASSIVE, NEXT)
    assert apdu.decode(octets).security_control == 0x70 | suite
    assert line.association.receive(octets, NOW) is None
    assert calendar.passive.name == b"2027"
    assert read(line, session)
    assert not apdu.decode(line.answers[-1]).security_control & 0x40


@pytest.mark.parametrize("signed_requests", [True, False])
def test_where_signatures_are_demanded_a_broadcast_bears_one_too(signed_requests: bool):
    line, session, calendar = opened(hearing(1, signed=True))
    session.security.signs = signed_requests
    assert line.association.receive(broadcast_set(session, NAME_PASSIVE, NEXT), NOW) is None
    assert (calendar.passive.name == b"2027") is signed_requests


def test_a_broadcast_heard_before_is_not_done_again():
    line, session, calendar = opened(hearing())
    first = broadcast_set(session, NAME_PASSIVE, NEXT)
    line.association.receive(first, NOW)
    calendar.passive = STANDARD
    assert line.association.receive(first, NOW) is None
    assert calendar.passive == STANDARD


def test_a_new_unicast_key_does_not_let_a_broadcast_be_heard_again():
    line, session, calendar = opened(hearing())
    first = broadcast_set(session, NAME_PASSIVE, NEXT)
    line.association.receive(first, NOW)
    renewed = line.lead(transfer_keys(session, [KeyId.GLOBAL_UNICAST], 0))
    line.association.close()
    line.associate(settings(hearing(), protector=renewed), ports(100))
    calendar.passive = STANDARD
    assert line.association.receive(first, NOW) is None
    assert calendar.passive == STANDARD


def test_counters_of_the_broadcast_key_are_its_own():
    line, session, calendar = opened(hearing())
    early = broadcast_set(session, NAME_PASSIVE, NEXT)
    assert read(line, session)  # under the unicast key, with a higher counter
    line.association.receive(early, NOW)
    assert calendar.passive.name == b"2027"


@pytest.mark.parametrize(
    "changes",
    [{"takes_broadcast": False}, {"role": Role.READING}, {"role": Role.CONTROL}, {"protector": ring(0, 2)},
     {"protector": ring(0, 2, broadcast=bytes(16))}],
    ids=["not told to", "reads only", "switches", "no key", "another key"],
)  # fmt: skip
def test_a_meter_that_should_not_listen_does_not(changes: dict[str, Any]):
    line, session, calendar = opened(hearing(**changes))
    assert line.association.receive(broadcast_set(session, NAME_PASSIVE, NEXT), NOW) is None
    assert calendar.passive == STANDARD
    assert read(line, session)


def test_security_is_not_touched_by_what_all_are_told():
    line, session, _ = opened(hearing(guard=BOTH))
    before = line.lead(read_security_setup(session, 0))
    strengthened = broadcast_act(session, Method(64, SETUP, 1), enum(3))
    assert line.association.receive(strengthened, NOW) is None
    assert line.association.receive(broadcast_act(session, Method(15, Obis.parse("0.0.40.0.0.255"), 1)), NOW) is None
    assert line.lead(read_security_setup(session, 0)) == before


def test_reads_and_blocks_under_the_broadcast_key_are_left_alone():
    line, session, _ = opened(hearing())
    read_by_all = session.security.seal_broadcast(apdu.GetRequestNormal(0x81, IMPORT_VALUE).encode())
    assert line.association.receive(read_by_all, NOW) is None


def test_neither_pushes_nor_scripts_are_touched_by_what_all_are_told():
    setup, ran = to_tcp((), "127.0.0.1:1"), []
    script = Action(Service.EXECUTE, 70, DISCONNECT_CONTROL_OBIS, 1, integer(0), ran.append)
    tables = Scripts({DISCONNECT_SCRIPTS: {1: script}, TARIFF_SCRIPTS: {1: replace(script, class_id=6)}}).objects()
    line, session, _ = opened(hearing(), push_setup_object(setup, PUSH), *tables)
    line.association.receive(broadcast_set(session, DESTINATION, THERE.to_data()), NOW)
    for table in (DISCONNECT_SCRIPTS, TARIFF_SCRIPTS):
        line.association.receive(broadcast_act(session, Method(9, table, 1), long_unsigned(1)), NOW)
    assert setup.destination.address == "127.0.0.1:1"
    assert not ran


def test_a_broadcast_longer_than_the_meter_takes_is_not_answered_either():
    line, session, _ = opened(hearing())
    long = session.security.seal_broadcast(b"\xc1\x01\x81" + bytes(2048))
    assert line.association.receive(long, NOW) is None


def test_before_the_client_has_proved_itself_nothing_is_done():
    access = hearing()
    line, session, calendar = opened(access)
    octets = broadcast_set(session, NAME_PASSIVE, NEXT)
    line.association.close()
    assert line.association.receive(octets, NOW) is None
    assert calendar.passive == STANDARD


def test_a_client_believes_no_answer_under_the_broadcast_key():
    line, session, _ = opened(hearing())
    answer = bytes.fromhex("c401c1000600001267")
    line.spoil = lambda _answer: wrap_glo(holding(0, 2), 0x70, METER_TITLE, 9000, answer)
    with pytest.raises(SecurityError, match="broadcast key"):
        read(line, session)


def test_a_broadcast_needs_a_key_and_a_ciphered_association():
    _, session, _ = opened(hearing(), protector=ring(0, 1))
    with pytest.raises(SecurityError, match="no broadcast key"):
        broadcast_act(session, Method(8, Obis.parse("0.0.1.0.0.255"), 1), integer(0))
    plain = Line(meter(), PUBLIC)
    with pytest.raises(ConfigurationError, match="protected by a key"):
        broadcast_act(plain.associate(AssociationSettings()), Method(8, Obis.parse("0.0.1.0.0.255"), 1), integer(0))
