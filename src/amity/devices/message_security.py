"""Protection of the APDUs of one association, in both directions (IEC 62056-5-3, 5.3.4 to 5.3.6)."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import count

from amity.devices.freshness import Received, check_rises, moves_unproved
from amity.devices.settings import ONE_MESSAGE, SYSTEM_TITLE_OCTETS, Ciphering, Protection
from amity.kernel.errors import RemoteProtocolError, SecurityError
from amity.protocols.dlms.apdu import Apdu, Ciphered, GeneralCiphering, GeneralSigning, InitiateRequest, decode
from amity.protocols.dlms.ciphered import CipherTag, dedicated_tag_of, global_tag_of
from amity.protocols.dlms.ciphering import (
    SecurityControl,
    check_control,
    unwrap,
    wrap_ded,
    wrap_general_ded,
    wrap_general_glo,
    wrap_glo,
)
from amity.protocols.dlms.general_protection import (
    UNKNOWN_KEYS,
    KeyUse,
    Parties,
    PublicKeys,
    key_use_of,
    number_of,
    one_time_key_of,
    open_signed,
    sign_general,
    unwrap_general,
    wrap_general,
)
from amity.protocols.dlms.protector import Protector
from amity.protocols.dlms.suites import suite_of

_SIGNED = bytes([GeneralSigning.TAG])
_FIRST_DEDICATED = 1
_GENERAL_HEADER_OCTETS = 48  # tag, three strings of 8, two empty ones, length, key info without what is agreed on
_WRAPPED_KEY_OCTETS = 40
_OVERHEAD_OCTETS = {
    Ciphering.NONE: 0,
    Ciphering.GLO: 31,  # tag, system title (9), length (4), security header (5), authentication tag (12)
    Ciphering.GENERAL_GLO: 31,
    Ciphering.GENERAL: 22 + _WRAPPED_KEY_OCTETS,
}


class DowngradeError(SecurityError):
    """A message came with less protection, or an answer with a weaker mechanism, than the settings demand."""


@dataclass(slots=True)
class _KeyInUse:
    """One encryption key with its two counters: what we sent under it and what came."""

    protector: Protector
    next_counter: Callable[[], int]
    received: Received


class MessageSecurity:
    """Seals what we send and opens what the peer sends; client and meter use it alike.

    `policy` is the least protection accepted, and what we send with. `received` holds the highest counter that the peer
    has used; a message must be above it. `peer_title` and `peer_keys` are set as soon as the peer has said who it is.
    Who `signs` puts his signature on what he sends; who `demands_signature` takes nothing without the peer's.
    The meter `answers_in_kind`: wrapped and protected as the request was, and with `answer_control` at the least.
    Only who `takes_broadcast` opens what came under the broadcast key, which everybody else in the field has too;
    `came_to_all` says whether the last message did.
    Without a policy (`Protection.NONE`) messages are signed and nothing else: some pushes are.
    """

    __slots__ = (
        "_answers_in_kind", "_control", "_dedicated", "_global", "_own_title", "_sending", "answer_control",
        "came_to_all", "ciphering", "demands_signature", "key_use", "peer_keys", "peer_title", "policy", "signs",
        "takes_broadcast",
    )  # fmt: skip

    def __init__(
        self,
        protector: Protector,
        own_title: bytes,
        next_counter: Callable[[], int],
        *,
        ciphering: Ciphering,
        policy: Protection,
        received: Received | None = None,
        answers_in_kind: bool = False,
    ) -> None:
        self._global = _KeyInUse(protector, next_counter, received or Received())
        self._dedicated: _KeyInUse | None = None
        self._sending = self._global
        self._own_title = own_title
        self._control = policy.control | protector.suite
        self._answers_in_kind = answers_in_kind
        self.answer_control = 0
        self.ciphering = ciphering
        self.policy = policy
        self.peer_title = b""
        self.peer_keys: PublicKeys = UNKNOWN_KEYS
        self.key_use = KeyUse.IDENTIFIED
        self.signs = self.demands_signature = self.takes_broadcast = self.came_to_all = False

    @property
    def last_received(self) -> int:
        """The highest invocation counter that the peer has used under the global key."""
        return self._global.received.counter

    @property
    def has_dedicated_key(self) -> bool:
        """True when a key of this association's own was agreed on."""
        return self._dedicated is not None

    @property
    def overhead_octets(self) -> int:
        """How much longer an APDU becomes at most when it is sealed."""
        signature = _GENERAL_HEADER_OCTETS + 2 * suite_of(self._global.protector.suite).public_key_octets
        wrapping = _OVERHEAD_OCTETS[self.ciphering] + (signature if self.ciphering is Ciphering.GENERAL else 0)
        return wrapping + (signature if self.signs else 0)

    def give_dedicated_key(self, key: bytes) -> None:
        """From now on messages under a key of this association's own are taken; it has counters of its own.

        Raises LocalProtocolError when its length does not fit the suite.
        """
        self._dedicated = _in_use(self._global.protector.dedicated(key))

    def use_dedicated_key(self) -> None:
        """From now on what we send is sealed under the dedicated key, where there is one."""
        self._sending = self._dedicated or self._global

    def rekey(self, protector: Protector) -> None:
        """From now on seal and open with changed keys; counters go on rising."""
        self._global.protector = protector

    # -------------------------------------------------------------- sending
    def seal(self, plain: bytes) -> bytes:
        """Protect an APDU in the wrapping of this association; one without a tag of its own travels in the general."""
        if self.signs:
            plain = sign_general(self._parties(), self._global.next_counter(), plain)
            if self.policy is Protection.NONE:
                return plain
        if self.ciphering is Ciphering.GENERAL:
            number = self._global.next_counter()
            return wrap_general(self._parties(), self.key_use, self._control, number, plain)
        used = self._sending
        wrap = _GENERAL_WRAPS if self.ciphering is Ciphering.GENERAL_GLO else _OWN_WRAPS
        own_tag_of, seal_own, seal_general = wrap[used is self._dedicated]
        seal = seal_general if own_tag_of(plain[0]) is None else seal_own
        return seal(used.protector, self._control, self._own_title, used.next_counter(), plain)

    def seal_initiate(self, plain: bytes) -> bytes:
        """Protect an InitiateRequest or -Response: service-specific, global key, in every ciphered context."""
        return wrap_glo(self._global.protector, self._control, self._own_title, self._global.next_counter(), plain)

    def seal_broadcast(self, plain: bytes) -> bytes:
        """Protect an APDU for everybody who has the broadcast key; nobody answers it.

        Dedicated keys and general-ciphering know no broadcast (IEC 62056-5-3, 5.3.5: Key_Set).
        """
        if self.signs:
            plain = sign_general(replace(self._parties(), peer_title=b""), self._global.next_counter(), plain)
        wrap = wrap_general_glo if self.ciphering.general or global_tag_of(plain[0]) is None else wrap_glo
        control = self._control | SecurityControl.BROADCAST
        return wrap(self._global.protector, control, self._own_title, self._global.next_counter(), plain)

    def seal_initiate_with_key(self, request: InitiateRequest, random_octets: Callable[[int], bytes]) -> bytes:
        """As `seal_initiate`, with a new key of this association's own, which from now on messages are taken under.

        It is encrypted whatever the policy: who reads it could work out the authentication key from two tags under it.
        """
        protector, number = self._global.protector, self._global.next_counter()
        control = self._control | SecurityControl.ENCRYPTED
        around = request.around_key(suite_of(protector.suite).key_octets)
        payload, dedicated = protector.dedicate(control, self._own_title, number, around, random_octets)
        self._dedicated = _in_use(dedicated)
        return Ciphered(CipherTag.GLO_INITIATE_REQUEST, None, control, number, payload).encode()

    # -------------------------------------------------------------- receiving
    def open(self, octets: bytes) -> bytes:
        """The plain APDU inside; raise SecurityError (DowngradeError, ReplayError) when it must not be believed.

        A signature stands inside of the ciphering, or around it, or alone where the policy demands nothing else.
        """
        if octets[:1] == _SIGNED:
            return self._open_signed_outside(octets)
        plain = self._opened(octets)
        if plain[0] == GeneralSigning.TAG:
            return self._verified(plain).content
        if self.demands_signature:
            raise DowngradeError("an unsigned message came where signatures are demanded")
        return plain

    def _open_signed_outside(self, octets: bytes) -> bytes:
        content = self._verified(octets).content
        return content if self.policy is Protection.NONE else self._opened(content)

    def _verified(self, octets: bytes) -> GeneralSigning:
        signed = decode(octets)
        if not isinstance(signed, GeneralSigning):
            raise SecurityError("a signed message does not decode")
        if not open_signed(self._parties(), signed):
            raise SecurityError("a signed message holds nothing")
        self._check_signed_once(signed)
        return signed

    def _check_signed_once(self, signed: GeneralSigning) -> None:
        """A signature counts once: whoever has the symmetric keys may wrap an old one anew.

        Some give signed messages no number: under a key with a counter these are taken all the same.
        """
        heeded = self._answers_in_kind or self.demands_signature
        if heeded and (signed.transaction_id or self.policy is Protection.NONE):
            number, received = int.from_bytes(signed.transaction_id, "big"), self._global.received
            check_rises("transaction id", number, received.signed)
            received.signed = number

    def open_initiate(self, octets: bytes) -> bytes:
        """As `open`, for the Initiate services, which nobody signs; without a tag nothing else is taken for one."""
        return self._opened(octets, initiate=True)

    def _opened(self, octets: bytes, *, initiate: bool = False) -> bytes:
        apdu = decode(octets)
        if isinstance(apdu, Ciphered):
            return self._open_ciphered(apdu, initiate=initiate)
        if isinstance(apdu, GeneralCiphering):
            return self._open_general(apdu, initiate=initiate)
        raise DowngradeError(
            f"an unprotected message ({octets[0]:#04x}) came in an association that demands {self.policy}",
            next_step="somebody may be in between; if the meter is known to answer so, change its profile",
        )

    def _open_ciphered(self, apdu: Ciphered, *, initiate: bool) -> bytes:
        used = self._key_of(apdu)
        control, counter = apdu.security_control, apdu.invocation_counter
        to_all = self.takes_broadcast and not apdu.tag.dedicated and bool(control & SecurityControl.BROADCAST)
        self._check_control(control & ~SecurityControl.BROADCAST if to_all else control)
        if apdu.system_title and apdu.system_title != self.peer_title:
            raise SecurityError(
                f"a message from system title {apdu.system_title.hex()} came;"
                f" the association is with {self.peer_title.hex()}"
            )
        received = used.received
        last = received.broadcast if to_all else received.counter
        check_rises("invocation counter", counter, last)
        plain = unwrap(used.protector, None, self.peer_title, apdu)
        if not plain or apdu.tag.plain not in {None, plain[0]}:  # all that tells without an authentication tag
            raise SecurityError(
                f"a message of type {apdu.tag.name} does not hold what its type says", next_step="wrong key likely"
            )
        tagged = bool(control & SecurityControl.AUTHENTICATED)
        number = counter if tagged or moves_unproved(plain, counter - last, initiate=initiate, first=last < 0) else last
        self.came_to_all = to_all
        if to_all:
            received.broadcast = number
            return plain
        received.counter = number
        if self._answers_in_kind:
            self._sending = used
            self._answer_in(Ciphering.GENERAL_GLO if apdu.tag.general else Ciphering.GLO, control)
        return plain

    def _open_general(self, apdu: GeneralCiphering, *, initiate: bool) -> bytes:
        received = self._global.received
        self._check_control(apdu.security_control)
        tagged = bool(apdu.security_control & SecurityControl.AUTHENTICATED)
        if key_use_of(apdu) in ONE_MESSAGE and not tagged:
            raise SecurityError(
                "a message under a key of its own came without a tag: its transaction id could be anything",
                next_step="choose a protection with authentication, or another kind of key",
            )
        counted, number = number_of(apdu)
        last = received.counter if counted else received.transaction
        # Who asks is held to his numbers; answers that have a new key each may do without.
        one_time_key = b"" if self._answers_in_kind else one_time_key_of(apdu, suite_of(self._global.protector.suite))
        if not received.is_new(one_time_key):
            check_rises("invocation counter" if counted else "transaction id", number, last)
        plain = unwrap_general(self._parties(), apdu)
        if not plain:
            raise SecurityError("a ciphered message holds nothing", next_step="wrong key likely")
        if not tagged and not moves_unproved(plain, number - last, initiate=initiate, first=last < 0):
            number = last
        self.came_to_all = False
        if counted:
            received.counter = number
        else:
            received.transaction = max(last, number)
            received.remember(one_time_key)
        if self._answers_in_kind:
            self._answer_in(Ciphering.GENERAL, apdu.security_control)
            self.key_use = key_use_of(apdu)
        return plain

    def _key_of(self, apdu: Ciphered) -> _KeyInUse:
        if not apdu.tag.dedicated:
            return self._global
        if self._dedicated is None:
            raise SecurityError("a message under a dedicated key came; none was agreed")
        return self._dedicated

    def _check_control(self, control: int) -> None:
        """Whatever the message says of its own protection must not undercut what was agreed."""
        if control & ~SecurityControl.BOTH != self._global.protector.suite:
            check_control(control, self._global.protector.suite)
            raise SecurityError("a message under the broadcast key came, where each side has a key of its own")
        if not self.policy.satisfied_by(control):
            raise DowngradeError(
                f"a message protected with {control:#04x} came; the policy demands {self.policy}",
                next_step="somebody may be in between; if the meter is known to answer so, change its profile",
            )

    def _answer_in(self, ciphering: Ciphering, control: int) -> None:
        self.ciphering = ciphering
        self._control = control | self.answer_control

    def _parties(self) -> Parties:
        return Parties(self._global.protector, self._own_title, self.peer_title, self.peer_keys)


