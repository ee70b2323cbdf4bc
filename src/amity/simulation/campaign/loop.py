"""The loop of a campaign: virtual time, an in-memory network in place of sockets, tasks with numbers, no threads."""

import asyncio
import re
from collections.abc import Callable, Coroutine
from contextvars import Context, copy_context
from typing import TYPE_CHECKING, Any, Final, NoReturn

from amity.simulation.campaign.machine import MACHINE, Machine
from amity.simulation.virtual_time import VirtualTimeLoop

if TYPE_CHECKING:
    from amity.simulation.campaign.network import Network

_TICK_S: Final = 1e-7
_ADDRESS: Final = re.compile(r" at 0x[0-9a-f]+")


class NumberedTask(asyncio.Task[Any]):
    """A task whose hash is its number: sets of tasks have the same order in every run."""

    def __init__(self, coroutine: Coroutine[Any, Any, Any], *, number: int, **options: Any) -> None:
        self._number = number
        super().__init__(coroutine, **options)

    def __hash__(self) -> int:
        """Its number; equality stays identity."""
        return self._number


class _Guarded:
    """A callback that waits while the machine it belongs to is frozen; cancelled meanwhile, it is never called."""

    __slots__ = ("_arguments", "_callback", "_loop", "context", "handle")

    def __init__(self, loop: "CampaignLoop", callback: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
        self._loop = loop
        self._callback = callback
        self._arguments = arguments
        self.context: Context
        self.handle: asyncio.Handle

    def __repr__(self) -> str:
        """Without an address, which no two runs share."""
        return getattr(self._callback, "__qualname__", type(self._callback).__name__)

    def __call__(self) -> None:
        """Call it, or have it called when the machine thaws."""
        machine = MACHINE.get(None)
        if machine is not None and machine.frozen_until_s > self._loop.elapsed_s:
            self._loop.call_when_thawed(self, machine)
        elif not self.handle.cancelled():
            self._callback(*self._arguments)


class CampaignLoop(VirtualTimeLoop):
    """Real transports, servers and clients run on it unchanged: `network` is what their connections go over."""

    def __init__(self) -> None:
        super().__init__(sockets=False)
        self.network: Network
        self._tasks_made = 0
        self.set_task_factory(self._make_task)  # type: ignore[arg-type]
        self.set_exception_handler(self._failed)
        self.defects: list[str] = []

    def call_soon(  # type: ignore[override]
        self, callback: Callable[..., Any], *args: Any, context: Context | None = None
    ) -> asyncio.Handle:
        """As always, unless the machine is frozen by then."""
        guarded = self._guarded(callback, args, context)
        guarded.handle = super().call_soon(guarded, context=guarded.context)
        return guarded.handle

    def call_at(  # type: ignore[override]
        self, when: float, callback: Callable[..., Any], *args: Any, context: Context | None = None
    ) -> asyncio.TimerHandle:
        """As always, unless the machine is frozen then."""
        guarded = self._guarded(callback, args, context)
        handle = guarded.handle = super().call_at(when, guarded, context=guarded.context)
        return handle

    def call_when_thawed(self, guarded: _Guarded, machine: Machine) -> None:
        """In the order in which they would have been called."""
        machine.kept_back += 1
        when_s = machine.frozen_until_s + machine.kept_back * _TICK_S
        super().call_at(when_s, guarded, context=guarded.context)

    def _guarded(self, callback: Callable[..., Any], args: tuple[Any, ...], context: Context | None) -> _Guarded:
        guarded = _Guarded(self, callback, args)
        guarded.context = copy_context() if context is None else context
        return guarded

    def _make_task(
        self, loop: asyncio.AbstractEventLoop, coroutine: Coroutine[Any, Any, Any], context: Context | None = None
    ) -> asyncio.Task[Any]:
        self._tasks_made += 1
        task = NumberedTask(coroutine, number=self._tasks_made, loop=loop, context=context)
        machine = MACHINE.get(None) if context is None else context.get(MACHINE)
        if machine is not None:
            machine.tasks[task] = None
            task.add_done_callback(lambda done: machine.tasks.pop(done, None))
        return task

    def _failed(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """What nobody awaited failed; a defect unless it is a process's end."""
        del loop
        error = context.get("exception")
        if not isinstance(error, asyncio.CancelledError):
            self.defects.append(_ADDRESS.sub("", f"{context.get('message')}: {error!r}"))

    def run_in_executor(self, executor: Any, func: Callable[..., Any], *args: Any) -> NoReturn:  # type: ignore[override]
        """No run of a seed would be like another."""
        del executor, args
        raise RuntimeError(f"a thread was asked for in a simulation, for {func}")

    async def create_connection(  # type: ignore[override]
        self, protocol_factory: Callable[[], asyncio.Protocol], host: str, port: int, **_options: Any
    ) -> tuple[asyncio.Transport, asyncio.Protocol]:
        """Connect over the simulated network."""
        return await self.network.connect(protocol_factory, host, port)

    async def create_server(  # type: ignore[override]
        self, protocol_factory: Callable[[], asyncio.Protocol], host: str, port: int, **_options: Any
    ) -> Any:
        """Listen on the simulated network."""
        return self.network.listen(protocol_factory, host, port)

    async def create_datagram_endpoint(  # type: ignore[override]
        self,
        protocol_factory: Callable[[], asyncio.DatagramProtocol],
        local_addr: tuple[str, int] | None = None,
        remote_addr: tuple[str, int] | None = None,
        **_options: Any,
    ) -> tuple[asyncio.DatagramTransport, asyncio.DatagramProtocol]:
        """A datagram socket on the simulated network."""
        return self.network.datagrams(protocol_factory, local_addr, remote_addr)
