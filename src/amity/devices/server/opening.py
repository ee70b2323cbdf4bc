"""How a meter judges an association request (IEC 62056-5-3, 6.2 and 7.2.4): a context, or the AARE that says no."""

import hmac
from collections.abc import Callable
from typing import NamedTuple

from amity.devices.challenges import fresh_challenge
from amity.devices.freshness import Received, ReplayError
from amity.devices.message_security import MessageSecurity, is_encrypted, is_system_title
from amity.devices.server.settings import ClientAccess, MeterSettings
from amity.devices.settings import CHALLENGE_OCTETS_MIN, CHANGING, Authentication
from amity.kernel.errors import AmityError, LocalProtocolError, RemoteProtocolError, SecurityError
from amity.protocols.dlms import apdu
from amity.protocols.dlms.acse import Aare, Aarq, AssociationResult, Mechanism, SourceDiagnostic
from amity.protocols.dlms.apdu import ConfirmedServiceError, Conformance, InitiateRequest, InitiateResponse
from amity.protocols.dlms.general_protection import PublicKeys
from amity.protocols.dlms.hls import CHALLENGE_OCTETS

_PDU_OCTETS_FROM_CLIENT_MIN = 12  # the standard's least; a block of a GET then holds two octets
_DLMS_VERSION = 6
_INITIATE, _INITIATE_ERROR = 1, 6
_VERSION_TOO_LOW, _INCOMPATIBLE_CONFORMANCE, _PDU_SIZE_TOO_SHORT = 1, 2, 3


class RejectedError(AmityError):
    """The request is refused; `aare` says why to the client."""

    def __init__(
        self,
        access: ClientAccess,
        diagnostic: SourceDiagnostic,
        *,
        result: AssociationResult = AssociationResult.REJECTED_PERMANENT,
        information: bytes | None = None,
    ) -> None:
        super().__init__(f"association rejected: {diagnostic.name}")
        self.aare = Aare(result, diagnostic, information, access.ciphering.context)


class Opened(NamedTuple):
    """An association that may begin; `their_challenge` and `our_challenge` are empty unless HLS goes on.

    `conformance` is what both sides can, `max_pdu_octets` the longest APDU that may be sent to the client.
    """

    access: ClientAccess
    client_title: bytes
    client_keys: PublicKeys
    security: MessageSecurity | None
    conformance: Conformance
    max_pdu_octets: int
    their_challenge: bytes
    our_challenge: bytes


class Judge(NamedTuple):
    """What is needed to judge a request: the meter's settings and its sources of chance and counters.

    `certificate_for` gives the meter's own certificate that a client is shown, empty without one.
    """

    settings: MeterSettings
    random_octets: Callable[[int], bytes]
    next_counter: Callable[[], int]
    certificate_for: Callable[[int], bytes]

    def open(self, aarq: Aarq, access: ClientAccess, received: Received) -> Opened:
        """Let the client in, or raise RejectedError (ReplayError when only its invocation counter is too low).

        `received` is what this client has used of its counters; it is written on.
        """
        _check_context(aarq, access)
        _check_mechanism(aarq, access)
        _check_password(aarq, access)
        title = self._client_title(aarq, access)
        keys = _client_keys(aarq, access, title)
        security = self._security(access, received) if access.ciphered else None
        if security is not None:
            security.peer_title, security.peer_keys = title, keys
        proposed = _proposed(aarq, access, security)
        return Opened(
            access=access,
            client_title=title,
            client_keys=keys,
            security=security,
            conformance=self._granted(proposed, access),
            max_pdu_octets=self._pdu_octets(proposed, access),
            their_challenge=_challenge(aarq, access),
            our_challenge=self._own_challenge(access),
        )

    def aare(self, opened: Opened) -> bytes:
        """The answer that lets the client in; with HLS it asks for the second half of the authentication."""
        response = InitiateResponse(opened.conformance, self.settings.max_pdu_octets).encode()
        access = opened.access
        hls = bool(opened.our_challenge)
        return Aare(
            AssociationResult.ACCEPTED,
            SourceDiagnostic.AUTHENTICATION_REQUIRED if hls else SourceDiagnostic.NULL,
            response if opened.security is None else opened.security.seal_initiate(response),
            access.ciphering.context,
            mechanism=access.authentication.mechanism if hls else None,
            authentication_value=opened.our_challenge or None,
            responding_ap_title=self.settings.system_title if access.titled else None,
            responding_ae_qualifier=self.certificate_for(access.client) or None,
        ).encode()

    def _client_title(self, aarq: Aarq, access: ClientAccess) -> bytes:
        title = aarq.calling_ap_title or b""
        if not access.titled:
            return title
        known = not access.client_title or title == access.client_title
        if not is_system_title(title) or not known or title == self.settings.system_title:
            raise RejectedError(access, SourceDiagnostic.CALLING_AP_TITLE_NOT_RECOGNIZED)
        return title

    def _security(self, access: ClientAccess, received: Received) -> MessageSecurity | None:
        if access.protector is None:
            return None
        security = MessageSecurity(
            access.protector,
            self.settings.system_title,
            self.next_counter,
            ciphering=access.ciphering,
            policy=access.protection,
            received=received,
            answers_in_kind=True,
        )
        access.rule(security)
        return security

    def _granted(self, proposed: InitiateRequest, access: ClientAccess) -> Conformance:
        conformance = proposed.conformance & self.settings.conformance
        if access.authentication.broken:
            conformance &= ~CHANGING
        if not access.ciphered:
            conformance &= ~Conformance.GENERAL_PROTECTION
        if proposed.version < _DLMS_VERSION:
            raise _initiate_error(access, _VERSION_TOO_LOW)
        if not conformance & Conformance.GET:
            raise _initiate_error(access, _INCOMPATIBLE_CONFORMANCE)
        return conformance

    def _pdu_octets(self, proposed: InitiateRequest, access: ClientAccess) -> int:
        if 0 < proposed.max_pdu_octets < _PDU_OCTETS_FROM_CLIENT_MIN:
            raise _initiate_error(access, _PDU_SIZE_TOO_SHORT)
        return min(proposed.max_pdu_octets or self.settings.max_pdu_octets, self.settings.max_pdu_octets)

    def _own_challenge(self, access: ClientAccess) -> bytes:
        if not access.authentication.hls:
            return b""
        try:
            return fresh_challenge(self.random_octets, CHALLENGE_OCTETS_MIN)
        except LocalProtocolError as error:
            transient = AssociationResult.REJECTED_TRANSIENT
            raise RejectedError(access, SourceDiagnostic.NO_REASON_GIVEN, result=transient) from error


