"""Who may do what on the broker: one account, three users, each with the subjects of its zone and no more."""

import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from amity.messaging.broker_tls import BrokerTls
from amity.security.private_files import read_private, write_private

STREAM: Final = "AMITY_READINGS"
SUBJECT: Final = "amity.ot.deliveries"
ALARM_SUBJECT: Final = f"{SUBJECT}.alarms"
CONSUMER: Final = "mdm"
ALARM_CONSUMER: Final = "mdm-alarms"
CONSUMERS: Final = {CONSUMER: SUBJECT, ALARM_CONSUMER: ALARM_SUBJECT}
"""Each lane of the stream has a consumer, so that an alarm never stands behind the readings of a night."""
_SECRET_OCTETS: Final = 32


@dataclass(frozen=True, slots=True)
class Role:
    """A user of the broker and the subjects that it may publish to; it hears only its own inbox."""

    name: str
    may_publish: tuple[str, ...]

    @property
    def inbox_prefix(self) -> str:
        """Replies to this user arrive below this subject, which no other user may hear."""
        return f"_INBOX_{self.name}"


OT: Final = Role("ot", (SUBJECT, ALARM_SUBJECT))
IT: Final = Role(
    "it",
    tuple(
        subject
        for consumer in CONSUMERS
        for subject in (f"$JS.API.CONSUMER.MSG.NEXT.{STREAM}.{consumer}", f"$JS.ACK.{STREAM}.{consumer}.>")
    ),
)
SETUP: Final = Role("setup", ("$JS.API.>",))
ROLES: Final = (OT, IT, SETUP)
CLUSTER: Final = Role("cluster", ())
"""The servers of a cluster among themselves: no user of theirs, only a secret."""


@dataclass(frozen=True, slots=True)
class Access:
    """How one role reaches the broker, by one of the servers of `url` (a comma between); `repr` hides the password."""

    url: str
    role: Role
    password: str
    tls: BrokerTls | None = None

    @property
    def servers(self) -> tuple[str, ...]:
        """Each server by itself."""
        return tuple(self.url.split(","))

    def __repr__(self) -> str:
        return f"Access(url={self.url!r}, role={self.role.name!r})"


def load_or_create_password(folder: Path, role: Role) -> str:
    """One role's random password; raises as `load_or_create_passwords`."""
    return _load_or_create(folder / f"{role.name}.secret")


def load_or_create_passwords(folder: Path) -> dict[str, str]:
    """The installation's random passwords by role name, one file of mode 0600 for each, made at first use.

    Raise StorageError when the disk does not take them, ConfigurationError when a file is readable by others.
    """
    return {role.name: _load_or_create(folder / f"{role.name}.secret") for role in ROLES}


def load_access(folder: Path, role: Role, url: str, tls: BrokerTls | None = None) -> Access:
    """What one process needs, from its own file only; raise ConfigurationError when the broker was never set up."""
    return Access(url, role, _load(folder / f"{role.name}.secret"), tls)


def server_accounts(passwords: Mapping[str, str], others: Mapping[str, Any] | None = None) -> str:
    """The `accounts` part of the server's configuration; `others` are accounts beside ours."""
    users = [
        {
            "user": role.name,
            "password": passwords[role.name],
            "permissions": {"publish": list(role.may_publish), "subscribe": [f"{role.inbox_prefix}.>"]},
        }
        for role in ROLES
    ]
    return json.dumps({"AMITY": {"jetstream": "enabled", "users": users}, **(others or {})}, indent=2)


def _load_or_create(path: Path) -> str:
    if not path.exists():
        write_private(path, secrets.token_urlsafe(_SECRET_OCTETS))
    return _load(path)


def _load(path: Path) -> str:
    return read_private(path, missing="start the broker of this folder first")
