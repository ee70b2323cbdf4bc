"""Opening and releasing an association as a client (IEC 62056-5-3, 6.2 and 6.3; HLS in four passes: 5.2.3)."""

from amity.devices.challenges import fresh_challenge
from amity.devices.client.conversation import Conversation, Ports
from amity.devices.client.journal import Journal
from amity.devices.client.refusals import AssociationRejectedError, InvocationCounterError, ServiceRefusedError
from amity.devices.client.rejections import rejection
from amity.devices.client.session import Session, raise_service_error
from amity.devices.client.unasked import after_pushes
from amity.devices.interface_classes import REPLY_TO_HLS
from amity.devices.message_security import DowngradeError, MessageSecurity, is_system_title
from amity.devices.settings import AssociationSettings, Authentication, Ciphering
from amity.kernel.errors import ConfigurationError, RemoteProtocolError, SecurityError
from amity.protocols.dlms import acse, apdu
from amity.protocols.dlms.acse import Aare, Aarq, Mechanism, Rlre, Rlrq
from amity.protocols.dlms.apdu import (
    ActionRequestNormal,
    ActionResponseNormal,
    ActionResult,
    Conformance,
    InitiateRequest,
    InitiateResponse,
)
from amity.protocols.dlms.data import Data, octet_string
from amity.protocols.dlms.general_protection import PublicKeys
from amity.protocols.dlms.hls import CHALLENGE_OCTETS, Proof, check, prove
from amity.protocols.dlms.protector import Protector

_DLMS_VERSION = 6
_WRONG_KEY = "wrong key likely: check encryption key, authentication key and both system titles of this meter"


def associate(settings: AssociationSettings, ports: Ports) -> Conversation[Session]:
    """Open an association; return its session.

    Raises:
        AssociationRejectedError: the meter refuses, with cause and remedy.
        InvocationCounterError: our counter is behind; carries the one the meter expects.
        SecurityError: the meter does not prove who it is, or offers less than the settings demand.
        RemoteProtocolError: the answer does not decode.
    """
    hls = settings.authentication.hls
    challenge = fresh_challenge(ports.random_octets, settings.challenge_octets) if hls else b""
    security = _security(settings, ports) if settings.ciphered else None
    journal = ports.journal or Journal(ports.trace)

    request = _aarq(settings, security, challenge, ports).encode()
    journal.sent(request, request, secret=settings.password)
    answer = yield from after_pushes((yield request), journal)
    journal.received(answer, answer)

    aare = _read_aare(answer, request)
    if not aare.accepted:
        raise rejection(aare, settings)
    _check_mechanism(aare, settings)
    peer_title = _peer_title(aare, settings)
    peer_keys = _peer_keys(aare, settings, peer_title)
    if security is not None:
        security.peer_title, security.peer_keys = peer_title, peer_keys
    session = _session(settings, journal, security, _granted(aare, settings, security))
    if hls:
        proof = Proof(settings.client_title, peer_title, aare.authentication_value or b"", challenge)
        yield from _prove_each_other(session, ports, proof, peer_keys.signing)
    if security is not None:
        security.use_dedicated_key()  # not before: servers in the field expect passes 3 and 4 under the global key
    return session


def release(session: Session) -> Conversation[bool]:
    """Release the association; return whether the meter confirmed. Whatever it answers, close the connection then."""
    information = None
    if session.security is not None:
        initiate = InitiateRequest(session.settings.proposed, session.settings.max_pdu_octets)
        information = session.security.seal_initiate(initiate.encode())
    request = Rlrq(user_information=information).encode()
    session.journal.sent(request, request)
    answer = yield from after_pushes((yield request), session.journal)
    session.journal.received(answer, answer)
    # Its first octet says it: gurux-dlms 1.0.203 counts the lengths after it wrong, and nothing in it is needed.
    return answer[:1] == bytes([Rlre.TAG])


# ------------------------------------------------------------------ the request
def _security(settings: AssociationSettings, ports: Ports) -> MessageSecurity:
    security = MessageSecurity(
        _protector(settings),
        settings.client_title,
        ports.next_invocation_counter,
        ciphering=settings.ciphering,
        policy=settings.protection,
        received=ports.received,
    )
    security.signs, security.demands_signature = settings.signed, settings.demands_signature
    security.key_use = settings.key_use
    return security


