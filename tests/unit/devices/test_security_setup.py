"""Class 64 between client and meter: policy, key transfer, key agreement; what is refused changes nothing."""

from typing import Any

import pytest

from amity.devices.client import (
    AssociationRejectedError,
    Authentication,
    Ciphering,
    MethodRefusedError,
    Protection,
    Session,
    act,
    get,
)
from amity.devices.client.security_setup import (
    activate_policy,
    agree_key,
    read_security_setup,
    transfer_keys,
)
from amity.devices.interface_classes import Role
from amity.devices.security_policy import SecurityPolicy
from amity.devices.server import ClientAccess
from amity.kernel.errors import ConfigurationError, SecurityError
from amity.kernel.obis import Obis
from amity.protocols.dlms import elliptic
from amity.protocols.dlms.apdu import ActionResult, Method
from amity.protocols.dlms.data import Data, array, double_long_unsigned, enum, octet_string, structure
from amity.protocols.dlms.general_protection import PublicKeys
from amity.protocols.dlms.protector import KeyId
from amity.protocols.dlms.suites import suite_of
from tests.unit.devices.conversing import CLIENT_TITLE, METER_TITLE, Line, meter, ports
from tests.unit.devices.test_security_suites import BOTH, IMPORT_VALUE, allowed, public_keys, ring, settings

SETUP = Obis.parse("0.0.43.0.0.255")
AUTHENTICATED, ENCRYPTED = Protection.AUTHENTICATED, Protection.ENCRYPTED


def managing(suite: int, guard: Protection = BOTH, **changes: Any) -> ClientAccess:
    return allowed(suite, Authentication.HLS_GMAC, guard=guard, role=Role.MANAGEMENT, **changes)


def opened(access: ClientAccess, server: Any = None, first_counter: int = 1, **changes: Any) -> tuple[Line, Session]:
    line = Line(server or meter(access))
    return line, line.associate(settings(access, **changes), ports(first_counter))


def reads(line: Line, session: Session) -> bool:
    return line.lead(get(session, IMPORT_VALUE)) == double_long_unsigned(4711)


# ------------------------------------------------------------------ policy as a number
@pytest.mark.parametrize("number", range(4))
def test_version_0_counts(number: int):
    policy = SecurityPolicy.from_number(number, 0)
    assert policy.requests.control == policy.responses.control == number << 4
    assert policy.number(0) == number


@pytest.mark.parametrize("number", [0, 0x04, 0x08, 0x0C, 0x10, 0x20, 0x40, 0x80, 0x6C, 0xFC])
def test_version_1_has_a_bit_for_each(number: int):
    policy = SecurityPolicy.from_number(number, 1)
    assert policy.number(1) == number
    assert policy.requests.control == (number & 0x0C) << 2
    assert policy.responses.control == (number & 0x60) >> 1
    assert (policy.signed_requests, policy.signed_responses) == (bool(number & 0x10), bool(number & 0x80))


@pytest.mark.parametrize(("number", "version"), [(4, 0), (-1, 0), (1, 1), (2, 1), (256, 1), (-4, 1)])
def test_a_number_without_meaning_is_refused(number: int, version: int):
    with pytest.raises(ConfigurationError, match="no policy"):
        SecurityPolicy.from_number(number, version)


# ------------------------------------------------------------------ reading and strengthening
@pytest.mark.parametrize("suite", [0, 1, 2])
def test_what_the_object_says(suite: int):
    line, session = opened(managing(suite))
    readout = line.lead(read_security_setup(session, int(suite > 0)))
    assert readout == (SecurityPolicy(BOTH, BOTH), suite, CLIENT_TITLE, METER_TITLE)


@pytest.mark.parametrize("version", [0, 1])
def test_a_stronger_policy_holds_from_the_next_request_on(version: int):
    access = managing(1, AUTHENTICATED)
    server = meter(access, security_setup_version=version)
    line, session = opened(access, server)
    assert reads(line, session)
    line.lead(activate_policy(session, SecurityPolicy(BOTH, BOTH), version))
    answer = line.lead(get_refused(session))
    assert "service-not-allowed" in answer
    line.association.close()
    with pytest.raises(AssociationRejectedError):
        opened(access, server, 100)
    line, session = opened(access, server, 200, protection=BOTH)
    assert reads(line, session)
    assert line.lead(read_security_setup(session, version)).policy == SecurityPolicy(BOTH, BOTH)


