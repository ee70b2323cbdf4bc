"""The secrets somebody gave the doctor, and which of them a meter has judged already: no secret is tried twice."""

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Flag, auto

from amity.devices.settings import Authentication, Ciphering
from amity.protocols.dlms.protector import Protector


class Secret(Flag):
    """What an attempt shows to the meter: a password, keys, or both."""

    NONE = 0
    PASSWORD = auto()
    KEYS = auto()


@dataclass(frozen=True, slots=True)
class Secrets:
    """What was given: a password (it serves as the secret of HLS too), keys, or both.

    `protector` makes what holds them for a security suite, raising LocalProtocolError where they do not fit it. `keyed`
    says whether an encryption key is among them, `authenticates` whether an authentication key is. `client_title`,
    where set, is the one the meter knows us by; `counter` the first invocation counter to use with it.
    """

    password: bytes = field(default=b"", repr=False)
    protector: Callable[[int], Protector] | None = field(default=None, repr=False)
    keyed: bool = False
    authenticates: bool = True
    suite: int = 0
    client_title: bytes = b""
    server_title: bytes = b""
    counter: int | None = None

    @property
    def held(self) -> Secret:
        """Which secrets were given."""
        return (Secret.PASSWORD if self.password else Secret.NONE) | (Secret.KEYS if self.keyed else Secret.NONE)


def needed_for(authentication: Authentication, ciphering: Ciphering) -> Secret:
    """Which secrets an association of this kind shows to the meter."""
    keyed = ciphering is not Ciphering.NONE or authentication is Authentication.HLS_GMAC
    return (Secret.KEYS if keyed else Secret.NONE) | (
        Secret.PASSWORD if authentication in _BY_PASSWORD else Secret.NONE
    )


_BY_PASSWORD = frozenset(
    {
        Authentication.LLS, Authentication.HLS2, Authentication.HLS_MD5, Authentication.HLS_SHA1,
        Authentication.HLS_SHA256,
    }
)  # fmt: skip
