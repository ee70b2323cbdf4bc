"""The Security setup object of a meter as a client uses it (class 64): its policy, new keys, agreed keys."""

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

from amity.devices.client import named
from amity.devices.client.conversation import Conversation
from amity.devices.client.session import Session
from amity.devices.interface_classes import INTERFACE_CLASSES, InterfaceClass
from amity.devices.key_parameters import keyed_data, keyed_octets
from amity.devices.security_policy import SecurityPolicy
from amity.kernel.errors import ConfigurationError, RemoteProtocolError
from amity.kernel.obis import Obis
from amity.protocols.dlms import elliptic
from amity.protocols.dlms.data import Data, enum
from amity.protocols.dlms.key_agreement import agreed_information
from amity.protocols.dlms.protector import KeyId, Protector
from amity.protocols.dlms.suites import Suite, suite_of

SECURITY_SETUP_OBIS = Obis.parse("0.0.43.0.0.255")
_CLASS_ID = 64


class SecuritySetupReadout(NamedTuple):
    """What a meter says of its security; `policy` is read as its version of the class has it."""

    policy: SecurityPolicy
    suite: int
    client_title: bytes
    server_title: bytes


def read_security_setup(
    session: Session, version: int, obis: Obis = SECURITY_SETUP_OBIS
) -> Conversation[SecuritySetupReadout]:
    """Attributes 2 to 5; `version` is that of the class in the meter's object list.

    Raises:
        AttributeRefusedError: the meter does not give one of them.
        RemoteProtocolError: they do not have the types of the class.
    """
    attributes = ("security_policy", "security_suite", "client_system_title", "server_system_title")
    values = yield from named.read(session, _setup(version), obis, *attributes)
    match [value.value for value in values]:
        case [int(policy), int(suite), bytes(client_title), bytes(server_title)]:
            return SecuritySetupReadout(_policy(policy, version), suite, client_title, server_title)
    raise RemoteProtocolError("the meter's security setup does not have the types of its class", tried=f"GET {obis}")


def activate_policy(
    session: Session, policy: SecurityPolicy, version: int, obis: Obis = SECURITY_SETUP_OBIS
) -> Conversation[None]:
    """Strengthen the policy of the associations that refer to this object; it holds from the next request on.

    Raises MethodRefusedError when the meter does not take it; no meter gives up what it demanded before.
    """
    yield from named.call(session, _setup(version), obis, "security_activate", enum(policy.number(version)))


def transfer_keys(
    session: Session, key_ids: Sequence[KeyId], version: int, obis: Obis = SECURITY_SETUP_OBIS
) -> Conversation[Protector]:
    """Give the meter new keys, wrapped with the master key; return who protects from now on, also in this session.

    Have the new keys stored before this is called: the `renewed` ones of a key service are safe there. Raises
    MethodRefusedError when the meter does not take them (the old ones stay), SecurityError without a master key.
    """
    transfer = _protector(session).renew(key_ids)
    method = _setup(version).methods[1].name  # its name is another in each version
    yield from named.call(session, _setup(version), obis, method, keyed_data(transfer.wrapped))
    return _changed(session, transfer.renewed)


def agree_key(session: Session, key_id: KeyId, obis: Obis = SECURITY_SETUP_OBIS) -> Conversation[Protector]:
    """Agree with the meter on a new key by C(2e,0s); return who protects from now on, also in this session.

    Raises:
        MethodRefusedError: the meter does not agree.
        SecurityError: the meter's signature does not verify, or its point is off the curve; the old key stays.
        ConfigurationError: the association is not ciphered.
    """
    security, protector = session.security, _protector(session)
    if security is None:
        raise ConfigurationError("a key is agreed on in a ciphered association", next_step="choose glo or general-glo")
    suite, offer, number = suite_of(protector.suite), protector.offer(), bytes([key_id])
    signed = keyed_data([(key_id, offer.public + protector.sign(number + offer.public))])
    answer = yield from named.call(session, _setup(1), obis, "key_agreement", signed)
    point, signature = _answered(answer, key_id, suite)
    elliptic.verify(security.peer_keys.signing, suite, number + point, signature)
    information = agreed_information(suite, session.settings.client_title, security.peer_title, key_id)
    return _changed(session, offer.agree(point, information, key_id))


def _answered(answer: Data | None, key_id: KeyId, suite: Suite) -> tuple[bytes, bytes]:
    """The meter's point and its signature."""
    theirs = [] if answer is None else keyed_octets(answer)
    if [theirs_id for theirs_id, _ in theirs] != [key_id]:
        raise RemoteProtocolError("the meter agreed on another key than was asked for", tried="ACTION key_agreement")
    octets = theirs[0][1]
    return octets[: suite.public_key_octets], octets[suite.public_key_octets :]


def _changed(session: Session, protector: Protector) -> Protector:
    """The meter answered by the old keys; everything after that goes by the new ones."""
    session.settings = replace(session.settings, protector=protector)
    if session.security is not None:
        session.security.rekey(protector)
    return protector


def _protector(session: Session) -> Protector:
    if session.settings.protector is None:
        raise ConfigurationError("keys are changed by whoever holds keys", next_step="give the keys of this meter")
    return session.settings.protector


def _policy(number: int, version: int) -> SecurityPolicy:
    try:
        return SecurityPolicy.from_number(number, version)
    except ConfigurationError as error:
        raise RemoteProtocolError(error.what, tried="GET security_policy") from error


def _setup(version: int) -> InterfaceClass:
    return INTERFACE_CLASSES[_CLASS_ID, version]
