"""An open line, TCP or serial: octets out, octets in to whoever listens, and a serial port's settings."""

import asyncio
import termios
from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

import serial
from serial_asyncio_fast import SerialTransport, create_serial_connection

from amity.transports.failures import ConnectionFailedError, ConnectionRefusedByPeerError, SerialPortError

_SILENCE = b""
_DRAIN_TIMEOUT_S = 2.0
_PORT_ERRORS = (serial.SerialException, OSError, ValueError, termios.error)


@dataclass(frozen=True, slots=True)
class SerialSettings:
    """How a serial port is opened: `echoes` where an optical head gives back what is sent through it."""

    baud: int = 9600
    echoes: bool = False


class Line(asyncio.Protocol):
    """Whoever has set `listener` is given what comes, and one call without octets when the line has ended."""

    def __init__(self, address: str, *, echoes: bool = False) -> None:
        self.address = address
        self.listener: Callable[[bytes], None] | None = None
        self.ended = False
        self._echoes = echoes
        self._echo_due = b""
        self._transport: asyncio.Transport | None = None
        loop = asyncio.get_running_loop()
        self._opened: asyncio.Future[None] = loop.create_future()
        self._closed: asyncio.Future[None] = loop.create_future()

    async def opened(self) -> None:
        """Wait until octets can be sent: a serial port is ready a little after it is opened."""
        await self._opened

    def write(self, octets: bytes) -> None:
        """Send; nothing happens when the line has ended."""
        if self._transport is None or self._transport.is_closing():
            return
        if self._echoes:
            self._echo_due += octets
        self._transport.write(octets)

    def set_serial(self, baud: int, *, seven_bits_even: bool) -> None:
        """Set a serial port to another rate and to 7E1 or 8N1; nothing happens to a line that is none.

        Raise SerialPortError when the port does not take the setting.
        """
        if not isinstance(self._transport, SerialTransport) or self._transport.serial is None:
            return
        port = self._transport.serial
        try:
            port.bytesize = serial.SEVENBITS if seven_bits_even else serial.EIGHTBITS  # first: a port that refuses
            port.parity = serial.PARITY_EVEN if seven_bits_even else serial.PARITY_NONE  # it can be set back
            port.baudrate = baud
        except _PORT_ERRORS as error:
            setting = f"{baud} Bd, {'7E1' if seven_bits_even else '8N1'}"
            raise SerialPortError(self.address, f"does not take {setting}: {error}") from error

    async def close(self) -> None:
        """Close and wait until the socket or port is gone; what nobody takes in time is thrown away."""
        if self._transport is None:
            return
        self._transport.close()
        try:
            async with asyncio.timeout(_DRAIN_TIMEOUT_S):
                await asyncio.shield(self._closed)
        except TimeoutError:
            self._transport.abort()
            await asyncio.shield(self._closed)

    # -------------------------------------------------------------- called by the event loop
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self._transport = cast("asyncio.Transport", transport)  # other loops' transports do not inherit from it
        self._opened.set_result(None)

    def data_received(self, data: bytes) -> None:
        """Hand on what is not an echo."""
        octets = self._without_echo(data) if self._echo_due else data
        if octets and self.listener is not None:
            self.listener(octets)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - however it ended, it has
        """The other side closed, the network did, or the adapter was pulled out."""
        self.ended = True
        if self.listener is not None:
            self.listener(_SILENCE)
        if not self._closed.done():
            self._closed.set_result(None)

    def _without_echo(self, data: bytes) -> bytes:
        same = next((at for at, pair in enumerate(zip(data, self._echo_due, strict=False)) if pair[0] != pair[1]), None)
        if same is None:
            count = min(len(data), len(self._echo_due))
            self._echo_due = self._echo_due[count:]
            return data[count:]
        self._echo_due = b""  # not what we sent: garbled, or no echo at all
        return data[same:]


async def open_tcp_line(host: str, port: int, connect_timeout_s: float) -> Line:
    """Connect; raise ConnectionRefusedByPeerError or ConnectionFailedError."""
    address = f"{host}:{port}"
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(connect_timeout_s):
            _, line = await loop.create_connection(lambda: Line(address), host, port)
    except ConnectionRefusedError as error:
        raise ConnectionRefusedByPeerError(address) from error
    except TimeoutError as error:
        raise ConnectionFailedError(address, f"no connection within {connect_timeout_s:g} s") from error
    except OSError as error:
        raise ConnectionFailedError(address, error.strerror or str(error)) from error
    return line


async def open_serial_line(device: str, settings: SerialSettings) -> Line:
    """Open a serial port with eight bits and no parity; raise SerialPortError when it cannot be had."""
    loop = asyncio.get_running_loop()
    try:
        _, line = await create_serial_connection(
            loop, lambda: Line(device, echoes=settings.echoes), device, baudrate=settings.baud, exclusive=True
        )
    except _PORT_ERRORS as error:
        raise SerialPortError(device, str(error)) from error
    if not isinstance(line, Line):
        raise SerialPortError(device, "the serial library gave back another protocol")
    await line.opened()
    return line
