"""Who sent a push, and whether to believe it: known senders, their keys, counters that only go up."""

import asyncio
import ipaddress
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final, NamedTuple

from amity.devices.push_reading import NormalisedReading
from amity.devices.settings import AssociationSettings, Protection
from amity.headend.ports import Endpoint
from amity.headend.push_readings import Notification, meter_named_in, readings_of
from amity.headend.session import association_settings
from amity.headend.surroundings import Surroundings
from amity.kernel.errors import AmityError, ConfigurationError, RemoteProtocolError, SecurityError
from amity.protocols.dlms import apdu
from amity.protocols.dlms.apdu import Ciphered, DataNotification, EventNotification
from amity.protocols.dlms.ciphering import unwrap

_WITH_HLS_ALONE: Final = Protection.AUTHENTICATED
"""A meter whose associations are not ciphered still has keys: what it pushes under them carries a tag."""
_LOOKED_AGAIN_AFTER: Final = timedelta(seconds=10)


class UnknownSenderError(RemoteProtocolError):
    """A push from somebody we do not know, or that does not say from whom it is."""


class Opened(NamedTuple):
    """A push that can be believed: from whom, the plain APDU and what it holds.

    `counter` is the invocation counter of a protected push, which may be taken once only; it is as good as the tag that
    covers it: without one, whoever stands in between can name any number.
    """

    endpoint: Endpoint
    plain: bytes
    notification: Notification
    readings: Sequence[NormalisedReading]
    counter: int | None = None
    authenticated: bool = False


class Senders:
    """The meters that may push, by system title and by name."""

    def __init__(self, surroundings: Surroundings) -> None:
        self._surroundings = surroundings
        self._known: dict[bytes | str, Endpoint] = {}
        self._settings: dict[str, AssociationSettings] = {}
        self._looked_at: datetime | None = None
        self._looking = asyncio.Lock()

    async def open(self, payload: bytes, peer_host: str) -> Opened:
        """Open one APDU.

        Raises:
            UnknownSenderError: nobody of the fleet, or not to be told who.
            SecurityError: it does not verify, or is protected less than agreed.
            RemoteProtocolError: it does not decode.
        """
        message = apdu.decode(payload)
        if isinstance(message, Ciphered):
            return await self._open_protected(message)
        return await self._open_plain(payload, _notification(message), peer_host)

    async def _open_protected(self, message: Ciphered) -> Opened:
        endpoint = await self._find(message.system_title or b"")
        if endpoint is None:
            title = (message.system_title or b"").hex() or "none"
            raise UnknownSenderError(f"a push came from system title {title}, which no meter of the fleet has")
        settings = self._association(endpoint)
        if settings.protector is None:
            raise UnknownSenderError(
                f"a ciphered push came in the name of meter {endpoint.meter_id}, which has no keys"
            )
        protection = settings.protection if settings.ciphered else _WITH_HLS_ALONE
        plain = unwrap(settings.protector, protection.control, endpoint.system_title, message)
        notification = _notification(apdu.decode(plain))
        return Opened(
            endpoint,
            plain,
            notification,
            readings_of(notification),
            message.invocation_counter,
            Protection.AUTHENTICATED.satisfied_by(message.security_control),
        )

    async def _open_plain(self, payload: bytes, notification: Notification, peer_host: str) -> Opened:
        """A plain push proves nothing: it is taken only from meters without keys, and from their own address."""
        readings = readings_of(notification)
        name = meter_named_in(readings) or ""
        endpoint = await self._find(name)
        if endpoint is None:
            raise UnknownSenderError(f"a push came in the name of {name or 'nobody'}, which no meter of the fleet has")
        if self._association(endpoint).ciphered:
            raise SecurityError(
                f"an unprotected push came in the name of meter {endpoint.meter_id}, which has keys",
                next_step="somebody may be in between; look where it came from",
            )
        if _is_address(endpoint.host) and endpoint.host != peer_host:
            raise UnknownSenderError(
                f"an unprotected push in the name of meter {endpoint.meter_id} came from {peer_host}"
            )
        return Opened(endpoint, payload, notification, readings)

    async def _find(self, title_or_name: bytes | str) -> Endpoint | None:
        """A sender that is not known may have been provisioned since; the disk is asked now and then only."""
        async with self._looking:  # pushes that come together wait for the same look
            if title_or_name not in self._known and self._may_look_again():
                await self._look()
        return self._known.get(title_or_name)

    def _may_look_again(self) -> bool:
        return self._looked_at is None or self._surroundings.clock.now() - self._looked_at >= _LOOKED_AGAIN_AFTER

    async def _look(self) -> None:
        endpoints = await self._surroundings.disk(self._surroundings.endpoints.all)
        self._looked_at = self._surroundings.clock.now()
        self._settings.clear()
        self._known = {one.meter_id: one for one in endpoints}
        self._known.update({one.system_title: one for one in endpoints if one.system_title})

    def _association(self, endpoint: Endpoint) -> AssociationSettings:
        settings = self._settings.get(endpoint.meter_id)
        if settings is None:
            surroundings = self._surroundings
            profile, secrets = surroundings.profile_of(endpoint.profile), surroundings.keys.secrets(endpoint.meter_id)
            settings = association_settings(endpoint, profile, secrets, surroundings.system_title)
            self._settings[endpoint.meter_id] = settings
        return settings


def _notification(message: object) -> Notification:
    if isinstance(message, DataNotification | EventNotification):
        return message
    raise RemoteProtocolError(f"a push is a notification, not {type(message).__name__}")


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def reason_of(error: AmityError) -> str:
    """In a word why a push was parked, for counting."""
    match error:
        case UnknownSenderError():
            return "unknown-sender"
        case SecurityError() | ConfigurationError():
            return "not-believed"
        case RemoteProtocolError():
            return "undecodable"
        case _:
            return "not-kept"
