"""Associations whose signatures are believed because a certificate in AARQ and AARE says so."""

from datetime import UTC, datetime

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from amity.devices.client import AssociationRejectedError, Authentication, get
from amity.devices.settings import PeerTrust
from amity.kernel.errors import SecurityError
from amity.protocols.dlms.acse import SourceDiagnostic
from amity.protocols.dlms.certificates import Trust
from amity.protocols.dlms.data import double_long_unsigned
from amity.protocols.dlms.general_protection import PublicKeys
from tests.unit.devices.conversing import CLIENT_TITLE, METER_TITLE, Line, meter
from tests.unit.devices.test_security_suites import IMPORT_VALUE, allowed, settings
from tests.unit.protocols.dlms.test_certificates import NOW, ROOT, ROOT_KEY, certificate

UNKNOWN = PublicKeys()
CLIENT_KEY, METER_KEY = (ec.derive_private_key(number, ec.SECP256R1()) for number in (1001, 1002))
CLIENTS = certificate(CLIENT_TITLE.hex().upper(), CLIENT_KEY, "Root", ROOT_KEY)
METERS = certificate(METER_TITLE.hex().upper(), METER_KEY, "Root", ROOT_KEY)
TRUST = PeerTrust(Trust((ROOT,)), lambda: NOW)
ACCESS = allowed(1, Authentication.HLS_ECDSA, signed=True, client_keys=UNKNOWN, trust=TRUST)


def test_nobody_knows_the_others_key_beforehand():
    line = Line(meter(ACCESS, certificate=METERS))
    session = line.associate(settings(ACCESS, server_keys=UNKNOWN, trust=TRUST, certificate=CLIENTS))
    assert line.lead(get(session, IMPORT_VALUE)) == double_long_unsigned(4711)


@pytest.mark.parametrize(("shown", "words"), [
    (CLIENTS, "is that of"), (certificate(METER_TITLE.hex(), METER_KEY, "Root", METER_KEY), "no trust anchor"),
])  # fmt: skip
def test_a_meter_with_somebody_elses_certificate_is_refused(shown: bytes, words: str):
    line = Line(meter(ACCESS, certificate=shown))
    with pytest.raises(SecurityError, match=words):
        line.associate(settings(ACCESS, server_keys=UNKNOWN, trust=TRUST, certificate=CLIENTS))
    assert len(line.requests) == 1


def test_a_client_with_somebody_elses_certificate_is_rejected():
    with pytest.raises(AssociationRejectedError) as caught:
        Line(meter(ACCESS, certificate=METERS)).associate(settings(ACCESS, trust=TRUST, certificate=METERS))
    assert caught.value.diagnostic is SourceDiagnostic.AUTHENTICATION_FAILURE


def test_without_a_certificate_and_without_a_key_nothing_is_believed():
    with pytest.raises(AssociationRejectedError):
        Line(meter(ACCESS, certificate=METERS)).associate(settings(ACCESS))
    access = allowed(1, Authentication.HLS_ECDSA)
    with pytest.raises(SecurityError, match="does not verify"):
        Line(meter(access)).associate(settings(access, server_keys=UNKNOWN, trust=TRUST))


def test_a_certificate_is_checked_at_the_instant_of_asking():
    late = PeerTrust(TRUST.anchors, lambda: datetime(2030, 1, 1, tzinfo=UTC))
    with pytest.raises(SecurityError, match="is valid from"):
        Line(meter(ACCESS, certificate=METERS)).associate(
            settings(ACCESS, server_keys=UNKNOWN, trust=late, certificate=CLIENTS)
        )
