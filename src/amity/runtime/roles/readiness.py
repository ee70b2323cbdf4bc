"""How roles in one process say that they stand, so that whoever started the process can be told when all of them do."""

import asyncio
from collections.abc import Iterable
from contextvars import ContextVar


class Readiness:
    """Waits for roles; those that run in tasks made while it is `current` reach it with `stands`."""

    def __init__(self, awaited: Iterable[str]) -> None:
        self._missing = set(awaited)
        self._all = asyncio.Event()
        if not self._missing:
            self._all.set()

    def stands(self, role: str) -> None:
        """This role does what it is for."""
        self._missing.discard(role)
        if not self._missing:
            self._all.set()

    async def all(self) -> None:
        """Return when every awaited role stands."""
        await self._all.wait()


current: ContextVar[Readiness | None] = ContextVar("readiness", default=None)


def stands(role: str) -> None:
    """Said by a role once it listens, or whatever else it is for; nothing happens where nobody waits."""
    readiness = current.get()
    if readiness is not None:
        readiness.stands(role)
