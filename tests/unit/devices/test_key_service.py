"""Whole sessions whose client, or whose meter, holds no key: every key lives in another process."""

import sys

import pytest

from amity.devices.client import Authentication, Ciphering, Ports, get, release
from amity.devices.client.broadcasting import broadcast_act
from amity.devices.client.certificates import export_certificate, import_certificate
from amity.devices.client.security_setup import agree_key, transfer_keys
from amity.devices.interface_classes import Role
from amity.devices.notifications import PushSealing
from amity.devices.profiles import CLOCK_OBIS
from amity.protocols.dlms import elliptic
from amity.protocols.dlms.apdu import Method, decode
from amity.protocols.dlms.certificates import Purpose, sound
from amity.protocols.dlms.ciphering import unwrap
from amity.protocols.dlms.data import double_long_unsigned
from amity.protocols.dlms.general_protection import KeyUse
from amity.protocols.dlms.protector import KeyId
from amity.protocols.dlms.suites import suite_of
from tests.unit.devices.conversing import CLIENT_TITLE, METER_TITLE, NOW, Line, counter, meter
from tests.unit.devices.key_service import RemoteProtector, key_service
from tests.unit.devices.test_certificates_of_a_meter import OWN_SIGNING, certified
from tests.unit.devices.test_security_suites import BOTH, IMPORT_VALUE, allowed, ring, settings, sound_chance

KEYS = {
    "unicast": bytes(range(16)),
    "authentication": bytes(range(16, 32)),
    "broadcast": bytes(range(50, 66)),
    "master": bytes(16),
    "secret": b"our secret",
    "signing": (1001).to_bytes(32, "big"),
    "agreement": (2001).to_bytes(32, "big"),
}
CASES = [
    (Authentication.HLS_GMAC, Ciphering.GLO, {}),
    (Authentication.HLS_SHA256, Ciphering.GENERAL_GLO, {}),
    (Authentication.HLS2, Ciphering.GLO, {}),
    (Authentication.HLS_ECDSA, Ciphering.GLO, {"dedicated_key": True}),
    (Authentication.HLS_ECDSA, Ciphering.GENERAL_GLO, {"signed": True}),
    (Authentication.HLS_GMAC, Ciphering.GENERAL, {"signed": True, "key_use": KeyUse.ONE_PASS}),
    *((Authentication.HLS_GMAC, Ciphering.GENERAL, {"key_use": key_use}) for key_use in KeyUse),
]


@pytest.mark.slow
def test_sessions_without_a_key_in_the_client():
    with key_service(1, KEYS) as protector:
        for how, wrap, changes in CASES:
            access = allowed(1, how, wrap, signed=changes.get("signed", False))
            line = Line(meter(access))
            session = line.associate(settings(access, protector=protector, **changes), keyless_ports())
            assert line.lead(get(session, IMPORT_VALUE)) == double_long_unsigned(4711)
            assert line.lead(release(session)) is True
        check_new_keys(protector)
        check_broadcast(protector)
        check_push(protector)
        assert not any(key in repr(vars(protector)).encode() for key in KEYS.values())


@pytest.mark.slow
def test_sessions_without_a_key_in_the_meter():
    meters = KEYS | {"signing": (1002).to_bytes(32, "big"), "agreement": (2002).to_bytes(32, "big")}
    with key_service(1, meters) as protector:
        for how, wrap, changes in CASES:
            access = allowed(1, how, wrap, signed=changes.get("signed", False), protector=protector)
            line = Line(meter(access))
            session = line.associate(settings(access, protector=ring(1, 1), **changes))
            assert line.lead(get(session, IMPORT_VALUE)) == double_long_unsigned(4711)
        check_the_meters_own_key_pair(protector)


def keyless_ports() -> Ports:
    """Chance for challenges alone: whoever drew a key from it would be found out."""
    chance = sound_chance(8)

    def for_challenges(octets: int) -> bytes:
        frame = sys._getframe(1)
        assert frame.f_code.co_name == "fresh_challenge", f"{frame.f_code.co_name} draws a key in this process"
        return chance(octets)

    numbers = counter(1)
    return Ports(for_challenges, numbers)


def check_the_meters_own_key_pair(protector: RemoteProtector) -> None:
    """Made, certified and used where it was made; what travels is public."""
    access = allowed(1, Authentication.HLS_GMAC, role=Role.MANAGEMENT, protector=protector)
    server = meter(access)
    line = Line(server)
    session = line.associate(settings(access, protector=ring(1, 1)))
    der = certified(line, session)
    line.lead(import_certificate(session, der))
    assert line.lead(export_certificate(session, OWN_SIGNING)) == der
    renewed = server.access_of(1).protector
    assert isinstance(renewed, RemoteProtector)
    public = sound(der, suite_of(1), Purpose.SIGNING, NOW).public
    elliptic.verify(public, suite_of(1), b"message", renewed.sign(b"message"))


def check_broadcast(protector: RemoteProtector) -> None:
    access = allowed(1, Authentication.HLS_GMAC)
    session = Line(meter(access)).associate(settings(access, protector=protector))
    sealed = broadcast_act(session, Method(8, CLOCK_OBIS, 1))
    plain = unwrap(ring(1, 2, broadcast=KEYS["broadcast"]), None, CLIENT_TITLE, decode(sealed))
    assert plain.hex().startswith("c301")


def check_push(protector: RemoteProtector) -> None:
    for changes in ({}, {"ciphering": Ciphering.GENERAL, "signed": True}):
        sealing = PushSealing(protector, METER_TITLE, BOTH, counter(), **changes)
        assert sealing.seal(b"\x0f" + bytes(5) + b"\x11\x01")[0] in {0xDB, 0xDD}


def check_new_keys(protector: RemoteProtector) -> None:
    access = allowed(1, Authentication.HLS_GMAC, role=Role.MANAGEMENT)
    line = Line(meter(access))
    session = line.associate(settings(access, protector=protector))
    for change in (transfer_keys(session, [KeyId.GLOBAL_UNICAST], 1), agree_key(session, KeyId.GLOBAL_UNICAST)):
        renewed = line.lead(change)
        assert isinstance(renewed, RemoteProtector)
        assert line.lead(get(session, IMPORT_VALUE)) == double_long_unsigned(4711)
