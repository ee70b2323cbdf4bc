"""A look at what passes on a TCP connection, for tests that ask what really went over the line."""

import asyncio
import contextlib
from collections.abc import AsyncIterator


class Tap:
    """A TCP relay that keeps every piece that passes, in order; `sent` keeps what the one who connects says."""

    def __init__(self) -> None:
        self.pieces: list[bytes] = []
        self.sent: list[bytes] = []
        self._relaying: list[asyncio.Task[None] | None] = []

    @contextlib.asynccontextmanager
    async def before(self, port: int) -> AsyncIterator[int]:
        """A port whose connections lead to another port; at the end all that was said has passed."""

        async def relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            self._relaying.append(asyncio.current_task())
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", port)
            await asyncio.gather(self._pump(reader, far_writer, self.sent), self._pump(far_reader, writer, []))

        server = await asyncio.start_server(relay, "127.0.0.1", 0)
        try:
            yield server.sockets[0].getsockname()[1]
        finally:
            server.close()
            await asyncio.gather(*(task for task in self._relaying if task is not None))

    async def _pump(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, kept: list[bytes]) -> None:
        with contextlib.suppress(ConnectionError):
            while piece := await source.read(65_536):
                self.pieces.append(piece)
                kept.append(piece)
                sink.write(piece)
        sink.close()
        with contextlib.suppress(ConnectionError):
            await sink.wait_closed()
