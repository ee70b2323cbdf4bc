"""Whatever octets come: a proof, a certificate, a point, a message is believed or refused by one typed error."""

from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from amity.devices.key_parameters import KeyParametersError, keyed_data, keyed_octets
from amity.kernel.errors import SecurityError
from amity.protocols.dlms import apdu, elliptic
from amity.protocols.dlms.acse import Mechanism
from amity.protocols.dlms.apdu import Ciphered, GeneralCiphering, GeneralSigning
from amity.protocols.dlms.certificates import Purpose, Trust
from amity.protocols.dlms.ciphering import unwrap, wrap_general_glo
from amity.protocols.dlms.data import DecodeError, decode_all
from amity.protocols.dlms.general_protection import (
    KeyUse,
    Parties,
    PublicKeys,
    open_signed,
    sign_general,
    unwrap_general,
    wrap_general,
)
from amity.protocols.dlms.hls import Proof, check
from amity.protocols.dlms.key_ring import KeyRing, Keys
from amity.protocols.dlms.protector import KeyId, WrappedKey
from amity.protocols.dlms.suites import suite_of

CLIENT, METER = b"AMY\x00\x00\x00\x00\x01", b"XXX\x00\x00\x00\x00\x07"
RING = KeyRing(
    1,
    Keys(
        bytes(16), bytes(16), master=bytes(16), secret=b"s", signing=bytes(31) + b"\x05", agreement=bytes(31) + b"\x06"
    ),
    lambda count: bytes(range(count)),
)
PRIVATE = [elliptic.private_key(suite_of(1), bytes(31) + bytes([number])) for number in (5, 6)]
POINTS = PublicKeys(*(elliptic.public_octets(key.public_key()) for key in PRIVATE))
OURS, THEIRS = Parties(RING, CLIENT, METER, POINTS), Parties(RING, METER, CLIENT, POINTS)
NOW = datetime(2026, 1, 1, tzinfo=UTC)
HLS = st.sampled_from([mechanism for mechanism in Mechanism if mechanism >= Mechanism.HLS])


def refused(wire: bytes) -> bool:
    """Undo whatever protection the octets claim to have."""
    try:
        message = apdu.decode(wire)
    except DecodeError:
        return True
    try:
        if isinstance(message, Ciphered):
            unwrap(RING, 0x30, CLIENT, message)
        elif isinstance(message, GeneralCiphering):
            unwrap_general(THEIRS, message)
        elif isinstance(message, GeneralSigning):
            open_signed(THEIRS, message)
        else:
            return True
    except SecurityError:
        return True
    return False


@given(st.binary(max_size=300), st.sampled_from([0xC8, 0xDB, 0xDC, 0xDD, 0xDF]))
def test_octets_that_claim_to_be_protected_are_refused(octets: bytes, tag: int):
    assert refused(bytes([tag]) + octets)


def less_protected(octets: bytes) -> bool:
    message = apdu.decode(octets)
    return isinstance(message, GeneralCiphering) and message.security_control & 0x30 != 0x30


@given(st.data(), st.binary(min_size=1, max_size=200), st.integers(1, 0xFFFF_FFFF))
def test_a_protected_message_with_any_octet_changed_is_refused(data: st.DataObject, plain: bytes, number: int):
    wires = [wrap_general_glo(RING, 0x31, CLIENT, number, plain), sign_general(OURS, number, plain)]
    wires += [wrap_general(OURS, key_use, 0x31, number, plain) for key_use in KeyUse]
    wire = data.draw(st.sampled_from(wires))
    assert not refused(wire)
    at, bit = data.draw(st.integers(1, len(wire) - 1)), data.draw(st.integers(0, 7))
    changed = wire[:at] + bytes([wire[at] ^ 1 << bit]) + wire[at + 1 :]
    if wire[0] == GeneralCiphering.TAG and not refused(changed) and less_protected(changed):
        return  # what `MessageSecurity` refuses by its policy, before a key is asked
    assert refused(changed) or apdu.decode(changed) == apdu.decode(wire)  # a mark of presence may be any but zero


@given(HLS, st.binary(max_size=80))
def test_no_other_octets_prove_anything(mechanism: Mechanism, answer: bytes):
    try:
        check(mechanism, RING, Proof(METER, CLIENT, b"a challenge of it", b"and one of ours"), answer, POINTS.signing)
    except SecurityError:
        return
    raise AssertionError(f"{answer.hex()} was believed")


@given(st.binary(max_size=130))
def test_any_octets_are_a_point_of_the_curve_or_refused(octets: bytes):
    try:
        key = elliptic.public_key(suite_of(1), octets)
    except SecurityError:
        return
    assert elliptic.public_octets(key) == octets


@given(st.binary(max_size=400))
def test_any_octets_are_refused_as_a_certificate(octets: bytes):
    try:
        Trust((octets,)).check(octets, suite_of(1), Purpose.SIGNING, NOW)
    except SecurityError:
        return
    raise AssertionError("it was believed")


@given(st.binary(max_size=60))
def test_any_octets_are_refused_as_a_wrapped_key(octets: bytes):
    try:
        RING.adopt([WrappedKey(KeyId.GLOBAL_UNICAST, octets)])
    except SecurityError:
        return
    raise AssertionError("it was adopted")


@given(st.lists(st.tuples(st.sampled_from(KeyId), st.binary(max_size=40)), min_size=1, unique_by=lambda one: one[0]))
def test_key_parameters_come_back(keys: list[tuple[KeyId, bytes]]):
    assert keyed_octets(keyed_data(keys)) == keys


@given(st.binary(max_size=60))
def test_any_data_is_key_parameters_or_refused(octets: bytes):
    try:
        keyed_octets(decode_all(b"\x01" + octets))
    except (KeyParametersError, DecodeError):
        return
