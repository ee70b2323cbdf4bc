"""What was not believed: listed for a person to look at, so that nobody talks the others out of the list."""

from datetime import UTC, datetime

import pytest

from amity.headend.pushes.parking import SENDERS_COUNTED_MAX, Parked, Parking
from amity.kernel.errors import RemoteProtocolError

NOW = datetime(2026, 11, 20, 6, 0, tzinfo=UTC)


def parked(peer: str, octets: bytes = b"") -> Parked:
    return Parked(NOW, peer, octets, RemoteProtocolError("no DLMS"))


def test_whoever_fills_the_list_makes_room_for_the_others_himself() -> None:
    parking = Parking(8)
    parking.park(parked("192.0.2.1", b"first"))
    for number in range(100):
        parking.park(parked("198.51.100.9", bytes([number])))
    parking.park(parked("192.0.2.2", b"second"))
    for number in range(100, 200):
        parking.park(parked("198.51.100.9", bytes([number])))
    newest = [one.octets for one in parking.newest]
    assert len(newest) == 8
    assert {b"first", b"second"} < set(newest)
    assert newest[-1] == bytes([199])
    assert parking.counts == {"undecodable": 202}


def test_a_collector_is_one_sender_whatever_it_says_who_called_it() -> None:
    parking = Parking(8)
    parking.park(parked("DC7/10.0.0.9"))
    parking.park(parked("DC7/10.0.0.10"))
    assert parking.senders == {"DC7": 2}


def test_forged_senders_of_datagrams_empty_nobody_else_of_the_list() -> None:
    parking = Parking(8)
    parking.park(parked("192.0.2.1"))
    parking.park(parked("192.0.2.2"))
    parking.park(parked("DC7/10.0.0.9"))
    parking.park(parked("mqtt:M1"))
    for number in range(300):
        parking.park(parked(f"udp:10.{number}.7.1"))
    assert {"192.0.2.1", "192.0.2.2", "DC7/10.0.0.9", "mqtt:M1"} < {one.peer for one in parking.newest}


@pytest.mark.parametrize("flood", ["198.51.100.{}", "2001:db8::{:x}", "::ffff:198.51.100.{}"])
def test_one_network_empties_no_other_of_the_list(flood: str) -> None:
    parking = Parking(8)
    parking.park(parked("192.0.2.1"))
    parking.park(parked("2001:db8:0:1::1"))
    for number in range(200):
        parking.park(parked(flood.format(number)))
    assert {"192.0.2.1", "2001:db8:0:1::1"} < {one.peer for one in parking.newest}


def test_within_a_share_whoever_has_most_of_it_makes_room() -> None:
    parking = Parking(4)
    parking.park(parked("udp:192.0.2.1"))
    for _ in range(20):
        parking.park(parked("udp:198.51.100.9"))
    assert [one.peer for one in parking.newest].count("udp:192.0.2.1") == 1


def test_of_as_many_each_the_oldest_makes_room() -> None:
    parking = Parking(3)
    for host in range(5):
        parking.park(parked(f"192.0.{host}.1"))
    assert [one.peer for one in parking.newest] == ["192.0.2.1", "192.0.3.1", "192.0.4.1"]


def test_senders_are_counted_those_of_most_first_and_a_bounded_number() -> None:
    parking = Parking(8)
    for _ in range(3):
        parking.park(parked("mqtt:M1"))
    for number in range(3 * SENDERS_COUNTED_MAX):
        parking.park(parked(f"udp:10.{number >> 8}.{number & 255}.1"))
    assert parking.senders.most_common(1) == [("mqtt:M1", 3)]
    assert len(parking.senders) <= SENDERS_COUNTED_MAX
