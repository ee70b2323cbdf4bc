"""A machine of the simulated world: the tasks that run on it, its clock, its disk's queue, and its sudden end."""

import asyncio
from collections.abc import Callable, Coroutine
from contextvars import Context, ContextVar, copy_context
from datetime import datetime, timedelta
from math import inf
from random import Random
from typing import Any, Final, Protocol, TypeVar

from amity.kernel.time import Clock
from amity.simulation.campaign.witness import Witness

T = TypeVar("T")
_COMES_TO_S: Final = 2.0
_ANSWERS_LATE: Final = 0.25

MACHINE: ContextVar["Machine"] = ContextVar("machine")
"""The machine on which the running task or callback runs."""


class KilledError(asyncio.CancelledError):
    """The process is no more: whatever it still tries has no effect."""


class Line(Protocol):
    """A connection of a machine."""

    def cut(self, *, told: bool) -> None:
        """The machine is gone; the other side is `told` where only the process died."""
        ...


class MachineClock:
    """The clock port: the true time, and by how much this machine's clock is off."""

    def __init__(self, true: Clock) -> None:
        self._true = true
        self.ahead = timedelta(0)

    def now(self) -> datetime:
        """What this machine takes for the present."""
        return self._true.now() + self.ahead


class Machine:
    """One life of a process on a host; a restart is another machine with the same host."""

    def __init__(self, name: str, host: str, clock: MachineClock, witness: Witness) -> None:
        self.name = name
        self.host = host
        self.clock = clock
        self.alive = True
        self.host_is_up = True
        self.frozen_until_s = -inf
        self.kept_back = 0
        self.tasks: dict[asyncio.Task[Any], None] = {}
        self.lines: dict[Line, None] = {}
        self.servers: dict[tuple[int, bool], Any] = {}
        self.context: Context = copy_context()
        self.context.run(MACHINE.set, self)
        self.on_kill: Callable[[], None] | None = None
        self._witness = witness
        self._steps_to_live: int | None = None
        self._dies_between = False
        self._writes = 0

    def start(self, main: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Run the process's main task on this machine."""
        return asyncio.get_running_loop().create_task(main, name=self.name, context=self.context.copy())

    def doom(self, steps: int) -> None:
        """Let it die at the so-maniest await point from now on: a disk call, its return, or something heard."""
        if self.alive:
            self._steps_to_live = steps

    def doom_between(self) -> None:
        """Let it die between the transactions of a piece of work that writes in more than one, if there is any."""
        self._dies_between = self.alive

    def begins_work(self) -> None:
        """A piece of work for the disk begins, during which nothing else of this machine runs."""
        self._writes = 0

    def begins_to_write(self) -> None:
        """A transaction of this piece of work begins."""
        self._writes += 1
        if self._dies_between and self._writes > 1:
            self.kill(told=True)

    def freeze(self, until_s: float) -> None:
        """Stop it (a paused virtual machine, a stopped process): all that is due meanwhile comes when it goes on."""
        self.frozen_until_s, self.kept_back = until_s, 0
        self._witness.note(self.name, f"frozen until {until_s:.3f}")

    def was_frozen(self, now_s: float) -> bool:
        """True while it stands still, and for the moment that it then needs to see how late it is."""
        return now_s < self.frozen_until_s + _COMES_TO_S

    def spare(self) -> None:
        """Let it live on after all."""
        self._steps_to_live, self._dies_between = None, False

    def step(self) -> None:
        """Pass an await point; raise KilledError where the machine dies there, or has died before."""
        if self._steps_to_live is not None:
            self._steps_to_live -= 1
            if self._steps_to_live < 0:
                self.kill(told=True)
        if not self.alive:
            raise KilledError(self.name)

    def kill(self, *, told: bool) -> None:
        """End at once, as `kill -9` (others see the connections close) or a power cut (they see nothing) would."""
        if not self.alive:
            return
        self.alive, self.host_is_up = False, told
        self._witness.note(self.name, "killed" if told else "power cut")
        self.servers.clear()
        for line in tuple(self.lines):
            line.cut(told=told)
        for task in tuple(self.tasks):
            task.cancel()
        if self.on_kill is not None:
            self.on_kill()


class SimulatedDisk:
    """The `Disk` port of one machine: work is done in order, atomically, after a wait; dying before or after it."""

    def __init__(self, machine: Machine, chance: Random, factor: Callable[[], float]) -> None:
        self._machine = machine
        self._chance = chance
        self._factor = factor
        self._free_at_s = 0.0

    async def __call__(self, work: Callable[[], T], /) -> T:
        """Do it and return its result; whatever it raises is raised here."""
        loop, machine = asyncio.get_running_loop(), self._machine
        takes_s = (0.0005 + 0.004 * self._chance.random()) * self._factor()
        self._free_at_s = max(self._free_at_s, loop.time()) + takes_s
        await asyncio.sleep(self._free_at_s - loop.time())
        machine.step()
        machine.begins_work()
        result = work()
        if (
            self._chance.random() < _ANSWERS_LATE
        ):  # the answer takes its time too: then what is durable is not yet known
            await asyncio.sleep(0.001 + 0.01 * self._chance.random())
        machine.step()
        return result
