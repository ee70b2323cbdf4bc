"""The associations a meter seems to offer, and in which order they are worth trying with the secrets at hand."""

from collections.abc import Iterator
from typing import NamedTuple

from amity.devices.doctor.facts import ListedClient
from amity.devices.doctor.given import Secret, Secrets, needed_for, shown_in_request
from amity.devices.doctor.knock import Knock
from amity.devices.settings import Authentication, Ciphering, Protection
from amity.protocols.dlms.acse import Mechanism


class Door(NamedTuple):
    """One client and what the meter has let out about its association; None is what it has not said."""

    client: int
    ciphered: bool | None
    mechanism: Mechanism | None
    open: bool = False
    mute: bool = False  # it was refused without a reason, or not answered

    @classmethod
    def unexplained(cls, client: int) -> "Door":
        """A client that may be unknown to the meter or just not be told what it wants."""
        return cls(client, ciphered=None, mechanism=None, mute=True)

    @classmethod
    def answered(cls, client: int, knock: Knock) -> "Door":
        """What a knock has shown."""
        named = knock.mechanism if knock.mechanism is not Mechanism.LOWEST else None
        return cls(client, True if knock.wants_ciphering else None, named, knock.open)

    @classmethod
    def listed(cls, client: ListedClient) -> "Door":
        """What the meter's own association object tells."""
        open_to_all = client.mechanism is Mechanism.LOWEST and not client.ciphered
        return cls(client.client, client.ciphered, client.mechanism, open_to_all)


class Way(NamedTuple):
    """One kind of association to ask for at a door."""

    client: int
    authentication: Authentication
    ciphering: Ciphering
    protection: Protection
    suite: int = 0

    @property
    def needs(self) -> Secret:
        """The secrets it shows to the meter."""
        return needed_for(self.authentication, self.ciphering)

    def shown_by(self, requests: int) -> Secret:
        """The secrets that the meter may have judged once it has got so many requests."""
        if requests > 1:
            return self.needs
        return shown_in_request(self.authentication, self.ciphering) if requests else Secret.NONE

    @property
    def counts(self) -> bool:
        """True when invocation counters are used up by it."""
        return Secret.KEYS in self.needs

    def __str__(self) -> str:
        """`client 1, hls-gmac, glo, authenticated-encrypted`."""
        words = [f"client {self.client}", f"authentication {self.authentication}"]
        if self.ciphering is not Ciphering.NONE:
            words.append(f"{self.ciphering} {self.protection}")
        if self.suite:
            words.append(f"suite {self.suite}")
        return ", ".join(words)


def ways(door: Door, secrets: Secrets, suite: int | None = None) -> Iterator[Way]:
    """What to ask for at a door, the likely first; only what the given secrets can open.

    `suite` is the one that the meter tells of, None where it tells none. It is tried first and not alone: it may be
    that of another client.
    """
    for authentication in _authentications(door, secrets):
        for ciphering in _cipherings(door, authentication, secrets):
            protection = _protection(ciphering, secrets)
            for number in _suites(authentication, ciphering, secrets, suite):
                way = Way(door.client, authentication, ciphering, protection, number)
                if way.needs in secrets.held:
                    yield way


def _suites(
    authentication: Authentication, ciphering: Ciphering, secrets: Secrets, told: int | None
) -> tuple[int, ...]:
    likely = tuple(sorted(secrets.suites, key=lambda suite: suite != told))
    if authentication is Authentication.HLS_ECDSA:
        return tuple(suite for suite in likely if suite)  # there are no signatures in suite 0
    return likely if Secret.KEYS in needed_for(authentication, ciphering) else likely[:1]


def _authentications(door: Door, secrets: Secrets) -> tuple[Authentication, ...]:
    """HLS before LLS, which says the password in the clear to whoever answers: see `Secrets.clear_password`."""
    if door.open:
        return (Authentication.NONE,)
    guesses: list[Authentication] = []
    if Secret.SIGNATURE in secrets.held:
        guesses.append(Authentication.HLS_ECDSA)
    if Secret.KEYS in secrets.held:
        guesses.append(Authentication.HLS_GMAC)
    if Secret.PASSWORD in secrets.held:
        guesses += [Authentication.HLS_SHA256, Authentication.HLS2]
        guesses += [Authentication.HLS_SHA1, Authentication.HLS_MD5] if secrets.broken_digests_allowed else []
        guesses += [Authentication.LLS] if _may_be_said_in_clear(door, secrets) else []
    return tuple(kind for kind in guesses if door.mechanism in {None, kind.mechanism})


def _may_be_said_in_clear(door: Door, secrets: Secrets) -> bool:
    if secrets.clear_password is not None:
        return secrets.clear_password
    return door.mechanism is Mechanism.LLS or secrets.held is Secret.PASSWORD


def _cipherings(door: Door, authentication: Authentication, secrets: Secrets) -> tuple[Ciphering, ...]:
    if door.open:
        return (Ciphering.NONE,)
    wrapped = (Ciphering.GLO, Ciphering.GENERAL_GLO)
    if door.ciphered is not None:
        return wrapped if door.ciphered else (Ciphering.NONE,)
    if authentication in _WITH_KEYS:
        return (*wrapped, Ciphering.NONE)
    return (Ciphering.NONE, *wrapped) if Secret.KEYS in secrets.held else (Ciphering.NONE,)


_WITH_KEYS = frozenset({Authentication.HLS_GMAC, Authentication.HLS_ECDSA})


def _protection(ciphering: Ciphering, secrets: Secrets) -> Protection:
    """The most that the keys can give: it satisfies whatever policy the meter has."""
    if ciphering is Ciphering.NONE:
        return Protection.NONE
    return Protection.AUTHENTICATED_ENCRYPTED if secrets.authenticates else Protection.ENCRYPTED
