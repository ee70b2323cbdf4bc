"""The associations a meter seems to offer, and in which order they are worth trying with the secrets at hand."""

from collections.abc import Iterator
from typing import NamedTuple

from amity.devices.doctor.facts import ListedClient
from amity.devices.doctor.given import Secret, Secrets, needed_for
from amity.devices.doctor.knock import Knock
from amity.devices.settings import Authentication, Ciphering, Protection
from amity.protocols.dlms.acse import Mechanism


class Door(NamedTuple):
    """One client and what the meter has let out about its association; None is what it has not said."""

    client: int
    ciphered: bool | None
    mechanism: Mechanism | None
    open: bool = False

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

    @property
    def needs(self) -> Secret:
        """The secrets it shows to the meter."""
        return needed_for(self.authentication, self.ciphering)

    def __str__(self) -> str:
        """`client 1, hls-gmac, glo, authenticated-encrypted`."""
        words = [f"client {self.client}", f"authentication {self.authentication}"]
        if self.ciphering is not Ciphering.NONE:
            words.append(f"{self.ciphering} {self.protection}")
        return ", ".join(words)


def ways(door: Door, secrets: Secrets) -> Iterator[Way]:
    """What to ask for at a door, the likely first; only what the given secrets can open."""
    for authentication in _authentications(door, secrets):
        for ciphering in _cipherings(door, authentication, secrets):
            way = Way(door.client, authentication, ciphering, _protection(ciphering, secrets))
            if way.needs in secrets.held:
                yield way


def _authentications(door: Door, secrets: Secrets) -> tuple[Authentication, ...]:
    if door.open:
        return (Authentication.NONE,)
    if door.mechanism is not None:
        return tuple(kind for kind in Authentication if kind.mechanism is door.mechanism)
    guesses = [Authentication.HLS_GMAC] if Secret.KEYS in secrets.held else []
    if Secret.PASSWORD in secrets.held:
        guesses += [Authentication.LLS, Authentication.HLS_SHA256]
    return tuple(guesses)


def _cipherings(door: Door, authentication: Authentication, secrets: Secrets) -> tuple[Ciphering, ...]:
    if door.open:
        return (Ciphering.NONE,)
    wrapped = (Ciphering.GLO, Ciphering.GENERAL_GLO)
    if door.ciphered is not None:
        return wrapped if door.ciphered else (Ciphering.NONE,)
    if authentication is Authentication.HLS_GMAC:
        return (*wrapped, Ciphering.NONE)
    return (Ciphering.NONE, *wrapped) if Secret.KEYS in secrets.held else (Ciphering.NONE,)


def _protection(ciphering: Ciphering, secrets: Secrets) -> Protection:
    """The most that the keys can give: it satisfies whatever policy the meter has."""
    if ciphering is Ciphering.NONE:
        return Protection.NONE
    return Protection.AUTHENTICATED_ENCRYPTED if secrets.authenticates else Protection.ENCRYPTED
