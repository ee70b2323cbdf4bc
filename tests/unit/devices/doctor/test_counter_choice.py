"""Which counter object belongs to a client."""

import pytest

from amity.devices.doctor.counters import choose_counter, counter_of_setup
from amity.devices.doctor.facts import Facts, ListedClient
from amity.devices.profiles import DeviceProfile, packaged_profile
from amity.kernel.obis import Obis
from amity.protocols.dlms.acse import Mechanism
from amity.protocols.dlms.apdu import Conformance

FIRST, SECOND = Obis.parse("0.0.43.1.0.255"), Obis.parse("0.0.43.1.1.255")
SECOND_SETUP = Obis.parse("0.0.43.0.1.255")
BOTH = {FIRST: 9000, SECOND: 17}
MODEL = packaged_profile("castellan_c3")
READER = MODEL.association.client


def facts(counters: dict[Obis, int], *clients: ListedClient) -> Facts:
    return Facts("AMY0000000000007", None, None, None, b"", counters, clients, (), Conformance.GET, 1024)


def listed(client: int, setup: Obis | None) -> ListedClient:
    return ListedClient(client, True, Mechanism.HLS_GMAC, setup)


@pytest.mark.parametrize(
    ("told", "likely", "place", "why"),
    [
        (facts(BOTH, listed(9, None), listed(READER, SECOND_SETUP)), [MODEL], SECOND, "security setup"),
        (facts(BOTH), [MODEL], MODEL.association.invocation_counter, "model castellan_c3"),
        (facts({SECOND: 17}), [], SECOND, "no other"),
        (facts(BOTH), [], SECOND, "the lowest of 2"),
        (facts(BOTH, listed(READER, Obis.parse("0.0.43.0.7.255"))), [], SECOND, "the lowest of 2"),
        (facts(BOTH, listed(READER + 1, SECOND_SETUP)), [], SECOND, "the lowest of 2"),
    ],
)
def test_the_counter_of_the_association_is_chosen_and_explained(
    told: Facts, likely: list[DeviceProfile], place: Obis, why: str
):
    chosen = choose_counter(READER, told, likely)
    assert chosen is not None
    assert (chosen.place, chosen.first) == (place, BOTH[place] + 1)
    assert why in chosen.why


def test_without_counters_there_is_nothing_to_choose():
    assert choose_counter(READER, facts({}), [MODEL]) is None


def test_counters_go_with_security_setups_of_their_number():
    assert counter_of_setup(SECOND_SETUP) == SECOND
    assert counter_of_setup(FIRST) is None
