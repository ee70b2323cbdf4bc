"""Are keys readable by their owner only, and do certificate and key belong together and hold for a while?"""

import os
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization

from amity.kernel.errors import ConfigurationError
from amity.runtime.checkup.check import Check, State, failing
from amity.runtime.folder import Folder
from amity.runtime.install.material import CERTIFICATE_NAME, KEY_NAME, REQUEST_NAME
from amity.runtime.owned_files import check_owned

_RENEW_BEFORE: Final = timedelta(days=30)


def check_keys(folder: Folder, now: datetime, owner: int) -> Iterator[Check]:
    """The service's key, its certificate, and the file with the meters' keys; `owner` is the service's user."""
    yield _private_key(folder.certificates / KEY_NAME, owner)
    yield _certificate(folder.certificates, now)
    if folder.keys.exists():
        yield _mode("keys of the meters", folder.keys, owner)


def _private_key(path: Path, owner: int) -> Check:
    if not path.exists():
        return Check("private key", State.HINT, f"{path} is missing", "amity install makes one")
    return _mode("private key", path, owner)


def _mode(name: str, path: Path, owner: int) -> Check:
    try:
        check_owned(path, owner=owner)
    except ConfigurationError as error:
        return failing(name, error)
    return Check(name, State.OK, f"{path}, mode 0600")


def _certificate(certificates: Path, now: datetime) -> Check:
    name, path = "certificate", certificates / CERTIFICATE_NAME
    if not path.exists():
        request = certificates / REQUEST_NAME
        found = f"{request} is not signed yet" if request.exists() else "there is neither certificate nor request"
        return Check(name, State.HINT, found, f"have it signed by your CA and put the certificate at {path}")
    try:
        certificate = x509.load_pem_x509_certificate(path.read_bytes())
        belongs = _belongs(certificate, certificates / KEY_NAME)
    except (OSError, ValueError, TypeError, UnsupportedAlgorithm) as error:
        return Check(name, State.FAIL, f"{path} cannot be used: {type(error).__name__}", "put a PEM certificate there")
    if belongs is False:
        return Check(name, State.FAIL, f"{path} belongs to another key", f"have {REQUEST_NAME} signed again")
    return _validity(name, certificate, now)


def _belongs(certificate: x509.Certificate, key_path: Path) -> bool | None:
    """None where this user may not read the key."""
    if not key_path.exists() or not os.access(key_path, os.R_OK):
        return None
    key = serialization.load_pem_private_key(key_path.read_bytes(), None)
    form = (serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return key.public_key().public_bytes(*form) == certificate.public_key().public_bytes(*form)


def _validity(name: str, certificate: x509.Certificate, now: datetime) -> Check:
    until = certificate.not_valid_after_utc.astimezone(UTC)
    words = f"valid until {until:%Y-%m-%d}"
    if now < certificate.not_valid_before_utc:
        begins = f"valid only from {certificate.not_valid_before_utc:%Y-%m-%d %H:%M} UTC"
        return Check(name, State.FAIL, begins, "look at this machine's clock; then ask your CA")
    if now >= until:
        return Check(name, State.FAIL, f"expired on {until:%Y-%m-%d}", f"have {REQUEST_NAME} signed again")
    if until - now < _RENEW_BEFORE:
        return Check(name, State.HINT, words, f"have {REQUEST_NAME} signed again before that day")
    return Check(name, State.OK, words)
