"""Keys, seals and proofs of the hand-made meter, written from the standard (IEC 62056-5-3, 5.3 and 5.2.3).

GHASH and the AES counter mode are put together here from AES blocks (NIST SP 800-38D), so that a misunderstanding of
nonce, associated data or tag length in Amity cannot hide behind a library that both use in the same way.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

AUTHENTICATED, ENCRYPTED = 0x10, 0x20
TAG_OCTETS = 12
_REDUCTION = 0xE1 << 120


@dataclass(frozen=True)
class Secrets:
    """What meter and client have in common: `password` is of LLS, `secret` of HLS 2, 3, 4 and 6."""

    suite: int
    encryption: bytes
    authentication: bytes
    password: bytes
    secret: bytes


def blocks_enciphered(key: bytes, octets: bytes) -> bytes:
    """AES of each block of 16 octets by itself."""
    aes = Cipher(algorithms.AES(key), modes.ECB()).encryptor()  # noqa: S305 - the bare block cipher is what is wanted
    return aes.update(octets) + aes.finalize()


def _multiplied(one: int, other: int) -> int:
    """The product of two elements of GF(2^128) in the bit order of GCM."""
    product = 0
    for bit in range(127, -1, -1):
        if other >> bit & 1:
            product ^= one
        one = one >> 1 ^ (_REDUCTION if one & 1 else 0)
    return product


def _hashed(key: bytes, associated: bytes, text: bytes) -> int:
    subkey = int.from_bytes(blocks_enciphered(key, bytes(16)), "big")
    lengths = (8 * len(associated)).to_bytes(8, "big") + (8 * len(text)).to_bytes(8, "big")
    padded = associated + bytes(-len(associated) % 16) + text + bytes(-len(text) % 16) + lengths
    state = 0
    for at in range(0, len(padded), 16):
        state = _multiplied(state ^ int.from_bytes(padded[at : at + 16], "big"), subkey)
    return state


def _counter_mode(key: bytes, nonce: bytes, text: bytes) -> bytes:
    count = -(-len(text) // 16)
    counters = b"".join(nonce + number.to_bytes(4, "big") for number in range(2, 2 + count))
    stream = blocks_enciphered(key, counters)
    return bytes(octet ^ key_octet for octet, key_octet in zip(text, stream, strict=False))


def _tag(key: bytes, nonce: bytes, associated: bytes, text: bytes) -> bytes:
    mask = int.from_bytes(blocks_enciphered(key, nonce + bytes([0, 0, 0, 1])), "big")
    return (_hashed(key, associated, text) ^ mask).to_bytes(16, "big")[:TAG_OCTETS]


def sealed(control: int, key: bytes, authentication: bytes, title: bytes, counter: int, plain: bytes) -> bytes:
    """What follows the security header: ciphertext or plaintext, then the tag where the control octet has one."""
    nonce = title + counter.to_bytes(4, "big")
    associated = bytes([control]) + authentication
    if not control & ENCRYPTED:
        return plain + _tag(key, nonce, associated + plain, b"")
    text = _counter_mode(key, nonce, plain)
    return text + _tag(key, nonce, associated, text) if control & AUTHENTICATED else text


def opened(control: int, key: bytes, authentication: bytes, title: bytes, counter: int, text: bytes) -> bytes | None:
    """The plaintext, None when the tag is wrong."""
    tag = b""
    if control & AUTHENTICATED:
        text, tag = text[:-TAG_OCTETS], text[-TAG_OCTETS:]
    plain = _counter_mode(key, title + counter.to_bytes(4, "big"), text) if control & ENCRYPTED else text
    return plain if sealed(control, key, authentication, title, counter, plain) == text + tag else None


def proof(
    mechanism: int, secrets: Secrets, prover: bytes, verifier: bytes, challenge: bytes, own: bytes, counter: int
) -> bytes:
    """f(challenge) of mechanisms 2 to 6; `own` is the challenge that the prover had sent."""
    if mechanism == 2:
        key = secrets.secret + bytes(16 - len(secrets.secret))
        return blocks_enciphered(key, challenge + bytes(-len(challenge) % 16))
    if mechanism == 3:
        return hashlib.md5(challenge + secrets.secret).digest()  # noqa: S324 - mechanism 3 is that
    if mechanism == 4:
        return hashlib.sha1(challenge + secrets.secret).digest()  # noqa: S324 - mechanism 4 is that
    if mechanism == 6:
        return hashlib.sha256(secrets.secret + prover + verifier + challenge + own).digest()
    control = AUTHENTICATED | secrets.suite
    nonce = prover + counter.to_bytes(4, "big")
    associated = bytes([control]) + secrets.authentication + challenge
    return bytes([control]) + counter.to_bytes(4, "big") + _tag(secrets.encryption, nonce, associated, b"")
