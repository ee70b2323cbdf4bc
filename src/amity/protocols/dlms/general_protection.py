"""General-ciphering and general-signing of APDUs (IEC 62056-5-3, 5.3.6): one-time keys, agreed keys, signatures."""

from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import NamedTuple

from amity.kernel.errors import SecurityError
from amity.protocols.dlms import elliptic
from amity.protocols.dlms.ciphered import GeneralCiphering, GeneralSigning, general_header
from amity.protocols.dlms.key_agreement import agreed_information, party_of_static
from amity.protocols.dlms.key_info import (
    ONE_PASS_DH,
    STATIC_UNIFIED,
    AgreedKey,
    IdentifiedKey,
    KeyInfo,
    WrappedMessageKey,
)
from amity.protocols.dlms.protector import KeyId, Protector, WrappedKey
from amity.protocols.dlms.suites import Suite, suite_of

_MASTER_KEK = 0
_TRANSACTION_OCTETS = 8
_FIRST = 0  # the invocation counter under a key that protects one message only


class KeyUse(StrEnum):
    """Which key protects what we send in general-ciphering."""

    IDENTIFIED = "identified"
    WRAPPED = "wrapped"
    ONE_PASS = "one-pass-dh"  # noqa: S105 - a way to agree on keys, no password
    STATIC = "static-unified"


class PublicKeys(NamedTuple):
    """The points of a party, x and y; empty where unknown."""

    signing: bytes = b""
    agreement: bytes = b""


UNKNOWN_KEYS = PublicKeys()


@dataclass(frozen=True, slots=True)
class Parties:
    """We and the other side of a general-ciphering or general-signing message."""

    protector: Protector = field(repr=False)
    own_title: bytes
    peer_title: bytes
    peer_keys: PublicKeys = UNKNOWN_KEYS


# ------------------------------------------------------------------ general-ciphering
def wrap_general(parties: Parties, key_use: KeyUse, security_control: int, number: int, apdu: bytes) -> bytes:
    """An APDU in general-ciphering; `number` is the invocation counter and the transaction id, so it must only rise.

    Under a key of its own a message counts from 0: only its transaction id tells a repeated one.
    """
    transaction = number.to_bytes(_TRANSACTION_OCTETS, "big")
    protector, key_info = _key_to_send(parties, key_use, transaction)
    counter = number if key_use is KeyUse.IDENTIFIED else _FIRST
    header = general_header(transaction, parties.own_title, parties.peer_title, b"", b"")
    payload = protector.protect(security_control, parties.own_title, counter, apdu, header)
    return GeneralCiphering(
        transaction, parties.own_title, parties.peer_title, b"", b"", key_info, security_control, counter, payload
    ).encode()


def unwrap_general(parties: Parties, message: GeneralCiphering) -> bytes:
    """The APDU inside; raise SecurityError when it is not meant for us, or key, signature or tag do not fit."""
    _check_titles(parties, message.originator_system_title, message.recipient_system_title)
    protector = _key_received(parties, message)
    return protector.unprotect(
        message.security_control,
        message.originator_system_title or parties.peer_title,
        message.invocation_counter,
        message.payload,
        message.header,
    )


def number_of(message: GeneralCiphering) -> tuple[bool, int]:
    """By what a repeated message is told: whether it is the invocation counter, and the number itself.

    A key that is made for one message starts its counter anew; the transaction id must rise then.
    """
    if message.key_info is None or isinstance(message.key_info, IdentifiedKey):
        return True, message.invocation_counter
    return False, int.from_bytes(message.transaction_id, "big")


def one_time_key_of(message: GeneralCiphering, suite: Suite) -> bytes:
    """What tells the key of one message from those of all others; empty where a key is used again and again.

    Of an ephemeral point x alone: with -y it makes the same key.
    """
    key_info = message.key_info
    if isinstance(key_info, WrappedMessageKey):
        return key_info.octets
    if isinstance(key_info, AgreedKey) and key_info.parameters == ONE_PASS_DH:
        return key_info.octets[: suite.coordinate_octets]
    return b""


def key_use_of(message: GeneralCiphering) -> KeyUse:
    """How the key of a message came about, for whoever answers in kind."""
    key_info = message.key_info
    if isinstance(key_info, WrappedMessageKey):
        return KeyUse.WRAPPED
    if isinstance(key_info, AgreedKey):
        return KeyUse.ONE_PASS if key_info.parameters == ONE_PASS_DH else KeyUse.STATIC
    return KeyUse.IDENTIFIED


