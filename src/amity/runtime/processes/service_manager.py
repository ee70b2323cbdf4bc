"""What a service tells systemd (sd_notify(3)): ready, still alive, stopping; a datagram to the socket it named.

Without NOTIFY_SOCKET, as by hand or in a container, nothing is sent and nothing fails.
"""

import asyncio
import os
import socket
from collections.abc import Mapping
from contextlib import suppress
from typing import Final

_MICROSECONDS: Final = 1_000_000
_PATIENCE_S: Final = 1.0
_PINGS_PER_PERIOD: Final = 3  # sd_watchdog_enabled(3) asks for two at least; one may come late


class ServiceManager:
    """The service manager that started this process, if one did.

    `watchdog_s` is after which silence it ends and restarts us, None when it does not watch.
    """

    def __init__(self, socket_name: str = "", watchdog_s: float | None = None) -> None:
        self._socket_name = socket_name
        self.watchdog_s = watchdog_s

    @classmethod
    def of(cls, environment: Mapping[str, str] = os.environ) -> "ServiceManager":
        """As the environment says; a watchdog that is meant for another process is not ours to feed."""
        return cls(environment.get("NOTIFY_SOCKET", ""), _watchdog_s(environment))

    @property
    def present(self) -> bool:
        """False by hand, in a container, or under another manager."""
        return bool(self._socket_name)

    def ready(self, status: str) -> None:
        """The service does what it is for, from now on."""
        self._send("READY=1", f"STATUS={status}", f"MAINPID={os.getpid()}")

    def status(self, status: str) -> None:
        """One line for `systemctl status`."""
        self._send(f"STATUS={status}")

    def stopping(self) -> None:
        """The service ends because it was asked to."""
        self._send("STOPPING=1", "STATUS=stopping")

    def alive(self) -> None:
        """The event loop turns."""
        self._send("WATCHDOG=1", patience_s=0)

    async def feed_watchdog(self) -> None:
        """Say so as long as it does, until cancelled: a loop that hangs says nothing, and we are restarted."""
        if self.watchdog_s is None:
            return
        while True:
            self.alive()
            await asyncio.sleep(self.watchdog_s / _PINGS_PER_PERIOD)

    def _send(self, *lines: str, patience_s: float = _PATIENCE_S) -> None:
        if not self._socket_name:
            return
        name = "\0" + self._socket_name[1:] if self._socket_name.startswith("@") else self._socket_name
        text = "\n".join(line.replace("\n", " ") for line in lines)
        with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as out:
            out.settimeout(patience_s)  # a manager that does not listen must not hold us up
            out.sendto(text.encode(), name)


def _watchdog_s(environment: Mapping[str, str]) -> float | None:
    period, process = environment.get("WATCHDOG_USEC", ""), environment.get("WATCHDOG_PID", "")
    if not period.isdecimal() or int(period) == 0 or (process and process != str(os.getpid())):
        return None
    return int(period) / _MICROSECONDS