def get_refused(session: Session):
    try:
        yield from get(session, IMPORT_VALUE)
    except Exception as error:  # noqa: BLE001 - its words are looked at
        return str(error)
    raise AssertionError("it was answered")


@pytest.mark.parametrize(("version", "weaker"), [(0, 0), (0, 1), (0, 2), (1, 0), (1, 0x04), (1, 0x0C), (1, 0x60)])
def test_no_policy_is_ever_weakened(version: int, weaker: int):
    access = managing(1)
    server = meter(access, security_setup_version=version)
    line, session = opened(access, server)
    with pytest.raises(MethodRefusedError):
        line.lead(activate_policy(session, SecurityPolicy.from_number(weaker, version), version))
    assert line.lead(read_security_setup(session, version)).policy == SecurityPolicy(BOTH, BOTH)


def test_answers_can_be_demanded_to_be_protected_more_than_requests():
    line, session = opened(managing(1, AUTHENTICATED))
    line.lead(activate_policy(session, SecurityPolicy(AUTHENTICATED, BOTH), 1))
    assert reads(line, session)
    assert (line.requests[-1][2], line.answers[-1][2]) == (0x11, 0x31)


def test_signatures_can_be_demanded_where_the_clients_key_is_known():
    access = managing(1)
    server = meter(access)
    line, session = opened(access, server)
    line.lead(activate_policy(session, SecurityPolicy(BOTH, BOTH, signed_requests=True, signed_responses=True), 1))
    line.association.close()
    line, session = opened(access, server, 100, signed=True)
    assert reads(line, session)
    line, session = opened(managing(1, client_keys=PublicKeys()))
    for both in (True, False):
        with pytest.raises(MethodRefusedError):
            line.lead(
                activate_policy(session, SecurityPolicy(BOTH, BOTH, signed_requests=True, signed_responses=both), 1)
            )


# ------------------------------------------------------------------ key transfer
@pytest.mark.parametrize("key_ids", [
    [KeyId.GLOBAL_UNICAST], [KeyId.AUTHENTICATION], [KeyId.GLOBAL_UNICAST, KeyId.AUTHENTICATION, KeyId.MASTER],
    [KeyId.GLOBAL_BROADCAST],
], ids=str)  # fmt: skip
@pytest.mark.parametrize("suite", [0, 1, 2])
def test_new_keys_hold_at_once_and_afterwards(suite: int, key_ids: list[KeyId]):
    access = managing(suite)
    server = meter(access)
    line, session = opened(access, server)
    renewed = line.lead(transfer_keys(session, key_ids, int(suite > 0)))
    assert reads(line, session)
    line.association.close()
    line, session = opened(access, server, 100, protector=renewed)
    assert reads(line, session)
    line.association.close()
    if {KeyId.GLOBAL_UNICAST, KeyId.AUTHENTICATION} & set(key_ids):
        with pytest.raises(AssociationRejectedError, match="wrong key likely"):
            opened(access, server, 200)


@pytest.mark.parametrize("beside", [[], [KeyId.AUTHENTICATION, KeyId.MASTER]])
def test_under_a_new_key_a_client_may_count_anew(beside: list[KeyId]):
    access = managing(0)
    server = meter(access)
    line, session = opened(access, server, 5000)
    renewed = line.lead(transfer_keys(session, [KeyId.GLOBAL_UNICAST, *beside], 0))
    assert server.received_counter(1) == -1
    line.association.close()
    line, session = opened(access, server, 1, protector=renewed)
    assert reads(line, session)


