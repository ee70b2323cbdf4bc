"""Which of a meter's invocation counter objects is that of a client: counting on from another may shut somebody out."""

from collections.abc import Iterable
from typing import NamedTuple

from amity.devices.doctor.facts import Facts, ListedClient
from amity.devices.profiles import DeviceProfile
from amity.kernel.obis import Obis

_SECURITY, _COUNTER = 0, 1  # value group D of security setups and of invocation counters (both have 43 in C)


class CounterChoice(NamedTuple):
    """The first counter to use, the object it comes from (None: from no object), and why that one.

    `doubtful` is how many objects it might have been as well.
    """

    first: int
    place: Obis | None
    why: str
    doubtful: int = 0


def counter_of_setup(security_setup: Obis) -> Obis | None:
    """The invocation counter that goes with a security setup: 0.b.43.1.e for 0.b.43.0.e; None for another name."""
    if security_setup[2:4] != bytes((43, _SECURITY)):
        return None
    return Obis(bytes((*security_setup[:3], _COUNTER, *security_setup[4:])))


def choose_counter(client: int, facts: Facts, likely: Iterable[DeviceProfile]) -> CounterChoice | None:
    """Where a client counts on: just above what the meter has seen of it; None where the meter tells of no counter.

    `likely` are the models that the meter is recognised as, best first. Where nothing says which object is this
    client's, the lowest is begun with: a counter can be raised afterwards and never lowered, and whoever else counts up
    with this key would be shut out by a jump.
    """
    counters = facts.counters
    if not counters:
        return None
    by_setup = _by_security_setup(client, facts.clients)
    if by_setup in counters:
        return _above(by_setup, counters, "the security setup of this client's association has the same number")
    for profile in likely:
        place = profile.association.invocation_counter
        if profile.association.client == client and place in counters:
            return _above(place, counters, f"model {profile.key} has it there for client {client}")
    lowest = min(counters, key=lambda place: counters[place])
    if len(set(counters.values())) == 1:
        return _above(lowest, counters, "the meter shows no other value")
    why = f"the lowest of {len(counters)}: nothing says which of them is that of client {client}"
    return _above(lowest, counters, why)._replace(doubtful=len(counters) - 1)


def _by_security_setup(client: int, listed: Iterable[ListedClient]) -> Obis | None:
    setups = (entry.security_setup for entry in listed if entry.client == client and entry.security_setup is not None)
    return next((counter_of_setup(setup) for setup in setups), None)


def _above(place: Obis, counters: dict[Obis, int], why: str) -> CounterChoice:
    return CounterChoice(counters[place] + 1, place, why)
