"""`amity serve`: any set of roles in one process, until told to stop or one of them fails."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from enum import StrEnum
from pkgutil import resolve_name

from amity.runtime.folder import Folder
from amity.runtime.settings import Settings, load
from amity.runtime.supervisor import until_told_to_stop


class Role(StrEnum):
    """What a process can be."""

    BROKER = "broker"
    HEADEND = "headend"
    MDM = "mdm"
    WEB = "web"


# Named, not imported: a head-end that never shows a page need not load what draws pages.
_RUN = {
    Role.BROKER: "amity.runtime.broker_role:run_broker",
    Role.HEADEND: "amity.runtime.headend_role:run_headend",
    Role.MDM: "amity.runtime.mdm_role:run_mdm",
    Role.WEB: "amity.runtime.web_role:run_web",
}


async def serve_roles(folder: Folder, roles: Sequence[Role], *, with_parent: bool) -> None:
    """Run roles until SIGINT, SIGTERM or (`with_parent`) the parent is gone; raise what ends one of them early."""
    settings = load(folder.settings)
    running = [asyncio.ensure_future(_runner(role)(folder, settings)) for role in roles]
    told = asyncio.ensure_future(until_told_to_stop(watch_stdin=with_parent))
    try:
        done, _ = await asyncio.wait([told, *running], return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in (told, *running):
            task.cancel()
        await asyncio.gather(told, *running, return_exceptions=True)
    for task in done - {told}:
        task.result()


def _runner(role: Role) -> Callable[[Folder, Settings], Awaitable[None]]:
    run: Callable[[Folder, Settings], Awaitable[None]] = resolve_name(_RUN[role])
    return run
