"""The fleet as those who take pushes know it: who has a name or system title, and how a meter protects itself."""

import asyncio
from datetime import datetime, timedelta
from typing import Final, NamedTuple

from amity.devices.settings import AssociationSettings
from amity.headend.ports import Endpoint, MeterSecrets
from amity.headend.session import association_settings
from amity.headend.surroundings import Surroundings

_LOOKED_AGAIN_AFTER: Final = timedelta(seconds=10)
_OF_THE_TIME: Final = 20
"""Looking takes one part in so many at most, however large the fleet is and however many strangers call."""
ASSOCIATIONS_MAX: Final = 16_384
"""About 50 MB; beyond that many they are worked out anew when a meter pushes, in a fifth of what a push takes."""


class Association(NamedTuple):
    """How a meter protects what it sends, by what the fleet says of it and under the keys that it has."""

    endpoint: Endpoint
    secrets: MeterSecrets
    settings: AssociationSettings

    @property
    def has_keys(self) -> bool:
        """Keys for HLS alone are keys too: what such a meter pushes it can protect."""
        secrets, hls = self.secrets, self.settings.authentication.hls
        return self.settings.ciphered or (hls and bool(secrets.guek or secrets.meter_signing))


class KnownSenders:
    """The meters that may push, by system title and by name.

    The disk is asked again when somebody is not known or not believed, and that now and then only: he may have been
    added since, or added anew with other keys.
    """

    def __init__(self, surroundings: Surroundings, *, associations_max: int = ASSOCIATIONS_MAX) -> None:
        self._surroundings = surroundings
        self._associations_max = associations_max
        self._known: dict[bytes | str, Endpoint] = {}
        self._associations: dict[str, Association] = {}
        self._looks = 0
        self._again_at: datetime | None = None
        self._looking = asyncio.Lock()

    async def find(self, title_or_name: bytes | str) -> Endpoint | None:
        """None when nobody of the fleet is called so. Who is known waits for nobody's look."""
        if title_or_name not in self._known:
            await self.looked_again()
        return self._known.get(title_or_name)

    async def looked_again(self) -> bool:
        """Look at the fleet anew, unless that was done a moment ago; those who come together share one look."""
        looks = self._looks
        async with self._looking:
            if looks == self._looks and self._may_look():
                await self._look()
        return looks != self._looks

    def association(self, endpoint: Endpoint) -> Association:
        """Under the keys of this moment: nothing that came under a key that is no longer kept is believed.

        Raise ConfigurationError when there are no keys for the meter, or none that fit.
        """
        secrets = self._surroundings.keys.secrets(endpoint.meter_id)
        kept = self._associations.get(endpoint.meter_id)
        if kept is None or (kept.endpoint, kept.secrets) != (endpoint, secrets):
            kept = self._associations[endpoint.meter_id] = self._association(endpoint, secrets)
            if len(self._associations) > self._associations_max:
                del self._associations[next(iter(self._associations))]
        return kept

    def _association(self, endpoint: Endpoint, secrets: MeterSecrets) -> Association:
        surroundings = self._surroundings
        profile = surroundings.profile_of(endpoint.profile)
        settings = association_settings(endpoint, profile, secrets, surroundings.system_title)
        return Association(endpoint, secrets, settings)

    def _may_look(self) -> bool:
        return self._again_at is None or self._surroundings.clock.now() >= self._again_at

    async def _look(self) -> None:
        began = self._surroundings.clock.now()
        endpoints = await self._surroundings.disk(self._surroundings.endpoints.all)
        ended = self._surroundings.clock.now()
        self._again_at = ended + max(_LOOKED_AGAIN_AFTER, _OF_THE_TIME * (ended - began))
        self._known = {one.meter_id: one for one in endpoints}
        self._known.update({one.system_title: one for one in endpoints if one.system_title})
        self._looks += 1
