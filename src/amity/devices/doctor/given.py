"""The secrets somebody gave the doctor, and what an association of some kind shows of them."""

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Flag, auto
from functools import reduce
from operator import or_

from amity.devices.settings import Authentication, Ciphering
from amity.protocols.dlms.general_protection import UNKNOWN_KEYS, PublicKeys
from amity.protocols.dlms.protector import Protector


class Secret(Flag):
    """What an attempt shows to the meter: a password, keys, a signature, or several of them."""

    NONE = 0
    PASSWORD = auto()
    KEYS = auto()
    SIGNATURE = auto()

    @property
    def words(self) -> str:
        """`password and keys`."""
        return " and ".join(name for secret, name in _NAMES.items() if secret in self)


_NAMES = {Secret.PASSWORD: "password", Secret.KEYS: "keys", Secret.SIGNATURE: "signing key"}


@dataclass(frozen=True, slots=True)
class Secrets:
    """What was given: a password (it serves as the secret of HLS too), keys, or both.

    `protector` makes what holds them for a security suite, raising LocalProtocolError where they do not fit it. `keyed`
    says whether an encryption key is among them, `authenticates` whether an authentication key is, `signs` whether a
    private signing key is: `server_keys` are then the meter's public ones. `client_title`, where set, is the one the
    meter knows us by; `counter` the first invocation counter to use with it. `broken_digests_allowed` lets a password
    be shown by MD5 and SHA-1, `bare_acceptance` is that of `AssociationSettings`. `suites` are the security suites
    that the keys may belong to, likely ones first. `clear_password` says whether LLS may show the password in the
    clear; None: to one client, which says that it wants LLS, or where the password is all that was given.
    """

    password: bytes = field(default=b"", repr=False)
    protector: Callable[[int], Protector] | None = field(default=None, repr=False)
    keyed: bool = False
    authenticates: bool = True
    suites: tuple[int, ...] = (0,)
    client_title: bytes = b""
    server_title: bytes = b""
    counter: int | None = None
    signs: bool = False
    server_keys: PublicKeys = UNKNOWN_KEYS
    broken_digests_allowed: bool = False
    bare_acceptance: bool = False
    clear_password: bool | None = None

    @property
    def held(self) -> Secret:
        """Which secrets were given."""
        given = ((Secret.PASSWORD, bool(self.password)), (Secret.KEYS, self.keyed), (Secret.SIGNATURE, self.signs))
        return reduce(or_, (secret for secret, is_given in given if is_given), Secret.NONE)


def shown_in_request(authentication: Authentication, ciphering: Ciphering) -> Secret:
    """Which secrets the association request itself rests on; HLS shows its own in the answer to a challenge."""
    shown = Secret.KEYS if ciphering is not Ciphering.NONE else Secret.NONE
    return shown | (Secret.PASSWORD if authentication is Authentication.LLS else Secret.NONE)


def needed_for(authentication: Authentication, ciphering: Ciphering) -> Secret:
    """Which secrets an association of this kind shows to the meter."""
    keyed = ciphering is not Ciphering.NONE or authentication is Authentication.HLS_GMAC
    shown = Secret.SIGNATURE if authentication is Authentication.HLS_ECDSA else Secret.NONE
    shown |= Secret.PASSWORD if authentication in _BY_PASSWORD else Secret.NONE
    return shown | (Secret.KEYS if keyed else Secret.NONE)


_BY_PASSWORD = frozenset(
    {
        Authentication.LLS, Authentication.HLS2, Authentication.HLS_MD5, Authentication.HLS_SHA1,
        Authentication.HLS_SHA256,
    }
)  # fmt: skip
