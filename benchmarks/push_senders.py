"""Who pushes in `benchmarks.pushes`: a process of its own, for which all frames are made before it starts."""

import asyncio
import socket
import time
from collections.abc import Iterator, Sequence
from itertools import cycle

from amity.runtime.roles import loops

HOST = "127.0.0.1"
LINES = 128
_AT_ONCE = 96
_SOCKETS = 16
_BURST = 32
_PAUSE_S = 0.002


Ports = Sequence[int]
"""Those of the takers."""


def send(over: str, ports: Ports, rounds: Sequence[Sequence[bytes]]) -> None:
    """All frames, as fast as they are taken: over lines that stay, over a connection for each, or as datagrams."""
    if over == "tcp":
        loops.run(_over_lines(ports, rounds))
        return
    frames = [frame for one in rounds for frame in one]
    loops.run(_over_a_connection_each(ports, frames) if over == "tcp-each" else _in_datagrams(ports, frames))


async def _over_lines(ports: Ports, rounds: Sequence[Sequence[bytes]]) -> None:
    """A meter stays on its line: its counters come in their order."""
    lines = ([frame for one in rounds for frame in one[line::LINES]] for line in range(LINES))
    await asyncio.gather(*(_over_a_line(port, frames) for port, frames in zip(cycle(ports), lines, strict=False)))


async def _over_a_line(port: int, frames: Sequence[bytes]) -> None:
    reader, writer = await asyncio.open_connection(HOST, port)
    for frame in frames:
        writer.write(frame)
        await writer.drain()
    writer.write_eof()
    await reader.read()
    writer.close()


async def _over_a_connection_each(ports: Ports, frames: Sequence[bytes]) -> None:
    waiting = iter(frames)
    await asyncio.gather(*(_one_after_the_other(ports[at % len(ports)], waiting) for at in range(_AT_ONCE)))


async def _one_after_the_other(port: int, waiting: Iterator[bytes]) -> None:
    loop = asyncio.get_running_loop()
    for frame in waiting:
        with socket.socket() as line:
            line.setblocking(False)
            await loop.sock_connect(line, (HOST, port))
            await loop.sock_sendall(line, frame)
            line.shutdown(socket.SHUT_WR)
            await loop.sock_recv(line, 1)


async def _in_datagrams(ports: Ports, frames: Sequence[bytes]) -> None:
    """In bursts: the socket buffer of the receiver is not what is measured."""
    senders = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(_SOCKETS)]
    for number, frame in enumerate(frames):
        senders[number % _SOCKETS].sendto(frame, (HOST, ports[number % len(ports)]))
        if number % _BURST == _BURST - 1:
            time.sleep(_PAUSE_S)  # noqa: ASYNC251 - nothing else is done here
    for sender in senders:
        sender.close()
