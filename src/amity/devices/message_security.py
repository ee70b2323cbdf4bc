"""Protection of the APDUs of one association, in both directions (IEC 62056-5-3, 5.3.4 and 5.3.5)."""

from collections.abc import Callable

from amity.devices.settings import SYSTEM_TITLE_OCTETS, Ciphering, Protection
from amity.kernel.errors import SecurityError
from amity.protocols.dlms.apdu import Ciphered, decode
from amity.protocols.dlms.ciphering import Protector, SecurityControl, unwrap, wrap_general_glo, wrap_glo


class DowngradeError(SecurityError):
    """A message came with less protection, or an answer with a weaker mechanism, than the settings demand."""


class ReplayError(SecurityError):
    """A received invocation counter did not rise above the last one."""


class MessageSecurity:
    """Seals what we send and opens what the peer sends; client and meter use it alike.

    `policy` is the least protection accepted, and what we send with. `last_received` is the highest counter that the
    peer has used; a message must be above it. `peer_title` is set as soon as the peer has said who it is.
    The meter `answers_in_kind`: wrapped and protected as the request was.
    """

    __slots__ = (
        "_answers_in_kind", "_control", "_next_counter", "_own_title", "_protector", "ciphering", "last_received",
        "peer_title", "policy",
    )  # fmt: skip

    def __init__(
        self,
        protector: Protector,
        own_title: bytes,
        next_counter: Callable[[], int],
        *,
        ciphering: Ciphering,
        policy: Protection,
        last_received: int = -1,
        answers_in_kind: bool = False,
    ) -> None:
        self._protector = protector
        self._own_title = own_title
        self._next_counter = next_counter
        self.ciphering = ciphering
        self.policy = policy
        self.peer_title = b""
        self.last_received = last_received
        self._control = policy.control
        self._answers_in_kind = answers_in_kind

    def seal(self, plain: bytes) -> bytes:
        """Protect an APDU in the wrapping of this association."""
        wrap = wrap_general_glo if self.ciphering is Ciphering.GENERAL_GLO else wrap_glo
        return wrap(self._protector, self._control, self._own_title, self._next_counter(), plain)

    def seal_initiate(self, plain: bytes) -> bytes:
        """Protect an InitiateRequest or -Response, which travels service-specific in every ciphered context."""
        return wrap_glo(self._protector, self._control, self._own_title, self._next_counter(), plain)

    def open(self, octets: bytes) -> bytes:
        """The plain APDU inside; raise SecurityError (DowngradeError, ReplayError) when it must not be believed."""
        apdu = decode(octets)
        if not isinstance(apdu, Ciphered):
            raise DowngradeError(
                f"an unprotected message ({octets[0]:#04x}) came in an association that demands {self.policy}",
                next_step="somebody may be in between; if the meter is known to answer so, change its profile",
            )
        self._check(apdu)
        plain = unwrap(self._protector, None, self.peer_title, apdu)
        if not plain or apdu.tag.plain not in {None, plain[0]}:  # all that tells without an authentication tag
            raise SecurityError(
                f"a message of type {apdu.tag.name} does not hold what its type says", next_step="wrong key likely"
            )
        self.last_received = apdu.invocation_counter
        if self._answers_in_kind:
            self.ciphering = Ciphering.GENERAL_GLO if apdu.tag.general else Ciphering.GLO
            self._control = apdu.security_control & SecurityControl.BOTH
        return plain

    def _check(self, apdu: Ciphered) -> None:
        if apdu.tag.dedicated:
            raise SecurityError("a message under a dedicated key came; none was agreed")
        if not self.policy.satisfied_by(apdu.security_control):
            raise DowngradeError(
                f"a message protected with {apdu.security_control:#04x} came; the policy demands {self.policy}",
                next_step="somebody may be in between; if the meter is known to answer so, change its profile",
            )
        if apdu.system_title and apdu.system_title != self.peer_title:
            raise SecurityError(
                f"a message from system title {apdu.system_title.hex()} came;"
                f" the association is with {self.peer_title.hex()}"
            )
        if apdu.invocation_counter <= self.last_received:
            raise ReplayError(
                f"a message with invocation counter {apdu.invocation_counter} came after {self.last_received}",
                next_step="somebody may replay old messages; open a new association",
            )


def is_system_title(octets: bytes | None) -> bool:
    """True for the eight octets that a nonce needs."""
    return octets is not None and len(octets) == SYSTEM_TITLE_OCTETS
