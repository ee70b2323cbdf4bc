"""How roles in one process say that they stand, so that whoever started the process can be told when all of them do."""

import asyncio
from collections.abc import Iterable
from contextvars import ContextVar


class Readiness:
    """Waits for roles; those that run in tasks made while it is `current` reach it with `stands`."""

    def __init__(self, awaited: Iterable[str]) -> None:
        self._standing = {role: asyncio.Event() for role in awaited}

    def stands(self, role: str) -> None:
        """This role does what it is for."""
        if role in self._standing:
            self._standing[role].set()

    async def all(self) -> None:
        """Return when every awaited role stands."""
        for role in self._standing:
            await self.of(role)

    async def of(self, role: str) -> None:
        """Return when this role stands, at once when nobody awaits it."""
        if role in self._standing:
            await self._standing[role].wait()


current: ContextVar[Readiness | None] = ContextVar("readiness", default=None)


def stands(role: str) -> None:
    """Said by a role once it listens, or whatever else it is for; nothing happens where nobody waits."""
    readiness = current.get()
    if readiness is not None:
        readiness.stands(role)


async def stood(role: str) -> None:
    """Return when that role of the same process stands; at once where another process, or none, has it."""
    readiness = current.get()
    if readiness is not None:
        await readiness.of(role)
