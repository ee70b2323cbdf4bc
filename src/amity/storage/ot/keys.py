"""Meter secrets in a JSON file that only its owner can read, apart from the database so that copies of that hold none.

Replaced by the key service behind the same port.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from amity.headend.ports import MeterSecrets
from amity.kernel.errors import ConfigurationError
from amity.security.private_files import read_private, write_private

_FIELDS: Final = ("password", "guek", "gak", "signing", "meter_signing")
_MANAGEMENT: Final = "management"


class KeyFile:
    """Implements `headend.ports.Keys`: one object per meter id, the fields of `MeterSecrets` in hexadecimal.

    Those of the management association stand inside the meter's, so they are bound to meter and role.

    Another process may have added meters since, or given them other keys: the file is read again when it changed.
    """

    def __init__(self, path: Path) -> None:
        """Read the file if there is one; raise ConfigurationError when it is readable by others or not as written."""
        self._path = path
        self._stamp = _stamp(path)
        self._secrets = _read(path) if path.exists() else {}

    def secrets(self, meter_id: str) -> MeterSecrets:
        """Raise ConfigurationError naming the meter when there are none."""
        try:
            self._read_again()
        except ConfigurationError:
            if meter_id not in self._secrets:  # a file that was spoilt is no reason to forget the others
                raise
        try:
            return self._secrets[meter_id]
        except KeyError:
            raise ConfigurationError(
                f"there are no keys for meter {meter_id}", next_step=f"add the meter to {self._path}"
            ) from None

    def _read_again(self) -> None:
        stamp = _stamp(self._path)
        if stamp is not None and stamp != self._stamp:
            self._secrets = _read(self._path)
            self._stamp = stamp

    def put(self, secrets: Mapping[str, MeterSecrets]) -> None:
        """Add or replace secrets by meter id, on disk before in memory; raise StorageError when the disk refuses."""
        merged = {**self._secrets, **secrets}
        document = {meter_id: _document(one) for meter_id, one in merged.items()}
        write_private(self._path, json.dumps(document, indent=1, sort_keys=True))
        self._secrets = merged


def _stamp(path: Path) -> tuple[int, int] | None:
    """What differs after each replacement of the file; None while there is none."""
    try:
        about = path.stat()
    except OSError:
        return None
    return about.st_ino, about.st_mtime_ns


def _read(path: Path) -> dict[str, MeterSecrets]:
    text = read_private(path, missing="provision the meters again")
    try:
        return {meter_id: _secrets(entry) for meter_id, entry in json.loads(text).items()}
    except (ValueError, TypeError, AttributeError):
        # The text of a parser's error may quote the file, and the file holds keys: name the file only.
        raise ConfigurationError(
            f"{path} is not a key file", next_step="restore it from the last backup, or provision the meters again"
        ) from None


def _secrets(entry: Mapping[str, Any]) -> MeterSecrets:
    management = _secrets(entry[_MANAGEMENT]) if _MANAGEMENT in entry else None
    return MeterSecrets(**{name: bytes.fromhex(entry.get(name, "")) for name in _FIELDS}, management=management)


def _document(one: MeterSecrets) -> dict[str, Any]:
    management = {} if one.management is None else {_MANAGEMENT: _document(one.management)}
    return {name: getattr(one, name).hex() for name in _FIELDS} | management