_OWN_WRAPS = ((global_tag_of, wrap_glo, wrap_general_glo), (dedicated_tag_of, wrap_ded, wrap_general_ded))
_GENERAL_WRAPS = (
    (global_tag_of, wrap_general_glo, wrap_general_glo),
    (dedicated_tag_of, wrap_general_ded, wrap_general_ded),
)
"""By whether a dedicated key is used: the service's own tag, how it is sealed with one, how without."""


def _in_use(dedicated: Protector) -> _KeyInUse:
    return _KeyInUse(dedicated, count(_FIRST_DEDICATED).__next__, Received())


def is_encrypted(octets: bytes) -> bool:
    """True when a protected APDU cannot be read without a key."""
    apdu = decode(octets)
    return isinstance(apdu, Ciphered | GeneralCiphering) and bool(apdu.security_control & SecurityControl.ENCRYPTED)


def is_broadcast(octets: bytes) -> bool:
    """True when a protected APDU says that it is for everybody; nobody answers one, whatever is wrong with it."""
    try:
        apdu = decode(octets)
    except RemoteProtocolError:
        return False
    return isinstance(apdu, Ciphered) and bool(apdu.security_control & SecurityControl.BROADCAST)


def sender_of(apdu: Apdu) -> bytes:
    """The system title of whoever says that he protected it; empty where nobody says so."""
    if isinstance(apdu, Ciphered):
        return apdu.system_title or b""
    return apdu.originator_system_title if isinstance(apdu, GeneralCiphering | GeneralSigning) else b""


def is_system_title(octets: bytes | None) -> bool:
    """True for the eight octets that a nonce needs."""
    return octets is not None and len(octets) == SYSTEM_TITLE_OCTETS
