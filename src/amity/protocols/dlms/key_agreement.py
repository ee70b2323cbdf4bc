"""Keys agreed by ECDH (IEC 62056-5-3, 5.3.5: C(2e,0s), C(1e,1s), C(0e,2s); SP 800-56A with a concatenation KDF)."""

from cryptography.hazmat.primitives.kdf.concatkdf import ConcatKDFHash

from amity.protocols.dlms.protector import KeyId
from amity.protocols.dlms.suites import Suite


def derived_key(suite: Suite, shared_secret: bytes, information: bytes) -> bytes:
    """The leftmost octets of digest(00000001, Z, AlgorithmID, PartyUInfo, PartyVInfo)."""
    return ConcatKDFHash(suite.digest, suite.key_octets, information).derive(shared_secret)


def agreed_information(suite: Suite, party_u: bytes, party_v: bytes, key_id: KeyId = KeyId.GLOBAL_UNICAST) -> bytes:
    """AlgorithmID, PartyUInfo, PartyVInfo: for what the key is, and the system titles of who began and who answers."""
    return (suite.wrap if key_id is KeyId.MASTER else suite.gcm) + party_u + party_v


def party_of_static(system_title: bytes, transaction_id: bytes) -> bytes:
    """PartyUInfo of C(0e,2s): two static keys always give the same Z, so the transaction makes each key another."""
    return system_title + bytes([len(transaction_id)]) + transaction_id
