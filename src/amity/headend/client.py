"""One of our clients towards one meter: what need not be worked out again, and what the meter has said to it."""

from amity.devices.profiles import DeviceProfile
from amity.devices.settings import AssociationSettings
from amity.headend.hearing import Hearing
from amity.headend.ports import Endpoint, MeterSecrets
from amity.headend.session import association_settings
from amity.headend.surroundings import Surroundings


class Client:
    """The reading client of a meter, or that for management, as `endpoint` says; each has secrets of its own.

    Their invocation counters are one series: title and counter make a nonce, which so comes once even where a utility
    has given both clients the same key.
    """

    def __init__(self, endpoint: Endpoint, surroundings: Surroundings, *, managing: bool = False) -> None:
        self.endpoint = endpoint
        self.hearing = Hearing()
        self._surroundings = surroundings
        self._managing = managing
        self._settings: AssociationSettings | None = None

    def settings(self, profile: DeviceProfile) -> AssociationSettings:
        """How its association is opened; raise ConfigurationError when there are no keys for it, or none that fit."""
        if self._settings is None:
            secrets = self._secrets()
            self._settings = association_settings(self.endpoint, profile, secrets, self._surroundings.system_title)
            self.hearing.under(secrets.guek)
        return self._settings

    def _secrets(self) -> MeterSecrets:
        secrets = self._surroundings.keys.secrets(self.endpoint.meter_id)
        return secrets.management or MeterSecrets() if self._managing else secrets