def _protector(settings: AssociationSettings) -> Protector:
    if settings.protector is None:
        raise ConfigurationError("this association needs keys and none are given")
    return settings.protector


def _aarq(settings: AssociationSettings, security: MessageSecurity | None, challenge: bytes, ports: Ports) -> Aarq:
    information = _initiate(InitiateRequest(settings.proposed, settings.max_pdu_octets), settings, security, ports)
    title = settings.client_title or None
    if settings.authentication is Authentication.NONE:
        return Aarq(information, settings.ciphering.context, calling_ap_title=title)
    return Aarq(
        information,
        settings.ciphering.context,
        mechanism=settings.authentication.mechanism,
        authentication_value=challenge or settings.password,
        calling_ap_title=title,
        calling_ae_qualifier=settings.certificate or None,
    )


def _initiate(
    request: InitiateRequest, settings: AssociationSettings, security: MessageSecurity | None, ports: Ports
) -> bytes:
    if security is None:
        return request.encode()
    if settings.dedicated_key:
        return security.seal_initiate_with_key(request, ports.random_octets)
    return security.seal_initiate(request.encode())


# ------------------------------------------------------------------ the answer
def _read_aare(answer: bytes, request: bytes) -> Aare:
    if not answer:
        raise RemoteProtocolError("an empty answer came", tried="AARQ")
    if answer[:1] == bytes([Aare.TAG]):
        decoded = acse.decode(answer)
        if isinstance(decoded, Aare):
            return decoded
    try:
        raise_service_error(apdu.decode(answer), request)
    except ServiceRefusedError as error:
        raise _refused_before_open(error) from error
    raise RemoteProtocolError(
        "the meter answered the association request with something else",
        tried="AARQ",
        answer=answer[:32].hex(" "),
        next_step="check that client and server address are those of a COSEM association",
    )


def _refused_before_open(error: ServiceRefusedError) -> ServiceRefusedError | AssociationRejectedError:
    """An exception instead of the next step rejects the association; a counter that is behind can be caught up."""
    if isinstance(error, InvocationCounterError):
        return error
    return AssociationRejectedError(error.what, remedy=error.next_step or "", tried=error.tried, answer=error.answer)


def _check_mechanism(aare: Aare, settings: AssociationSettings) -> None:
    wanted = settings.authentication.mechanism
    if aare.mechanism is not None and aare.mechanism != wanted:
        raise DowngradeError(
            f"we asked for authentication {wanted.name} and the meter answered with {aare.mechanism.name}",
            tried="AARQ",
            next_step="set the authentication that the meter is configured for; never a weaker one unasked",
        )
    if settings.ciphered and not aare.ciphered:
        raise DowngradeError(
            "we asked for a ciphered context and the meter opened an unciphered one",
            tried="AARQ",
            next_step="check the security policy of this client in the meter",
        )


def _peer_title(aare: Aare, settings: AssociationSettings) -> bytes:
    title = aare.responding_ap_title or settings.server_title
    if not settings.titled:
        return title
    if not is_system_title(title):
        raise RemoteProtocolError(
            "the meter does not say its system title, and the settings do not know it",
            tried="AARQ",
            next_step="give --system-title, the meter's eight octets",
        )
    if settings.server_title and title != settings.server_title:
        raise SecurityError(
            f"the meter calls itself {title.hex()}; {settings.server_title.hex()} was expected",
            tried="AARQ",
            next_step="another meter may stand at this address: check the registry",
        )
    if title == settings.client_title:
        raise SecurityError("the meter answers with our own system title: our messages are reflected")
    return title


def _peer_keys(aare: Aare, settings: AssociationSettings, peer_title: bytes) -> PublicKeys:
    """The meter's public keys: those of the settings, else the one that a trusted certificate holds."""
    certificate, keys = aare.responding_ae_qualifier, settings.server_keys
    if keys.signing or certificate is None or settings.trust is None:
        return keys
    return keys._replace(signing=settings.trust.signing_key(certificate, peer_title, settings.suite))


