"""Who hears meters that call in: pushes are taken, names become lines, the silent are asked, all others are parked."""

import asyncio
from contextlib import suppress
from functools import partial
from typing import Final, NamedTuple, Protocol

from amity.devices.client import AssociationSettings, Authentication, Ports, Session, associate, release
from amity.devices.client.conversation import LISTEN, Conversation, Unanswered, converse
from amity.devices.readout import read_logical_device_name
from amity.devices.server import PUBLIC_CLIENT
from amity.headend.calls.callers import CallingFrom, proves_itself, speaks_from
from amity.headend.calls.lines import CalledLine, CalledLines
from amity.headend.calls.silent import SilentCallers
from amity.headend.ports import Channel, Endpoint
from amity.headend.pushes.desk import PushDesk
from amity.headend.pushes.senders import Opened, UnknownSenderError
from amity.headend.routes import CallsIn, Route, WrapperLink
from amity.headend.surroundings import Surroundings
from amity.kernel.errors import AmityError, RemoteProtocolError
from amity.protocols.wrapper.frame import Frame

_MANAGEMENT_DEVICE: Final = 1
_ASKED_AT_ONCE: Final = 32
_RELEASE_TIMEOUT_S: Final = 3.0
_HEX_TITLE: Final = 16
_TITLE_OCTETS: Final = 8
_UNKNOWN_ROUTE: Final = Route(WrapperLink(CallsIn()))


class Caller(CalledLine, Protocol):
    """A connection as the desk sees it."""

    @property
    def peer(self) -> str:
        """The caller's address."""
        ...

    def trust(self) -> None:
        """The line stays."""
        ...

    def distrust(self) -> None:
        """It said something that is not believed."""
        ...


class _Asked(NamedTuple):
    name: str
    let_go: bool


class CallDesk:
    """Implements `transports.call.CallDesk`."""

    def __init__(self, pushes: PushDesk, lines: CalledLines, surroundings: Surroundings) -> None:
        self._pushes = pushes
        self._lines = lines
        self._surroundings = surroundings
        self._silent = SilentCallers(lines, surroundings.chance)
        self._asking = asyncio.Semaphore(_ASKED_AT_ONCE)

    async def said(self, call: Caller, frame: Frame) -> bytes | None:
        """Take a push; one that is believed says who is on the line."""
        opened = await self._pushes.take(frame, CallingFrom(call.peer))
        if opened is None:
            call.distrust()
            return None
        if opened.endpoint.route.calls_in:
            self._lines.claim(call, opened.endpoint.meter_id, proven=_proves(opened))
            call.trust()
        return await self._pushes.confirmation(opened, frame)

    async def named(self, call: Caller, name: str) -> None:
        """Somebody says a meter's name or system title; heartbeats say it again and again."""
        await self._recognised(call, name)

    async def silent(self, call: Caller) -> None:
        """Ask for the logical device name, as anybody may (client 16, no authentication), unless it is remembered."""
        remembered = self._silent.remembered(call)
        if remembered is not None:
            await self._recognised(call, remembered)
            return
        async with self._asking:
            try:
                asked = await self._asked(call)
            except AmityError as error:
                self._pushes.park(call.peer, b"", _told_nothing(call.peer, error))
                call.hang_up()
                return
        endpoint = await self._recognised(call, asked.name)
        if endpoint is not None and not asked.let_go:
            self._silent.kept_hold(call, endpoint.meter_id)

    def garbled(self, call: Caller, octets: bytes, error: RemoteProtocolError) -> None:
        """What came is none of DLMS."""
        self._pushes.park(call.peer, octets[:256], error)

    def gone(self, call: Caller) -> None:
        """The connection has ended."""
        self._silent.gone(call, proven=self._lines.is_proven(call))
        self._lines.gone(call)

    # -------------------------------------------------------------- who it is
    async def _recognised(self, call: Caller, name: str) -> Endpoint | None:
        """The meter whose line this is now, None when it is nobody's."""
        try:
            endpoint = await self._called(name, call.peer)
        except AmityError as error:
            self._pushes.park(call.peer, name.encode("ascii", "replace"), error)
            call.distrust()
            return None
        self._lines.claim(call, endpoint.meter_id, proven=False)
        call.trust()
        return endpoint

    async def _called(self, name: str, peer: str) -> Endpoint:
        """The meter of this name that may be on this line.

        A name proves nothing. A meter with HLS proves itself in each session before anything of ours is told to it; one
        without is believed at the address from which alone it calls: no password is sent to whoever says its name.
        """
        endpoint = await self._pushes.sender(name) or await self._pushes.sender(title_in(name))
        if endpoint is None:
            raise UnknownSenderError(
                f"somebody called in as {name!r}, which no meter of the fleet is",
                next_step="amity meter add NAME --calls-in … makes it known, if you know it",
            )
        if not endpoint.route.calls_in or endpoint.route.collector:
            raise UnknownSenderError(
                f"somebody called in as {name!r}, which is a meter that we call ourselves ({endpoint.route})",
                next_step="add the meter again with --calls-in, if it is one that calls",
            )
        proves = proves_itself(endpoint, self._surroundings.profile_of)
        if not proves and not await speaks_from(endpoint.route.host, peer):
            raise UnknownSenderError(
                f"somebody called in as {name!r} from {peer}, and the meter has nothing to prove itself by",
                next_step="give the meter HLS, or add it with the only address that it calls from",
            )
        return endpoint

    async def _asked(self, call: Caller) -> _Asked:
        rules = self._surroundings.session
        channel = await call.open(_UNKNOWN_ROUTE, PUBLIC_CLIENT, _MANAGEMENT_DEVICE, rules.connect_timeout_s)
        try:
            exchange = partial(_exchange, channel, rules.request_timeout_s)
            session, name = await converse(_name_of(self._surroundings), exchange)
            return _Asked(name, let_go=await _let_go(session, channel))
        finally:
            await channel.close()


