"""Requests to many meters at once, under the broadcast key (IEC 62056-5-3, 5.3.5: Key_Set; unconfirmed services, 6.1).

They make octets and wait for nothing: no meter answers. Whoever carries them chooses the address of all.
"""

from amity.devices.client.session import Session
from amity.kernel.errors import ConfigurationError
from amity.protocols.dlms.apdu import ActionRequestNormal, Attribute, Method, SetRequestNormal
from amity.protocols.dlms.data import Data

_CONFIRMED = 0x40


def broadcast_set(session: Session, attribute: Attribute, value: Data) -> bytes:
    """The APDU that gives every meter this value; raise SecurityError without a broadcast key."""
    return _sealed(session, SetRequestNormal(_unconfirmed(session), attribute, None, value).encode())


def broadcast_act(session: Session, method: Method, parameters: Data | None = None) -> bytes:
    """The APDU that has every meter call this method; raise SecurityError without a broadcast key."""
    return _sealed(session, ActionRequestNormal(_unconfirmed(session), method, parameters).encode())


def _sealed(session: Session, plain: bytes) -> bytes:
    if session.security is None:
        raise ConfigurationError("a broadcast is protected by a key", next_step="choose glo or general-glo")
    sealed = session.security.seal_broadcast(plain)
    session.journal.sent(sealed, plain)
    return sealed


def _unconfirmed(session: Session) -> int:
    return session.next_invoke() & ~_CONFIRMED
