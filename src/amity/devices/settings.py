"""What an association is opened with: authentication, ciphering, protection (IEC 62056-5-3, 5.2 and 9.2)."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from amity.kernel.errors import ConfigurationError, SecurityError
from amity.protocols.dlms.acse import ApplicationContext, Mechanism
from amity.protocols.dlms.apdu import Conformance
from amity.protocols.dlms.certificates import Purpose, Trust
from amity.protocols.dlms.general_protection import UNKNOWN_KEYS, KeyUse, PublicKeys
from amity.protocols.dlms.protector import Protector
from amity.protocols.dlms.suites import suite_of

SYSTEM_TITLE_OCTETS = 8
CHALLENGE_OCTETS_MIN = 16
CHALLENGE_OCTETS_MAX = 64
PDU_OCTETS_MAX = 0xFFFF


class Authentication(StrEnum):
    """How the parties prove who they are; each value is a mechanism of COSEM_authentication_mechanism_name."""

    NONE = "none"
    LLS = "lls"
    HLS2 = "hls2"
    HLS_MD5 = "hls-md5"
    HLS_SHA1 = "hls-sha1"
    HLS_GMAC = "hls-gmac"
    HLS_SHA256 = "hls-sha256"
    HLS_ECDSA = "hls-ecdsa"

    @property
    def mechanism(self) -> Mechanism:
        """The mechanism id on the wire."""
        return _MECHANISMS[self]

    @property
    def hls(self) -> bool:
        """True when each side proves itself by its answer to a challenge of the other."""
        return self.mechanism >= Mechanism.HLS

    @property
    def titled(self) -> bool:
        """True when system titles take part in the proof."""
        return self.mechanism >= Mechanism.HLS_GMAC

    @property
    def broken(self) -> bool:
        """True for the digests that nobody should rely on any more: old meters are read with them, nothing else."""
        return self in {Authentication.HLS_MD5, Authentication.HLS_SHA1}


class Ciphering(StrEnum):
    """In what wrapping protected APDUs travel: service-specific, general-glo-ciphering or general-ciphering.

    With a dedicated key the first two become their ded-* and general-ded counterparts.
    """

    NONE = "none"
    GLO = "glo"
    GENERAL_GLO = "general-glo"
    GENERAL = "general-ciphering"

    @property
    def general(self) -> bool:
        """True for the wrappings that need general protection to be granted."""
        return self in {Ciphering.GENERAL_GLO, Ciphering.GENERAL}

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
    Authentication.HLS2: Mechanism.HLS,
    Authentication.HLS_MD5: Mechanism.HLS_MD5,
    Authentication.HLS_SHA1: Mechanism.HLS_SHA1,
    Authentication.HLS_GMAC: Mechanism.HLS_GMAC,
    Authentication.HLS_SHA256: Mechanism.HLS_SHA256,
    Authentication.HLS_ECDSA: Mechanism.HLS_ECDSA,
}
_CONTROLS = {
    Protection.NONE: 0x00,
    Protection.AUTHENTICATED: 0x10,
    Protection.ENCRYPTED: 0x20,
    Protection.AUTHENTICATED_ENCRYPTED: 0x30,
}

CLIENT_CONFORMANCE = (
    Conformance.GET
    | Conformance.SET
    | Conformance.ACTION
    | Conformance.SELECTIVE_ACCESS
    | Conformance.BLOCK_TRANSFER_WITH_GET_OR_READ
    | Conformance.BLOCK_TRANSFER_WITH_SET_OR_WRITE
    | Conformance.BLOCK_TRANSFER_WITH_ACTION
    | Conformance.MULTIPLE_REFERENCES
)
"""What our client proposes unless told otherwise; general protection comes on top where the settings ask for it."""

OPTIONAL_CONFORMANCE = (
    Conformance.ACCESS | Conformance.GENERAL_BLOCK_TRANSFER | Conformance.DATA_NOTIFICATION
    | Conformance.EVENT_NOTIFICATION
)  # fmt: skip
"""What our client implements besides; some meters change their answers when it is proposed, so it is asked for."""

BLOCK_WINDOW_MAX = 63

ONE_MESSAGE = frozenset({KeyUse.WRAPPED, KeyUse.ONE_PASS})
"""Keys that travel with their message: its transaction id is all that tells a repeated one, if a tag holds it fast."""

CHANGING = (
    Conformance.SET
    | Conformance.BLOCK_TRANSFER_WITH_SET_OR_WRITE
    | Conformance.BLOCK_TRANSFER_WITH_ACTION
    | Conformance.ACCESS
)
"""What a broken digest does not open a meter for. ACTION stays, for it carries passes 3 and 4 of HLS; see `Session`."""


@dataclass(frozen=True, slots=True)
class PeerTrust:
    """Who is believed about the peer's signing key: a trust in certificates, at the instant that `now` gives."""

    anchors: Trust
    now: Callable[[], datetime]

    def signing_key(self, certificate: bytes, system_title: bytes, suite: int) -> bytes:
        """The point in a certificate of this peer; raise SecurityError when it is not to be believed."""
        checked = self.anchors.check(certificate, suite_of(suite), Purpose.SIGNING, self.now())
        if checked.system_title != system_title:
            raise SecurityError(
                f"the certificate is that of {checked.system_title.hex()}; the peer is {system_title.hex()}",
                next_step="somebody may be in between, or the wrong certificate was installed",
            )
        return checked.public


