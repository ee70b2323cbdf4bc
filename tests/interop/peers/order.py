"""What the foreign readers share: the order they are given and the JSON answer they print.

Runs in a peer's own virtual environment: standard library only, nothing of Amity is imported.
"""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

LOGICAL_DEVICE_NAME = "0.0.42.0.0.255"
CLOCK = "0.0.1.0.0.255"
CURRENT_ASSOCIATION = "0.0.40.0.0.255"


@dataclass(frozen=True)
class Order:
    """One meter of the simulator's connection document, and what to read from it.

    Keys and titles are octets; `start` and `end` are aware UTC instants, both included as a range access has it.
    `newest` asks for so many of the newest rows by their entry number instead. `release` is False for meters that
    ignore a release request. With `framing` hdlc the meter has the lower address `physical`, and is on a serial line
    where there is a `device`; `hdlc_octets` and `hdlc_window` are what the client asks for in SNRM. Without a
    `dedicated_key` there is none; `client_signing` is private, `meter_signing` public (x and y).
    """

    host: str
    port: int
    client: int
    server: int
    auth: str
    protection: str
    password: bytes
    guek: bytes
    gak: bytes
    client_title: bytes
    invocation_counter: int
    max_pdu: int
    register: str
    register_class: int
    with_list: bool
    profile: str
    start: datetime
    end: datetime
    newest: int | None
    release: bool
    framing: str = "wrapper"
    physical: int | None = None
    device: str = ""
    hdlc_octets: int = 128
    hdlc_window: int = 1
    suite: int = 0
    dedicated_key: bytes = b""
    client_signing: bytes = b""
    meter_signing: bytes = b""

    @property
    def ciphered(self) -> bool:
        """Whether the association runs in the ciphered application context."""
        return self.protection != "none"


@dataclass(frozen=True)
class Changes:
    """What to change in the meter: the steps by name, and the logical names of the objects that they are about.

    With `general` the client proposes general block transfer in place of the blocks of each service.
    """

    names: dict[str, str]
    steps: list[str]
    general: bool


def read_order() -> Order:
    """The order as JSON text in the file named by the first argument, or on standard input."""
    text = Path(sys.argv[1]).read_text(encoding="utf-8") if len(sys.argv) > 1 else sys.stdin.read()
    return _order(json.loads(text))


def read_changes() -> tuple[Order, Changes]:
    """An order on standard input that says what to change besides."""
    fields: dict[str, Any] = json.loads(sys.stdin.read())
    changes = Changes(**fields.pop("changes"))
    return _order(fields), changes


def _order(fields: dict[str, Any]) -> Order:
    for name in ("guek", "gak", "client_title", "dedicated_key", "client_signing", "meter_signing"):
        fields[name] = bytes.fromhex(fields.get(name, ""))
    for name in ("start", "end"):
        fields[name] = datetime.fromisoformat(fields[name])
    return Order(**{**fields, "password": fields["password"].encode("ascii")})


def utc_text(instant: datetime) -> str:
    """An aware instant as ISO 8601 text in UTC, to the second."""
    return instant.astimezone(UTC).replace(microsecond=0).isoformat()


def print_answer(answer: dict[str, Any]) -> None:
    """One JSON document on standard output."""
    sys.stdout.write(json.dumps(answer) + "\n")
