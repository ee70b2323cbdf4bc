"""Limiting the power of a customer (class 71; IEC 62056-6-2, 4.5.9)."""

from typing import NamedTuple

from amity.devices.client import named
from amity.devices.client.conversation import Conversation
from amity.devices.client.refusals import WriteRefusedError
from amity.devices.client.session import Session
from amity.devices.client.writing import set_list
from amity.devices.cosem import fields
from amity.devices.cosem.limits import LIMITER_OBIS, EmergencyProfile, MonitoredValue, ScriptCall
from amity.devices.interface_classes import LIMITER
from amity.kernel.obis import Obis
from amity.protocols.dlms.apdu import DataAccessResult
from amity.protocols.dlms.data import Data, array, double_long_unsigned, long_unsigned


class LimiterReadout(NamedTuple):
    """What a limiter is set to and which threshold holds; thresholds in the unit of the monitored value."""

    monitored: MonitoredValue
    active: int
    normal: int
    emergency: int
    over_s: int
    under_s: int
    emergency_profile: EmergencyProfile
    groups: tuple[int, ...]
    emergency_active: bool
    over: ScriptCall
    under: ScriptCall


def read_limiter(session: Session, obis: Obis = LIMITER_OBIS) -> Conversation[LimiterReadout]:
    """Everything a limiter is set to."""
    names = tuple(spec.name for spec in LIMITER.attributes[1:])
    monitored, active, normal, emergency, over_s, under_s, profile, groups, is_active, actions = yield from named.read(
        session, LIMITER, obis, *names
    )
    over, under = fields.parts(actions, 2, "actions")
    return LimiterReadout(
        MonitoredValue.from_data(monitored),
        fields.number(active, "threshold"),
        fields.number(normal, "threshold"),
        fields.number(emergency, "threshold"),
        fields.number(over_s, "duration"),
        fields.number(under_s, "duration"),
        EmergencyProfile.from_data(profile),
        fields.elements(groups, lambda item: fields.number(item, "group id"), "groups"),
        fields.flag(is_active, "emergency_profile_active"),
        ScriptCall.from_data(over),
        ScriptCall.from_data(under),
    )


def set_threshold(
    session: Session, threshold: int, *, over_s: int, under_s: int, obis: Obis = LIMITER_OBIS
) -> Conversation[None]:
    """Let the relay open when the value is above `threshold` for `over_s` seconds; close after `under_s` below it.

    The threshold is written last, and in the type that the meter gives when it is read. Raises WriteRefusedError.
    """
    (before,) = yield from named.read(session, LIMITER, obis, "threshold_normal")
    yield from _write_all(
        session,
        obis,
        {
            "min_over_threshold_duration": double_long_unsigned(over_s),
            "min_under_threshold_duration": double_long_unsigned(under_s),
            "threshold_normal": Data(before.tag, threshold),
        },
    )


def set_emergency(
    session: Session,
    threshold: int,
    profile: EmergencyProfile,
    *,
    groups: tuple[int, ...],
    obis: Obis = LIMITER_OBIS,
) -> Conversation[None]:
    """Prepare an emergency: in its time the meters whose groups hold its number obey `threshold` instead."""
    (before,) = yield from named.read(session, LIMITER, obis, "threshold_emergency")
    yield from _write_all(
        session,
        obis,
        {
            "threshold_emergency": Data(before.tag, threshold),
            "emergency_profile_group_id_list": array(long_unsigned(group) for group in groups),
            "emergency_profile": profile.to_data(),
        },
    )


def _write_all(session: Session, obis: Obis, values: dict[str, Data]) -> Conversation[None]:
    assignments = [(named.attribute(LIMITER, obis, name), value) for name, value in values.items()]
    results = yield from set_list(session, assignments)
    for (target, _), result in zip(assignments, results, strict=True):
        if result is not DataAccessResult.SUCCESS:
            raise WriteRefusedError(target, result)
