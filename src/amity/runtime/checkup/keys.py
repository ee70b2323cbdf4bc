"""Are keys readable by their owner only, and do certificates and keys belong together and hold for a while?"""

import os
import shlex
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final, NamedTuple

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization

from amity.kernel.errors import ConfigurationError
from amity.runtime.checkup.check import Check, State, failing
from amity.runtime.files import mqtt, relay
from amity.runtime.files.owned import check_owned
from amity.runtime.folder import Folder
from amity.runtime.install.material import REQUEST_NAME
from amity.runtime.settings import Settings

_RENEW_BEFORE: Final = timedelta(days=30)


class _Pair(NamedTuple):
    """A certificate and its key; `mend` is what to do when the certificate will not do."""

    name: str
    certificate: Path
    key: Path
    mend: str


def check_keys(folder: Folder, settings: Settings, now: datetime, owner: int) -> Iterator[Check]:
    """The service's key and certificate, what the configured links need beside them, and the meters' keys.

    `owner` is the service's user.
    """
    place = folder.certificates
    own = _Pair("certificate", place / relay.CERTIFICATE, place / relay.KEY, f"have {REQUEST_NAME} signed again")
    if folder.installed or _speaks_tls(settings):
        yield _private_key("private key", own.key, owner, State.HINT, _new_key(folder, own.key))
        yield _own_certificate(own, now, needed=_speaks_tls(settings))
    if _speaks_tls(settings):
        yield _certificate("CA of collectors and brokers", place / relay.AUTHORITIES, now)
    if settings.headend.mqtt_port is not None:
        yield from _for_mqtt(place, now, owner)
    if folder.keys.exists():
        yield _mode("keys of the meters", folder.keys, owner)


def _new_key(folder: Folder, key: Path) -> str:
    """How a key is made; `amity install` lays none down in one folder."""
    if folder.installed:
        return "amity install makes one"
    place = shlex.quote(str(key.parent))
    made = f"openssl req -new -newkey rsa:4096 -nodes -keyout {key.name} -out {REQUEST_NAME}"
    return f"(umask 077; mkdir -p {place}; cd {place}; {made})"


def _speaks_tls(settings: Settings) -> bool:
    """Whether a link is configured that shows the service's own certificate."""
    return settings.headend.collector_port is not None or settings.broker.tls or bool(settings.collector.headends)


def _for_mqtt(place: Path, now: datetime, owner: int) -> Iterator[Check]:
    pair = _Pair("certificate for MQTT", place / mqtt.CERTIFICATE, place / mqtt.KEY, "see docs/pushes.md")
    yield _private_key("key for MQTT", pair.key, owner, State.FAIL, pair.mend)
    yield _of_a_key(pair, now)
    yield _certificate("CA of the meters", place / mqtt.AUTHORITIES, now)


def _private_key(name: str, path: Path, owner: int, if_missing: State, mend: str) -> Check:
    return _mode(name, path, owner) if path.exists() else Check(name, if_missing, f"{path} is missing", mend)


def _mode(name: str, path: Path, owner: int) -> Check:
    try:
        check_owned(path, owner=owner)
    except ConfigurationError as error:
        return failing(name, error)
    return Check(name, State.OK, f"{path}, mode 0600")


# ------------------------------------------------------------------ certificates
def _own_certificate(pair: _Pair, now: datetime, *, needed: bool) -> Check:
    if pair.certificate.exists():
        return _of_a_key(pair, now)
    request = pair.certificate.with_name(REQUEST_NAME)
    found = f"{request} is not signed yet" if request.exists() else "there is neither certificate nor request"
    step = f"have it signed by your CA and put the certificate at {pair.certificate}"
    return Check(pair.name, State.FAIL if needed else State.HINT, found, step)


def _of_a_key(pair: _Pair, now: datetime) -> Check:
    try:
        certificate = x509.load_pem_x509_certificate(pair.certificate.read_bytes())
        belongs = _belongs(certificate, pair.key)
    except (OSError, ValueError, TypeError, UnsupportedAlgorithm) as error:
        return _unusable(pair.name, pair.certificate, error)
    if belongs is False:
        return Check(pair.name, State.FAIL, f"{pair.certificate} belongs to another key", pair.mend)
    return _validity(pair.name, certificate, now, pair.mend)


def _certificate(name: str, path: Path, now: datetime) -> Check:
    """One of somebody else's: there, a certificate, in date."""
    try:
        certificate = x509.load_pem_x509_certificate(path.read_bytes())
    except (OSError, ValueError) as error:
        return _unusable(name, path, error)
    return _validity(name, certificate, now, f"put the CA's newer certificate at {path}")


def _unusable(name: str, path: Path, error: Exception) -> Check:
    why = error.strerror if isinstance(error, OSError) else type(error).__name__
    return Check(name, State.FAIL, f"{path} cannot be used: {why}", "put a PEM certificate there, mode 0644")


def _belongs(certificate: x509.Certificate, key_path: Path) -> bool | None:
    """None where this user may not read the key."""
    if not key_path.exists() or not os.access(key_path, os.R_OK):
        return None
    key = serialization.load_pem_private_key(key_path.read_bytes(), None)
    form = (serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return key.public_key().public_bytes(*form) == certificate.public_key().public_bytes(*form)


def _validity(name: str, certificate: x509.Certificate, now: datetime, mend: str) -> Check:
    until = certificate.not_valid_after_utc.astimezone(UTC)
    words = f"valid until {until:%Y-%m-%d}"
    if now < certificate.not_valid_before_utc:
        begins = f"valid only from {certificate.not_valid_before_utc:%Y-%m-%d %H:%M} UTC"
        return Check(name, State.FAIL, begins, "look at this machine's clock; then ask your CA")
    if now >= until:
        return Check(name, State.FAIL, f"expired on {until:%Y-%m-%d}", mend)
    if until - now < _RENEW_BEFORE:
        return Check(name, State.HINT, words, f"{mend} before that day")
    return Check(name, State.OK, words)
