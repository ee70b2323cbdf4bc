"""Class 64, methods 4 to 8 between client and meter: key pairs and certificates; what is unsound changes nothing."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from amity.devices.client import Authentication, MethodRefusedError, Session, act, get
from amity.devices.client.certificates import (
    export_certificate,
    generate_key_pair,
    import_certificate,
    read_certificates,
    remove_certificate,
    request_certificate,
)
from amity.devices.cosem.certificates import (
    ByEntity,
    BySerial,
    CertificateEntity,
    CertificateInfo,
    CertificateType,
    identifications,
)
from amity.devices.interface_classes import Role
from amity.devices.server import ClientAccess
from amity.devices.settings import PeerTrust
from amity.kernel.errors import RemoteProtocolError, SecurityError
from amity.protocols.dlms import elliptic
from amity.protocols.dlms.apdu import ActionResult, Method
from amity.protocols.dlms.certificate_requests import certificate_request, checked_request
from amity.protocols.dlms.certificates import Purpose, Trust
from amity.protocols.dlms.data import Data, array, double_long_unsigned, enum, octet_string, structure
from amity.protocols.dlms.general_protection import PublicKeys
from amity.protocols.dlms.key_ring import Keys
from amity.protocols.dlms.suites import suite_of
from tests.unit.devices.conversing import CLIENT_TITLE, METER_TITLE, NOW, Line, meter, ports
from tests.unit.devices.test_security_setup import SETUP
from tests.unit.devices.test_security_suites import IMPORT_VALUE, allowed, ring, settings
from tests.unit.protocols.dlms.test_certificates import certificate

ROOT_KEY, CLIENT_KEY, OTHER_KEY = (ec.derive_private_key(number, ec.SECP256R1()) for number in (11, 1001, 77))
AGO = NOW - timedelta(days=1)
SIGNING, AGREEMENT = Purpose.SIGNING, Purpose.AGREEMENT
OWN_SIGNING = ByEntity(CertificateEntity.SERVER, CertificateType.SIGNING, METER_TITLE)
CLIENTS_SIGNING = ByEntity(CertificateEntity.CLIENT, CertificateType.SIGNING, CLIENT_TITLE)


def made(subject: str, key: Any, signed_by: Any = ROOT_KEY, **changes: Any) -> bytes:
    return certificate(subject, key, "Root", signed_by, **({"start": AGO} | changes))


ROOT = made("Root", ROOT_KEY, authority=True, usage="key_cert_sign")
CLIENTS = made(CLIENT_TITLE.hex().upper(), CLIENT_KEY)
TRUST = PeerTrust(Trust((ROOT,)), lambda: NOW)


def managing(**changes: Any) -> ClientAccess:
    return allowed(1, Authentication.HLS_GMAC, **({"role": Role.MANAGEMENT, "trust": TRUST} | changes))


def opened(
    access: ClientAccess | None = None, server: Any = None, first: int = 1, **changes: Any
) -> tuple[Line, Session]:
    used = access or managing()
    line = Line(server or meter(used))
    return line, line.associate(settings(used, **changes), ports(first))


def certified(line: Line, session: Session, purpose: Purpose = SIGNING) -> bytes:
    """A new key of the meter, as far as its certificate; not imported yet."""
    line.lead(generate_key_pair(session, purpose))
    request = line.lead(request_certificate(session, purpose))
    return certified_point(request.public, purpose)


def certified_point(public: bytes, purpose: Purpose = SIGNING, title: bytes = METER_TITLE) -> bytes:
    class Key:
        def public_key(self) -> ec.EllipticCurvePublicKey:
            return elliptic.public_key(suite_of(1), public)

    return made(title.hex().upper(), Key(), usage="digital_signature" if purpose is SIGNING else "key_agreement")


# ------------------------------------------------------------------ the usual way
@pytest.mark.parametrize("suite", [1, 2])
@pytest.mark.parametrize("purpose", Purpose)
def test_a_meter_asks_for_a_certificate_of_a_key_that_it_never_shows(suite: int, purpose: Purpose):
    access = allowed(suite, Authentication.HLS_GMAC, role=Role.MANAGEMENT)
    line, session = opened(access)
    before = line.lead(request_certificate(session, purpose))
    line.lead(generate_key_pair(session, purpose))
    after = line.lead(request_certificate(session, purpose))
    assert before.system_title == after.system_title == METER_TITLE
    assert before.public != after.public
    assert len(after.public) == suite_of(suite).public_key_octets
    request = x509.load_der_x509_csr(after.der)
    assert request.is_signature_valid
    assert request.signature_hash_algorithm.name == suite_of(suite).digest.name


def test_a_new_signing_key_holds_as_soon_as_its_certificate_is_imported():
    access = managing(signed=True)
    server = meter(access)
    line, session = opened(access, server)
    der = certified(line, session)
    assert line.lead(get(session, IMPORT_VALUE)) == double_long_unsigned(4711)  # the old key still signs
    line.lead(import_certificate(session, der))
    with pytest.raises(SecurityError, match="does not verify"):
        line.lead(get(session, IMPORT_VALUE))
    line.association.close()
    line, session = opened(access, server, 100, server_keys=PublicKeys(), trust=TRUST)  # the AARE shows it
    assert line.lead(get(session, IMPORT_VALUE)) == double_long_unsigned(4711)
    assert line.lead(export_certificate(session, OWN_SIGNING)) == der


def test_what_is_kept_is_listed_given_out_and_forgotten():
    line, session = opened()
    own = certified(line, session, AGREEMENT)
    for der in (own, CLIENTS, ROOT):
        line.lead(import_certificate(session, der))
    infos = line.lead(read_certificates(session))
    parsed = x509.load_der_x509_certificate(CLIENTS)
    assert [(info.entity, info.type) for info in infos] == [
        (CertificateEntity.SERVER, CertificateType.AGREEMENT), (CertificateEntity.CLIENT, CertificateType.SIGNING),
        (CertificateEntity.AUTHORITY, CertificateType.OTHER),
    ]  # fmt: skip
    names = (parsed.issuer.public_bytes(), parsed.subject.public_bytes())
    assert infos[1] == (*infos[1][:2], parsed.serial_number, *names, b"")
    by_serial = BySerial(parsed.serial_number, parsed.issuer.public_bytes())
    assert line.lead(export_certificate(session, CLIENTS_SIGNING)) == CLIENTS
    assert line.lead(export_certificate(session, by_serial)) in {own, CLIENTS, ROOT}  # they have one number here
    line.lead(remove_certificate(session, CLIENTS_SIGNING))
    with pytest.raises(MethodRefusedError, match="other-reason"):
        line.lead(export_certificate(session, CLIENTS_SIGNING))
    assert len(line.lead(read_certificates(session))) == 2


def test_a_newer_certificate_of_the_same_owner_takes_the_place_of_the_old():
    line, session = opened()
    newer = made(CLIENT_TITLE.hex().upper(), OTHER_KEY)
    for der in (CLIENTS, newer, newer):
        line.lead(import_certificate(session, der))
    assert len(line.lead(read_certificates(session))) == 1
    assert line.lead(export_certificate(session, CLIENTS_SIGNING)) == newer


def test_a_clients_key_is_known_by_its_certificate_from_the_next_association_on():
    access = managing(client_keys=PublicKeys(), client_title=CLIENT_TITLE)
    server = meter(access)
    line, session = opened(access, server)
    line.lead(import_certificate(session, CLIENTS))
    line.association.close()
    assert server.access_of(1).client_keys.signing == elliptic.public_octets(CLIENT_KEY.public_key())
    line, session = opened(access, server, 100)
    line.lead(remove_certificate(session, CLIENTS_SIGNING))
    assert server.access_of(1).client_keys == PublicKeys()


def test_a_strangers_certificate_is_kept_and_opens_nothing():
    access = managing(client_keys=PublicKeys(), client_title=CLIENT_TITLE)
    server = meter(access)
    line, session = opened(access, server)
    line.lead(import_certificate(session, made("00" * 7 + "01", OTHER_KEY)))
    assert server.access_of(1).client_keys == PublicKeys()


# ------------------------------------------------------------------ what is not taken
P384_KEY = ec.derive_private_key(5, ec.SECP384R1())
BAD: dict[str, Callable[[], bytes]] = {
    "rubbish": lambda: b"\x30\x82\x01\x00" + bytes(256),
    "nothing": lambda: b"",
    "too early": lambda: made(CLIENT_TITLE.hex(), CLIENT_KEY, start=NOW + timedelta(days=1)),
    "out of date": lambda: made(CLIENT_TITLE.hex(), CLIENT_KEY, start=NOW - timedelta(days=90)),
    "no title": lambda: made("a client", CLIENT_KEY),
    "no usage": lambda: made(CLIENT_TITLE.hex(), CLIENT_KEY, usage=None),
    "for keys of other kinds": lambda: made(CLIENT_TITLE.hex(), CLIENT_KEY, usage="key_encipherment"),
    "the curve of another suite": lambda: made(CLIENT_TITLE.hex(), P384_KEY),
    "forged issuer": lambda: made(CLIENT_TITLE.hex(), CLIENT_KEY, OTHER_KEY),
    "a self-made authority": lambda: made("Root", OTHER_KEY, OTHER_KEY, authority=True, usage="key_cert_sign"),
    "an authority out of date": lambda: made(
        "Root", ROOT_KEY, authority=True, usage="key_cert_sign", start=NOW - timedelta(days=90)
    ),
    "in our name with a key that is not ours": lambda: made(METER_TITLE.hex(), OTHER_KEY),
}


@pytest.mark.parametrize("wrong", BAD)
def test_an_unsound_certificate_changes_nothing(wrong: str):
    access = managing(client_title=CLIENT_TITLE)
    server = meter(access)
    line, session = opened(access, server)
    with pytest.raises(MethodRefusedError, match="other-reason"):
        line.lead(import_certificate(session, BAD[wrong]()))
    assert line.lead(read_certificates(session)) == ()
    assert server.access_of(1) is access


def test_the_first_authority_is_taken_on_the_word_of_whoever_commissions_the_meter_and_then_vouches():
    line, session = opened(managing(trust=None))
    line.lead(import_certificate(session, ROOT))
    with pytest.raises(MethodRefusedError):
        line.lead(import_certificate(session, made(CLIENT_TITLE.hex(), CLIENT_KEY, OTHER_KEY)))
    line.lead(import_certificate(session, CLIENTS))


def test_a_meter_keeps_no_more_than_it_has_room_for():
    line, session = opened()
    for number in range(32):
        line.lead(import_certificate(session, made(f"{number:016X}", CLIENT_KEY)))
    with pytest.raises(MethodRefusedError, match="other-reason"):
        line.lead(import_certificate(session, CLIENTS))
    line.lead(import_certificate(session, made(f"{3:016X}", OTHER_KEY)))


WRONG_SHAPES = [
    (4, octet_string(b"\x00")), (5, array(())), (6, enum(0)), (7, enum(0)), (8, structure(enum(0))),
    (7, structure(enum(2), structure())), (7, structure(enum(0), structure(enum(9), enum(0), octet_string(b"")))),
    (8, structure(enum(1), structure(octet_string(b""), enum(1)))), (8, structure(enum(0), octet_string(b"a"))),
]  # fmt: skip


@pytest.mark.parametrize(("index", "parameter"), WRONG_SHAPES)
def test_parameters_of_another_shape_are_named_so(index: int, parameter: Data):
    line, session = opened()
    with pytest.raises(MethodRefusedError) as caught:
        line.lead(act(session, Method(64, SETUP, index), parameter))
    assert caught.value.result is ActionResult.TYPE_UNMATCHED


@pytest.mark.parametrize("kind", [CertificateType.TLS, CertificateType.OTHER])
@pytest.mark.parametrize("index", [4, 5])
def test_key_pairs_for_anything_else_there_are_none(index: int, kind: CertificateType):
    line, session = opened()
    with pytest.raises(MethodRefusedError) as caught:
        line.lead(act(session, Method(64, SETUP, index), enum(kind)))
    assert caught.value.result is ActionResult.OTHER_REASON


@pytest.mark.parametrize("index", range(4, 9))
def test_a_client_who_only_reads_manages_no_certificates(index: int):
    line, session = opened(managing(role=Role.READING))
    with pytest.raises(MethodRefusedError) as caught:
        line.lead(act(session, Method(64, SETUP, index), enum(0)))
    assert caught.value.result is ActionResult.READ_WRITE_DENIED


# ------------------------------------------------------------------ what a meter may not get away with
def returning(monkeypatch: pytest.MonkeyPatch, returned: Data | None) -> None:
    """Whatever method is called, the meter returns this."""

    def call(*_arguments: Any) -> Any:
        return returned
        yield b""

    monkeypatch.setattr("amity.devices.client.named.call", call)


def test_a_request_in_another_name_is_not_passed_on(monkeypatch: pytest.MonkeyPatch):
    line, session = opened()
    returning(monkeypatch, octet_string(certificate_request(OTHER_KEY, suite_of(1), CLIENT_TITLE)))
    with pytest.raises(SecurityError, match="in the name of"):
        line.lead(request_certificate(session, SIGNING))


def test_a_request_that_is_unsound_is_not_passed_on():
    suite = suite_of(1)
    genuine = certificate_request(OTHER_KEY, suite, CLIENT_TITLE)
    altered = genuine[:-3] + bytes([genuine[-3] ^ 1]) + genuine[-2:]
    with pytest.raises(SecurityError, match="not signed with the key"):
        checked_request(altered, suite)
    for rubbish in (b"", genuine[:-1], CLIENTS):
        with pytest.raises(SecurityError, match="no request"):
            checked_request(rubbish, suite)
    with pytest.raises(SecurityError, match="curve"):
        checked_request(certificate_request(P384_KEY, suite_of(2), METER_TITLE), suite)


def test_another_certificate_than_was_asked_for_is_not_believed(monkeypatch: pytest.MonkeyPatch):
    line, session = opened()
    returning(monkeypatch, octet_string(CLIENTS))
    with pytest.raises(SecurityError, match="another certificate"):
        line.lead(export_certificate(session, OWN_SIGNING))
    returning(monkeypatch, None)
    with pytest.raises(RemoteProtocolError, match="with nothing"):
        line.lead(export_certificate(session, OWN_SIGNING))


@pytest.mark.parametrize(
    "data", [enum(0), structure(enum(0)), structure(*[enum(0)] * 6), structure(*[octet_string(b"")] * 6)]
)
def test_a_list_of_something_else_is_refused(data: Data):
    with pytest.raises(RemoteProtocolError):
        CertificateInfo.from_data(data)


# ------------------------------------------------------------------ the keys behind the port
def test_a_pair_waits_until_it_is_put_in_use_and_is_shown_by_nothing():
    held = ring(1, 2)
    public = PublicKeys(
        *(checked_request(held.certificate_request(purpose, METER_TITLE), suite_of(1)).public for purpose in Purpose)
    )
    fresh = held.generate(SIGNING)
    waiting = checked_request(fresh.certificate_request(SIGNING, METER_TITLE), suite_of(1)).public
    elliptic.verify(public.signing, suite_of(1), b"message", fresh.sign(b"message"))
    used = fresh.put_in_use(SIGNING, waiting)
    elliptic.verify(waiting, suite_of(1), b"message", used.sign(b"message"))
    with pytest.raises(SecurityError, match="belongs to no key pair"):
        used.put_in_use(SIGNING, public.signing)
    assert fresh.put_in_use(SIGNING, public.signing).put_in_use(SIGNING, waiting)
    assert "signing" not in repr(Keys(next_signing=b"x"))


def test_who_holds_no_pair_or_no_chance_says_so():
    bare = type(ring(1, 1))(1, Keys(bytes(16), bytes(16)))
    with pytest.raises(SecurityError, match="no source of chance"):
        bare.generate(SIGNING)
    with pytest.raises(SecurityError, match="no key pair"):
        bare.certificate_request(AGREEMENT, METER_TITLE)
    with pytest.raises(SecurityError, match="belongs to no key pair"):
        bare.put_in_use(SIGNING, bytes(64))


LIKE_DER = 0x0206_0ABB_CCDD_EEFF


def kept_under(number: int) -> bytes:
    return made(CLIENT_TITLE.hex().upper(), CLIENT_KEY, serial_number=number)


@pytest.mark.parametrize("number", [LIKE_DER, 0x0206_AABB_CCDD_EEFF, 0x0201_00, 0x0202_0001, 0x02])
def test_a_number_that_looks_like_an_integer_of_der_is_the_number(number: int):
    line, session = opened(managing(trust=None))
    der = kept_under(number)
    line.lead(import_certificate(session, der))
    issuer = x509.load_der_x509_certificate(der).issuer.public_bytes()
    assert line.lead(export_certificate(session, BySerial(number, issuer))) == der
    assert identifications(BySerial(number, issuer).to_data())[0] == BySerial(number, issuer)


def test_the_number_as_a_whole_integer_of_der_is_understood():
    for whole in ("02020080", "020180"):  # with the octet of the sign, and without as the peer has it
        wrapped = octet_string(bytes.fromhex(whole))
        named = identifications(structure(enum(1), structure(wrapped, octet_string(b"issuer"))))
        assert named == (BySerial(int(whole, 16), b"issuer"), BySerial(0x80, b"issuer"))
    for no_der in ("02020001", "0203c8", "0200", "02"):
        data = structure(enum(1), structure(octet_string(bytes.fromhex(no_der)), octet_string(b"")))
        assert identifications(data) == (BySerial(int(no_der, 16), b""),)


# ------------------------------------------------------------------ authorities that came over the line
def authority(subject: str, key: Any, issuer: str, signed_by: Any, beneath: int | None) -> bytes:
    constraints = x509.BasicConstraints(ca=True, path_length=beneath)
    return certificate(subject, key, issuer, signed_by, constraints, usage="key_cert_sign", start=AGO)


@pytest.mark.parametrize("beneath", [0, 1])
def test_an_imported_authority_is_no_anchor_of_its_own(beneath: int):
    root = authority("Root", ROOT_KEY, "Root", ROOT_KEY, beneath)
    line, session = opened(managing(trust=PeerTrust(Trust((root,)), lambda: NOW)))
    line_of = [("Sub", OTHER_KEY, "Root", ROOT_KEY), ("Subsub", CLIENT_KEY, "Sub", OTHER_KEY)]
    for taken, (subject, key, issuer, by) in enumerate(line_of):
        importing = import_certificate(session, authority(subject, key, issuer, by, None))
        if taken < beneath:
            line.lead(importing)
        else:
            with pytest.raises(MethodRefusedError):
                line.lead(importing)


def test_without_the_authority_that_was_imported_first_nothing_is_taken_any_more():
    line, session = opened(managing(trust=None))
    line.lead(import_certificate(session, ROOT))
    (info,) = line.lead(read_certificates(session))
    line.lead(remove_certificate(session, BySerial(info.serial_number, info.issuer)))
    for der in (made(CLIENT_TITLE.hex().upper(), CLIENT_KEY, OTHER_KEY), ROOT):
        with pytest.raises(MethodRefusedError):
            line.lead(import_certificate(session, der))