@dataclass(frozen=True, slots=True)
class AssociationSettings:
    """How a client opens one association; secrets are left out of `repr`.

    `client_title` names us in the nonce of every protected APDU and in the proofs of HLS from mechanism 5 on.
    `block_window` is how many general blocks we take before we acknowledge, where general block transfer is proposed.
    `server_title`, where known, must be what the meter answers with. `password` is for LLS alone; `protector` holds
    the keys and the HLS secret behind a port, and with them the security suite.

    With `dedicated_key` the association gets a key of its own. `key_use` is for general-ciphering. `signed` puts our
    signature on every APDU and demands the meter's, unless `answers_signed` says otherwise of these: `server_keys` are
    its public keys, or `trust` vouches for the certificate that comes in its AARE; `certificate` is ours (DER), sent
    along in the AARQ.

    MD5 and SHA-1 are refused unless `broken_digests_allowed`, and then nothing but reading is proposed.
    `bare_acceptance`: the AARE that opens a ciphered association may do so without user information, and so without
    proof of a key; what was proposed stands then. Some meters are like that; whoever is in between can be, too.
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
    block_window: int = 8
    dedicated_key: bool = False
    key_use: KeyUse = KeyUse.IDENTIFIED
    signed: bool = False
    answers_signed: bool | None = None
    server_keys: PublicKeys = UNKNOWN_KEYS
    trust: PeerTrust | None = None
    certificate: bytes = b""
    broken_digests_allowed: bool = False
    bare_acceptance: bool = False

    def __post_init__(self) -> None:
        """Raise ConfigurationError for a combination that cannot work, before anything is sent."""
        for wrong, sentence, remedy in self._objections():
            if wrong:
                raise ConfigurationError(sentence, next_step=remedy)

    def _objections(self) -> tuple[tuple[bool, str, str], ...]:
        return (
            (
                self.keyed and self.protector is None,
                "ciphering and high level security need keys",
                "give --key and --auth-key, or the secret of this mechanism with --password",
            ),
            (
                self.titled and len(self.client_title) != SYSTEM_TITLE_OCTETS,
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
                self.authentication.broken and not self.broken_digests_allowed,
                f"{self.authentication} rests on a digest that is broken",
                "use hls-gmac or hls-sha256; for an old meter that has nothing better say --allow-broken-digest",
            ),
            (
                (self.dedicated_key or self.signed or self.demands_signature) and not self.ciphered,
                "a dedicated key and signatures need a ciphered context",
                "choose glo or general-glo",
            ),
            (
                self.dedicated_key and self.ciphering is Ciphering.GENERAL,
                "general-ciphering knows no dedicated key",
                "choose glo or general-glo for it",
            ),
            (
                self.ciphering is Ciphering.GENERAL
                and self.key_use in ONE_MESSAGE
                and self.protection is Protection.ENCRYPTED,
                "a key of one message without authentication could be used again by anybody",
                "choose authenticated-encrypted",
            ),
            (
                self.asymmetric and self.suite == 0,
                "signatures and key agreement need security suite 1 or 2",
                "choose --suite 1 or 2, as the meter has it",
            ),
            (
                not CHALLENGE_OCTETS_MIN <= self.challenge_octets <= CHALLENGE_OCTETS_MAX,
                f"a challenge has {CHALLENGE_OCTETS_MIN} to {CHALLENGE_OCTETS_MAX} octets",
                f"leave it at {CHALLENGE_OCTETS_MIN}",
            ),
            (
                bool(self.conformance & ~(CLIENT_CONFORMANCE | OPTIONAL_CONFORMANCE)),
                "only services that the client implements may be proposed",
                "propose a part of CLIENT_CONFORMANCE and OPTIONAL_CONFORMANCE",
            ),
            (
                not 1 <= self.block_window <= BLOCK_WINDOW_MAX,
                f"a window has 1 to {BLOCK_WINDOW_MAX} blocks, not {self.block_window}",
                "leave it at its default",
            ),
        )

    @property
    def ciphered(self) -> bool:
        """True when xDLMS APDUs of this association are protected."""
        return self.ciphering is not Ciphering.NONE

    @property
    def keyed(self) -> bool:
        """True when the protector takes part."""
        return self.ciphered or self.authentication.hls

    @property
    def replayable(self) -> bool:
        """True when nothing but counters tells this meter from a recording of it: keys, and no fresh challenge."""
        return self.ciphered and not self.authentication.hls

    @property
    def titled(self) -> bool:
        """True when system titles take part."""
        return self.ciphered or self.authentication.titled

    @property
    def demands_signature(self) -> bool:
        """True when the meter must sign what it sends."""
        return self.signed if self.answers_signed is None else self.answers_signed

    @property
    def asymmetric(self) -> bool:
        """True when signatures or agreed keys take part."""
        agreed = self.ciphering is Ciphering.GENERAL and self.key_use in {KeyUse.ONE_PASS, KeyUse.STATIC}
        return self.signed or self.demands_signature or agreed or self.authentication is Authentication.HLS_ECDSA

    @property
    def suite(self) -> int:
        """The security suite of the keys, 0 without any."""
        return 0 if self.protector is None else self.protector.suite

    @property
    def proposed(self) -> Conformance:
        """The conformance block of our InitiateRequest."""
        services = self.conformance & ~CHANGING if self.authentication.broken else self.conformance
        access = self.ciphered and bool(services & Conformance.ACCESS)  # which has no tag of its own to be ciphered in
        general = self.ciphering.general or self.signed or self.demands_signature or access
        return services | (Conformance.GENERAL_PROTECTION if general else Conformance(0))
