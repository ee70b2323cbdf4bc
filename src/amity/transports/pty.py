"""One end of a pseudo-terminal as a transport: what is served there looks like a serial port from the other end."""

import asyncio
import os
import tty
from collections.abc import Callable


class PtyEnd(asyncio.Transport):
    """The master's end; `device` is the path of the other one, which may be opened and closed again and again."""

    def __init__(self, protocol: asyncio.Protocol) -> None:
        super().__init__()
        self._loop = asyncio.get_running_loop()
        self._protocol = protocol
        self._master, self._slave = os.openpty()  # our hold on the slave keeps the line open between two clients
        tty.setraw(self._slave)
        os.set_blocking(self._master, False)
        self._waiting = bytearray()
        self._is_closing = False
        self.device = os.ttyname(self._slave)
        self._loop.add_reader(self._master, self._readable)
        protocol.connection_made(self)

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Send, now or as soon as the other end takes it."""
        if self._is_closing:
            return
        self._waiting += data
        self._writable()

    def is_closing(self) -> bool:
        """True from `close` on."""
        return self._is_closing

    def close(self) -> None:
        """Give the line up; what was not taken is lost."""
        if not self._is_closing:
            self._is_closing = True
            self._loop.remove_reader(self._master)
            self._loop.remove_writer(self._master)
            os.close(self._master)
            os.close(self._slave)
            self._loop.call_soon(self._protocol.connection_lost, None)

    # -------------------------------------------------------------- called by the event loop
    def _readable(self) -> None:
        try:
            octets = os.read(self._master, 4096)
        except BlockingIOError:
            return
        self._protocol.data_received(octets)

    def _writable(self) -> None:
        try:
            taken = os.write(self._master, self._waiting)
        except BlockingIOError:
            taken = 0
        del self._waiting[:taken]
        if self._waiting:
            self._loop.add_writer(self._master, self._writable)
        else:
            self._loop.remove_writer(self._master)


async def open_pty(factory: Callable[[], asyncio.Protocol]) -> PtyEnd:
    """Open a pseudo-terminal and hand our end to a protocol."""
    return PtyEnd(factory())
