"""What an installation consists of: folders, files with their owners and modes, and where each goes."""

import sys
from dataclasses import dataclass, field
from enum import StrEnum
from importlib import resources
from pathlib import Path
from typing import Final

from amity.headend.mapping import packaged_text as packaged_mapping
from amity.runtime.files.schedules import packaged_text as packaged_schedules

USER: Final = "ami"
UNIT: Final = "/etc/systemd/system/ami-collector.service"
_ROOT: Final = "root"


@dataclass(frozen=True, slots=True)
class Place:
    """Below which root it goes, which program the service runs, and as whom."""

    root: Path = Path("/")
    program: Path = field(default_factory=lambda: Path(sys.executable).with_name("amity"))
    user: str = USER

    def at(self, path: str) -> Path:
        """An absolute path of the installed machine, below the root."""
        return self.root / path.lstrip("/")

    @property
    def configuration(self) -> Path:
        """Where the administrator edits."""
        return self.at("/etc/ami-gateway")

    @property
    def certificates(self) -> Path:
        """Where key, request and certificates are."""
        return self.configuration / "certs"


class Kind(StrEnum):
    """What may be done with a piece."""

    FOLDER = "folder"
    TEXT = "text"  # ours until a person edits it


@dataclass(frozen=True, slots=True)
class Piece:
    """One folder or file; `text` is what it holds when nobody has edited it. Uninstalling removes it if not `stays`."""

    path: str
    kind: Kind
    mode: int
    owner: str
    group: str
    text: str = ""
    stays: bool = False


def pieces(place: Place) -> tuple[Piece, ...]:
    """Everything but key and request, folders before what is in them."""
    user = place.user
    return (
        Piece("/etc/ami-gateway", Kind.FOLDER, 0o750, _ROOT, user, stays=True),
        Piece("/etc/ami-gateway/certs", Kind.FOLDER, 0o711, _ROOT, _ROOT, stays=True),
        Piece("/var/lib/ami-gateway", Kind.FOLDER, 0o700, user, user, stays=True),
        Piece("/var/log/ami", Kind.FOLDER, 0o750, user, user, stays=True),
        _configuration(place, "dlms_config.yaml", _template(place, "dlms_config.yaml")),
        _configuration(place, "mapping.json", packaged_mapping()),
        _configuration(place, "schedules.toml", packaged_schedules()),
        _system(place, "/etc/default/ami-collector", "default"),
        _system(place, UNIT, "ami-collector.service"),
        _system(place, "/etc/logrotate.d/ami-gateway", "logrotate"),
        _system(place, "/etc/sysusers.d/ami-gateway.conf", "sysusers"),
        _system(place, "/etc/tmpfiles.d/ami-gateway.conf", "tmpfiles"),
    )


def _configuration(place: Place, name: str, text: str) -> Piece:
    return Piece(f"/etc/ami-gateway/{name}", Kind.TEXT, 0o600, place.user, place.user, text, stays=True)


def _system(place: Place, path: str, template: str) -> Piece:
    return Piece(path, Kind.TEXT, 0o644, _ROOT, _ROOT, _template(place, template))


def _template(place: Place, name: str) -> str:
    text = (resources.files(__package__) / "templates" / f"{name}.in").read_text(encoding="utf-8")
    words = {"program": str(place.program), "user": place.user, "state": "/var/lib/ami-gateway"}
    for word, value in words.items():
        text = text.replace(f"@{word}@", value)
    return text
