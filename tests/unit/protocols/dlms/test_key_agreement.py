"""Curves, agreed keys and wrapped keys, checked with hashlib and `cryptography` alone."""

import hashlib
import itertools
from collections.abc import Callable

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.keywrap import aes_key_unwrap

from amity.kernel.errors import LocalProtocolError, SecurityError
from amity.protocols.dlms import elliptic
from amity.protocols.dlms.apdu import GeneralCiphering, GeneralSigning, decode
from amity.protocols.dlms.general_protection import (
    KeyUse,
    Parties,
    PublicKeys,
    number_of,
    open_signed,
    sign_general,
    unwrap_general,
    wrap_general,
)
from amity.protocols.dlms.key_agreement import agreed_information, derived_key, party_of_static
from amity.protocols.dlms.key_ring import KeyRing, Keys
from amity.protocols.dlms.protector import KeyId, WrappedKey
from amity.protocols.dlms.suites import suite_of

CLIENT, METER = b"AMY\x00\x00\x00\x00\x01", b"XXX\x00\x00\x00\x00\x07"
APDU = bytes.fromhex("c001c100080000010000ff0200")
CURVES = {1: ec.SECP256R1(), 2: ec.SECP384R1()}
KEY_OCTETS, COORDINATE_OCTETS = {0: 16, 1: 16, 2: 32}, {1: 32, 2: 48}


def chance(seed: int) -> Callable[[int], bytes]:
    numbers = itertools.count()
    return lambda count: hashlib.shake_128(bytes([seed]) + next(numbers).to_bytes(4, "big")).digest(count)


def ring(suite: int, number: int) -> KeyRing:
    octets = KEY_OCTETS[suite]
    private = {}
    if suite:
        private = {
            "signing": (1000 + number).to_bytes(COORDINATE_OCTETS[suite], "big"),
            "agreement": (2000 + number).to_bytes(COORDINATE_OCTETS[suite], "big"),
        }
    keys = Keys(bytes(range(octets)), bytes(range(1, octets + 1)), master=bytes(range(2, octets + 2)), **private)
    return KeyRing(suite, keys, chance(number))


def public(suite: int, number: int) -> bytes:
    numbers = ec.derive_private_key(number, CURVES[suite]).public_key().public_numbers()
    size = COORDINATE_OCTETS[suite]
    return numbers.x.to_bytes(size, "big") + numbers.y.to_bytes(size, "big")


def parties(suite: int) -> tuple[Parties, Parties]:
    keys = [
        PublicKeys(public(suite, 1000 + who), public(suite, 2000 + who)) if suite else PublicKeys() for who in (1, 2)
    ]
    return Parties(ring(suite, 1), CLIENT, METER, keys[1]), Parties(ring(suite, 2), METER, CLIENT, keys[0])


# ------------------------------------------------------------------ points
@pytest.mark.parametrize("suite", [1, 2])
def test_a_point_off_the_curve_is_refused_before_our_key_touches_it(suite: int):
    good = public(suite, 5)
    size = COORDINATE_OCTETS[suite]
    for wrong in (
        good[:-1] + bytes([good[-1] ^ 1]), bytes(2 * size), good[size:] + good[:size], good[:-1], b"", b"\x04" + good,
        b"\xff" * (2 * size),
    ):  # fmt: skip
        with pytest.raises(SecurityError, match="no public key"):
            ring(suite, 1).agree(wrong, b"")
        with pytest.raises(SecurityError, match="no public key"):
            ring(suite, 1).offer().agree(wrong, b"")


@pytest.mark.parametrize("octets", [bytes(32), b"\xff" * 32, b"\x01" * 31])
def test_a_private_key_outside_its_group_is_refused(octets: bytes):
    with pytest.raises(LocalProtocolError, match="private key"):
        KeyRing(1, Keys(signing=octets))


def test_suite_0_knows_no_curves():
    with pytest.raises(LocalProtocolError):
        KeyRing(0, Keys(signing=bytes(32)))
    with pytest.raises(LocalProtocolError, match="no curve"):
        KeyRing(0, Keys(), chance(1)).offer()


def test_ephemeral_keys_come_from_the_chance_that_was_given():
    first, second = (KeyRing(1, Keys(), chance(3)).offer().public for _ in range(2))
    assert first == second != KeyRing(1, Keys(), chance(4)).offer().public
    octets = int.from_bytes(chance(3)(40), "big")
    order = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
    assert first == public(1, octets % (order - 1) + 1)


