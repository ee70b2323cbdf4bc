"""Invocation counters: asked for through the public client, caught up with, never lowered."""

import pytest

from amity.devices.client import AssociationSettings, Authentication, InvocationCounterError, get
from amity.devices.client.counters import (
    RESYNC_MAX,
    RisingCounter,
    associate_in_step,
    discover_invocation_counter,
    read_invocation_counter,
)
from amity.devices.server import invocation_counter_obis
from amity.devices.server.own_objects import LOGICAL_DEVICE_NAME
from amity.kernel.errors import LocalProtocolError, RemoteProtocolError, SecurityError
from amity.protocols.dlms.data import double_long_unsigned
from tests.unit.devices.conversing import PUBLIC, Line, lead, meter, ports
from tests.unit.devices.test_security_suites import IMPORT_VALUE, allowed, settings

GMAC = allowed(0, Authentication.HLS_GMAC)
COUNTER = invocation_counter_obis(0)


def test_a_counter_rises_and_never_falls():
    counter = RisingCounter(7)
    assert [counter(), counter()] == [7, 8]
    counter.raise_to(5)
    assert counter.next == 9
    counter.raise_to(100)
    assert counter() == 100


def test_nobodys_word_spends_the_key():
    counter = RisingCounter(7)
    for number in (RESYNC_MAX + 1, 0xFFFF_FFFF, 1 << 40):
        with pytest.raises(SecurityError, match="spend the key"):
            counter.raise_to(number)
    assert counter() == 7
    last = RisingCounter(0xFFFF_FFFF)
    assert last() == 0xFFFF_FFFF
    with pytest.raises(LocalProtocolError, match="is spent"):
        last()


def test_the_public_client_is_told_where_the_meter_stands():
    server = meter(GMAC)
    line = Line(server)
    line.associate(settings(GMAC), ports(5000))
    line.association.close()
    public = Line(server, PUBLIC)
    told = public.lead(discover_invocation_counter(AssociationSettings(), ports(), COUNTER))
    assert told == server.received_counter(1) == 5002
    counter = RisingCounter()
    counter.raise_to(told + 1)
    later = Line(server)
    session = later.lead(associate_in_step(settings(GMAC), ports(), counter))
    assert later.lead(get(session, IMPORT_VALUE)) == double_long_unsigned(4711)
    assert len([octets for octets in later.requests if octets[0] == 0x60]) == 1


def test_an_object_that_holds_no_counter_is_named():
    server = meter(GMAC)
    public = Line(server, PUBLIC)
    session = public.associate(AssociationSettings())
    with pytest.raises(RemoteProtocolError, match="no invocation counter"):
        public.lead(read_invocation_counter(session, LOGICAL_DEVICE_NAME))


def test_a_client_that_is_behind_catches_up_at_once():
    server = meter(GMAC)
    first = Line(server)
    first.associate(settings(GMAC), ports(5000))
    first.association.close()
    counter = RisingCounter(3)
    line = Line(server)
    session = line.lead(associate_in_step(settings(GMAC), ports(), counter))
    assert line.lead(get(session, IMPORT_VALUE)) == double_long_unsigned(4711)
    assert counter.next > 5003


@pytest.mark.parametrize("answer", ["d8010600000002", "d80106", "d80106ffffffff"])
def test_a_meter_that_asks_for_less_or_for_everything_is_not_followed(answer: str):
    counter = RisingCounter(100)
    with pytest.raises((InvocationCounterError, SecurityError)):
        lead(associate_in_step(settings(GMAC), ports(), counter), lambda _request: bytes.fromhex(answer))
    assert counter.next == 101


def test_a_meter_that_waits_for_the_very_next_number_is_given_it():
    server = meter(GMAC)
    first = Line(server)
    first.associate(settings(GMAC), ports(5000))
    first.association.close()
    counter = RisingCounter(server.received_counter(1))
    line = Line(server)
    session = line.lead(associate_in_step(settings(GMAC), ports(), counter))
    assert line.lead(get(session, IMPORT_VALUE)) == double_long_unsigned(4711)
