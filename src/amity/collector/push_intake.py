"""Pushes on their way to the disk: those that come together are written together, none is taken before it is there."""

import asyncio
from collections.abc import Callable
from typing import Final

from amity.collector.confirmations import Answer, Confirmations
from amity.collector.ports import Disk, HeldPush, PushStore
from amity.collector.urgency import UrgencyRules, is_alarm
from amity.kernel.errors import StorageError
from amity.kernel.time import Clock
from amity.protocols.relay.messages import PUSH_ID_OCTETS
from amity.protocols.wrapper.frame import Frame, encode

_TOGETHER_MAX: Final = 128
_WAITING_MAX: Final = 1024


class PushIntake:
    """Gives each push its id and its class and has it stored; `on_kept` is called when something new is there."""

    def __init__(
        self,
        store: PushStore,
        disk: Disk,
        clock: Clock,
        random_octets: Callable[[int], bytes],
        confirmations: Confirmations,
        *,
        rules: UrgencyRules,
        on_kept: Callable[[], None],
    ) -> None:
        self._store = store
        self._disk = disk
        self._clock = clock
        self._random_octets = random_octets
        self._confirmations = confirmations
        self._rules = rules
        self._on_kept = on_kept
        self._waiting: asyncio.Queue[tuple[HeldPush, asyncio.Future[None]]] = asyncio.Queue(_WAITING_MAX)
        self.taken = 0
        self.refused = 0
        self.last_error: StorageError | None = None

    async def take(self, frame: Frame, peer: str, answer: Answer, *, on_alarm_port: bool = False) -> None:
        """Return when the push is on the disk; raise StorageError when it is not.

        The confirmation goes to `answer` if the head-end sends one while anybody may wait for it.
        """
        number = int.from_bytes(self._random_octets(PUSH_ID_OCTETS), "big")
        self._confirmations.expect(number, answer)
        urgent = is_alarm(frame.payload, self._rules, on_alarm_port=on_alarm_port)
        stored: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        await self._waiting.put((HeldPush(number, self._clock.now(), peer, urgent, encode(*frame)), stored))
        await stored

    async def run(self) -> None:
        """Write until cancelled."""
        while True:
            together = [await self._waiting.get()]
            while len(together) < _TOGETHER_MAX and not self._waiting.empty():
                together.append(self._waiting.get_nowait())
            await self._write(together)

    async def _write(self, together: list[tuple[HeldPush, asyncio.Future[None]]]) -> None:
        """All of them; where that fails, one by one, so that an alarm is not refused for the bulk beside it."""
        try:
            await self._put([push for push, _ in together])
        except StorageError as error:
            if len(together) > 1:
                for one in together:
                    await self._write([one])
                return
            self.refused += 1
            self.last_error = error
            _settle(together[0][1], error)
            return
        self.taken += len(together)
        self.last_error = None
        for _, stored in together:
            _settle(stored, None)
        self._on_kept()

    async def _put(self, pushes: list[HeldPush]) -> None:
        await self._disk(lambda: self._store.put(pushes))


def _settle(stored: asyncio.Future[None], error: StorageError | None) -> None:
    if stored.done():  # whoever waited has gone
        return
    if error is None:
        stored.set_result(None)
    else:
        stored.set_exception(error)
