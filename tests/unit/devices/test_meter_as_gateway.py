"""A meter that is a gateway for its neighbours: prefixed requests are theirs, all others its own."""

from collections.abc import Callable
from typing import TypeVar

import pytest

from amity.devices.client import AssociationRejectedError, Conversation, associate, get, get_octets, release
from amity.devices.objects import register
from amity.devices.server import MeterServer, Neighbour
from amity.devices.settings import Authentication, Ciphering, Protection
from amity.kernel.units import Unit
from amity.protocols.dlms.apdu import Attribute, ExceptionResponse, decode
from amity.protocols.dlms.data import double_long_unsigned
from amity.protocols.gateway import prefix
from amity.protocols.gateway.prefix import Prefixed
from tests.unit.devices.conversing import IMPORT, LOAD_PROFILE, NOW, READER, access, lead, meter, ports, settings_for

Result = TypeVar("Result")
VALUE, BUFFER = Attribute(3, IMPORT, 2), Attribute(7, LOAD_PROFILE, 2)
GMAC = access(Authentication.HLS_GMAC, Ciphering.GLO, Protection.AUTHENTICATED_ENCRYPTED)
HOUSE, FLAT, NOWHERE = Neighbour(1, b"\x00\x01"), Neighbour(1, b"\x00\x02"), Neighbour(2, b"\x00\x01")


def counting(number: int) -> MeterServer:
    return meter(GMAC, objects=[register(IMPORT, double_long_unsigned(number), 0, Unit.WATT_HOUR)])


def gateway() -> MeterServer:
    own = meter(GMAC)
    own.hand_on_to({HOUSE: counting(111), FLAT: meter(GMAC)})
    return own


class Client:
    """One client at the gateway, and through it at a neighbour."""

    def __init__(self) -> None:
        self.server = gateway()
        self.association = self.server.open_association(READER)
        self.counter = 1

    def lead(self, conversation: Conversation[Result], where: Neighbour | None = None) -> Result:
        return lead(conversation, self.directly if where is None else self.through(where))

    def directly(self, request: bytes) -> bytes | None:
        return self.association.receive(request, NOW) if request else self.association.following()

    def through(self, where: Neighbour) -> Callable[[bytes], bytes | None]:
        def answer(request: bytes) -> bytes | None:
            said = self.directly(prefix.encode(Prefixed(*where, request)) if request else request)
            if said is None:
                return None
            opened = prefix.decode(said)
            assert (opened.network, opened.device, opened.is_request) == (*where, False)
            return opened.apdu

        return answer

    def value(self, where: Neighbour | None = None) -> object:
        self.counter += 1000
        session = self.lead(associate(settings_for(GMAC), ports(self.counter)), where)
        return self.lead(get(session, VALUE), where).value


def test_a_neighbour_is_read_through_the_gateway_and_the_gateway_itself_without_prefix():
    client = Client()
    assert client.value(HOUSE) == 111
    assert client.value(FLAT) == 4711
    assert client.value() == 4711


def test_associations_behind_one_connection_do_not_end_each_other():
    client = Client()
    own = client.lead(associate(settings_for(GMAC), ports()))
    house = client.lead(associate(settings_for(GMAC), ports()), HOUSE)
    assert client.lead(get(house, VALUE), HOUSE).value == 111
    assert client.lead(release(own))
    assert client.lead(get(house, VALUE), HOUSE).value == 111


def test_answers_in_blocks_come_back_one_by_one():
    client = Client()
    session = client.lead(associate(settings_for(GMAC), ports()), FLAT)
    assert len(client.lead(get_octets(session, BUFFER), FLAT)) > 8_000


def test_when_the_connection_is_gone_every_neighbour_is_free():
    client = Client()
    client.value(HOUSE)
    client.association.close()
    client.association = client.server.open_association(READER)
    assert client.value(HOUSE) == 111


def test_who_is_not_there_is_an_exception_with_the_prefix():
    with pytest.raises(AssociationRejectedError, match="operation-not-possible"):
        Client().value(NOWHERE)


@pytest.mark.parametrize("octets", [b"\xe6", b"\xe6\x01\x09\x00", b"\xe7\x01\x02\x00\x01\xc0"])
def test_what_is_no_request_with_a_prefix_is_answered_and_breaks_nothing(octets: bytes):
    answer = Client().directly(octets)
    assert answer is not None
    apdu = prefix.decode(answer).apdu if prefix.is_prefixed(answer) else answer
    assert isinstance(decode(apdu), ExceptionResponse)


def test_a_meter_that_is_no_gateway_knows_no_prefix():
    answer = meter(GMAC).open_association(READER).receive(prefix.encode(Prefixed(*HOUSE, b"\xc0")), NOW)
    assert answer is not None
    assert not prefix.is_prefixed(answer)


def test_gateways_that_know_each_other_hand_on_once():
    first, second = meter(), meter()
    first.hand_on_to({Neighbour(0, b"b"): second})
    second.hand_on_to({Neighbour(0, b"a"): first})
    request = b"\xc0"
    for number in range(3000):
        request = prefix.encode(Prefixed(0, b"b" if number % 2 else b"a", request))
    answer = first.open_association(READER).receive(request, NOW)
    assert answer is not None
    opened = prefix.decode(answer)
    assert (opened.device, opened.is_request) == (b"b", False)
    assert isinstance(decode(opened.apdu), ExceptionResponse)
