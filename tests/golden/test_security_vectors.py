"""Facts of the Green Book and of RFCs about ciphering hold."""

from typing import Any

import pytest
from cryptography.hazmat.primitives.keywrap import aes_key_unwrap

from amity.kernel.errors import SecurityError
from amity.protocols.dlms import apdu
from amity.protocols.dlms.ciphering import (
    CipherKeys,
    hls_gmac_response,
    unwrap,
    verify_hls_gmac_response,
    wrap_glo,
)
from tests.golden.vectors import entries, entry, needs_vectors

pytestmark = needs_vectors


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
    answer = hls_gmac_response(keys, 0x10, facts["system_title"], counter, facts["challenge"])
    assert answer.hex() == vector["expected"]["f"]
    assert verify_hls_gmac_response(keys, facts["system_title"], facts["challenge"], answer) == counter
    with pytest.raises(SecurityError):
        verify_hls_gmac_response(keys, facts["system_title"], facts["challenge"][::-1], answer)


def test_general_ciphering_of_table_c2_deciphers_to_the_access_request():
    """The printed ciphertext gives the printed plaintext; the printed tag does not verify and is not asserted."""
    vector = entry("green_book_facts", "green-book/t41-c2-general-ciphering-access-request")
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


def test_every_fact_that_is_about_apdus_is_looked_at():
    looked_at = {"t40", "t41", "t43", "t133", "c1"}  # c1 is ECDSA, which the stack does not do yet
    assert {one["name"].removeprefix("green-book/").split("-")[0] for one in entries("green_book_facts")} == looked_at
