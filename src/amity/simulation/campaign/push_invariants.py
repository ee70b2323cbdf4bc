"""What must hold of pushes at the end of a world, by evidence: said, confirmed, kept by a collector, stored."""

from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import Final

from amity.devices.settings import Ciphering
from amity.domain.collection import Exchange, Outcome
from amity.messaging.codec import ProtobufCodec
from amity.simulation.campaign.field import FieldMeter
from amity.simulation.campaign.nodes import LOOK_EVERY_S
from amity.simulation.campaign.push_evidence import MeterPushes
from amity.simulation.campaign.settings import ALARMS_SOON_FROM
from amity.simulation.campaign.wire import apdus_in
from amity.simulation.campaign.witness import Invariant
from amity.simulation.campaign.world import World
from amity.simulation.faults import FaultKind
from amity.simulation.outgoing_ways import Over

_ALL: Final = 1_000_000
SOON_S: Final = LOOK_EVERY_S + 30.0
"""What an alarm may take from the meter to the MDM side when nothing is wrong: the courier looks rarely here."""
_HEADER_OCTETS: Final = 6
"""Of a DataNotification before its time: tag, long-invoke-id-and-priority, and the length of the time."""


def judge_pushes(world: World, one: FieldMeter) -> None:
    """Each push that was confirmed or kept became a delivery, and none became more than there was reason for."""
    pushes = world.evidence.meters[one.meter_id]
    stored = list(_stored(world, one))
    times = Counter(apdu for exchange in stored for apdu in apdus_in(exchange.response))
    _judge_once(world, one, pushes, times)
    _judge_confirmed(world, one, pushes, {exchange.plain[_HEADER_OCTETS:] for exchange in stored})
    _judge_kept(world, one, pushes, times)
    _judge_alarms(world, one, pushes)


def _stored(world: World, one: FieldMeter) -> Iterator[Exchange]:
    since = world.settings.start - timedelta(days=366)
    codec = ProtobufCodec()
    for _, body in world.it.deliveries.answered(one.meter_id, since, limit=_ALL):
        delivery = codec.decode(body)
        if delivery.outcome is Outcome.PUSHED:
            yield delivery.exchanges[0]


def _judge_once(world: World, one: FieldMeter, pushes: MeterPushes, times: Counter[bytes]) -> None:
    """A protected one once; a plain one, which nobody can tell from its repetition, as often as it was brought."""
    world.witness.checked(Invariant.PUSHES_ONCE, len(times))
    for apdu, found in times.items():
        most = _brought(world, one, pushes, apdu) if _is_plain(one) else 1
        if found > most:
            world.witness.violated(
                Invariant.PUSHES_ONCE, f"{one.meter_id}: {len(apdu)} octets were taken {found} times, brought {most}"
            )


def _brought(world: World, one: FieldMeter, pushes: MeterPushes, apdu: bytes) -> int:
    if one.site.way.collector:
        return world.evidence.kept[one.host][apdu]
    return pushes.said[apdu] * (2 if one.site.way.over is Over.UDP else 1)  # the network doubles datagrams


def _judge_confirmed(world: World, one: FieldMeter, pushes: MeterPushes, bodies: set[bytes]) -> None:
    world.witness.checked(Invariant.PUSHES_ARRIVE, len(pushes.confirmed))
    _lost(world, one, "confirmed", [body for body in sorted(pushes.confirmed) if body not in bodies])


def _judge_kept(world: World, one: FieldMeter, pushes: MeterPushes, times: Counter[bytes]) -> None:
    """One that is confirmed, and said again under another counter before its meter heard so, is the same push."""
    if not one.site.way.collector or not _is_believed(world, one):
        return
    dropped = world.evidence.dropped
    kept = [apdu for apdu in world.evidence.kept[one.host] if apdu in pushes.said and apdu not in dropped]
    arrived = {pushes.tells_of.get(apdu) for apdu in times} if one.site.way.confirmed else ()
    lost = [apdu for apdu in kept if not times[apdu] and pushes.tells_of[apdu] not in arrived]
    world.witness.checked(Invariant.PUSHES_ARRIVE, len(kept))
    _lost(world, one, f"kept by {one.site.way.collector}", lost)


def _lost(world: World, one: FieldMeter, what: str, lost: Sequence[bytes]) -> None:
    if lost:
        world.witness.violated(
            Invariant.PUSHES_ARRIVE, f"{one.meter_id}: {len(lost)} were {what} and not delivered, {lost[0].hex()} first"
        )


def _judge_alarms(world: World, one: FieldMeter, pushes: MeterPushes) -> None:
    """Those that were said when everything had been well for a while; a datagram may be lost."""
    if one.site.way.over is Over.UDP or not _is_believed(world, one):
        return
    from_s = (world.settings.span + ALARMS_SOON_FROM).total_seconds()
    for apdu, said_s in pushes.alarms.items():
        if said_s < from_s or apdu in world.evidence.dropped:
            continue
        world.witness.checked(Invariant.ALARMS_SOON)
        took_s = world.evidence.stored_s.get(apdu, float("inf")) - said_s
        if took_s > SOON_S:
            world.witness.violated(
                Invariant.ALARMS_SOON, f"{one.meter_id} told of an alarm, which took {took_s:.0f} s to the MDM side"
            )


def _is_believed(world: World, one: FieldMeter) -> bool:
    """Unless its keys or its counters speak against it."""
    return _is_plain(one) or not (one.meter_id in world.forgetful or FaultKind.WRONG_KEY in one.meter.kinds)


def _is_plain(one: FieldMeter) -> bool:
    return one.meter.profile.association.ciphering is Ciphering.NONE
