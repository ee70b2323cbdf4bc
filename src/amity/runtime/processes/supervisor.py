"""Child processes: started, watched, restarted with back-off, and ended by their own process id."""

import asyncio
import contextlib
import signal
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

STOP_GRACE_S = 8.0
RESTART_DELAYS_S = (0.2, 0.5, 1.0, 2.0, 5.0)
STABLE_AFTER_S = 30.0


@dataclass(frozen=True, slots=True)
class Program:
    """One process to keep alive; its standard output and error go to `log`."""

    name: str
    argv: Sequence[str]
    log: Path
    environment: dict[str, str] | None = None
    restart: bool = True


@dataclass(slots=True)
class _Watched:
    program: Program
    process: asyncio.subprocess.Process | None = None
    restarts: int = 0
    task: asyncio.Task[None] | None = field(default=None, repr=False)


class Supervisor:
    """Keeps programs alive until `stop`.

    A child's standard input is a pipe held open by us: our death, however sudden, closes it, and the child
    (see `until_told_to_stop`) ends by itself. So nothing is left running even after `kill -9` of the parent.
    """

    def __init__(self, on_event: Callable[[str, str], None]) -> None:
        self._on_event = on_event
        self._watched: dict[str, _Watched] = {}
        self._stopping = False

    async def start(self, program: Program) -> None:
        """Start a program and keep it alive."""
        watched = self._watched[program.name] = _Watched(program)
        await self._spawn(watched)
        watched.task = asyncio.create_task(self._watch(watched), name=f"watch {program.name}")

    def pid(self, name: str) -> int | None:
        """The process id of a running child."""
        watched = self._watched.get(name)
        return watched.process.pid if watched and watched.process and watched.process.returncode is None else None

    async def wait(self, name: str) -> int:
        """The exit status of a program that is not restarted."""
        watched = self._watched[name]
        if watched.task:
            await watched.task
        return watched.process.returncode or 0 if watched.process else 0

    async def stop(self) -> None:
        """End every child, newest first: SIGTERM, then SIGKILL after a grace time."""
        self._stopping = True
        for watched in reversed(self._watched.values()):
            await self._end(watched)
        for watched in self._watched.values():
            if watched.task:
                watched.task.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await watched.task

    async def _spawn(self, watched: _Watched) -> None:
        program = watched.program
        with program.log.open("ab") as log:
            watched.process = await asyncio.create_subprocess_exec(
                *program.argv,
                stdin=asyncio.subprocess.PIPE,
                stdout=log,
                stderr=log,
                env=program.environment,
                start_new_session=True,  # Ctrl-C reaches the parent alone, which then ends the children in order
            )

    async def _watch(self, watched: _Watched) -> None:
        loop = asyncio.get_running_loop()
        while watched.process is not None:
            started = loop.time()
            status = await watched.process.wait()
            if self._stopping or not watched.program.restart:
                return
            if loop.time() - started > STABLE_AFTER_S:
                watched.restarts = 0
            delay_s = RESTART_DELAYS_S[min(watched.restarts, len(RESTART_DELAYS_S) - 1)]
            watched.restarts += 1
            self._on_event(watched.program.name, f"{_ended(status)}; starting it again in {delay_s:g} s")
            await asyncio.sleep(delay_s)
            await self._spawn(watched)

    async def _end(self, watched: _Watched) -> None:
        process = watched.process
        if process is None or process.returncode is not None:
            return
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
            try:
                await asyncio.wait_for(process.wait(), STOP_GRACE_S)
            except TimeoutError:
                process.kill()
                await process.wait()


def _ended(status: int) -> str:
    if status < 0:
        with contextlib.suppress(ValueError):
            return f"ended by {signal.Signals(-status).name}"
    return f"ended with status {status}"


async def until_told_to_stop(*, watch_stdin: bool) -> None:
    """Return on SIGINT or SIGTERM and, with `watch_stdin`, when the parent's pipe on standard input closes."""
    loop = asyncio.get_running_loop()
    told = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, told.set)
    if watch_stdin:
        loop.add_reader(0, told.set)  # the parent never writes: readable means closed
    try:
        await told.wait()
    finally:
        if watch_stdin:
            loop.remove_reader(0)
