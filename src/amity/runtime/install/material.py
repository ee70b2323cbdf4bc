"""The service's private key and its certificate signing request: made once, never overwritten.

The same as `openssl req -new -newkey rsa:4096 -nodes -keyout ami_service.key -out ami_service.csr`, with the machine's
name as subject and alternative name.
"""

import os
from enum import StrEnum
from pathlib import Path
from typing import Final, NamedTuple

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from amity.kernel.errors import ConfigurationError
from amity.runtime.files import mqtt
from amity.runtime.files.owned import check_owned
from amity.runtime.install.layout import Place
from amity.security.private_files import write_private

KEY_NAME: Final = "ami_service.key"
REQUEST_NAME: Final = "ami_service.csr"
_PUBLIC: Final = 0o644
_COMPROMISED: Final = "others could read it: make a new key and request"

PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey


class KeyKind(StrEnum):
    """What the key is."""

    RSA_4096 = "rsa-4096"
    P_256 = "p-256"


class Material(NamedTuple):
    """Paths of key and request, and which of them are missing."""

    key: Path
    request: Path

    @property
    def missing(self) -> list[Path]:
        """What would be made."""
        return [path for path in self if not path.exists()]


def material(place: Place) -> Material:
    """Where they are, or go."""
    return Material(place.certificates / KEY_NAME, place.certificates / REQUEST_NAME)


def exposed_keys(place: Place) -> dict[Path, str]:
    """Private keys that are not their owner's alone, and how each is mended; none of them is touched.

    Whoever could read one may have it: to close it is not enough.
    """
    found = {}
    for key in (material(place).key, place.certificates / mqtt.KEY):
        if not os.path.lexists(key):
            continue
        try:
            check_owned(key, owner=key.lstat().st_uid)
        except ConfigurationError as error:
            found[key] = f"{error.next_step}; {_COMPROMISED}"
    return found


def make_material(place: Place, kind: KeyKind, name: str) -> list[Path]:
    """Make what is missing, for the machine `name`; return what was made.

    Raise ConfigurationError for a key that is there and cannot be used, StorageError when the disk says no.
    """
    wanted = material(place)
    made = wanted.missing
    if wanted.key in made:
        if wanted.request not in made:
            raise ConfigurationError(
                f"{wanted.request} is there and its key is not",
                next_step=f"put {wanted.key} back, or move the request away for a new pair",
            )
        write_private(wanted.key, _pem(_new_key(kind)))
    if wanted.request in made:
        write_private(wanted.request, _request(_load(wanted.key), name))
        wanted.request.chmod(_PUBLIC)
    for path in made:
        if os.geteuid() == 0:
            os.chown(path, 0, 0)
    return made


def _new_key(kind: KeyKind) -> PrivateKey:
    if kind is KeyKind.P_256:
        return ec.generate_private_key(ec.SECP256R1())
    return rsa.generate_private_key(public_exponent=65_537, key_size=4096)


def _pem(key: PrivateKey) -> str:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode("ascii")


def _load(path: Path) -> PrivateKey:
    try:
        key = serialization.load_pem_private_key(path.read_bytes(), None)
    except (OSError, ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise ConfigurationError(
            f"{path} is no private key in PEM without a passphrase",
            answer=type(error).__name__,
            next_step="import one that is, or move it away for a new one",
        ) from error
    if not isinstance(key, rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey):
        raise ConfigurationError(f"{path} is neither an RSA nor an EC key", next_step="import one that is")
    return key


def _request(key: PrivateKey, name: str) -> str:
    try:
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        names = x509.SubjectAlternativeName([x509.DNSName(name)])
    except ValueError as error:
        raise ConfigurationError(
            f"{name!r} cannot be the name in a certificate", answer=str(error), next_step="give one with --name"
        ) from error
    uses = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH])
    request = (
        x509.CertificateSigningRequestBuilder()
        .subject_name(subject)
        .add_extension(names, critical=False)
        .add_extension(uses, critical=False)
        .sign(key, hashes.SHA256())
    )
    return request.public_bytes(serialization.Encoding.PEM).decode("ascii")
