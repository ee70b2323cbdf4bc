"""How a meter is configured: who it is, and which clients may open which association with it."""

from dataclasses import dataclass, field

from amity.devices.interface_classes import Role
from amity.devices.message_security import MessageSecurity, is_system_title
from amity.devices.settings import Authentication, Ciphering, PeerTrust, Protection
from amity.kernel.errors import ConfigurationError
from amity.kernel.obis import Obis
from amity.protocols.dlms.apdu import Conformance
from amity.protocols.dlms.general_protection import UNKNOWN_KEYS, PublicKeys
from amity.protocols.dlms.protector import Protector

PUBLIC_CLIENT = 16
"""The client that may always ask who the meter is, without authentication (IEC 62056-6-2, 4.6.1)."""

SERVER_CONFORMANCE = (
    Conformance.GET
    | Conformance.SET
    | Conformance.ACTION
    | Conformance.SELECTIVE_ACCESS
    | Conformance.BLOCK_TRANSFER_WITH_GET_OR_READ
    | Conformance.BLOCK_TRANSFER_WITH_SET_OR_WRITE
    | Conformance.BLOCK_TRANSFER_WITH_ACTION
    | Conformance.MULTIPLE_REFERENCES
    | Conformance.ACCESS
    | Conformance.GENERAL_BLOCK_TRANSFER
    | Conformance.GENERAL_PROTECTION
    | Conformance.DATA_NOTIFICATION
    | Conformance.EVENT_NOTIFICATION
)
"""What our meter implements; never more is granted."""

PDU_OCTETS_MIN = 64
INACTIVITY_TIMEOUT_S = 120


@dataclass(frozen=True, slots=True)
class ClientAccess:
    """One client of the meter and the association it may open; secrets are left out of `repr`.

    `protection` is the least that is accepted of a request, and `signed` whether it must bear the client's signature:
    `client_keys` are its public keys, or `trust` vouches for the certificate in its AARQ. `protector` holds the keys
    and the HLS secret, `password` is for LLS alone. Answers are protected as the request was and with
    `answer_protection` at the least; they are signed where requests are, unless `answers_signed` says otherwise.
    `client_title`, where set, is the only one accepted.
    `takes_broadcast`: requests under the broadcast key are obeyed, as far as a management client may, and not answered.
    `visible` are the logical names this client may read, None for all of them. `role` says what it may change.
    """

    client: int
    authentication: Authentication = Authentication.NONE
    ciphering: Ciphering = Ciphering.NONE
    protection: Protection = Protection.NONE
    password: bytes = field(default=b"", repr=False)
    protector: Protector | None = field(default=None, repr=False)
    answer_protection: Protection = Protection.NONE
    client_title: bytes = b""
    signed: bool = False
    answers_signed: bool | None = None
    client_keys: PublicKeys = UNKNOWN_KEYS
    trust: PeerTrust | None = None
    takes_broadcast: bool = False
    visible: frozenset[Obis] | None = None
    role: Role = Role.READING

    @property
    def ciphered(self) -> bool:
        """True when the association needs the ciphered context."""
        return self.ciphering is not Ciphering.NONE

    @property
    def signs_answers(self) -> bool:
        """True when answers bear the meter's signature."""
        return self.signed if self.answers_signed is None else self.answers_signed

    @property
    def keyed(self) -> bool:
        """True when the protector takes part."""
        return self.ciphered or self.authentication.hls

    @property
    def titled(self) -> bool:
        """True when system titles take part."""
        return self.ciphered or self.authentication.titled

    def rule(self, security: MessageSecurity) -> None:
        """Have an association's messages protected as this says."""
        security.policy, security.answer_control = self.protection, self.answer_protection.control
        security.demands_signature, security.signs = self.signed, self.signs_answers
        security.takes_broadcast = self.takes_broadcast

    def __post_init__(self) -> None:
        """Raise ConfigurationError for an access that could never be used."""
        if self.keyed and self.protector is None:
            raise ConfigurationError(f"client {self.client}: ciphering and high level security need keys")
        if self.authentication is Authentication.LLS and not self.password:
            raise ConfigurationError(f"client {self.client}: LLS needs a password, and none is no password")
        if self.ciphered != (self.protection is not Protection.NONE):
            raise ConfigurationError(f"client {self.client}: ciphering and protection go together")
        if (self.signed or self.signs_answers) and not self.ciphered:
            raise ConfigurationError(f"client {self.client}: signatures need the ciphered context")


@dataclass(frozen=True, slots=True)
class MeterSettings:
    """A logical device: its name (16 octets by custom), title, address, clients and limits.

    `certificate` (DER), where there is one, is shown to clients. `security_setup_version` is that of class 64; unless
    it is said, suite 0 has version 0 and the others version 1.

    `answers_unconfirmed`: a SET or ACTION that asks for no answer gets one all the same, for clients in the field that
    clear the bit for "confirmed" and wait; the standard has it done in silence.

    `remembers_counters`: invocation counters of clients must rise from one association to the next, as meters in the
    field demand. A meter on a laboratory bench may forget those of HLS clients, so that a simple one can start from 1
    each time; within an association, and without HLS always, a counter that does not rise is refused all the same.
    """

    logical_device_name: str
    system_title: bytes
    clients: tuple[ClientAccess, ...]
    server: int = 1
    max_pdu_octets: int = 1024
    block_window: int = 8
    conformance: Conformance = SERVER_CONFORMANCE
    answers_release: bool = True
    answers_unconfirmed: bool = True
    inactivity_timeout_s: int = INACTIVITY_TIMEOUT_S
    certificate: bytes = b""
    remembers_counters: bool = True
    security_setup_version: int | None = None

    def __post_init__(self) -> None:
        """Raise ConfigurationError when title, PDU size or services cannot be."""
        if not is_system_title(self.system_title):
            raise ConfigurationError(f"a system title has 8 octets, not {len(self.system_title)}")
        if self.max_pdu_octets < PDU_OCTETS_MIN:
            raise ConfigurationError(f"a meter takes APDUs of {PDU_OCTETS_MIN} octets at least")
        if SERVER_CONFORMANCE & self.conformance != self.conformance:
            raise ConfigurationError("a meter can only grant what it implements")

    @property
    def key_groups(self) -> tuple[tuple[int, ...], ...]:
        """The ciphered clients by the keys that they share, in their order: a security setup for each group."""
        groups: dict[int, list[int]] = {}
        for access in self.clients:
            if access.ciphered:
                groups.setdefault(id(access.protector), []).append(access.client)
        return tuple(map(tuple, groups.values()))

    def access_of(self, client: int) -> ClientAccess | None:
        """What a client may do, None for one the meter does not know."""
        return next((access for access in self.clients if access.client == client), None)
