"""Reading what people type: octets, addresses, instants, each refused with an example when it is not one."""

from datetime import UTC, datetime
from typing import Final, NamedTuple

from amity.kernel.errors import ConfigurationError

LIMIT_MAX: Final = 1_000_000
"""Of a list more than anybody reads, and less than any database refuses."""
_PORT_MAX = 65_535


class Address(NamedTuple):
    """A host and a TCP port."""

    host: str
    port: int


def hex_octets(option: str, text: str | None, octets: int | None = None) -> bytes:
    """Octets written in hexadecimal, empty for None; the text itself is never repeated, it may be a key."""
    if text is None:
        return b""
    try:
        value = bytes.fromhex(text.removeprefix("0x"))
    except ValueError:
        raise ConfigurationError(
            f"{option} is not hexadecimal", next_step="write two digits an octet, like 0A1B"
        ) from None
    if octets is not None and len(value) != octets:
        raise ConfigurationError(
            f"{option} has {len(value)} octets, {octets} are needed",
            next_step=f"write {2 * octets} hexadecimal digits",
        )
    return value


def password_octets(text: str | None) -> bytes:
    """A password as it is typed, or octets behind 0x; empty for None."""
    if text is None:
        return b""
    return hex_octets("--password", text) if text.startswith("0x") else text.encode()


def address(text: str, option: str = "HOST:PORT") -> Address:
    """`127.0.0.1:4059` or `[::1]:4059`."""
    host, _, port = text.rpartition(":")
    if not host or not port.isdecimal() or not 0 < int(port) <= _PORT_MAX:
        raise ConfigurationError(f"{option} {text!r} is no address", next_step="write it like 127.0.0.1:4059")
    return Address(host.strip("[]"), int(port))


def instant(option: str, text: str) -> datetime:
    """An ISO 8601 instant; without a zone it is UTC."""
    try:
        value = datetime.fromisoformat(text)
    except ValueError:
        raise ConfigurationError(
            f"{option} {text!r} is no instant", next_step="write it like 2026-11-20T06:00:00Z"
        ) from None
    return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
