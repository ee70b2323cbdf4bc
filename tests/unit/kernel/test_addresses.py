"""Addresses however they are written, and whose share each counts as."""

from ipaddress import ip_address

import pytest

from amity.kernel.addresses import address_of, share_of


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("10.9.9.9", "10.9.9.9"), ("::ffff:10.9.9.9", "10.9.9.9"), ("fe80::1%eth0", "fe80::1%eth0"),
        ("meter-7", None), ("", None),
    ],
)  # fmt: skip
def test_an_address_is_the_same_however_it_is_written(text: str, address: str | None) -> None:
    assert address_of(text) == (address and ip_address(address))


@pytest.mark.parametrize(
    ("text", "v4_prefix", "share"),
    [
        ("10.9.9.9", 32, "10.9.9.9/32"), ("::ffff:10.9.9.9", 32, "10.9.9.9/32"), ("10.9.9.9", 24, "10.9.9.0/24"),
        ("2001:db8::1:2:3:4", 24, "2001:db8::/64"), ("fe80::1%eth0", 32, "fe80::/64"), ("DC7", 24, "DC7"),
    ],
)  # fmt: skip
def test_addresses_of_one_owner_count_as_one(text: str, v4_prefix: int, share: str) -> None:
    assert share_of(text, v4_prefix=v4_prefix) == share
