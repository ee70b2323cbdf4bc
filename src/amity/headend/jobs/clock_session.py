"""One association in which a meter's clock is moved, if this is an instant at which it may be."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Final, NamedTuple

from amity.devices.client import AssociationSettings, Conversation, Ports, Session, associate, release
from amity.devices.client.clock_setting import set_clock, shift_clock
from amity.devices.client.conversation import converse
from amity.devices.profiles import DeviceProfile
from amity.devices.readout import read_clock, read_logical_device_name
from amity.headend.counter_bank import CounterBank
from amity.headend.jobs.clock_policy import ClockAction, ClockBands, decide
from amity.headend.ports import Endpoint
from amity.headend.surroundings import Surroundings
from amity.kernel.errors import AmityError, ConfigurationError, TransportError

_COUNTERS: Final = 32


class ClockMove(NamedTuple):
    """What was found and done: how far ahead the clock was and is. Nothing was done yet where `again_at` is given."""

    action: ClockAction
    ahead_before: timedelta
    ahead_after: timedelta
    again_at: datetime | None = None


async def move_clock(
    endpoint: Endpoint,
    profile: DeviceProfile,
    settings: AssociationSettings,
    counters: CounterBank,
    bands: ClockBands,
    surroundings: Surroundings,
) -> ClockMove:
    """Connect, associate, look, move, look again, release. Raises whatever AmityError ends the session early."""
    rules = surroundings.session
    if settings.protector is not None:
        await surroundings.disk(lambda: counters.ensure(_COUNTERS))
    channel = await surroundings.connector.connect(endpoint, rules.connect_timeout_s)

    async def exchange(apdu: bytes) -> bytes:
        return await channel.exchange(apdu, rules.request_timeout_s)

    try:
        async with asyncio.timeout(rules.session_timeout_s):
            ports = Ports(surroundings.random_octets, counters.take)
            session = await converse(associate(settings, ports), exchange)
            moving = _move(session, endpoint.meter_id, profile, bands, surroundings.clock.now)
            moved = await converse(moving, exchange)
            if profile.association.answers_release:
                with suppress(AmityError):  # a courtesy: what is done is done
                    await converse(release(session), exchange)
            return moved
    except TimeoutError as error:
        raise TransportError(
            f"the session did not end within {rules.session_timeout_s:g} s",
            tried=f"set the clock of {endpoint.meter_id}",
            next_step="raise the session timeout if the meter is just slow",
        ) from error
    finally:
        await channel.close()


def _move(
    session: Session, meter_id: str, profile: DeviceProfile, bands: ClockBands, now: Callable[[], datetime]
) -> Conversation[ClockMove]:
    name = yield from read_logical_device_name(session)
    if name != meter_id:
        raise ConfigurationError(
            f"meter {name} answers where {meter_id} was expected",
            next_step=f"correct the address of {meter_id}: no clock was touched",
        )
    before = yield from _ahead(session, profile, now)
    period = timedelta(seconds=profile.load_profile.capture_period_s)
    at = now()
    decision = decide(before, at, period, bands)
    if decision.action in {ClockAction.NONE, ClockAction.ALARM}:
        return ClockMove(decision.action, before, before)
    if decision.not_before > at:
        return ClockMove(decision.action, before, before, decision.not_before)
    if decision.action is ClockAction.ADJUST:
        yield from shift_clock(session, round(-before.total_seconds()))
    else:
        yield from set_clock(session, now(), profile.clock)
    return ClockMove(decision.action, before, (yield from _ahead(session, profile, now)))


def _ahead(session: Session, profile: DeviceProfile, now: Callable[[], datetime]) -> Conversation[timedelta]:
    """The meter's time against the middle of the exchange that brought it."""
    before = now()
    clock = yield from read_clock(session)
    after = now()
    return clock.to_utc(profile.clock) - (before + (after - before) / 2)
