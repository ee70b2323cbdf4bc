"""Who called, behind a proxy that says so: PROXY protocol, versions 1 and 2 (HAProxy's proxy-protocol.txt, 2.1, 2.2).

A header is believed from the addresses of the proxies alone, and must come from there; from elsewhere it is read as
what it then is, noise. So nobody can call in another's name, whatever octets he sends first.
"""

import asyncio
import struct
from collections.abc import Callable
from ipaddress import ip_address
from typing import Any, Final, NamedTuple, cast

from amity.kernel.addresses import address_of
from amity.kernel.errors import RemoteProtocolError

_SIGNATURE: Final = b"\r\n\r\n\0\r\nQUIT\n"
_HEAD: Final = struct.Struct(">12sBBH")
_TEXT: Final = b"PROXY "
_TEXT_OCTETS_MAX: Final = 107
_BODY_OCTETS_MAX: Final = 2048
_VERSION_2: Final = 2
_LOCAL, _PROXY = 0, 1
_FORMS: Final = {0x11: struct.Struct(">4s4sHH"), 0x21: struct.Struct(">16s16sHH")}
_TEXT_PARTS: Final = 6
_PORT_MAX: Final = 0xFFFF

Factory = Callable[[], asyncio.Protocol]
Address = tuple[str, int]


class Called(NamedTuple):
    """A header: the caller's address, None where the proxy speaks for itself (a look whether we live), and its end."""

    address: Address | None
    octets: int


def nobody(_peer: str) -> bool:
    """No address is that of a proxy."""
    return False


def read_header(octets: bytes) -> Called | None:
    """The header at the start; None while it is not whole; raise RemoteProtocolError for what is none."""
    if octets[: len(_SIGNATURE)] == _SIGNATURE[: len(octets)]:
        return _binary(octets)
    if octets[: len(_TEXT)] == _TEXT[: len(octets)]:
        return _text(octets)
    raise _no_header(octets)


def _binary(octets: bytes) -> Called | None:
    if len(octets) < _HEAD.size:
        return None
    _, command, family, length = _HEAD.unpack_from(octets)
    end = _HEAD.size + length
    if command >> 4 != _VERSION_2 or command & 0xF not in {_LOCAL, _PROXY} or length > _BODY_OCTETS_MAX:
        raise _no_header(octets)
    if len(octets) < end:
        return None
    if command & 0xF == _LOCAL:
        return Called(None, end)
    form = _FORMS.get(family)
    if form is None or length < form.size:
        raise _no_header(octets)
    source, _, port, _ = form.unpack_from(octets, _HEAD.size)
    return Called((_in_words(str(ip_address(source))), port), end)


def _text(octets: bytes) -> Called | None:
    line, ended, _ = octets.partition(b"\r\n")
    if len(line) > _TEXT_OCTETS_MAX:
        raise _no_header(octets)
    if not ended:
        return None
    parts = line.decode("ascii", "replace").split(" ")
    if parts[1] == "UNKNOWN":
        return Called(None, len(line) + 2)
    try:
        address, port = _in_words(parts[2]), int(parts[4])
    except (IndexError, ValueError):
        raise _no_header(octets) from None
    if len(parts) != _TEXT_PARTS or parts[1] not in {"TCP4", "TCP6"} or not 0 <= port <= _PORT_MAX:
        raise _no_header(octets)
    return Called((address, port), len(line) + 2)


def _in_words(address: str) -> str:
    """IPv4 as such, also from a proxy that listens for both; raise ValueError for what is no address."""
    found = address_of(address)
    if found is None:
        raise ValueError(f"{address!r} is no address")
    return str(found)


def _no_header(octets: bytes) -> RemoteProtocolError:
    return RemoteProtocolError(
        "the proxy does not say who called",
        answer=octets[:16].hex(" "),
        next_step="send-proxy-v2 on the server's line in haproxy.cfg, or take the address out of proxies",
    )


def behind_proxies(factory: Factory, is_proxy: Callable[[str], bool], within_s: float) -> Factory:
    """Protocols that hear who really called, where a proxy is in between; its header has to be there in that time."""
    return factory if is_proxy is nobody else lambda: _Announced(factory, is_proxy, within_s)


class _Announced(asyncio.Protocol):
    """A connection of which is not known yet who called."""

    def __init__(self, factory: Factory, is_proxy: Callable[[str], bool], within_s: float) -> None:
        self._factory = factory
        self._is_proxy = is_proxy
        self._within_s = within_s
        self._octets = b""
        self._transport: asyncio.Transport | None = None
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Who calls by himself is heard at once."""
        self._transport = cast("asyncio.Transport", transport)  # other loops' transports do not inherit from it
        peer = transport.get_extra_info("peername")
        if peer is None:  # reset before it was accepted, as by a proxy that looks whether the port is open
            self._transport.abort()
        elif self._is_proxy(str(peer[0])):
            self._timer = asyncio.get_running_loop().call_later(self._within_s, self._transport.abort)
        else:
            self._hand_over(self._transport, self._transport)

    def data_received(self, data: bytes) -> None:
        """The header, and what came behind it."""
        if self._transport is None:
            return
        self._octets += data
        try:
            called = read_header(self._octets)
        except RemoteProtocolError:
            self._transport.abort()
            return
        if called is None:
            return
        if called.address is None:  # nobody called: the proxy looked whether we are there
            self._transport.close()
            return
        behind = self._hand_over(self._transport, cast("asyncio.Transport", _Seen(self._transport, called.address)))
        if self._octets[called.octets :] and not self._transport.is_closing():
            behind.data_received(self._octets[called.octets :])

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - however it ended
        """It ended before it was known who called."""
        if self._timer is not None:
            self._timer.cancel()

    def _hand_over(self, transport: asyncio.Transport, seen: asyncio.Transport) -> asyncio.Protocol:
        if self._timer is not None:
            self._timer.cancel()
        behind = self._factory()
        transport.set_protocol(behind)
        behind.connection_made(seen)
        return behind


class _Seen:
    """A transport that tells the address of the caller, not of the proxy."""

    __slots__ = ("_address", "_transport")

    def __init__(self, transport: asyncio.Transport, address: Address) -> None:
        self._transport = transport
        self._address = address

    def get_extra_info(self, name: str, default: object = None) -> Any:
        """As that of the transport, but for the peer."""
        return self._address if name == "peername" else self._transport.get_extra_info(name, default)

    def __getattr__(self, name: str) -> Any:
        """All else is the transport's."""
        return getattr(self._transport, name)