def _check_context(aarq: Aarq, access: ClientAccess) -> None:
    if aarq.context is not access.ciphering.context:
        raise RejectedError(access, SourceDiagnostic.APPLICATION_CONTEXT_NAME_NOT_SUPPORTED)


def _check_mechanism(aarq: Aarq, access: ClientAccess) -> None:
    offered = Mechanism.LOWEST if aarq.mechanism is None else aarq.mechanism
    if offered is access.authentication.mechanism:
        return
    missing = offered is Mechanism.LOWEST
    raise RejectedError(
        access,
        SourceDiagnostic.AUTHENTICATION_MECHANISM_NAME_REQUIRED
        if missing
        else SourceDiagnostic.AUTHENTICATION_MECHANISM_NAME_NOT_RECOGNISED,
    )


def _check_password(aarq: Aarq, access: ClientAccess) -> None:
    given = aarq.authentication_value or b""
    if access.authentication is Authentication.LLS and not (given and hmac.compare_digest(given, access.password)):
        raise RejectedError(access, SourceDiagnostic.AUTHENTICATION_FAILURE)


def _client_keys(aarq: Aarq, access: ClientAccess, title: bytes) -> PublicKeys:
    """The client's public keys: those it was entered with, else the one that a trusted certificate holds."""
    certificate, keys = aarq.calling_ae_qualifier, access.client_keys
    if keys.signing or certificate is None or access.trust is None or access.protector is None:
        return keys
    try:
        return keys._replace(signing=access.trust.signing_key(certificate, title, access.protector.suite))
    except SecurityError as error:
        raise RejectedError(access, SourceDiagnostic.AUTHENTICATION_FAILURE) from error


def _challenge(aarq: Aarq, access: ClientAccess) -> bytes:
    if not access.authentication.hls:
        return b""
    challenge = aarq.authentication_value or b""
    if len(challenge) not in CHALLENGE_OCTETS:
        raise RejectedError(access, SourceDiagnostic.AUTHENTICATION_FAILURE)
    return challenge


def _proposed(aarq: Aarq, access: ClientAccess, security: MessageSecurity | None) -> InitiateRequest:
    try:
        information = aarq.user_information or b""
        request = apdu.decode(information if security is None else security.open_initiate(information))
        if security is not None and isinstance(request, InitiateRequest) and request.dedicated_key is not None:
            if not is_encrypted(information):
                raise SecurityError("a dedicated key came that everybody could read")
            security.give_dedicated_key(request.dedicated_key)
    except ReplayError:
        raise
    except (RemoteProtocolError, LocalProtocolError) as error:
        reason = SourceDiagnostic.NO_REASON_GIVEN if security is None else SourceDiagnostic.AUTHENTICATION_FAILURE
        raise RejectedError(access, reason) from error
    if not isinstance(request, InitiateRequest):
        raise RejectedError(access, SourceDiagnostic.NO_REASON_GIVEN)
    return request


def _initiate_error(access: ClientAccess, code: int) -> RejectedError:
    information = ConfirmedServiceError(_INITIATE, _INITIATE_ERROR, code).encode()
    return RejectedError(access, SourceDiagnostic.NO_REASON_GIVEN, information=information)
