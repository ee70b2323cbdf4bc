"""The files that the link between head-end and collector needs, in the folder of certificates, on both sides alike."""

import os
from pathlib import Path
from typing import Final

from amity.runtime.folder import Folder
from amity.security.private_files import check_private
from amity.transports.relay_tls import TlsFiles

CERTIFICATE: Final = "ami_service.crt"
KEY: Final = "ami_service.key"
AUTHORITIES: Final = "ca.crt"
REVOKED: Final = "ca.crl"


def relay_files(folder: Folder) -> TlsFiles:
    """Where they are; systemd's copy of the key goes first (`LoadCredential=`).

    Raise ConfigurationError for a key that others can read, with the command that mends it.
    """
    place = folder.certificates
    handed = Path(os.environ.get("CREDENTIALS_DIRECTORY", "/nonexistent")) / KEY
    key = handed if handed.exists() else place / KEY
    check_private(key, missing="see docs/collectors.md for the files and how to make them")
    revoked = place / REVOKED
    return TlsFiles(place / CERTIFICATE, key, place / AUTHORITIES, revoked if revoked.exists() else None)
