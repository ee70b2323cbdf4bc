"""Files that may be edited while a role runs, looked at on a timer: whoever edits one reads what became of it."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

import structlog

LOOK_EVERY_S: Final = 1.0


@dataclass(frozen=True, slots=True)
class Sight:
    """What a look found. `content` is another when something else came into force, `in_force` is what it is called.

    `refusals` say, by file, why what stands there now is not in force.
    """

    content: object = None
    in_force: object = ""
    refusals: Mapping[str, str] = field(default_factory=dict)


class FileWatch:
    """Tells each change that comes into force and each refusal once; whoever looks in between takes no news away."""

    def __init__(
        self, what: str, look: Callable[[], Sight], *, log: str = "headend", every_s: float = LOOK_EVERY_S
    ) -> None:
        """`look` takes edits over and says what it found, `what` those files are called in the log."""
        self._refused, self._in_force = f"{what} refused", f"{what} in force"
        self._look = look
        self._log = log
        self._every_s = every_s
        self._told = Sight()

    async def run(self) -> None:
        """Look again and again, until cancelled."""
        while True:
            self.look()
            await asyncio.sleep(self._every_s)

    def look(self) -> None:
        """Look once, and tell what is new; what was refused and no longer is, is in force again."""
        log: structlog.stdlib.BoundLogger = structlog.get_logger(self._log)
        told, now = self._told, self._look()
        for file, reason in now.refusals.items():
            if told.refusals.get(file) != reason:
                log.error(self._refused, file=file, reason=reason, in_force=now.in_force)
        if now.content != told.content or told.refusals.keys() - now.refusals.keys():
            log.info(self._in_force, in_force=now.in_force)
        self._told = now