def test_the_nonce_of_a_signature_comes_from_key_and_message_alone():
    assert ring(1, 1).sign(APDU) == ring(1, 1).sign(APDU) != ring(1, 1).sign(APDU[:-1])


# ------------------------------------------------------------------ derivation
@pytest.mark.parametrize(("suite", "digest", "octets", "algorithm"), [
    (1, "sha256", 16, "60857405080300"), (2, "sha384", 32, "60857405080301"),
])  # fmt: skip
def test_a_key_is_the_left_of_one_digest(suite: int, digest: str, octets: int, algorithm: str):
    information = agreed_information(suite_of(suite), CLIENT, METER)
    expected = hashlib.new(digest, b"\0\0\0\1" + b"Z" * 32 + bytes.fromhex(algorithm) + CLIENT + METER).digest()[
        :octets
    ]
    assert derived_key(suite_of(suite), b"Z" * 32, information) == expected


def test_a_master_key_is_derived_for_key_wrap():
    assert agreed_information(suite_of(1), CLIENT, METER, KeyId.MASTER)[:7].hex() == "60857405080302"
    assert agreed_information(suite_of(2), CLIENT, METER, KeyId.MASTER)[:7].hex() == "60857405080303"


def test_the_transaction_goes_into_the_party_of_two_static_keys():
    assert party_of_static(CLIENT, b"12345678") == CLIENT + b"\x0812345678"


@pytest.mark.parametrize("suite", [1, 2])
def test_both_sides_agree_on_one_key(suite: int):
    client, meter = ring(suite, 1), ring(suite, 2)
    ours, theirs = client.offer(), meter.offer()
    information = agreed_information(suite_of(suite), CLIENT, METER)
    one, other = ours.agree(theirs.public, information), theirs.agree(ours.public, information)
    assert other.unprotect(0x30 | suite, CLIENT, 1, one.protect(0x30 | suite, CLIENT, 1, APDU)) == APDU
    with pytest.raises(SecurityError):
        client.unprotect(0x30 | suite, CLIENT, 1, one.protect(0x30 | suite, CLIENT, 1, APDU))


# ------------------------------------------------------------------ general-ciphering
@pytest.mark.parametrize("mode", [0x10, 0x20, 0x30])
@pytest.mark.parametrize("key_use", KeyUse)
@pytest.mark.parametrize("suite", [0, 1, 2])
def test_general_ciphering_comes_back_open(suite: int, key_use: KeyUse, mode: int):
    if suite == 0 and key_use in {KeyUse.ONE_PASS, KeyUse.STATIC}:
        pytest.skip("suite 0 agrees on no keys")
    client, meter = parties(suite)
    message = decode(wrap_general(client, key_use, mode | suite, 4711, APDU))
    assert isinstance(message, GeneralCiphering)
    assert unwrap_general(meter, message) == APDU
    assert number_of(message) == (key_use is KeyUse.IDENTIFIED, 4711)
    assert message.invocation_counter == (4711 if key_use is KeyUse.IDENTIFIED else 0)


def test_the_header_is_authenticated_with_its_lengths():
    client, _ = parties(1)
    message = decode(wrap_general(client, KeyUse.IDENTIFIED, 0x31, 5, APDU))
    header = b"\x08" + (5).to_bytes(8, "big") + b"\x08" + CLIENT + b"\x08" + METER + b"\x00\x00"
    sealed = AESGCM(bytes(range(16))).encrypt(
        CLIENT + bytes([0, 0, 0, 5]), APDU, b"\x31" + bytes(range(1, 17)) + header
    )
    assert message.payload == sealed[:-4]


def test_one_pass_is_the_agreement_of_the_senders_point_with_the_receivers_static_key():
    client, _ = parties(1)
    message = decode(wrap_general(client, KeyUse.ONE_PASS, 0x31, 5, APDU))
    point = message.key_info.octets[:64]
    peer = elliptic.public_key(suite_of(1), point)
    common = ec.derive_private_key(2002, ec.SECP256R1()).exchange(ec.ECDH(), peer)
    key = hashlib.sha256(b"\0\0\0\1" + common + bytes.fromhex("60857405080300") + CLIENT + METER).digest()[:16]
    header = b"\x08" + (5).to_bytes(8, "big") + b"\x08" + CLIENT + b"\x08" + METER + b"\x00\x00"
    assert message.payload == AESGCM(key).encrypt(CLIENT + bytes(4), APDU, b"\x31" + bytes(range(1, 17)) + header)[:-4]


