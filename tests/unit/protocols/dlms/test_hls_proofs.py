"""Every mechanism's answer computed here once more from hashlib and `cryptography` alone."""

import hashlib

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from amity.kernel.errors import AmityError, LocalProtocolError, SecurityError
from amity.protocols.dlms.acse import Mechanism
from amity.protocols.dlms.hls import Proof, check, prove
from amity.protocols.dlms.key_ring import KeyRing, Keys

CLIENT, METER = b"AMY\x00\x00\x00\x00\x01", b"XXX\x00\x00\x00\x00\x07"
STOC, CTOS = b"sixteen from him", b"and eighteen of us"
SECRET = b"our secret"
EK, AK = bytes(range(16)), bytes(range(16, 32))
KEYS = KeyRing(0, Keys(EK, AK, secret=SECRET))
FROM_CLIENT = Proof(CLIENT, METER, STOC, CTOS)
DIGESTS = (Mechanism.HLS, Mechanism.HLS_MD5, Mechanism.HLS_SHA1, Mechanism.HLS_SHA256)


def test_md5_and_sha1_digest_challenge_and_secret():
    assert prove(Mechanism.HLS_MD5, KEYS, FROM_CLIENT, 0) == hashlib.md5(STOC + SECRET).digest()  # noqa: S324
    assert prove(Mechanism.HLS_SHA1, KEYS, FROM_CLIENT, 0) == hashlib.sha1(STOC + SECRET).digest()  # noqa: S324


def test_sha256_digests_secret_titles_and_both_challenges():
    expected = hashlib.sha256(SECRET + CLIENT + METER + STOC + CTOS).digest()
    assert prove(Mechanism.HLS_SHA256, KEYS, FROM_CLIENT, 0) == expected


@pytest.mark.parametrize("challenge", [STOC, CTOS, bytes(8), bytes(64)])
def test_mechanism_2_is_aes_of_the_challenge_under_the_secret(challenge: bytes):
    aes = Cipher(algorithms.AES(SECRET.ljust(16, b"\0")), modes.ECB()).encryptor()  # noqa: S305
    expected = aes.update(challenge + bytes(-len(challenge) % 16)) + aes.finalize()
    assert prove(Mechanism.HLS, KEYS, FROM_CLIENT._replace(challenge=challenge), 0) == expected


def test_gmac_is_the_tag_over_the_challenge():
    answer = prove(Mechanism.HLS_GMAC, KEYS, FROM_CLIENT, 77)
    tag = AESGCM(EK).encrypt(CLIENT + bytes([0, 0, 0, 77]), b"", b"\x10" + AK + STOC)[:12]
    assert answer == b"\x10" + bytes([0, 0, 0, 77]) + tag


@pytest.mark.parametrize(("suite", "curve", "digest", "octets"), [
    (1, ec.SECP256R1(), hashes.SHA256(), 32),
    (2, ec.SECP384R1(), hashes.SHA384(), 48),
])  # fmt: skip
def test_ecdsa_signs_titles_and_both_challenges(
    suite: int, curve: ec.EllipticCurve, digest: hashes.HashAlgorithm, octets: int
):
    private = ec.derive_private_key(4711, curve)
    ring = KeyRing(suite, Keys(signing=(4711).to_bytes(octets, "big")))
    answer = prove(Mechanism.HLS_ECDSA, ring, FROM_CLIENT, 0)
    r, s = (int.from_bytes(half, "big") for half in (answer[:octets], answer[octets:]))
    private.public_key().verify(encode_dss_signature(r, s), CLIENT + METER + STOC + CTOS, ec.ECDSA(digest))
    numbers = private.public_key().public_numbers()
    public = numbers.x.to_bytes(octets, "big") + numbers.y.to_bytes(octets, "big")
    check(Mechanism.HLS_ECDSA, ring, FROM_CLIENT, answer, public)
    for wrong in (answer[:-1] + bytes([answer[-1] ^ 1]), answer[:-1], b""):
        with pytest.raises(SecurityError):
            check(Mechanism.HLS_ECDSA, ring, FROM_CLIENT, wrong, public)
    with pytest.raises(SecurityError):
        check(Mechanism.HLS_ECDSA, ring, FROM_CLIENT._replace(challenge=CTOS), answer, public)


@pytest.mark.parametrize("mechanism", [*DIGESTS, Mechanism.HLS_GMAC])
def test_an_answer_holds_for_its_challenge_alone(mechanism: Mechanism):
    answer = prove(mechanism, KEYS, FROM_CLIENT, 9)
    check(mechanism, KEYS, FROM_CLIENT, answer)
    for other in (FROM_CLIENT._replace(challenge=CTOS), FROM_CLIENT._replace(challenge=STOC[::-1])):
        with pytest.raises(SecurityError):
            check(mechanism, KEYS, other, answer)
    for at in range(len(answer)):
        spoiled = answer[:at] + bytes([answer[at] ^ 1]) + answer[at + 1 :]
        with pytest.raises(SecurityError):
            check(mechanism, KEYS, FROM_CLIENT, spoiled)


@pytest.mark.parametrize("mechanism", [Mechanism.HLS_GMAC, Mechanism.HLS_SHA256])
def test_an_answer_sent_back_proves_nothing(mechanism: Mechanism):
    """From mechanism 5 on titles are in the proof: what the client says of itself is not what the meter must say."""
    same_challenges = FROM_CLIENT._replace(counter_challenge=STOC)
    answer = prove(mechanism, KEYS, same_challenges, 9)
    with pytest.raises(SecurityError):
        check(mechanism, KEYS, Proof(METER, CLIENT, STOC, STOC), answer)


@pytest.mark.parametrize("mechanism", [*DIGESTS, Mechanism.HLS_ECDSA])
def test_a_holder_without_the_secret_says_so(mechanism: Mechanism):
    with pytest.raises(AmityError):
        prove(mechanism, KeyRing(1, Keys(EK, AK)), FROM_CLIENT, 0)


def test_mechanism_2_takes_no_secret_longer_than_its_key():
    with pytest.raises(LocalProtocolError, match="16 octets at most"):
        prove(Mechanism.HLS, KeyRing(0, Keys(secret=bytes(17))), FROM_CLIENT, 0)
