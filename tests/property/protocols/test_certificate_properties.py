"""Certificates and requests with octets changed: believed or refused by one typed error, whatever was changed."""

from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given, settings
from hypothesis import strategies as st

from amity.devices.cosem.certificates import ByEntity, BySerial, CertificateInfo, KeptCertificate, identifications
from amity.kernel.errors import RemoteProtocolError, SecurityError
from amity.protocols.dlms.certificate_requests import certificate_request, checked_request
from amity.protocols.dlms.certificates import Purpose, Trust, check_authority, purpose_of
from amity.protocols.dlms.data import decode_all
from amity.protocols.dlms.suites import suite_of
from tests.unit.protocols.dlms.test_certificates import certificate

SUITE = suite_of(1)
NOW = datetime(2026, 3, 1, tzinfo=UTC)
TITLE = b"XXX\x00\x00\x00\x00\x07"
KEY, ROOT_KEY = (ec.derive_private_key(number, ec.SECP256R1()) for number in (13, 11))
ROOT = certificate("Root", ROOT_KEY, "Root", ROOT_KEY, authority=True, usage="key_cert_sign", start=NOW)
LEAF = certificate(TITLE.hex(), KEY, "Root", ROOT_KEY, start=NOW - timedelta(days=1))
LOOKS: dict[str, tuple[bytes, Callable[[bytes], Any]]] = {
    "sorted in": (LEAF, lambda der: KeptCertificate.of(der, TITLE)),
    "its purpose": (LEAF, purpose_of),
    "believed": (LEAF, lambda der: Trust((ROOT,)).check(der, SUITE, Purpose.SIGNING, NOW)),
    "an authority": (ROOT, lambda der: check_authority(der, SUITE, NOW)),
    "vouching": (ROOT, lambda der: Trust((der,)).check(LEAF, SUITE, Purpose.SIGNING, NOW)),
    "a request": (certificate_request(KEY, SUITE, TITLE), lambda der: checked_request(der, SUITE)),
}


@pytest.mark.parametrize("look", LOOKS)
@settings(max_examples=200)
@given(data=st.data())
def test_octets_changed_are_refused_in_one_way(look: str, data: st.DataObject):
    sound, seen = LOOKS[look]
    octets = bytearray(sound)
    for _ in range(data.draw(st.integers(1, 3))):
        octets[data.draw(st.integers(0, len(octets) - 1))] = data.draw(st.integers(0, 255))
    with suppress(SecurityError):
        seen(bytes(octets))


@given(st.binary(max_size=80))
def test_any_data_is_a_name_of_a_certificate_or_refused(octets: bytes):
    with suppress(RemoteProtocolError):
        identifications(decode_all(octets))
    with suppress(RemoteProtocolError):
        CertificateInfo.from_data(decode_all(octets))


@given(st.integers(0, (1 << 160) - 1), st.binary(max_size=40))
def test_names_of_certificates_come_back(number: int, octets: bytes):
    by_serial = BySerial(number, octets)
    assert identifications(by_serial.to_data())[0] == by_serial
    by_entity = ByEntity(ENTITY, TYPE, octets)
    assert identifications(by_entity.to_data()) == (by_entity,)
    info = CertificateInfo(ENTITY, TYPE, number, octets, octets, b"")
    assert CertificateInfo.from_data(info.to_data()) == info


ENTITY, TYPE = KeptCertificate.of(LEAF, TITLE).info[:2]
