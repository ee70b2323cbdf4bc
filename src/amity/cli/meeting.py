"""One association with one meter, as the options of the command line describe it."""

import asyncio
from collections.abc import Callable
from typing import NamedTuple, TypeVar

from rich.console import Console

from amity.cli.channels import open_channel, place_of
from amity.cli.meter_options import LinkOptions, SecretOptions, SecurityOptions, WayOptions
from amity.cli.reading.answers import in_association
from amity.devices.client import Conversation, Session, Trace
from amity.devices.doctor import Link
from amity.devices.profiles import Framing
from amity.kernel.errors import AmityError
from amity.runtime.system import SystemClock, random_octets
from amity.transports.failures import TimerT1Error

Result = TypeVar("Result")
_REPLAYABLE = (
    "warning: without high level security only counters tell a meter from a recording of it, and this command keeps"
    " none from one run to the next (the head-end does)"
)


class Called(NamedTuple):
    """Which meter, over which way, as whom."""

    meter: str
    link: LinkOptions
    way: WayOptions
    security: SecurityOptions
    secrets: SecretOptions


def meet(
    called: Called,
    talk: Callable[[Session], Conversation[Result]],
    *,
    timeout_s: float,
    trace: Trace | None = None,
) -> Result:
    """Associate, talk, release, and give what the talk came to; what fails says with which meter and as whom."""
    place = place_of(called.meter)
    link, way = called.link.link(place), called.way.way()
    association = called.security.association(called.secrets)
    settings = association.settings(random_octets)
    if settings.replayable:
        _console().print(_REPLAYABLE)
    ports = association.ports(random_octets, SystemClock(), trace)

    async def session() -> Result:
        channel = await open_channel(place, link, timeout_s, way)
        try:
            return await in_association(channel, settings, ports, talk, timeout_s=timeout_s)
        finally:
            await channel.close()

    try:
        return asyncio.run(session())
    except AmityError as error:
        raise _placed(error, str(place), link) from None


def _console() -> Console:
    return Console(stderr=True, highlight=False, soft_wrap=True, markup=False)


def _placed(error: AmityError, place: str, link: Link) -> AmityError:
    if place not in " ".join(error.lines()):
        error.tried = f"{error.tried or 'a conversation'} with the meter at {place}"
    if isinstance(error, TimerT1Error):
        error.next_step = f"{error.next_step}; if it never answers, check {_addresses(link)}"
    return error


def _addresses(link: Link) -> str:
    words = [f"--client {link.client}", f"--server {link.server}"]
    if link.framing is Framing.HDLC:
        words.append("--physical" if link.physical is None else f"--physical {link.physical}")
        words.append(f"--address-octets {link.address_octets}")
    return ", ".join(words[:-1]) + f" and {words[-1]}"
