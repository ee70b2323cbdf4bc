"""General-ciphering and general-signing of somebody else: messages of the British Reference Test Data Set 4.5.0.

The Great Britain Companion Specification puts DLMS's general-signing (by the supplier) into general-ciphering,
authenticated only, under a key of C(0e,2s). Its test data and the keys of its test parties are public (Smart DCC).
Two things differ from IEC 62056-5-3 by its own word: no authentication key stands in the additional data, and its
AlgorithmID has 06 where the DLMS registry has 05.
"""

import pytest

from amity.kernel.errors import SecurityError
from amity.protocols.dlms import elliptic
from amity.protocols.dlms.apdu import GeneralCiphering, GeneralSigning, decode
from amity.protocols.dlms.ciphering import CipherKeys
from amity.protocols.dlms.general_protection import Parties, PublicKeys, open_signed
from amity.protocols.dlms.key_agreement import derived_key, party_of_static
from amity.protocols.dlms.suites import suite_of

SUITE = suite_of(1)
ALGORITHM = bytes.fromhex("60857406080300")

# ECS02 (set payment mode), ECS52 (read firmware version) of the data set; who agrees on the key differs.
COMMAND = bytes.fromhex(
    "dd00000000000081da1100000000df090100000000000003ea0890b3d51f300100000800db1234567890a00002001a66d9200003ea00030200"
    "6f0001130000ff0202006f0001130000ff0b02006f0001130000ff0d030202160116010102020309060000130a00ff09060000131400ff0403"
    "e0020309060000130a00ff09060000131404ff0403e0090c0000000000000000008000ff4001035480b886de479df28544b369a9e1c33413e2"
    "b136df76e72de0f1dfd4d3b5255d56ae4606b89a21e7bea8e5e4f4646e730d4f725ae6e2f7bd88bed51e0c44ef91d845d020e9106898226f"
)
RESPONSE = bytes.fromhex(
    "dd000000000000451100000000df090200000000000003e80800db1234567890a00890b3d51f300100000002005911da200003e8000001090401"
    "23abcd010100003ba27aac07f946bfd463702f"
)
METERS_POINT = bytes.fromhex(
    "8f2052985d2db939a9371c8fef58acb6814b35d5bf2aa25f97f8d198b26dfe60"
    "1add893fc4a1d98291f68e8429b715852367dc0f2c4902e6ff8a736ddc29c134"
)
BROKERS_KEY = bytes.fromhex("ad35c8e1df832839b6937908e0c8229ff97eb5349da007b51a1079f56fc1df68")
SUPPLIERS_KEY = bytes.fromhex("40883990da5b372dc4ec96c76b576bf5d4206e3bfd34cbf60b62448f1f9ba544")
SUPPLIERS_SIGNING_POINT = bytes.fromhex(
    "30c2ab5a0d131726ffbda80e79294cc37534432a3e424405b97a3aba0ffc79dc"
    "e729b2517563cb7d95827e4c50b48cba3d87d5893c51b96d87c345e3717f8c1e"
)


def outer(octets: bytes) -> GeneralCiphering:
    message = decode(octets)
    assert isinstance(message, GeneralCiphering)
    assert message.encode() == octets
    return message


def inner(octets: bytes) -> GeneralSigning:
    message = decode(outer(octets).payload[:-12])
    assert isinstance(message, GeneralSigning)
    assert message.encode() == outer(octets).payload[:-12]
    return message


def agreed(octets: bytes, private: bytes) -> CipherKeys:
    """The key of one message by C(0e,2s), without an authentication key."""
    signed = inner(octets)
    party_u = party_of_static(signed.originator_system_title, signed.transaction_id)
    common = elliptic.shared_secret(elliptic.private_key(SUITE, private), SUITE, METERS_POINT)
    keys = CipherKeys(1, derived_key(SUITE, common, ALGORITHM + party_u + signed.recipient_system_title), bytes(16))
    keys._gak = b""
    return keys


@pytest.mark.parametrize(("octets", "private"), [(COMMAND, BROKERS_KEY), (RESPONSE, SUPPLIERS_KEY)])
def test_lengths_are_authenticated_and_the_transaction_makes_the_key(octets: bytes, private: bytes):
    """Five empty fields count as five octets of length; PartyUInfo is title, length of the transaction id, and it."""
    message, keys = outer(octets), agreed(octets, private)
    title = inner(octets).originator_system_title
    assert message.header == bytes(5)
    assert keys.unprotect(message.security_control, title, 0, message.payload, message.header) == message.payload[:-12]
    for header in (b"", bytes(4), bytes(6), b"\xdd" + bytes(5)):
        with pytest.raises(SecurityError):
            keys.unprotect(message.security_control, title, 0, message.payload, header)


def test_the_signature_is_about_every_field_with_its_length_and_not_about_the_tag():
    signed = inner(COMMAND)
    assert signed.transaction_id.hex() == "0100000000000003ea"
    elliptic.verify(SUPPLIERS_SIGNING_POINT, SUITE, signed.signed, signed.signature)
    for other in (COMMAND[15:16] + signed.signed, signed.signed + b"\x40", signed.content):
        with pytest.raises(SecurityError):
            elliptic.verify(SUPPLIERS_SIGNING_POINT, SUITE, other, signed.signature)


def test_the_receiver_opens_it():
    signed = inner(COMMAND)
    titles = signed.recipient_system_title, signed.originator_system_title
    parties = Parties(CipherKeys(1, None), *titles, PublicKeys(signing=SUPPLIERS_SIGNING_POINT))
    assert open_signed(parties, signed)[:5].hex() == "d9200003ea"
