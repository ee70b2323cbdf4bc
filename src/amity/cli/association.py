"""What the command line says of an association, made into settings and ports of the DLMS client."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from itertools import count

from amity.devices.client import AssociationSettings, Ports, Trace
from amity.devices.settings import Authentication, Ciphering, Protection
from amity.kernel.errors import ConfigurationError
from amity.kernel.time import Clock
from amity.protocols.dlms.general_protection import PublicKeys
from amity.protocols.dlms.key_ring import KeyRing, Keys

_COUNTER_ORIGIN = datetime(2020, 1, 1, tzinfo=UTC)
_TITLE_MAKER = b"AMI"
_TITLE_RANDOM_OCTETS = 5
SECRET_DIGESTS = frozenset(
    {Authentication.HLS2, Authentication.HLS_MD5, Authentication.HLS_SHA1, Authentication.HLS_SHA256}
)
"""The mechanisms whose secret is given as a password."""


_KEYED = frozenset({Authentication.HLS_GMAC, Authentication.HLS_SHA256, Authentication.HLS_ECDSA})


class Ciphered(StrEnum):
    """`auto`: glo where there is a key and the authentication rests on it, nothing without (`none`, `lls`)."""

    AUTO = "auto"
    NONE = "none"
    GLO = "glo"
    GENERAL_GLO = "general-glo"
    GENERAL = "general-ciphering"


@dataclass(frozen=True, slots=True)
class Association:
    """The options that decide how one association is opened; secrets never show in a repr."""

    auth: Authentication
    password: bytes = field(repr=False)
    guek: bytes = field(repr=False)
    gak: bytes = field(repr=False)
    meter_title: bytes
    client_title: bytes
    ciphering: Ciphered
    protection: Protection
    counter: int | None = None
    suite: int = 0
    dedicated_key: bool = False
    broken_digests_allowed: bool = False
    bare_acceptance: bool = False
    signing_key: bytes = field(default=b"", repr=False)
    meter_signing_key: bytes = b""

    def settings(self, random_octets: Callable[[int], bytes]) -> AssociationSettings:
        """Raise ConfigurationError for options that do not go together."""
        if self.gak and not self.guek:
            raise ConfigurationError("--auth-key needs --key", next_step="give both keys")
        if self.client_title and self.counter is None:
            raise ConfigurationError(
                "--client-title needs --counter",
                next_step="give a number above every invocation counter used before with this title and key,"
                " or leave --client-title out: a random title needs none",
            )
        ciphering = self._ciphering()
        titled = ciphering is not Ciphering.NONE or self.auth.titled
        # A title of our own for each run: title and counter make the nonce, and this command keeps no counter on disk.
        title = self.client_title or _TITLE_MAKER + random_octets(_TITLE_RANDOM_OCTETS)
        return AssociationSettings(
            authentication=self.auth,
            ciphering=ciphering,
            protection=self.protection if ciphering is not Ciphering.NONE else Protection.NONE,
            client_title=title if titled else b"",
            server_title=self.meter_title,
            password=self.password if self.auth is Authentication.LLS else b"",
            protector=self._protector(),
            dedicated_key=self.dedicated_key,
            server_keys=PublicKeys(signing=self.meter_signing_key),
            broken_digests_allowed=self.broken_digests_allowed,
            bare_acceptance=self.bare_acceptance,
        )

    def ports(self, random_octets: Callable[[int], bytes], clock: Clock, trace: Trace | None) -> Ports:
        """Without `counter`, counting starts at the seconds since 2020, so that a later run starts above this one."""
        first = int((clock.now() - _COUNTER_ORIGIN).total_seconds()) if self.counter is None else self.counter
        return Ports(random_octets, count(first).__next__, trace)

    def _protector(self) -> KeyRing | None:
        """Keys and secret as far as they were given; None without any, so that the settings say what is missing."""
        secret = self.password if self.auth in SECRET_DIGESTS else b""
        if not (self.guek or secret or self.signing_key):
            return None
        keys = Keys(self.guek or None, self.gak or None, secret=secret or None, signing=self.signing_key or None)
        return KeyRing(self.suite, keys)

    def _ciphering(self) -> Ciphering:
        if self.ciphering is Ciphered.AUTO:
            return Ciphering.GLO if self.guek and self.auth in _KEYED else Ciphering.NONE
        return Ciphering(self.ciphering.value)
