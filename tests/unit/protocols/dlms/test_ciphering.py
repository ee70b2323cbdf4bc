import pytest

from amity.kernel.errors import LocalProtocolError, SecurityError
from amity.protocols.dlms import apdu
from amity.protocols.dlms.apdu import Ciphered, CipherTag
from amity.protocols.dlms.ciphering import (
    CipherKeys,
    SecurityControl,
    unwrap,
    wrap_ded,
    wrap_general_ded,
    wrap_general_glo,
    wrap_glo,
)
from amity.protocols.dlms.hls import check_gmac_proof, gmac_proof

EK, AK = bytes(range(16)), bytes.fromhex("d0d1d2d3d4d5d6d7d8d9dadbdcdddedf")
TITLE = bytes.fromhex("4d4d4d0000bc614e")
KEYS = CipherKeys(0, EK, AK)
GET = bytes.fromhex("c001c100080000010000ff0200")
MODES = (SecurityControl.AUTHENTICATED, SecurityControl.ENCRYPTED, SecurityControl.BOTH)


def opened(octets: bytes, keys: CipherKeys = KEYS, expected: int | None = None) -> bytes:
    ciphered = apdu.decode(octets)
    assert isinstance(ciphered, Ciphered)
    return unwrap(keys, expected, TITLE, ciphered)


@pytest.mark.parametrize("suite", [0, 1, 2])
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("wrap", [wrap_glo, wrap_ded, wrap_general_glo, wrap_general_ded])
def test_every_mode_suite_and_service_both_ways(wrap, mode: int, suite: int):  # noqa: ANN001 - one of four functions
    octets = 32 if suite == 2 else 16
    keys = CipherKeys(suite, bytes(range(octets)), bytes(octets))
    assert opened(wrap(keys, mode | suite, TITLE, 7, GET), keys, mode) == GET


@pytest.mark.parametrize("length", [0, 110, 111, 127, 128, 255, 256, 3600, 70_000])
def test_length_of_a_long_general_glo_apdu_takes_the_octets_it_needs(length: int):
    text = GET[:1] + bytes(length)
    assert opened(wrap_general_glo(KEYS, 0x30, TITLE, 1, text)) == text


@pytest.mark.parametrize("mode", [SecurityControl.AUTHENTICATED, SecurityControl.BOTH])
def test_one_changed_bit_anywhere_is_a_security_error(mode: int):
    ciphered = apdu.decode(wrap_glo(KEYS, mode, TITLE, 9, GET))
    assert isinstance(ciphered, Ciphered)
    for at in range(len(ciphered.payload)):
        altered = bytearray(ciphered.payload)
        altered[at] ^= 1
        with pytest.raises(SecurityError, match="does not verify"):
            KEYS.unprotect(mode, TITLE, 9, bytes(altered))
    for counter, title in ((8, TITLE), (9, TITLE[::-1])):
        with pytest.raises(SecurityError):
            KEYS.unprotect(mode, title, counter, ciphered.payload)


def test_the_frames_own_security_control_decides_how_it_is_undone():
    assert opened(wrap_glo(KEYS, SecurityControl.BOTH, TITLE, 1, GET), expected=SecurityControl.AUTHENTICATED) == GET


@pytest.mark.parametrize("sent", [0x00, SecurityControl.AUTHENTICATED, SecurityControl.ENCRYPTED])
def test_an_answer_protected_less_than_asked_for_is_refused(sent: int):
    with pytest.raises(SecurityError, match="less than"):
        opened(wrap_glo(KEYS, sent, TITLE, 1, GET), expected=SecurityControl.BOTH)


def test_title_in_the_message_wins_and_an_empty_one_is_filled_in():
    other = wrap_general_glo(KEYS, 0x30, b"OTHERONE", 1, GET)
    assert opened(other) == GET
    empty = Ciphered(CipherTag.GENERAL_GLO, b"", 0x30, 1, KEYS.protect(0x30, TITLE, 1, GET))
    assert unwrap(KEYS, None, TITLE, empty) == GET
    with pytest.raises(SecurityError, match="system title has 8 octets"):
        unwrap(KEYS, None, None, empty)


def test_no_key_is_ever_shown():
    keys = CipherKeys(0, EK, AK, gbek=bytes(16))
    assert repr(keys) == "CipherKeys(suite=0)"
    assert not hasattr(keys, "__dict__")


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        ((3, EK), "suite 3"),
        ((0, EK[:15]), "encryption key of suite 0 has 16"),
        ((2, EK), "has 32"),
        ((0, EK, AK[:3]), "authentication"),
        ((0, EK, AK, b"x"), "broadcast"),
    ],
)
def test_keys_that_do_not_fit_their_suite(arguments: tuple[object, ...], why: str):
    with pytest.raises(LocalProtocolError, match=why):
        CipherKeys(*arguments)  # type: ignore[arg-type]


def test_what_the_keys_cannot_do_is_said():
    with pytest.raises(SecurityError, match="compressed"):
        KEYS.unprotect(SecurityControl.BOTH | SecurityControl.COMPRESSED, TITLE, 1, bytes(20))
    with pytest.raises(SecurityError, match="suite 1"):
        KEYS.unprotect(0x31, TITLE, 1, bytes(20))
    with pytest.raises(SecurityError, match="broadcast"):
        KEYS.unprotect(SecurityControl.BOTH | SecurityControl.BROADCAST, TITLE, 1, bytes(20))
    with pytest.raises(SecurityError, match="room for its tag"):
        KEYS.unprotect(SecurityControl.BOTH, TITLE, 1, bytes(5))
    with pytest.raises(SecurityError, match="no authentication key"):
        CipherKeys(0, EK).protect(SecurityControl.BOTH, TITLE, 1, GET)
    with pytest.raises(LocalProtocolError, match="32 bits"):
        KEYS.protect(SecurityControl.BOTH, TITLE, 1 << 32, GET)


def test_broadcast_has_its_own_key():
    keys = CipherKeys(0, EK, AK, gbek=bytes(16))
    control = SecurityControl.BOTH | SecurityControl.BROADCAST
    assert keys.protect(control, TITLE, 1, GET) != keys.protect(SecurityControl.BOTH, TITLE, 1, GET)
    assert keys.unprotect(control, TITLE, 1, keys.protect(control, TITLE, 1, GET)) == GET


def test_a_service_without_a_ciphered_tag_of_its_own_goes_in_general_glo_only():
    with pytest.raises(LocalProtocolError, match="no ciphered tag of its own"):
        wrap_glo(KEYS, 0x30, TITLE, 1, b"\x0f")


def test_a_challenge_answered_with_another_protection_or_length_is_refused():
    answer = gmac_proof(KEYS, TITLE, 5, b"challenge")
    assert check_gmac_proof(KEYS, TITLE, b"challenge", answer) == 5
    for wrong in (b"\x30" + answer[1:], answer[:-1], b"", answer[:-1] + bytes([answer[-1] ^ 1])):
        with pytest.raises(SecurityError):
            check_gmac_proof(KEYS, TITLE, b"challenge", wrong)
