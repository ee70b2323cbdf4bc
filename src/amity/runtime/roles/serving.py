"""`amity serve`: any set of roles in one process, until told to stop or one of them fails."""

import asyncio
import signal
from collections.abc import Awaitable, Callable, Sequence
from enum import StrEnum
from pkgutil import resolve_name
from typing import Final

from amity.runtime.folder import Folder
from amity.runtime.processes.service_manager import ServiceManager
from amity.runtime.processes.supervisor import until_told_to_stop
from amity.runtime.roles.readiness import Readiness, current
from amity.runtime.settings import Settings, load


class Role(StrEnum):
    """What a process can be."""

    BROKER = "broker"
    HEADEND = "headend"
    COLLECTOR = "collector"
    MDM = "mdm"
    WEB = "web"


ONE_MACHINE: Final = (Role.BROKER, Role.HEADEND, Role.MDM, Role.WEB)
"""What one folder does by itself; a collector stands somewhere else."""

# Named, not imported: a head-end that never shows a page need not load what draws pages. Each says `stands(role)`.
RUN: Final = {
    Role.BROKER: "amity.runtime.roles.broker:run_broker",
    Role.HEADEND: "amity.runtime.roles.headend:run_headend",
    Role.COLLECTOR: "amity.runtime.roles.collector:run_collector",
    Role.MDM: "amity.runtime.roles.mdm:run_mdm",
    Role.WEB: "amity.runtime.roles.web:run_web",
}


async def serve_roles(
    folder: Folder, roles: Sequence[Role], *, with_parent: bool, settings: Settings | None = None
) -> None:
    """Run roles until SIGINT, SIGTERM or (`with_parent`) the parent is gone; raise what ends one of them early.

    `settings` are those of the folder unless given. The service manager, if there is one, is told when all roles stand,
    that the event loop turns, and when they end. Its SIGHUP (`systemctl reload`) ends nothing: mapping and logs are
    looked at all the time anyway.
    """
    settings = settings or load(folder.settings)
    manager, readiness = ServiceManager.of(), Readiness(roles)
    current.set(readiness)
    if manager.present:  # by hand, SIGHUP says that the terminal is gone
        asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, lambda: None)
    running = [asyncio.ensure_future(_runner(role)(folder, settings)) for role in roles]
    told = asyncio.ensure_future(until_told_to_stop(watch_stdin=with_parent))
    telling = [
        asyncio.ensure_future(manager.feed_watchdog()),
        asyncio.ensure_future(_tell_when_ready(manager, readiness, roles)),
    ]
    try:
        done, _ = await asyncio.wait([told, *running], return_when=asyncio.FIRST_COMPLETED)
        manager.stopping()
    finally:
        for task in (told, *telling, *running):
            task.cancel()
        await asyncio.gather(told, *telling, *running, return_exceptions=True)
    for task in done - {told}:
        task.result()


async def _tell_when_ready(manager: ServiceManager, readiness: Readiness, roles: Sequence[Role]) -> None:
    await readiness.all()
    manager.ready(f"serving {', '.join(roles)}")


def _runner(role: Role) -> Callable[[Folder, Settings], Awaitable[None]]:
    run: Callable[[Folder, Settings], Awaitable[None]] = resolve_name(RUN[role])
    return run
