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
from amity.protocols.dlms.ciphering import CipherKeys

_COUNTER_ORIGIN = datetime(2020, 1, 1, tzinfo=UTC)
_TITLE_MAKER = b"AMI"
_TITLE_RANDOM_OCTETS = 5


class Ciphered(StrEnum):
    """`auto`: glo as soon as there is a key, nothing without one."""

    AUTO = "auto"
    NONE = "none"
    GLO = "glo"
    GENERAL_GLO = "general-glo"


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
        keyed = ciphering is not Ciphering.NONE or self.auth is Authentication.HLS_GMAC
        # A title of our own for each run: title and counter make the nonce, and this command keeps no counter on disk.
        title = self.client_title or _TITLE_MAKER + random_octets(_TITLE_RANDOM_OCTETS)
        return AssociationSettings(
            authentication=self.auth,
            ciphering=ciphering,
            protection=self.protection if ciphering is not Ciphering.NONE else Protection.NONE,
            client_title=title if keyed else b"",
            server_title=self.meter_title,
            password=self.password,
            protector=CipherKeys(0, self.guek, self.gak or None) if self.guek else None,
        )

    def ports(self, random_octets: Callable[[int], bytes], clock: Clock, trace: Trace | None) -> Ports:
        """Without `counter`, counting starts at the seconds since 2020, so that a later run starts above this one."""
        first = int((clock.now() - _COUNTER_ORIGIN).total_seconds()) if self.counter is None else self.counter
        return Ports(random_octets, count(first).__next__, trace)

    def _ciphering(self) -> Ciphering:
        if self.ciphering is Ciphered.AUTO:
            return Ciphering.GLO if self.guek else Ciphering.NONE
        return Ciphering(self.ciphering.value)