def _granted(aare: Aare, settings: AssociationSettings, security: MessageSecurity | None) -> InitiateResponse:
    if aare.user_information is None:  # seen in the field: what was proposed then stands
        if security is not None and not settings.bare_acceptance:
            raise SecurityError(
                "the meter opened a ciphered association without saying what it grants: nothing in that proves a key",
                tried="AARQ",
                next_step="somebody may be in between; if the meter is known to answer so, say --bare-acceptance, or"
                " give its profile the quirk aare-without-user-information",
            )
        return InitiateResponse(settings.proposed, settings.max_pdu_octets)
    plain = aare.user_information if security is None else security.open_initiate(aare.user_information)
    response = apdu.decode(plain)
    raise_service_error(response, bytes([InitiateRequest.TAG]))
    if not isinstance(response, InitiateResponse) or response.version != _DLMS_VERSION:
        raise RemoteProtocolError(
            "the meter opened the association without saying what it grants", tried="AARQ", answer=plain.hex(" ")
        )
    return response


def _session(
    settings: AssociationSettings, journal: Journal, security: MessageSecurity | None, granted: InitiateResponse
) -> Session:
    conformance = granted.conformance & settings.proposed
    if settings.authentication.broken:  # an old meter is read with it; nothing of it is changed
        conformance &= ~Conformance.ACTION
    if security is not None and not conformance & Conformance.GENERAL_PROTECTION:
        if security.signs or security.demands_signature:
            raise DowngradeError("the meter did not grant general protection, which signatures need", tried="AARQ")
        security.ciphering = Ciphering.GLO  # the same keys and protection in the wrapping every meter has
    return Session(settings, journal, security, conformance, granted.max_pdu_octets)


# ------------------------------------------------------------------ HLS, passes 3 and 4
def _prove_each_other(session: Session, ports: Ports, proof: Proof, signing_key: bytes) -> Conversation[None]:
    if len(proof.challenge) not in CHALLENGE_OCTETS:
        raise SecurityError(
            f"the meter's challenge has {len(proof.challenge)} octets; 8 to 64 are a challenge", tried="AARQ"
        )
    if proof.challenge == proof.counter_challenge:
        raise SecurityError("the meter sent our own challenge back: it would have us answer for it", tried="AARQ")
    protector, mechanism = _protector(session.settings), session.settings.authentication.mechanism
    counter = ports.next_invocation_counter() if mechanism is Mechanism.HLS_GMAC else 0
    answer = prove(mechanism, protector, proof, counter)
    request = ActionRequestNormal(session.next_invoke(), REPLY_TO_HLS, octet_string(answer))
    try:
        response = yield from session.exchange(request.encode())
    except ServiceRefusedError as error:
        raise _refused_before_open(error) from error
    returned = _returned(response)
    if returned == answer:
        raise SecurityError("the meter sent our own answer back", tried="ACTION reply_to_HLS_authentication")
    theirs = Proof(proof.verifier, proof.prover, proof.counter_challenge, proof.challenge)
    _check_proof(protector, mechanism, theirs, returned, signing_key)


def _returned(response: apdu.Apdu) -> bytes:
    if not isinstance(response, ActionResponseNormal):
        raise RemoteProtocolError("the meter answered the HLS exchange with something else", tried="ACTION")
    if response.result is not ActionResult.SUCCESS:
        raise AssociationRejectedError(
            "the meter does not accept our answer to its challenge",
            remedy=_WRONG_KEY,
            tried="ACTION reply_to_HLS_authentication",
            answer=f"action-result {response.result.label}",
        )
    value = response.return_value
    if isinstance(value, Data) and isinstance(value.value, bytes):
        return value.value
    raise SecurityError("the meter did not answer our challenge", tried="ACTION reply_to_HLS_authentication")


def _check_proof(protector: Protector, mechanism: Mechanism, proof: Proof, answer: bytes, signing_key: bytes) -> None:
    try:
        check(mechanism, protector, proof, answer, signing_key)
    except SecurityError as error:
        raise SecurityError(
            "the meter's answer to our challenge does not verify",
            tried="ACTION reply_to_HLS_authentication",
            answer=error.what,
            next_step=_WRONG_KEY,
        ) from error
