"""The real haproxy before a door: a node hears who called, from the proxy that it was told of and no other."""

import asyncio
import shutil
import subprocess
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest

from amity.kernel.errors import RemoteProtocolError
from amity.protocols.wrapper.frame import Frame, encode
from amity.runtime.doors.peers import allow_list
from amity.transports.call import Call
from amity.transports.caller_listener import CallerListener

HAPROXY = shutil.which("haproxy") or shutil.which("haproxy", path="/usr/sbin")
HOST, METER = "127.0.0.1", "127.0.0.77"
PUSH = encode(1, 16, b"\x0fpush")
CONFIG = """
defaults
    mode tcp
    timeout connect 3s
    timeout client 30s
    timeout server 30s
listen meters
    bind {host}:{front}
    server node {host}:{node} check inter 100ms {announces}
"""

pytestmark = pytest.mark.skipif(HAPROXY is None, reason="HAProxy is not installed: apt-get install haproxy")


class Desk:
    def __init__(self) -> None:
        self.heard: list[str] = []

    async def said(self, call: Call, frame: Frame) -> bytes | None:
        del frame
        self.heard.append(call.peer)
        return b"kept"

    async def named(self, call: Call, name: str) -> None:
        self.heard.append(f"{call.peer} as {name}")

    async def silent(self, call: Call) -> None:
        """Nobody is asked here."""

    def garbled(self, call: Call, octets: bytes, error: RemoteProtocolError) -> None:
        del octets, error
        self.heard.append(f"noise from {call.peer}")

    def gone(self, call: Call) -> None:
        """Nobody looks."""


@asynccontextmanager
async def behind(
    folder: Path, front: int, announces: str, desk: Desk, proxies: Callable[[str], bool]
) -> AsyncIterator[CallerListener]:
    listener = CallerListener(desk, allow_list(["127.0.0.0/24"]), is_proxy=proxies)
    node = await listener.start(HOST, 0)
    config = folder / "haproxy.cfg"
    config.write_text(CONFIG.format(host=HOST, front=front, node=node, announces=announces))
    with subprocess.Popen([str(HAPROXY), "-db", "-f", str(config)]) as proxy:  # noqa: S603, ASYNC220 - the program that is tested
        try:
            yield listener
        finally:
            proxy.terminate()
            await listener.close()


async def push(port: int) -> bytes:
    """From an address of its own; again until HAProxy is there."""
    async with asyncio.timeout(20):
        while True:
            with suppress(OSError):
                reader, writer = await asyncio.open_connection(HOST, port, local_addr=(METER, 0))
                writer.write(PUSH)
                heard = await reader.read(100)
                writer.close()
                await writer.wait_closed()
                if heard:
                    return heard
            await asyncio.sleep(0.1)


@pytest.mark.parametrize("announces", ["send-proxy-v2", "send-proxy"])
async def test_a_node_hears_who_called_through_haproxy(tmp_path: Path, free_tcp_port: int, announces: str) -> None:
    desk = Desk()
    async with behind(tmp_path, free_tcp_port, announces, desk, allow_list([HOST])) as listener:
        assert (await push(free_tcp_port)).endswith(b"kept")
        assert desk.heard == [METER]
        assert listener.turned_away == 0, "HAProxy's own looks whether the node lives are nobody's calls"


async def test_a_proxy_that_the_node_was_not_told_of_is_not_believed(tmp_path: Path, free_tcp_port: int) -> None:
    desk = Desk()
    async with behind(tmp_path, free_tcp_port, "send-proxy", desk, allow_list(["10.0.0.1"])):
        await push(free_tcp_port)
        assert all(one.startswith(f"{HOST} as PROXY TCP4 ") or one == HOST for one in desk.heard)
        assert any(METER in one for one in desk.heard), "what the proxy says is a text like any other"