def _key_to_send(parties: Parties, key_use: KeyUse, transaction: bytes) -> tuple[Protector, KeyInfo]:
    protector, suite = parties.protector, suite_of(parties.protector.suite)
    if key_use is KeyUse.IDENTIFIED:
        return protector, IdentifiedKey(KeyId.GLOBAL_UNICAST)
    if key_use is KeyUse.WRAPPED:
        transfer = protector.renew([KeyId.GLOBAL_UNICAST])
        return transfer.renewed, WrappedMessageKey(_MASTER_KEK, transfer.wrapped[0].octets)
    if key_use is KeyUse.ONE_PASS:
        offer = protector.offer()
        agreed = offer.agree(parties.peer_keys.agreement, _one_pass(suite, parties.own_title, parties.peer_title))
        return agreed, AgreedKey(ONE_PASS_DH, offer.public + protector.sign(offer.public))
    information = _static(suite, parties.own_title, parties.peer_title, transaction)
    return protector.agree(parties.peer_keys.agreement, information), AgreedKey(STATIC_UNIFIED, b"")


def _key_received(parties: Parties, message: GeneralCiphering) -> Protector:
    key_info, protector = message.key_info, parties.protector
    if key_info is None or key_info == IdentifiedKey(KeyId.GLOBAL_UNICAST):
        return protector
    if isinstance(key_info, WrappedMessageKey) and key_info.kek_id == _MASTER_KEK:
        return protector.adopt([WrappedKey(KeyId.GLOBAL_UNICAST, key_info.octets)])
    if isinstance(key_info, AgreedKey):
        return _agreed(parties, key_info, message.transaction_id)
    raise SecurityError(f"a message under a key that is not kept came: {key_info}")


def _agreed(parties: Parties, key_info: AgreedKey, transaction: bytes) -> Protector:
    protector, suite = parties.protector, suite_of(parties.protector.suite)
    if key_info.parameters == ONE_PASS_DH:
        point, signature = key_info.octets[: suite.public_key_octets], key_info.octets[suite.public_key_octets :]
        elliptic.verify(parties.peer_keys.signing, suite, point, signature)
        return protector.agree(point, _one_pass(suite, parties.peer_title, parties.own_title))
    if key_info.parameters == STATIC_UNIFIED:
        information = _static(suite, parties.peer_title, parties.own_title, transaction)
        return protector.agree(parties.peer_keys.agreement, information)
    raise SecurityError(f"a message under a key agreed by scheme {key_info.parameters.hex()} came, which nobody knows")


def _one_pass(suite: Suite, originator: bytes, recipient: bytes) -> bytes:
    return agreed_information(suite, originator, recipient)


def _static(suite: Suite, originator: bytes, recipient: bytes, transaction: bytes) -> bytes:
    return agreed_information(suite, party_of_static(originator, transaction), recipient)


# ------------------------------------------------------------------ general-signing
def sign_general(parties: Parties, number: int, apdu: bytes) -> bytes:
    """An APDU with our signature; `number` becomes the transaction id."""
    unsigned = GeneralSigning(
        number.to_bytes(_TRANSACTION_OCTETS, "big"), parties.own_title, parties.peer_title, b"", b"", apdu, b""
    )
    return replace(unsigned, signature=parties.protector.sign(unsigned.signed)).encode()


def open_signed(parties: Parties, message: GeneralSigning) -> bytes:
    """The APDU inside; raise SecurityError when it is not meant for us or its signature is not the peer's."""
    _check_titles(parties, message.originator_system_title, message.recipient_system_title)
    elliptic.verify(parties.peer_keys.signing, suite_of(parties.protector.suite), message.signed, message.signature)
    return message.content


def _check_titles(parties: Parties, originator: bytes, recipient: bytes) -> None:
    """Empty titles stand for those of the association."""
    if originator not in {b"", parties.peer_title}:
        raise SecurityError(
            f"a message from system title {originator.hex()} came; the association is with {parties.peer_title.hex()}"
        )
    if recipient not in {b"", parties.own_title}:
        raise SecurityError(f"a message for system title {recipient.hex()} came; ours is {parties.own_title.hex()}")
