"""The meter's end of everything: whatever carried an APDU, here it is heard before the meter answers it."""

from collections.abc import Callable
from datetime import datetime
from functools import partial
from typing import Any, cast

from amity.devices.server import MeterAssociation, MeterServer
from amity.simulation.campaign.push_evidence import MeterPushes
from amity.simulation.campaign.wire import apdus_in
from amity.simulation.happenings import Happening
from amity.simulation.outgoing import Hearing
from amity.simulation.pushes import Pusher

Heard = Callable[[int, bytes], None]
"""Told of each APDU that reaches a meter: from which client address, and its octets."""


def overheard(server: MeterServer, heard: Heard) -> MeterServer:
    """The same meter, and somebody who hears what is said to it."""
    return cast("MeterServer", _Server(server, heard))


def overheard_pusher(pusher: Pusher, heard: Callable[[bytes], None], pushes: MeterPushes) -> Pusher:
    """The same, and somebody who hears the confirmations: they are sealed with the counters of the requests.

    What it says, and which of it is confirmed, is noted in `pushes`.
    """
    return cast("Pusher", _Pusher(pusher, heard, pushes))


class _Server:
    """A `MeterServer` but for the associations that it opens."""

    def __init__(self, server: MeterServer, heard: Heard) -> None:
        self._server = server
        self._heard = heard

    def __getattr__(self, name: str) -> Any:
        return getattr(self._server, name)

    def open_association(self, client: int) -> "_Association":
        """What a client talks to."""
        return _Association(self._server.open_association(client), self._heard)


class _Association:
    """A `MeterAssociation` but for what it hears."""

    def __init__(self, association: MeterAssociation, heard: Heard) -> None:
        self._association = association
        self._heard = heard

    def __getattr__(self, name: str) -> Any:
        return getattr(self._association, name)

    def receive(self, octets: bytes, now: datetime) -> bytes | None:
        """Answer one APDU."""
        self._heard(self._association.client, octets)
        return self._association.receive(octets, now)


class _Pusher:
    """A `Pusher` but for what it says and hears."""

    def __init__(self, pusher: Pusher, heard: Callable[[bytes], None], pushes: MeterPushes) -> None:
        self._pusher = pusher
        self._heard = heard
        self._pushes = pushes

    def __getattr__(self, name: str) -> Any:
        return getattr(self._pusher, name)

    def alarm(self, happening: Happening) -> bytes | None:
        """The frame that tells of it."""
        return self._pushes.saying(self._pusher.alarm(happening), happening)

    def interval(self, start_s: int, now: datetime) -> bytes | None:
        """The frame with the interval."""
        return self._pushes.saying(self._pusher.interval(start_s, now), start_s)

    def hearing(self, *, alarm: bool) -> Hearing | None:
        """Who is asked whether an answer confirms a push."""
        hears = self._pusher.hearing(alarm=alarm)
        return None if hears is None else partial(self._hear, hears)

    def _hear(self, hears: Hearing, octets: bytes) -> bool:
        for apdu in apdus_in(octets):
            self._heard(apdu)
        waiting = self._pusher.waiting
        is_confirmed = hears(octets)
        self._pushes.confirmed |= waiting - self._pusher.waiting
        return is_confirmed
