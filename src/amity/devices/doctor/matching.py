"""Which profile fits a meter best, and why: its name, the objects it lists, the association that opened."""

from collections.abc import Iterable
from typing import NamedTuple

from amity.devices.doctor.facts import Facts
from amity.devices.profiles import DeviceProfile
from amity.devices.settings import AssociationSettings
from amity.kernel.obis import Obis

_NAME_POINTS = 4.0
_OBJECT_POINTS = 3.0
_ASSOCIATION_POINTS = 0.5
_COLUMN_POINTS = 0.5
_SHARE_MIN = 0.5  # a few objects that every meter has speak for nothing


class Match(NamedTuple):
    """How well a profile fits: more points fit better, `reasons` say where they come from.

    `recognised`: the meter's name or its objects speak for this model itself, not just what many models have.

    `lacks_load_profile`: the meter lists what it measures and not the load profile that this model would be read by.
    """

    profile: DeviceProfile
    points: float
    reasons: tuple[str, ...]
    recognised: bool = False
    lacks_load_profile: bool = False


def best_matches(
    profiles: Iterable[DeviceProfile], facts: Facts, settings: AssociationSettings | None
) -> tuple[Match, ...]:
    """Every profile that anything speaks for, best first; of equals the one that says less about the meter."""
    matches = [_match(profile, facts, settings) for profile in profiles]
    fitting = [match for match in matches if match.points > 0]
    return tuple(sorted(fitting, key=lambda match: (-match.points, len(match.profile.quirks), match.profile.key)))


def _match(profile: DeviceProfile, facts: Facts, settings: AssociationSettings | None) -> Match:
    listed = {found.obis for found in facts.objects}
    of_its_own = (
        *_by_name(profile, facts.name or ""),
        *_by_share("known objects", _OBJECT_POINTS, profile.recognised_by.objects, listed),
    )
    evidence = (
        *of_its_own,
        *_by_share("load profiles", _COLUMN_POINTS, [profile.load_profile.obis], listed),
        *_by_association(profile, settings),
    )
    if profile.recognised_by.names and not _by_name(profile, facts.name or ""):
        evidence = ()  # a maker's model whose maker it is not
    reasons = [reason for _, reason in evidence if reason]
    lacks = facts.measures and profile.load_profile.obis not in listed
    if lacks:
        reasons.append(f"but its load profile {profile.load_profile.obis} is not among the meter's objects")
    return Match(profile, sum(points for points, _ in evidence), tuple(reasons), bool(of_its_own), lacks)


def _by_name(profile: DeviceProfile, name: str) -> list[tuple[float, str]]:
    prefix = next((known for known in profile.recognised_by.names if name.startswith(known)), None)
    return [] if prefix is None else [(_NAME_POINTS + len(prefix) / 16, f"its name begins with {prefix}")]


def _by_share(what: str, points: float, wanted: Iterable[Obis], listed: set[Obis]) -> list[tuple[float, str]]:
    wanted = list(wanted)
    found = sum(obis in listed for obis in wanted)
    if not found or found < len(wanted) * _SHARE_MIN:
        return []
    return [(points * found / len(wanted), f"it has {found} of {len(wanted)} {what}")]


def _by_association(profile: DeviceProfile, settings: AssociationSettings | None) -> list[tuple[float, str]]:
    rules = profile.association
    if settings is None:
        return []
    opened = (settings.authentication, settings.ciphering, settings.protection)
    if opened != (rules.authentication, rules.ciphering, rules.protection):
        return []
    return [(_ASSOCIATION_POINTS, f"it opens with {rules.authentication}, ciphering {rules.ciphering}")]
