"""The files that the link between head-end and collector needs, in the folder of certificates, on both sides alike."""

import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Final

import structlog

from amity.headend.regular_file import check_regular
from amity.kernel.errors import AmityError
from amity.kernel.time import Clock
from amity.runtime.files.watch import FileWatch, Sight
from amity.runtime.folder import Folder
from amity.security.private_files import check_private
from amity.transports.relay_peer import RelayPeer
from amity.transports.relay_tls import Standing, TlsFiles

CERTIFICATE: Final = "ami_service.crt"
KEY: Final = "ami_service.key"
AUTHORITIES: Final = "ca.crt"
REVOKED: Final = "ca.crl"
LOOK_EVERY_S: Final = 10.0
_LOG: Final = "certificates"


def relay_files(folder: Folder) -> TlsFiles:
    """Where they are; systemd's copy of the key goes first (`LoadCredential=`).

    Raise ConfigurationError for a key that others can read, with the command that mends it, and for what is no file.
    """
    place = folder.certificates
    handed = Path(os.environ.get("CREDENTIALS_DIRECTORY", "/nonexistent")) / KEY
    key = handed if handed.exists() else place / KEY
    if key != handed:  # newer systemd lets the service read its copy by an ACL, which looks like mode 0440
        check_private(key, missing="see docs/collectors.md for the files and how to make them")
    for path in (place / name for name in (CERTIFICATE, AUTHORITIES, REVOKED)):
        if path.exists():
            check_regular(path)
    revoked = place / REVOKED
    return TlsFiles(place / CERTIFICATE, key, place / AUTHORITIES, revoked if revoked.exists() else None)


class RelayFiles:
    """Those in use: other files are used from the look on that finds them, and who no longer counts is cut off.

    Files that cannot be used change nothing.
    """

    def __init__(
        self,
        folder: Folder,
        clock: Clock,
        use: Callable[[TlsFiles], None],
        peers: Callable[[], Iterable[RelayPeer]],
    ) -> None:
        self._folder = folder
        self._clock = clock
        self._use = use
        self._peers = peers
        files = relay_files(folder)
        self._seen = _as_they_are(files)
        self._standing = Standing(files)

    def watch(self, every_s: float = LOOK_EVERY_S) -> FileWatch:
        """Looks again and again, and tells what became of the files."""
        return FileWatch("certificates", self._look, log=_LOG, every_s=every_s)

    def _look(self) -> Sight:
        refusals = {}
        try:
            self._renew()
        except AmityError as error:
            refusals[self._folder.certificates.name] = "; ".join(error.lines())
        self._cut_off()
        return Sight(self._seen, str(self._folder.certificates), refusals)

    def _renew(self) -> None:
        files = relay_files(self._folder)
        now = _as_they_are(files)
        if now == self._seen:
            return
        self._standing = Standing(files)
        self._use(files)
        self._seen = now

    def _cut_off(self) -> None:
        now = self._clock.now()
        for peer in tuple(self._peers()):
            reason = "" if peer.identity is None else self._standing.against(peer.identity.certificate, now)
            if reason and peer.identity is not None:
                _log().warning("link cut", name=peer.identity.name, address=peer.address, reason=reason)
                peer.close()


def _as_they_are(files: TlsFiles) -> list[tuple[int, int, int]]:
    """What changes when one of them does; one that is missing is a change too."""
    paths = [path for path in (files.certificate, files.key, files.authorities, files.revoked) if path is not None]
    return [(at.st_ino, at.st_size, at.st_mtime_ns) for at in (path.stat() for path in paths if path.exists())]


def _log() -> structlog.stdlib.BoundLogger:
    log: structlog.stdlib.BoundLogger = structlog.get_logger(_LOG)
    return log
