"""A Security setup is changed by the clients whose keys it is about, and by nobody else."""

from collections.abc import Callable
from typing import Any

import pytest

from amity.devices.client import Authentication, Ciphering, MethodRefusedError, Session
from amity.devices.client.conversation import Conversation
from amity.devices.client.security_setup import activate_policy, agree_key, transfer_keys
from amity.devices.interface_classes import Role
from amity.devices.object_tree import read_object_list
from amity.devices.security_policy import SecurityPolicy
from amity.devices.server import ClientAccess, MeterServer
from amity.kernel.obis import Obis
from amity.protocols.dlms.protector import KeyId
from tests.unit.devices.conversing import Line, meter
from tests.unit.devices.test_security_suites import BOTH, public_keys, ring, settings

MANAGEMENT, CONTROL = 1, 3
OWN, OF_CONTROL = Obis.parse("0.0.43.0.0.255"), Obis.parse("0.0.43.0.1.255")


def access(client: int, role: Role) -> ClientAccess:
    keys = ring(1, 2) if role is Role.MANAGEMENT else ring(1, 2, unicast=b"C" * 16, master=b"E" * 16)
    return ClientAccess(
        client, Authentication.HLS_GMAC, Ciphering.GLO, BOTH,
        protector=keys, client_keys=public_keys(1, 1), role=role,
    )  # fmt: skip


def two_groups() -> MeterServer:
    return meter(access(MANAGEMENT, Role.MANAGEMENT), access(CONTROL, Role.CONTROL))


@pytest.mark.parametrize("call", [
    lambda session: agree_key(session, KeyId.GLOBAL_UNICAST, OF_CONTROL),
    lambda session: transfer_keys(session, [KeyId.GLOBAL_UNICAST], 1, OF_CONTROL),
    lambda session: activate_policy(session, SecurityPolicy(BOTH, BOTH), 1, OF_CONTROL),
], ids=["agreement", "transfer", "policy"])  # fmt: skip
def test_management_changes_no_keys_of_control(call: Callable[[Session], Conversation[Any]]):
    server = two_groups()
    before = server.access_of(CONTROL)
    line = Line(server, MANAGEMENT)
    session = line.associate(settings(access(MANAGEMENT, Role.MANAGEMENT)))
    with pytest.raises(MethodRefusedError, match="read-write-denied"):
        line.lead(call(session))
    assert server.access_of(CONTROL) is before
    assert line.lead(agree_key(session, KeyId.GLOBAL_UNICAST, OWN))


def test_the_object_list_says_so():
    line = Line(two_groups(), MANAGEMENT)
    session = line.associate(settings(access(MANAGEMENT, Role.MANAGEMENT)))
    listed = line.lead(read_object_list(session))
    for obis, callable_ in ((OWN, True), (OF_CONTROL, False)):
        assert {method.callable for method in listed.find(obis).methods[:3]} == {callable_}
