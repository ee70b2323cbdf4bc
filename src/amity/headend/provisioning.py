"""The fleet document (`amity simulate --json`, or what a utility exports) as endpoints and secrets."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from amity.headend.ports import Endpoint, MeterSecrets
from amity.kernel.errors import ConfigurationError

_PORT_MAX: Final = 0xFFFF
_TITLE_OCTETS: Final = 8


@dataclass(frozen=True, slots=True)
class Provision:
    """What the head-end needs to read a fleet: where each meter is, and its secrets by meter id."""

    endpoints: tuple[Endpoint, ...]
    secrets: Mapping[str, MeterSecrets]


def read_fleet_document(document: Any) -> Provision:
    """Read a list of meters; raise ConfigurationError that names the meter and the field that cannot be used."""
    if not isinstance(document, list):
        raise ConfigurationError("a fleet document is a list of meters", next_step="give what `amity simulate` prints")
    entries = [_Entry(number, written) for number, written in enumerate(document)]
    endpoints = tuple(entry.endpoint() for entry in entries)
    secrets = {endpoint.meter_id: entry.secrets() for entry, endpoint in zip(entries, endpoints, strict=True)}
    if len(secrets) != len(endpoints):
        raise ConfigurationError("a fleet document names a meter twice", next_step="keep one entry for each meter")
    return Provision(endpoints, secrets)


class _Entry:
    """One meter of the document."""

    def __init__(self, number: int, written: Any) -> None:
        self._name = f"meter {number + 1} of the fleet document"
        if not isinstance(written, dict):
            raise ConfigurationError(f"{self._name} is no object")
        self._written: Mapping[str, Any] = written

    def endpoint(self) -> Endpoint:
        """Where the meter is and how it is talked to."""
        meter_id = self._text("logical_device_name")
        self._name = f"meter {meter_id}"
        return Endpoint(
            meter_id=meter_id,
            host=self._text("host"),
            port=self._number("port"),
            client=self._number("client"),
            server=self._number("server"),
            auth=self._text("auth"),
            profile=self._text("profile"),
            system_title=self._octets("system_title", (0, _TITLE_OCTETS)),
            ciphering=self._text("ciphering", otherwise=""),
            protection=self._text("protection", otherwise=""),
        )

    def secrets(self) -> MeterSecrets:
        """Its password and keys; empty where it has none."""
        return MeterSecrets(
            self._text("password", otherwise="").encode(),
            self._octets("guek", (0, 16, 32)),
            self._octets("gak", (0, 16, 32)),
        )

    def _text(self, key: str, *, otherwise: str | None = None) -> str:
        value = self._written.get(key, otherwise)
        if not isinstance(value, str) or (not value and otherwise is None):
            raise self._refusal(key, "must be a text")
        return value

    def _number(self, key: str) -> int:
        value = self._written.get(key)
        if isinstance(value, bool) or not isinstance(value, int) or not 0 < value <= _PORT_MAX:
            raise self._refusal(key, f"must be a number from 1 to {_PORT_MAX}")
        return value

    def _octets(self, key: str, lengths: tuple[int, ...]) -> bytes:
        try:
            octets = bytes.fromhex(self._text(key, otherwise=""))
        except ValueError:
            raise self._refusal(key, "must be hexadecimal") from None
        if len(octets) not in lengths:
            raise self._refusal(key, f"must have {' or '.join(map(str, lengths))} octets, not {len(octets)}")
        return octets

    def _refusal(self, key: str, reason: str) -> ConfigurationError:
        return ConfigurationError(f"{self._name}: {key} {reason}", next_step=f"correct {key} of {self._name}")
