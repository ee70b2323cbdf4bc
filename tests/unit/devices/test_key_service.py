"""Whole sessions whose client holds no key: every key lives in another process."""

import pytest

from amity.devices.client import Authentication, Ciphering, get, release
from amity.devices.client.security_setup import agree_key, transfer_keys
from amity.devices.interface_classes import Role
from amity.protocols.dlms.data import double_long_unsigned
from amity.protocols.dlms.general_protection import KeyUse
from amity.protocols.dlms.protector import KeyId
from tests.unit.devices.conversing import Line, meter
from tests.unit.devices.key_service import RemoteProtector, key_service
from tests.unit.devices.test_security_suites import IMPORT_VALUE, allowed, settings

KEYS = {
    "unicast": bytes(range(16)),
    "authentication": bytes(range(16, 32)),
    "master": bytes(16),
    "secret": b"our secret",
    "signing": (1001).to_bytes(32, "big"),
    "agreement": (2001).to_bytes(32, "big"),
}
CASES = [
    (Authentication.HLS_GMAC, Ciphering.GLO, {}),
    (Authentication.HLS_SHA256, Ciphering.GENERAL_GLO, {}),
    (Authentication.HLS_ECDSA, Ciphering.GLO, {"dedicated_key": True}),
    *((Authentication.HLS_GMAC, Ciphering.GENERAL, {"key_use": key_use}) for key_use in KeyUse),
]


@pytest.mark.slow
def test_sessions_without_a_key_in_the_client():
    with key_service(1, KEYS) as protector:
        for how, wrap, changes in CASES:
            access = allowed(1, how, wrap)
            line = Line(meter(access))
            session = line.associate(settings(access, protector=protector, **changes))
            assert line.lead(get(session, IMPORT_VALUE)) == double_long_unsigned(4711)
            assert line.lead(release(session)) is True
        check_new_keys(protector)
        assert not any(key in repr(vars(protector)).encode() for key in KEYS.values())


def check_new_keys(protector: RemoteProtector) -> None:
    access = allowed(1, Authentication.HLS_GMAC, role=Role.MANAGEMENT)
    line = Line(meter(access))
    session = line.associate(settings(access, protector=protector))
    for change in (transfer_keys(session, [KeyId.GLOBAL_UNICAST], 1), agree_key(session, KeyId.GLOBAL_UNICAST)):
        renewed = line.lead(change)
        assert isinstance(renewed, RemoteProtector)
        assert line.lead(get(session, IMPORT_VALUE)) == double_long_unsigned(4711)
