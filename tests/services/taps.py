"""A tap before each meter: how many associations it has at a time, and who still speaks on one that was overtaken."""

import asyncio
import contextlib
import threading
from collections import Counter, defaultdict
from collections.abc import Iterator
from typing import Any, Self

HOST = "127.0.0.1"
_WRAPPER_OCTETS = 8
_AARQ = 0x60


class Taps:
    """Relays that stand in the meters' places; they run in a thread of their own until the context ends.

    `begun` counts associations by meter. `together` names the meter each time that one began while another was open,
    `spoke_late` each time that something was asked on an older one after that. `asked` and `answered` are octets.
    """

    def __init__(self) -> None:
        self.begun: Counter[str] = Counter()
        self.together: list[str] = []
        self.spoke_late: list[str] = []
        self.asked = self.answered = 0
        self._open: dict[str, list[object]] = defaultdict(list)
        self._servers: list[asyncio.Server] = []

    @classmethod
    @contextlib.contextmanager
    def before(cls, document: list[dict[str, Any]]) -> Iterator[tuple[Self, list[dict[str, Any]]]]:
        """The taps of these meters, and their document with the taps' ports in it."""
        taps, loop = cls(), asyncio.new_event_loop()
        thread = threading.Thread(target=loop.run_forever, name="taps")
        thread.start()
        try:
            ports = asyncio.run_coroutine_threadsafe(taps._listen(document), loop).result()
            yield taps, [{**entry, "port": port} for entry, port in zip(document, ports, strict=True)]
        finally:
            asyncio.run_coroutine_threadsafe(taps._end(), loop).result()
            loop.call_soon_threadsafe(loop.stop)
            thread.join()
            loop.close()

    async def _listen(self, document: list[dict[str, Any]]) -> list[int]:
        return [await self._tap(entry["logical_device_name"], entry["port"]) for entry in document]

    async def _tap(self, meter: str, port: int) -> int:
        async def relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            me = object()
            try:
                far_reader, far_writer = await asyncio.open_connection(HOST, port)
                with contextlib.closing(far_writer):
                    back = asyncio.create_task(self._pump(far_reader, writer))
                    while piece := await reader.read(65_536):
                        self._hear(meter, me, piece)
                        far_writer.write(piece)
                    back.cancel()
            except OSError:
                pass  # one side is gone
            finally:
                if me in self._open[meter]:
                    self._open[meter].remove(me)
                writer.close()

        server = await asyncio.start_server(relay, HOST, 0)
        self._servers.append(server)
        return int(server.sockets[0].getsockname()[1])

    async def _end(self) -> None:
        """Stop listening; cancel what still relays, and wait for it."""
        for server in self._servers:
            server.close()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    async def _pump(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError), contextlib.closing(sink):
            while piece := await source.read(65_536):
                self.answered += len(piece)
                sink.write(piece)

    def _hear(self, meter: str, me: object, piece: bytes) -> None:
        self.asked += len(piece)
        open_ = self._open[meter]
        if piece[_WRAPPER_OCTETS : _WRAPPER_OCTETS + 1] == bytes([_AARQ]):
            self.begun[meter] += 1
            if me in open_:
                open_.remove(me)
            if open_:
                self.together.append(meter)
            open_.append(me)
        elif me in open_ and open_[-1] is not me:
            self.spoke_late.append(meter)