def test_keys_wrapped_with_another_master_key_change_nothing():
    access = managing(0)
    line, session = opened(access, protector=ring(0, 1, master=b"\x01" * 16))
    with pytest.raises(MethodRefusedError):
        line.lead(transfer_keys(session, [KeyId.GLOBAL_UNICAST], 0))
    assert reads(line, session)
    lacking, session = opened(access, protector=ring(0, 1, master=None))
    with pytest.raises(SecurityError, match="master key"):
        lacking.lead(transfer_keys(session, [KeyId.GLOBAL_UNICAST], 0))


# ------------------------------------------------------------------ key agreement
@pytest.mark.parametrize("key_id", KeyId)
@pytest.mark.parametrize("suite", [1, 2])
def test_an_agreed_key_holds_at_once_and_afterwards(suite: int, key_id: KeyId):
    access = managing(suite)
    server = meter(access)
    line, session = opened(access, server)
    agreed = line.lead(agree_key(session, key_id))
    assert reads(line, session)
    line.association.close()
    line, session = opened(access, server, 100, protector=agreed)
    assert reads(line, session)


def test_the_client_believes_no_point_that_the_meter_did_not_sign():
    line, session = opened(managing(1))
    session.security.peer_keys = public_keys(1, 3)
    with pytest.raises(SecurityError, match="does not verify"):
        line.lead(agree_key(session, KeyId.AUTHENTICATION))


def test_the_meter_takes_no_point_that_its_client_did_not_sign():
    line, session = opened(managing(1), protector=ring(1, 1, signing=bytes(31) + b"\x05"))
    with pytest.raises(MethodRefusedError):
        line.lead(agree_key(session, KeyId.GLOBAL_UNICAST))
    assert reads(line, session)


def test_a_point_off_the_curve_is_refused_even_with_a_signature():
    line, session = opened(managing(1))
    point = bytes(63) + b"\x05"
    signature = elliptic.sign(elliptic.private_key(suite_of(1), (1001).to_bytes(32, "big")), suite_of(1), b"\0" + point)
    parameters = array([structure(enum(0), octet_string(point + signature))])
    with pytest.raises(MethodRefusedError) as caught:
        line.lead(act(session, Method(64, SETUP, 3), parameters))
    assert caught.value.result is ActionResult.OTHER_REASON
    assert reads(line, session)


@pytest.mark.parametrize("parameters", [
    enum(3), array([]), array([enum(1)]), array([structure(enum(0))]), array([structure(enum(9), octet_string(b"x"))]),
    array([structure(enum(0), enum(1))]), array([structure(enum(0), octet_string(b"x"))] * 2),
])  # fmt: skip
@pytest.mark.parametrize("method", [2, 3])
def test_parameters_of_another_shape_change_nothing(method: int, parameters: Data):
    line, session = opened(managing(1))
    with pytest.raises(MethodRefusedError) as caught:
        line.lead(act(session, Method(64, SETUP, method), parameters))
    assert caught.value.result is ActionResult.TYPE_UNMATCHED
    assert reads(line, session)


@pytest.mark.parametrize("method", [1, 2, 3])
def test_who_only_reads_changes_no_keys(method: int):
    line, session = opened(allowed(1, Authentication.HLS_GMAC))
    with pytest.raises(MethodRefusedError) as caught:
        line.lead(act(session, Method(64, SETUP, method), array([])))
    assert caught.value.result is ActionResult.READ_WRITE_DENIED


def test_suite_0_agrees_on_no_keys():
    line, session = opened(managing(0), meter(managing(0), security_setup_version=1))
    with pytest.raises(MethodRefusedError):
        line.lead(act(session, Method(64, SETUP, 3), array([])))


def test_a_policy_needs_the_ciphered_context_to_be_about_somebody():
    plain = ClientAccess(1, role=Role.MANAGEMENT)
    assert meter(plain).settings.key_groups == ()
    shared = ring(0, 2)
    first, second = (
        ClientAccess(client, ciphering=Ciphering.GLO, protection=BOTH, protector=shared) for client in (1, 2)
    )
    third = ClientAccess(3, ciphering=Ciphering.GLO, protection=BOTH, protector=ring(0, 2))
    assert meter(first, second, third).settings.key_groups == ((1, 2), (3,))
