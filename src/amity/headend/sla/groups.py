"""By what meters are told apart in a report: their device profile, network, collector, cell, or groups by name."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from enum import StrEnum

from amity.domain.jobs import GroupSelector
from amity.headend.jobs.ports import FleetPages, Member
from amity.kernel.errors import ConfigurationError

_PAGE = 1000


class GroupBy(StrEnum):
    """What makes a group of the meters that have it in common."""

    PROFILE = "profile"
    NETWORK = "network"
    COLLECTOR = "collector"
    CELL = "cell"


def whole_fleet(pages: FleetPages) -> Iterator[Member]:
    """Every meter, a page at a time."""
    last = ""
    while page := pages.page(last, _PAGE):
        yield from page
        last = page[-1].meter_id


def groups_by(
    members: Iterable[Member], by: Iterable[GroupBy], named: Mapping[str, GroupSelector]
) -> dict[str, tuple[str, ...]]:
    """Of each meter the groups it belongs to."""
    wanted = tuple(by)
    return {one.meter_id: tuple(_groups(one, wanted, named)) for one in members}


def _groups(member: Member, by: Iterable[GroupBy], named: Mapping[str, GroupSelector]) -> Iterator[str]:
    for one in by:
        value = _SHARED[one](member)
        if value:
            yield f"{one}={value}"
    for name, selector in named.items():
        if selector.selects(member.meter_id, member.profile, member.host):
            yield name


_SHARED: Mapping[GroupBy, Callable[[Member], str]] = {
    GroupBy.PROFILE: lambda member: member.profile,
    GroupBy.NETWORK: lambda member: member.place.network,
    GroupBy.COLLECTOR: lambda member: member.place.collector,
    GroupBy.CELL: lambda member: member.place.cell,
}


def named_group(text: str) -> tuple[str, GroupSelector]:
    """A group as typed, `NAME=PATTERN[,PATTERN…]` of meter ids; raise ConfigurationError when it is none."""
    name, separator, patterns = text.partition("=")
    meters = tuple(pattern.strip() for pattern in patterns.split(",") if pattern.strip())
    if not separator or not name or not meters or ";" in name:
        raise ConfigurationError(f"--group {text!r} is no group", next_step="write it like north=N*,M0001")
    return name, GroupSelector(meters)
