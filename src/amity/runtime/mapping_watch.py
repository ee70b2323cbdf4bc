"""Looks at mapping.json on a timer of its own, so that whoever edits it reads at once what became of the edit."""

import asyncio

import structlog

from amity.headend.mapping_file import MappingFile

LOOK_EVERY_S = 1.0


class MappingWatch:
    """Tells each mapping that comes into force and each refusal once; sessions that look too take no news away."""

    def __init__(self, mappings: MappingFile) -> None:
        self._mappings = mappings
        self._told_version = ""
        self._told_refusal = ""

    async def run(self) -> None:
        """Look every LOOK_EVERY_S, until cancelled."""
        while True:
            self.look()
            await asyncio.sleep(LOOK_EVERY_S)

    def look(self) -> None:
        """Take an edit over, or tell why it is refused: file, line and reason, and what stays in force."""
        log: structlog.stdlib.BoundLogger = structlog.get_logger("headend")
        self._mappings.poll()
        version, refusal = self._mappings.mapping.version, self._mappings.refusal
        said = "" if refusal is None else "; ".join(refusal.lines())
        if said and said != self._told_refusal:
            log.error("mapping refused", reason=said, in_force=version)
        if version != self._told_version or (self._told_refusal and not said):
            log.info("mapping in force", version=version)
        self._told_version, self._told_refusal = version, said