@pytest.mark.parametrize("key_use", KeyUse)
def test_one_changed_octet_anywhere_in_it_is_refused(key_use: KeyUse):
    client, meter = parties(1)
    wire = wrap_general(client, key_use, 0x31, 4711, APDU)
    assert unwrap_general(meter, decode(wire)) == APDU
    for at in range(1, len(wire)):
        spoiled = bytearray(wire)
        spoiled[at] ^= 0x01
        try:
            message = decode(bytes(spoiled))
        except Exception:  # noqa: BLE001, S112 - what does not even decode is refused as well
            continue
        if isinstance(message, GeneralCiphering):
            with pytest.raises(SecurityError):
                unwrap_general(meter, message)


def test_a_message_for_somebody_else_is_refused():
    client, meter = parties(1)
    for wrong in (
        Parties(client.protector, CLIENT, b"OTHER123", client.peer_keys),
        Parties(client.protector, b"OTHER123", METER, client.peer_keys),
    ):
        with pytest.raises(SecurityError, match="system title"):
            unwrap_general(meter, decode(wrap_general(wrong, KeyUse.IDENTIFIED, 0x31, 1, APDU)))
        with pytest.raises(SecurityError, match="system title"):
            open_signed(meter, decode(sign_general(wrong, 1, APDU)))


# ------------------------------------------------------------------ general-signing
@pytest.mark.parametrize("suite", [1, 2])
def test_a_signed_apdu_is_believed_from_its_sender_alone(suite: int):
    client, meter = parties(suite)
    signed = decode(sign_general(client, 9, APDU))
    assert isinstance(signed, GeneralSigning)
    assert open_signed(meter, signed) == APDU
    stranger = Parties(meter.protector, METER, CLIENT, PublicKeys(public(suite, 99)))
    with pytest.raises(SecurityError, match="does not verify"):
        open_signed(stranger, signed)
    with pytest.raises(SecurityError):
        open_signed(Parties(meter.protector, METER, CLIENT), signed)


# ------------------------------------------------------------------ key wrap
@pytest.mark.parametrize("suite", [0, 1, 2])
def test_new_keys_travel_wrapped_as_rfc_3394_has_it(suite: int):
    client, meter = ring(suite, 1), ring(suite, 2)
    transfer = client.renew([KeyId.GLOBAL_UNICAST, KeyId.AUTHENTICATION])
    assert [one.key_id for one in transfer.wrapped] == [KeyId.GLOBAL_UNICAST, KeyId.AUTHENTICATION]
    octets = KEY_OCTETS[suite]
    assert len(aes_key_unwrap(bytes(range(2, octets + 2)), transfer.wrapped[0].octets)) == octets
    adopted = meter.adopt(transfer.wrapped)
    control = 0x30 | suite
    assert adopted.unprotect(control, CLIENT, 1, transfer.renewed.protect(control, CLIENT, 1, APDU)) == APDU
    with pytest.raises(SecurityError):
        meter.unprotect(control, CLIENT, 1, transfer.renewed.protect(control, CLIENT, 1, APDU))


@pytest.mark.parametrize("octets", [b"", bytes(24), bytes(7), bytes(40)])
def test_a_key_that_was_wrapped_with_another_master_key_is_refused(octets: bytes):
    with pytest.raises(SecurityError, match="master key"):
        ring(0, 1).adopt([WrappedKey(KeyId.GLOBAL_UNICAST, octets)])


def test_without_a_master_key_nothing_is_changed():
    lacking = KeyRing(0, Keys(bytes(16), bytes(16)), chance(1))
    with pytest.raises(SecurityError, match="master key"):
        lacking.renew([KeyId.GLOBAL_UNICAST])
    with pytest.raises(SecurityError, match="master key"):
        lacking.adopt([WrappedKey(KeyId.GLOBAL_UNICAST, bytes(24))])
    assert repr(lacking) == "KeyRing(suite=0)"
    assert "Keys" in repr(Keys(b"x" * 16))
    assert "x" * 16 not in repr(Keys(b"x" * 16))