async def _exchange(channel: Channel, timeout_s: float, apdu: bytes) -> bytes:
    return await channel.exchange(apdu, timeout_s)


def _name_of(surroundings: Surroundings) -> Conversation[tuple[Session, str]]:
    settings = AssociationSettings(authentication=Authentication.NONE)
    session = yield from associate(settings, Ports(surroundings.random_octets, _no_counter))
    return session, (yield from read_logical_device_name(session))


async def _let_go(session: Session, channel: Channel) -> bool:
    """Release; whether the meter confirmed it. Its name holds whatever it says to this, or does not say."""
    with suppress(AmityError):
        return await converse(release(session), partial(_unless_silent, channel))
    return False


async def _unless_silent(channel: Channel, apdu: bytes) -> bytes:
    """No octets when nothing comes: some meters ignore a release, and their line is in step all the same."""
    await channel.exchange(Unanswered(apdu), _RELEASE_TIMEOUT_S)
    return await channel.exchange(LISTEN, _RELEASE_TIMEOUT_S)


def _no_counter() -> int:
    raise RemoteProtocolError("nobody ciphers towards a meter that is not known")


def _proves(opened: Opened) -> bool:
    """A recording proves nothing, also where its sender may only not have heard our confirmation."""
    return opened.counter is not None and opened.authenticated and not opened.repeated


def title_in(name: str) -> bytes:
    """The system title that a name spells in hexadecimal, empty when it spells none."""
    try:
        return bytes.fromhex(name) if len(name) == _HEX_TITLE else b""
    except ValueError:
        return b""


def _told_nothing(peer: str, error: AmityError) -> UnknownSenderError:
    return UnknownSenderError(
        f"somebody called in from {peer}, said nothing, and did not tell its name when asked",
        answer=error.what,
        next_step="have the meter push, or send its name, when it has connected",
    )
