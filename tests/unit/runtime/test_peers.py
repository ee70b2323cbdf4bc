"""The allow-list, for addresses as sockets show them."""

import pytest

from amity.runtime.doors.peers import allow_list, network_of

ALLOWS = allow_list(["10.20.0.0/16", "192.0.2.7", "2001:db8::/32", "fe80::/10"])


@pytest.mark.parametrize(
    ("peer", "allowed"),
    [
        ("10.20.255.1", True), ("10.21.0.1", False), ("192.0.2.7", True), ("192.0.2.8", False),
        ("2001:db8::5", True), ("2001:db9::5", False), ("::ffff:10.20.0.9", True), ("::ffff:10.9.0.9", False),
        ("fe80::1%eth0", True), ("unknown", False), ("", False),
    ],
)  # fmt: skip
def test_who_may_call(peer: str, allowed: bool):
    assert ALLOWS(peer) is allowed


def test_an_empty_list_lets_nobody_in():
    assert not allow_list([])("127.0.0.1")


def test_a_network_with_host_bits_is_refused():
    with pytest.raises(ValueError, match="no network like"):
        network_of("10.0.0.1/8")
