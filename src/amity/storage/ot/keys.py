"""Meter secrets in a JSON file that only its owner can read, apart from the database so that copies of that hold none.

Replaced by the key service behind the same port.
"""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from amity.headend.ports import MeterSecrets
from amity.kernel.errors import ConfigurationError, StorageError

_FIELDS: Final = ("password", "guek", "gak")
_OWNER_ONLY: Final = 0o600


class KeyFile:
    """Implements `headend.ports.Keys`: one object per meter id with `password`, `guek` and `gak` in hexadecimal."""

    def __init__(self, path: Path) -> None:
        """Read the file if there is one; raise ConfigurationError when it is readable by others or not as written."""
        self._path = path
        self._secrets = _read(path) if path.exists() else {}

    def secrets(self, meter_id: str) -> MeterSecrets:
        """Raise ConfigurationError naming the meter when there are none."""
        try:
            return self._secrets[meter_id]
        except KeyError:
            raise ConfigurationError(
                f"there are no keys for meter {meter_id}", next_step=f"add the meter to {self._path} and restart"
            ) from None

    def put(self, secrets: Mapping[str, MeterSecrets]) -> None:
        """Add or replace secrets by meter id, on disk before in memory; raise StorageError when the disk refuses."""
        merged = {**self._secrets, **secrets}
        document = {meter_id: {name: getattr(one, name).hex() for name in _FIELDS} for meter_id, one in merged.items()}
        _write_private(self._path, json.dumps(document, indent=1, sort_keys=True))
        self._secrets = merged


def _read(path: Path) -> dict[str, MeterSecrets]:
    if path.stat().st_mode & 0o077:
        raise ConfigurationError(f"{path} can be read by others", next_step=f"chmod 600 {path}")
    try:
        document = json.loads(path.read_text())
        return {meter_id: _secrets(entry) for meter_id, entry in document.items()}
    except OSError as error:
        raise StorageError(f"cannot read {path}: {error.strerror}") from error
    except (ValueError, TypeError, AttributeError):
        # The text of a parser's error may quote the file, and the file holds keys: name the file only.
        raise ConfigurationError(
            f"{path} is not a key file", next_step="restore it from the last backup, or provision the meters again"
        ) from None


def _secrets(entry: Mapping[str, Any]) -> MeterSecrets:
    return MeterSecrets(**{name: bytes.fromhex(entry.get(name, "")) for name in _FIELDS})


def _write_private(path: Path, text: str) -> None:
    unfinished = path.with_suffix(".unfinished")
    try:
        unfinished.unlink(missing_ok=True)
        with os.fdopen(os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _OWNER_ONLY), "w") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        unfinished.replace(path)
    except OSError as error:
        raise StorageError(
            f"cannot write {path}: {error.strerror}", next_step="free space on the disk or correct the folder's owner"
        ) from error
