"""Looks at the operator's tables of event codes on a timer, and tells once what became of an edit."""

import asyncio
from collections.abc import Mapping
from typing import Final

import structlog

from amity.headend.event_catalogue import EventTables

LOOK_EVERY_S: Final = 1.0


class EventTableWatch:
    """Tells each change that comes into force and each refusal once."""

    def __init__(self, tables: EventTables) -> None:
        self._tables = tables
        self._told: Mapping[str, str] = {}

    async def run(self) -> None:
        """Look every LOOK_EVERY_S, until cancelled."""
        while True:
            self.look()
            await asyncio.sleep(LOOK_EVERY_S)

    def look(self) -> None:
        """Take edits over, or tell why they are refused."""
        log: structlog.stdlib.BoundLogger = structlog.get_logger("headend")
        changed = self._tables.poll()
        refusals = {name: "; ".join(refusal.lines()) for name, refusal in self._tables.refusals.items()}
        for name, reason in refusals.items():
            if self._told.get(name) != reason:
                log.error("event table refused", file=name, reason=reason)
        if changed or self._told.keys() - refusals.keys():
            log.info("event tables in force", files=[table.name for table in self._tables.own])
        self._told = refusals
