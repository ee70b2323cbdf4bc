"""Certificates made here with `cryptography`; what is not sound is refused with its reason."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding

from amity.kernel.errors import SecurityError
from amity.protocols.dlms.certificates import Purpose, Trust, subject_title
from amity.protocols.dlms.elliptic import public_octets
from amity.protocols.dlms.suites import suite_of

NOW = datetime(2026, 3, 1, tzinfo=UTC)
METER = b"XXX\x00\x00\x00\x00\x07"
ROOT_KEY, SUB_KEY, METER_KEY, OTHER_KEY = (ec.derive_private_key(number, ec.SECP256R1()) for number in (11, 12, 13, 14))


def name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, text)])


def certificate(  # noqa: PLR0913 - a certificate has that many fields
    subject: str,
    key: Any,
    issuer: str,
    signed_by: Any,
    *critical: x509.ExtensionType,
    authority: bool = False,
    usage: str | None = "digital_signature",
    start: datetime = NOW - timedelta(days=1),
    days: int = 30,
    serial_number: int = 7,
) -> bytes:
    builder = (
        x509.CertificateBuilder()
        .subject_name(name(subject))
        .issuer_name(name(issuer))
        .public_key(key.public_key())
        .serial_number(serial_number)
        .not_valid_before(start)
        .not_valid_after(start + timedelta(days=days))
    )
    if authority:
        builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    for extension in critical:
        builder = builder.add_extension(extension, critical=True)
    if usage is not None:
        kinds = (
            "digital_signature", "content_commitment", "key_encipherment", "data_encipherment", "key_agreement",
            "key_cert_sign", "crl_sign", "encipher_only", "decipher_only",
        )  # fmt: skip
        builder = builder.add_extension(x509.KeyUsage(**{kind: kind == usage for kind in kinds}), critical=True)
    return builder.sign(signed_by, hashes.SHA256()).public_bytes(Encoding.DER)


STRANGE = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4.5"), b"\5\0")
ROOT = certificate("Root", ROOT_KEY, "Root", ROOT_KEY, authority=True, usage="key_cert_sign")
SUB = certificate("Sub", SUB_KEY, "Root", ROOT_KEY, authority=True, usage="key_cert_sign")
LEAF = certificate(METER.hex().upper(), METER_KEY, "Sub", SUB_KEY)


def check(leaf: bytes, purpose: Purpose = Purpose.SIGNING, suite: int = 1, trust: Trust | None = None) -> Any:
    return (trust or Trust((ROOT,), (SUB,))).check(leaf, suite_of(suite), purpose, NOW)


def test_a_sound_certificate_says_whose_key_it_is():
    checked = check(LEAF)
    assert checked.system_title == subject_title(LEAF) == METER
    assert checked.public == public_octets(METER_KEY.public_key())
    assert checked.purpose is Purpose.SIGNING
    assert LEAF.hex() not in repr(checked)
    assert check(LEAF, trust=Trust((SUB,))).system_title == METER


def test_a_key_for_agreement_is_for_nothing_else():
    leaf = certificate(METER.hex(), METER_KEY, "Sub", SUB_KEY, usage="key_agreement")
    assert check(leaf, Purpose.AGREEMENT).system_title == METER
    with pytest.raises(SecurityError, match="is not for digital signature"):
        check(leaf)
    with pytest.raises(SecurityError, match="is not for key agreement"):
        check(LEAF, Purpose.AGREEMENT)


P384_KEY = ec.derive_private_key(5, ec.SECP384R1())
RSA_KEY = rsa.generate_private_key(65537, 2048)
BAD: dict[str, tuple[bytes, str]] = {
    "nothing": (b"", "no X.509"),
    "rubbish": (b"\x30\x82\x01\x00" + bytes(256), "no X.509"),
    "cut off": (LEAF[:-1], "no X.509"),
    "too early": (certificate(METER.hex(), METER_KEY, "Sub", SUB_KEY, start=NOW + timedelta(days=1)), "is valid from"),
    "too late": (certificate(METER.hex(), METER_KEY, "Sub", SUB_KEY, start=NOW - timedelta(days=60)), "is valid from"),
    "no usage": (certificate(METER.hex(), METER_KEY, "Sub", SUB_KEY, usage=None), "does not say what its key is for"),
    "no title": (certificate("a meter", METER_KEY, "Sub", SUB_KEY), "names no system title"),
    "no hex title": (certificate("x" * 16, METER_KEY, "Sub", SUB_KEY), "names no system title"),
    "RSA": (certificate(METER.hex(), RSA_KEY, "Sub", SUB_KEY), "curve of suite 1"),
    "another curve": (certificate(METER.hex(), P384_KEY, "Sub", SUB_KEY), "curve of suite 1"),
    "forged issuer": (certificate(METER.hex(), METER_KEY, "Sub", OTHER_KEY), "no trust anchor"),
    "unknown issuer": (certificate(METER.hex(), METER_KEY, "Who", OTHER_KEY), "no trust anchor"),
    "signed by a meter": (certificate(METER.hex(), OTHER_KEY, METER.hex().upper(), METER_KEY), "no trust anchor"),
    "title with spaces": (certificate("58 58 58 00 0000", METER_KEY, "Sub", SUB_KEY), "names no system title"),
    "an authority itself": (certificate(METER.hex(), METER_KEY, "Sub", SUB_KEY, authority=True), "certification auth"),
    "strangely critical": (certificate(METER.hex(), METER_KEY, "Sub", SUB_KEY, STRANGE), "nobody here knows"),
    "self-signed": (certificate(METER.hex(), METER_KEY, METER.hex(), METER_KEY), "no trust anchor"),
}  # fmt: skip


@pytest.mark.parametrize("wrong", BAD)
def test_what_is_not_sound_is_refused_with_its_reason(wrong: str):
    leaf, words = BAD[wrong]
    with pytest.raises(SecurityError, match=words):
        check(leaf, trust=Trust((ROOT,), (SUB, LEAF)))


def authority(subject: str, key: Any, issuer: str, signed_by: Any, path_length: int | None) -> bytes:
    constraints = x509.BasicConstraints(ca=True, path_length=path_length)
    return certificate(subject, key, issuer, signed_by, constraints, usage="key_cert_sign")


@pytest.mark.parametrize(("root_length", "sub_length", "believed"), [
    (None, None, True), (1, 0, True), (0, None, False), (0, 0, False), (None, 0, True), (2, None, True),
])  # fmt: skip
def test_a_chain_is_no_longer_than_its_authorities_allow(
    root_length: int | None, sub_length: int | None, believed: bool
):
    root = authority("Root", ROOT_KEY, "Root", ROOT_KEY, root_length)
    sub = authority("Sub", SUB_KEY, "Root", ROOT_KEY, sub_length)
    assert _accepted(LEAF, Trust((root,), (sub,))) is believed
    assert _accepted(certificate(METER.hex(), METER_KEY, "Root", ROOT_KEY), Trust((root,)))
    beneath = authority("SubSub", OTHER_KEY, "Sub", SUB_KEY, None)
    deep = certificate(METER.hex(), METER_KEY, "SubSub", OTHER_KEY)
    deep_enough = root_length in {None, 2} and sub_length is None
    assert _accepted(deep, Trust((root,), (sub, beneath))) is deep_enough


def test_an_authority_that_says_something_critical_nobody_knows_vouches_for_nobody():
    sub = certificate("Sub", SUB_KEY, "Root", ROOT_KEY, STRANGE, authority=True, usage="key_cert_sign")
    assert not _accepted(LEAF, Trust((ROOT,), (sub,)))


def _accepted(leaf: bytes, trust: Trust) -> bool:
    try:
        return check(leaf, trust=trust).system_title == METER
    except SecurityError:
        return False


def test_an_issuer_out_of_date_or_without_the_right_vouches_for_nobody():
    for sub in (
        certificate("Sub", SUB_KEY, "Root", ROOT_KEY, authority=True, usage="key_cert_sign", days=0),
        certificate("Sub", SUB_KEY, "Root", ROOT_KEY, authority=True, usage="digital_signature"),
        certificate("Sub", SUB_KEY, "Root", ROOT_KEY, authority=False, usage="key_cert_sign"),
        certificate("Sub", SUB_KEY, "Root", ROOT_KEY, authority=True, usage=None),
    ):
        with pytest.raises(SecurityError, match="no trust anchor"):
            check(LEAF, trust=Trust((ROOT,), (sub,)))
        with pytest.raises(SecurityError, match="no trust anchor"):
            check(LEAF, trust=Trust((sub,)))


def test_a_chain_has_an_end():
    keys = [ec.derive_private_key(100 + number, ec.SECP256R1()) for number in range(8)]
    chain = [
        certificate(
            f"CA{number}", keys[number], f"CA{number + 1}", keys[number + 1], authority=True, usage="key_cert_sign"
        )
        for number in range(7)
    ]
    top = certificate("CA7", keys[7], "CA7", keys[7], authority=True, usage="key_cert_sign")
    leaf = certificate(METER.hex(), METER_KEY, "CA0", keys[0])
    with pytest.raises(SecurityError, match="no trust anchor"):
        check(leaf, trust=Trust((top,), tuple(chain)))
    assert check(leaf, trust=Trust((chain[2],), tuple(chain))).system_title == METER
