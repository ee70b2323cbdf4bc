"""Who may do what on the broker: one account, three users, each with the subjects of its zone and no more."""

import json
import os
import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from amity.kernel.errors import ConfigurationError, StorageError

STREAM: Final = "AMITY_READINGS"
SUBJECT: Final = "amity.ot.deliveries"
CONSUMER: Final = "mdm"
_SECRET_OCTETS: Final = 32
_OWNER_ONLY: Final = 0o600


@dataclass(frozen=True, slots=True)
class Role:
    """A user of the broker and the subjects that it may publish to; it hears only its own inbox."""

    name: str
    may_publish: tuple[str, ...]

    @property
    def inbox_prefix(self) -> str:
        """Replies to this user arrive below this subject, which no other user may hear."""
        return f"_INBOX_{self.name}"


OT: Final = Role("ot", (SUBJECT,))
IT: Final = Role("it", (f"$JS.API.CONSUMER.MSG.NEXT.{STREAM}.{CONSUMER}", f"$JS.ACK.{STREAM}.{CONSUMER}.>"))
SETUP: Final = Role("setup", ("$JS.API.>",))
ROLES: Final = (OT, IT, SETUP)


@dataclass(frozen=True, slots=True)
class Access:
    """How one role reaches the broker; the password never shows in a repr."""

    url: str
    role: Role
    password: str

    def __repr__(self) -> str:
        return f"Access(url={self.url!r}, role={self.role.name!r})"


def load_or_create_passwords(folder: Path) -> dict[str, str]:
    """The installation's random passwords by role name, one file of mode 0600 for each, made at first use.

    Raise StorageError when the disk does not take them, ConfigurationError when a file is readable by others.
    """
    return {role.name: _load_or_create(folder / f"{role.name}.secret") for role in ROLES}


def load_access(folder: Path, role: Role, url: str) -> Access:
    """What one process needs, from its own file only; raise ConfigurationError when the broker was never set up."""
    return Access(url, role, _load(folder / f"{role.name}.secret"))


def server_accounts(passwords: dict[str, str]) -> str:
    """The `accounts` part of the server's configuration."""
    users = [
        {
            "user": role.name,
            "password": passwords[role.name],
            "permissions": {"publish": list(role.may_publish), "subscribe": [f"{role.inbox_prefix}.>"]},
        }
        for role in ROLES
    ]
    return json.dumps({"AMITY": {"jetstream": "enabled", "users": users}}, indent=2)


def write_private(path: Path, text: str) -> None:
    """Write a file that only its owner can read, whole or not at all; raise StorageError naming it."""
    unfinished = path.with_suffix(".unfinished")
    try:
        descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, _OWNER_ONLY)
        with os.fdopen(descriptor, "w") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        unfinished.replace(path)
    except OSError as error:
        raise StorageError(
            f"cannot write {path}: {error.strerror}", next_step="free space on the disk or correct the folder's owner"
        ) from error


def _load_or_create(path: Path) -> str:
    if not path.exists():
        write_private(path, secrets.token_urlsafe(_SECRET_OCTETS))
    return _load(path)


def _load(path: Path) -> str:
    try:
        open_to_others = path.stat().st_mode & 0o077
        text = path.read_text()
    except OSError as error:
        raise ConfigurationError(
            f"cannot read {path}: {error.strerror}", next_step="start the broker of this folder first"
        ) from error
    if open_to_others:
        raise ConfigurationError(f"{path} can be read by others", next_step=f"chmod 600 {path}")
    return text
