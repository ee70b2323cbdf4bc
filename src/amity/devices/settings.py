"""What an association is opened with: authentication, ciphering, protection (IEC 62056-5-3, 5.2 and 9.2)."""

from dataclasses import dataclass, field
from enum import StrEnum

from amity.kernel.errors import ConfigurationError
from amity.protocols.dlms.acse import ApplicationContext, Mechanism
from amity.protocols.dlms.apdu import Conformance
from amity.protocols.dlms.ciphering import Protector

SYSTEM_TITLE_OCTETS = 8
CHALLENGE_OCTETS_MIN = 16
CHALLENGE_OCTETS_MAX = 64
PDU_OCTETS_MAX = 0xFFFF


class Authentication(StrEnum):
    """How the parties prove who they are; each value is a mechanism of COSEM_authentication_mechanism_name."""

    NONE = "none"
    LLS = "lls"
    HLS_GMAC = "hls-gmac"

    @property
    def mechanism(self) -> Mechanism:
        """The mechanism id on the wire."""
        return _MECHANISMS[self]


class Ciphering(StrEnum):
    """In what wrapping protected APDUs travel: service-specific (glo-*) or general-glo-ciphering."""

    NONE = "none"
    GLO = "glo"
    GENERAL_GLO = "general-glo"

    @property
    def context(self) -> ApplicationContext:
        """The application context an association with this ciphering asks for (logical names only)."""
        return ApplicationContext.LN if self is Ciphering.NONE else ApplicationContext.LN_CIPHERED


class Protection(StrEnum):
    """What is done to an APDU; `control` is the bits of the security control octet (suite 0 adds nothing)."""

    NONE = "none"
    AUTHENTICATED = "authenticated"
    ENCRYPTED = "encrypted"
    AUTHENTICATED_ENCRYPTED = "authenticated-encrypted"

    @property
    def control(self) -> int:
        """Bit 4 (0x10) for authentication, bit 5 (0x20) for encryption."""
        return _CONTROLS[self]

    def satisfied_by(self, security_control: int) -> bool:
        """True when a received security control protects at least as much as this demands."""
        return security_control & self.control == self.control


_MECHANISMS = {
    Authentication.NONE: Mechanism.LOWEST,
    Authentication.LLS: Mechanism.LLS,
    Authentication.HLS_GMAC: Mechanism.HLS_GMAC,
}
_CONTROLS = {
    Protection.NONE: 0x00,
    Protection.AUTHENTICATED: 0x10,
    Protection.ENCRYPTED: 0x20,
    Protection.AUTHENTICATED_ENCRYPTED: 0x30,
}

CLIENT_CONFORMANCE = (
    Conformance.GET
    | Conformance.ACTION
    | Conformance.SELECTIVE_ACCESS
    | Conformance.BLOCK_TRANSFER_WITH_GET_OR_READ
    | Conformance.MULTIPLE_REFERENCES
)
"""What our client implements and therefore proposes; general protection comes on top where the settings ask for it."""


@dataclass(frozen=True, slots=True)
class AssociationSettings:
    """How a client opens one association; secrets are left out of `repr`.

    `client_title` names us in the nonce of every protected APDU: it is needed for ciphering and for HLS-GMAC.
    `server_title`, where known, must be what the meter answers with. `protector` holds the keys behind a port.
    """

    authentication: Authentication = Authentication.NONE
    ciphering: Ciphering = Ciphering.NONE
    protection: Protection = Protection.NONE
    client_title: bytes = b""
    server_title: bytes = b""
    password: bytes = field(default=b"", repr=False)
    protector: Protector | None = field(default=None, repr=False)
    max_pdu_octets: int = PDU_OCTETS_MAX
    challenge_octets: int = CHALLENGE_OCTETS_MIN
    conformance: Conformance = CLIENT_CONFORMANCE

    def __post_init__(self) -> None:
        """Raise ConfigurationError for a combination that cannot work, before anything is sent."""
        for wrong, sentence, remedy in self._objections():
            if wrong:
                raise ConfigurationError(sentence, next_step=remedy)

    def _objections(self) -> tuple[tuple[bool, str, str], ...]:
        return (
            (self.keyed and self.protector is None, "ciphering and HLS-GMAC need keys", "give --key and --auth-key"),
            (
                self.keyed and len(self.client_title) != SYSTEM_TITLE_OCTETS,
                f"a client system title has {SYSTEM_TITLE_OCTETS} octets, not {len(self.client_title)}",
                "give the title under which the meter knows this client",
            ),
            (
                self.authentication is Authentication.LLS and not self.password,
                "LLS needs a password",
                "give --password",
            ),
            (
                self.ciphered != (self.protection is not Protection.NONE),
                "ciphering and protection go together: both, or neither",
                "choose authenticated, encrypted or authenticated-encrypted with glo or general-glo",
            ),
            (
                not CHALLENGE_OCTETS_MIN <= self.challenge_octets <= CHALLENGE_OCTETS_MAX,
                f"a challenge has {CHALLENGE_OCTETS_MIN} to {CHALLENGE_OCTETS_MAX} octets",
                f"leave it at {CHALLENGE_OCTETS_MIN}",
            ),
            (
                CLIENT_CONFORMANCE & self.conformance != self.conformance,
                "only services that the client implements may be proposed",
                "propose a part of CLIENT_CONFORMANCE",
            ),
        )

    @property
    def ciphered(self) -> bool:
        """True when xDLMS APDUs of this association are protected."""
        return self.ciphering is not Ciphering.NONE

    @property
    def keyed(self) -> bool:
        """True when keys and system titles take part."""
        return self.ciphered or self.authentication is Authentication.HLS_GMAC

    @property
    def proposed(self) -> Conformance:
        """The conformance block of our InitiateRequest."""
        general = self.ciphering is Ciphering.GENERAL_GLO
        return self.conformance | (Conformance.GENERAL_PROTECTION if general else Conformance(0))
