"""Facts of the Green Book and of RFCs about ciphering hold."""

from typing import Any

import pytest
from cryptography.hazmat.primitives.keywrap import aes_key_unwrap

from amity.kernel.errors import SecurityError
from amity.protocols.dlms import apdu, elliptic
from amity.protocols.dlms.ciphering import (
    CipherKeys,
    unwrap,
    wrap_glo,
)
from amity.protocols.dlms.general_protection import KeyUse, key_use_of, number_of
from amity.protocols.dlms.hls import check_gmac_proof, gmac_proof
from amity.protocols.dlms.key_info import ONE_PASS_DH, AgreedKey
from amity.protocols.dlms.suites import suite_of
from tests.golden.vectors import entries, entry, needs_vectors

pytestmark = needs_vectors

_TABLE_C2 = "green-book/t41-c2-general-ciphering-access-request"


def keys_of(vector: dict[str, Any]) -> CipherKeys:
    keys = vector["keys"]
    authentication = keys.get("AK")
    return CipherKeys(0, bytes.fromhex(keys["EK"]), bytes.fromhex(authentication) if authentication else None)


@pytest.mark.parametrize("mode", ["auth-only", "enc-only", "auth-enc"])
def test_glo_get_request_in_the_three_modes(mode: str):
    vector = entry("green_book_facts", f"green-book/t40-glo-get-request-{mode}")
    title, octets = bytes.fromhex(vector["keys"]["system_title"]), bytes.fromhex(vector["hex"])
    ciphered = apdu.decode(octets)
    assert isinstance(ciphered, apdu.Ciphered)
    keys = keys_of(vector)
    plaintext = unwrap(keys, ciphered.security_control, title, ciphered)
    assert plaintext.hex() == vector["expected"]["plaintext"]
    assert wrap_glo(keys, ciphered.security_control, title, ciphered.invocation_counter, plaintext) == octets


@pytest.mark.parametrize("step", ["pass3-f(StoC)", "pass4-f(CtoS)"])
def test_hls_gmac(step: str):
    vector = entry("green_book_facts", f"green-book/t43-hls-gmac-{step}")
    facts = {name: bytes.fromhex(text) for name, text in vector["keys"].items()}
    keys, counter = keys_of(vector), int.from_bytes(facts["invocation_counter"], "big")
    answer = gmac_proof(keys, facts["system_title"], counter, facts["challenge"])
    assert answer.hex() == vector["expected"]["f"]
    assert check_gmac_proof(keys, facts["system_title"], facts["challenge"], answer) == counter
    with pytest.raises(SecurityError):
        check_gmac_proof(keys, facts["system_title"], facts["challenge"][::-1], answer)


def test_general_ciphering_of_table_c2_deciphers_to_the_access_request():
    """The printed ciphertext gives the printed plaintext; the printed tag does not verify and is not asserted."""
    vector = entry("green_book_facts", _TABLE_C2)
    octets = bytes.fromhex(vector["hex"])
    general = apdu.decode(octets)
    assert isinstance(general, apdu.GeneralCiphering)
    assert general.encode() == octets
    assert general.transaction_id.hex() == vector["expected"]["transaction_id"]
    keys = CipherKeys(1, bytes.fromhex(vector["keys"]["EK_agreed"]), bytes.fromhex(vector["keys"]["AK"]))
    title = general.originator_system_title
    plaintext = keys.decipher_unverified(general.security_control, title, general.invocation_counter, general.payload)
    assert plaintext.hex() == vector["expected"]["plaintext"]


def test_access_request_in_plain():
    octets = bytes.fromhex(entry("green_book_facts", "green-book/t133-access-request-plain")["hex"])
    request = apdu.decode(octets)
    assert isinstance(request, apdu.AccessRequest)
    assert [one.kind.name for one in request.specifications] == ["GET", "GET", "SET", "SET"]
    assert request.encode() == octets


def test_key_wrap_is_the_one_of_the_library():
    for name in ("rfc3394-4.1-128-by-128", "rfc3394-4.6-256-by-256"):
        vector = entry("rfc_standards", name)
        unwrapped = aes_key_unwrap(bytes.fromhex(vector["keys"]["kek"]), bytes.fromhex(vector["hex"]))
        assert unwrapped.hex() == vector["expected"]["key"]


def test_signature_over_an_ephemeral_point():
    """Security setup method 3: the client signs the number of the key and its point."""
    vector = entry("green_book_facts", "green-book/c1-ecdsa-p256-ephemeral-key-signature")
    facts = {name: bytes.fromhex(text) for name, text in vector["keys"].items()}
    message, suite = bytes.fromhex(vector["hex"]), suite_of(1)
    elliptic.verify(
        facts["public_signing_key_client"], suite, message, bytes.fromhex(vector["expected"]["signature_r_s"])
    )
    private = elliptic.private_key(suite, facts["private_signing_key_client"])
    assert elliptic.public_octets(private.public_key()) == facts["public_signing_key_client"]
    elliptic.public_key(suite, message[1:])
    ours = elliptic.sign(private, suite, message)
    elliptic.verify(facts["public_signing_key_client"], suite, message, ours)
    with pytest.raises(SecurityError):
        elliptic.verify(facts["public_signing_key_client"], suite, message[::-1], ours)


def test_the_key_of_table_c2_is_an_agreed_one_that_carries_a_point_and_its_signature():
    general = apdu.decode(bytes.fromhex(entry("green_book_facts", _TABLE_C2)["hex"]))
    assert isinstance(general, apdu.GeneralCiphering)
    assert isinstance(general.key_info, AgreedKey)
    assert general.key_info.parameters == ONE_PASS_DH
    point, signature = general.key_info.octets[:64], general.key_info.octets[64:]
    client = entry("green_book_facts", "green-book/c1-ecdsa-p256-ephemeral-key-signature")["keys"]
    elliptic.verify(bytes.fromhex(client["public_signing_key_client"]), suite_of(1), point, signature)
    assert key_use_of(general) is KeyUse.ONE_PASS
    assert number_of(general) == (False, 0x0102030405060708)


def test_every_fact_that_is_about_apdus_is_looked_at():
    looked_at = {"t40", "t41", "t43", "t133", "c1"}
    assert {one["name"].removeprefix("green-book/").split("-")[0] for one in entries("green_book_facts")} == looked_at
