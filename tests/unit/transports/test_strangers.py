"""Strangers at a door: each address has its share, and a full door costs whoever has most of it."""

from amity.transports.strangers import Strangers


def test_one_address_has_its_share_and_no_more() -> None:
    strangers: Strangers[int] = Strangers(8, 2)
    strangers.add(1, "192.0.2.1")
    strangers.add(2, "::ffff:192.0.2.1")
    assert not strangers.has_share("192.0.2.1")
    assert strangers.has_share("192.0.2.2")
    strangers.discard(1)
    assert strangers.has_share("192.0.2.1")


def test_a_subscriber_of_ipv6_is_one_whatever_address_he_takes() -> None:
    strangers: Strangers[int] = Strangers(8, 2)
    strangers.add(1, "2001:db8::1")
    strangers.add(2, "2001:db8::ffff:2")
    assert not strangers.has_share("2001:db8::3")
    assert strangers.has_share("2001:db8:0:1::3")


def test_at_a_full_door_whoever_has_most_loses_his_oldest() -> None:
    strangers: Strangers[str] = Strangers(4, 4)
    came = [("honest", "192.0.2.1"), ("a1", "192.0.2.2"), ("a2", "192.0.2.2"), ("b1", "192.0.2.3")]
    assert [strangers.add(*one) for one in came] == [None] * 4
    assert strangers.add("new", "192.0.2.4") == "a1"
    assert strangers.add("newer", "192.0.2.5") == "honest"  # each has one: the oldest of all


def test_who_is_gone_twice_is_counted_once() -> None:
    strangers: Strangers[int] = Strangers(2, 2)
    strangers.add(1, "192.0.2.1")
    strangers.add(2, "192.0.2.1")
    strangers.discard(1)
    strangers.discard(1)
    assert strangers.add(3, "192.0.2.1") is None
    assert strangers.add(4, "192.0.2.2") == 2
