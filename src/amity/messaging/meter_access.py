"""Meters on the broker: an account of their own, one user for each meter, known by its certificate alone.

A meter is who its certificate says by a URI `spiffe://ami/ot/meter/NAME`. It may publish on its own topic
`amity/NAME/push` and hear `amity/NAME/confirm`, nothing else; it cannot come in by the port of the other users.
"""

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from amity.messaging.access import Role

ACCOUNT: Final = "METERS"
STREAM: Final = "METER_PUSHES"
CONSUMER: Final = "headend"
PUSH_SUBJECTS: Final = "amity.*.push"
_MQTT_NAME: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")
_TLS_TIMEOUT_S: Final = 5
_STORE_OCTETS_MAX: Final = 1 << 30

PUSHES: Final = Role(
    "pushes",
    (
        f"$JS.API.STREAM.CREATE.{STREAM}",
        f"$JS.API.STREAM.UPDATE.{STREAM}",
        f"$JS.API.STREAM.INFO.{STREAM}",
        f"$JS.API.CONSUMER.*.{STREAM}.>",
        f"$JS.API.CONSUMER.DURABLE.CREATE.{STREAM}.>",
        f"$JS.API.CONSUMER.MSG.NEXT.{STREAM}.{CONSUMER}",
        f"$JS.ACK.{STREAM}.{CONSUMER}.>",
        "amity.*.confirm",
    ),
)
"""The head-end, as the meters' account knows it."""


@dataclass(frozen=True, slots=True)
class MqttDoor:
    """Where MQTT is spoken on this machine, and the PEM files: certificate, its key, the CA of the meters."""

    port: int
    certificate: Path
    key: Path
    authorities: Path


def identity_of(meter: str) -> str:
    """What the meter's certificate says of it."""
    return f"spiffe://ami/ot/meter/{meter}"


def may_publish(meter: str) -> bool:
    """Whether the name can be part of a topic: a dot, slash or wildcard in it would make it another one."""
    return _MQTT_NAME.fullmatch(meter) is not None


def topics(meter: str) -> tuple[str, str]:
    """Where the meter publishes, and where it hears that its push is kept."""
    return f"amity/{meter}/push", f"amity/{meter}/confirm"


def confirm_subject(meter: str) -> str:
    """The second topic as a subject."""
    return f"amity.{meter}.confirm"


def meter_of(subject: str) -> str:
    """Whose topic a subject is."""
    return subject.split(".")[1]


def account(meters: Iterable[str], password: str) -> dict[str, Any]:
    """The meters' account in the server's configuration; names that cannot be topics are left out."""
    headend: dict[str, Any] = {
        "user": PUSHES.name,
        "password": password,
        "permissions": {"publish": list(PUSHES.may_publish), "subscribe": [f"{PUSHES.inbox_prefix}.>"]},
    }
    users = [headend, *(_user(meter) for meter in sorted(filter(may_publish, meters)))]
    return {"jetstream": {"max_file": _STORE_OCTETS_MAX}, "users": users}


def mqtt_section(door: MqttDoor) -> list[str]:
    """The `mqtt` part of the server's configuration, on loopback: callers come by way of the guarded port."""
    tls = {
        "cert_file": str(door.certificate),
        "key_file": str(door.key),
        "ca_file": str(door.authorities),
        "verify_and_map": True,
        "timeout": _TLS_TIMEOUT_S,
    }
    return ["mqtt {", f"  listen: {json.dumps(f'127.0.0.1:{door.port}')}", f"  tls: {json.dumps(tls)}", "}"]


def _user(meter: str) -> dict[str, Any]:
    subject = f"amity.{meter}"
    return {
        "user": identity_of(meter),
        "allowed_connection_types": ["MQTT"],
        "permissions": {"publish": [f"{subject}.push"], "subscribe": [f"{subject}.confirm"]},
    }
