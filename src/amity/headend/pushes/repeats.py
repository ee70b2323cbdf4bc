"""Confirmed pushes that come again: whoever did not hear the confirmation sends the same under the same number."""

from collections import OrderedDict
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Final, NamedTuple

from amity.headend.pushes.senders import Opened
from amity.kernel.time import Clock
from amity.protocols.dlms.access_service import CONFIRMED
from amity.protocols.dlms.apdu import DataNotification

_REPEATED_WITHIN: Final = timedelta(minutes=15)
"""Numbers come round, and some meters have one only: the same octets mean something new later on."""
_KEPT_MAX: Final = 4096


class _Kept(NamedTuple):
    at: datetime
    answers: dict[bytes, bytes | None]  # by what came, protected as it was


class Repeats:
    """The newest confirmed pushes by sender and plain octets, which their number is part of; a restart forgets them.

    One that is protected anew is known by what is inside; to one that comes octet for octet as it came before goes the
    very confirmation that went before, so that replaying it spends none of our counters.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._kept: OrderedDict[tuple[str, bytes], _Kept] = OrderedDict()

    def knows(self, opened: Opened) -> bool:
        """True for a push that was kept a short while ago."""
        return self._find(opened) is not None

    def knows_octets(self, opened: Opened, payload: bytes) -> bool:
        """True when it even came in the same octets, counter and all."""
        kept = self._find(opened)
        return kept is not None and _digest(payload) in kept.answers

    def keep(self, opened: Opened, payload: bytes) -> None:
        """Remember a push that was kept, if its sender waits for a confirmation."""
        notification = opened.notification
        if not isinstance(notification, DataNotification):
            return
        if not notification.long_invoke_id_and_priority & CONFIRMED:
            return
        kept = self._kept.setdefault(_key(opened), _Kept(self._clock.now(), {}))
        kept.answers.setdefault(_digest(payload), None)
        while len(self._kept) > _KEPT_MAX:
            self._kept.popitem(last=False)

    def answer(self, opened: Opened, payload: bytes) -> bytes | None:
        """The confirmation that these octets have had; None where they had none."""
        kept = self._find(opened)
        return None if kept is None else kept.answers.get(_digest(payload))

    def answered(self, opened: Opened, payload: bytes, confirmation: bytes) -> None:
        """This confirmation went out to these octets."""
        kept = self._find(opened)
        if kept is not None:
            kept.answers[_digest(payload)] = confirmation

    def _find(self, opened: Opened) -> _Kept | None:
        kept = self._kept.get(_key(opened))
        if kept is not None and self._clock.now() - kept.at > _REPEATED_WITHIN:
            del self._kept[_key(opened)]
            return None
        return kept


def _key(opened: Opened) -> tuple[str, bytes]:
    return opened.endpoint.meter_id, _digest(opened.plain)


def _digest(octets: bytes) -> bytes:
    return sha256(octets).digest()
