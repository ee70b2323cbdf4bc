"""Who calls a collector: meters that push, over TCP and UDP, and meters that keep their connection to be read on it."""

import asyncio
from collections.abc import Callable, Collection
from functools import partial
from typing import Final

from amity.collector.push_intake import PushIntake
from amity.headend.calls.callers import speaks_from
from amity.kernel.errors import RemoteProtocolError, StorageError
from amity.protocols.wrapper.frame import Frame
from amity.transports.call import Call, CallRules

RULES: Final = CallRules(strangers_max=256, stranger_silence_s=180.0, asked_after_s=60.0)
"""To a collector everybody is a stranger. A heartbeat each minute, as modems send it, keeps a line."""
_DATAGRAMS_WAITING_MAX: Final = 64
_DATAGRAM_PATIENCE_S: Final = 30.0


class CallersHere:
    """Connections on which somebody said a name, the newest last. A name proves nothing: whoever is read over it does.

    `on_name` is told of a name that was not here before.
    """

    def __init__(self, on_name: Callable[[str], None] = lambda _name: None) -> None:
        self.on_name = on_name
        self._names: dict[Call, str] = {}

    @property
    def names(self) -> frozenset[str]:
        """All that were said on connections that stand."""
        return frozenset(self._names.values())

    def said(self, call: Call, name: str) -> None:
        """Somebody says a name; the first one counts, heartbeats repeat it."""
        if call in self._names or call.ended:
            return
        is_new = name not in self.names
        self._names[call] = name
        if is_new:
            self.on_name(name)

    def gone(self, call: Call) -> None:
        """The connection has ended."""
        self._names.pop(call, None)

    async def find(self, names: Collection[str], host: str) -> Call | None:
        """The newest connection under one of these names, from this host if one is given."""
        for call, name in reversed(tuple(self._names.items())):
            if name in names and not call.busy and (not host or await speaks_from(host, call.peer)):
                return call
        return None


class CollectorDesk:
    """Implements `transports.call.CallDesk`, and takes datagrams: a push is on disk before its sender hears of it.

    Where it cannot be kept the connection is cut, so that the meter keeps it and tries again.
    """

    def __init__(self, intake: PushIntake, callers: CallersHere, *, is_for_alarms: bool = False) -> None:
        self._intake = intake
        self._callers = callers
        self._is_for_alarms = is_for_alarms
        self._datagrams_waiting = 0
        self.garbage = 0

    # -------------------------------------------------------------- connections
    async def said(self, call: Call, frame: Frame) -> None:
        """Keep a push; its confirmation comes from the head-end, when it comes."""
        try:
            await self._intake.take(frame, call.peer, partial(call.answer, frame), on_alarm_port=self._is_for_alarms)
        except StorageError:  # counted and told by the intake
            call.hang_up()

    async def named(self, call: Call, name: str) -> None:
        """A meter says its name or system title, to be read on this connection."""
        self._callers.said(call, name)

    async def silent(self, call: Call) -> None:
        """Nobody is asked: that takes more of DLMS than a collector knows."""
        call.hang_up()

    def garbled(self, call: Call, octets: bytes, error: RemoteProtocolError) -> None:  # noqa: ARG002 - they are dropped
        """What came is none of DLMS."""
        self.garbage += 1

    def gone(self, call: Call) -> None:
        """The connection has ended."""
        self._callers.gone(call)

    # -------------------------------------------------------------- datagrams
    async def take_datagram(self, frame: Frame, peer: str) -> bytes | None:
        """Keep a push, and wait a while for its confirmation unless too many do."""
        heard: asyncio.Future[bytes | None] = asyncio.get_running_loop().create_future()
        self._datagrams_waiting += 1
        try:
            await self._intake.take(frame, peer, partial(_tell, heard), on_alarm_port=self._is_for_alarms)
            if self._datagrams_waiting > _DATAGRAMS_WAITING_MAX:
                return None
            async with asyncio.timeout(_DATAGRAM_PATIENCE_S):
                return await heard
        except (StorageError, TimeoutError):  # the meter sends it again if it wants to be sure
            return None
        finally:
            self._datagrams_waiting -= 1

    def garbled_datagram(self, peer: str, octets: bytes, error: RemoteProtocolError) -> None:  # noqa: ARG002 - as above
        """What came is none of DLMS."""
        self.garbage += 1


def _tell(heard: asyncio.Future[bytes | None], apdu: bytes | None) -> None:
    if not heard.done():
        heard.set_result(apdu)
