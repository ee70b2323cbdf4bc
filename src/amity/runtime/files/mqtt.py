"""The files that MQTT needs, in the folder of certificates: the broker's own, and the CA that meters' are of."""

from typing import Final

from amity.messaging.meter_access import MqttDoor
from amity.runtime.folder import Folder
from amity.runtime.settings import BrokerSettings
from amity.security.private_files import check_private

CERTIFICATE: Final = "mqtt.crt"
KEY: Final = "mqtt.key"
AUTHORITIES: Final = "meters-ca.crt"


def mqtt_door(folder: Folder, settings: BrokerSettings) -> MqttDoor | None:
    """Where meters are heard by MQTT, None where they are not.

    Raise ConfigurationError for a key that others can read, with the command that mends it.
    """
    if settings.mqtt_port is None:
        return None
    place = folder.certificates
    check_private(place / KEY, missing="see docs/pushes.md for the files and how to make them")
    return MqttDoor(settings.mqtt_port, place / CERTIFICATE, place / KEY, place / AUTHORITIES)
