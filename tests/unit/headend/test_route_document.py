"""Every way to a meter as the fleet document says it, and back; what cannot be is refused by name."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from amity.devices.profiles import SignOn
from amity.headend.fields import Fields
from amity.headend.provisioning import read_fleet_document
from amity.headend.route_document import read_route, route_document
from amity.headend.routes import Gateway, HdlcLink, Host, Route, SerialLine, WrapperLink, over_tcp
from amity.kernel.errors import ConfigurationError

AT: dict[str, Any] = {"host": "10.0.0.7", "port": 4059}
HERE = Host("10.0.0.7", 4059)
ROUTES = [
    (AT, over_tcp("10.0.0.7", 4059)),
    (AT | {"framing": "wrapper", "udp": False}, over_tcp("10.0.0.7", 4059)),
    (AT | {"udp": True}, Route(WrapperLink(HERE, udp=True))),
    (AT | {"framing": "hdlc"}, Route(HdlcLink(HERE))),
    (
        AT | {"framing": "hdlc", "physical": 17, "address_octets": 4, "information_octets": 512, "window": 7},
        Route(HdlcLink(HERE, 17, 4, 512, 7)),
    ),
    ({"framing": "hdlc", "device": "/dev/ttyUSB0"}, Route(HdlcLink(SerialLine("/dev/ttyUSB0")))),
    (
        {
            "framing": "hdlc", "device": "/dev/ttyUSB0", "physical": 18, "baud": 300, "sign_on": "mode-e",
            "line_address": "4711", "echoes": True, "parity_by_hand": True,
        },
        Route(HdlcLink(SerialLine("/dev/ttyUSB0", 300, SignOn.MODE_E, "4711", echoes=True, parity_by_hand=True), 18)),
    ),
    (AT | {"gateway": {"network": 3, "device": "002a"}}, Route(WrapperLink(HERE), Gateway(3, b"\x00\x2a"))),
    (AT | {"collector": "DC7"}, Route(WrapperLink(HERE), collector="DC7")),
    (AT | {"cell": "T7"}, Route(WrapperLink(HERE), cell="T7")),
]  # fmt: skip


@pytest.mark.parametrize(("document", "route"), ROUTES)
def test_a_route_is_read_and_written_again(document: dict[str, Any], route: Route) -> None:
    assert read_route(Fields("it", document)) == route
    assert read_route(Fields("it", route_document(route))) == route


METER: dict[str, Any] = {
    "logical_device_name": "CQX0001", "client": 1, "server": 1, "auth": "none", "profile": "norrvik_n1",
}  # fmt: skip


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"framing": "coap"}, "framing must be one of wrapper, hdlc"),
        ({"framing": "hdlc", "udp": True}, "udp goes with framing wrapper"),
        ({"udp": 1}, "udp must be true or false"),
        ({"physical": 17}, "physical goes with framing hdlc"),
        ({"device": "/dev/ttyUSB0"}, "device goes with framing hdlc"),
        ({"framing": "hdlc", "baud": 300}, "baud goes with device, the serial port"),
        ({"framing": "hdlc", "device": ""}, "device must be a text"),
        ({"framing": "hdlc", "device": "/dev/ttyUSB0", "sign_on": "mode-c"}, "sign_on must be one of none, mode-e"),
        ({"framing": "hdlc", "address_octets": 3}, "address_octets must be 1, 2 or 4"),
        ({"framing": "hdlc", "window": 8}, "window must be a number from 1 to 7"),
        ({"framing": "hdlc", "information_octets": 16}, "information_octets must be a number from 32 to 2030"),
        ({"framing": "hdlc", "physical": 17, "address_octets": 1}, "server cannot be called so"),
        ({"framing": "hdlc", "server": 0x4000}, "server cannot be called so"),
        ({"gateway": "3:2a"}, "gateway of meter CQX0001 must be keys with their values"),
        ({"gateway": {"network": 256, "device": "2a"}}, "network must be a number from 0 to 255"),
        ({"gateway": {"network": 3}}, "device must have 1 to 255 octets"),
        ({"suite": 3}, "suite must be a number from 0 to 2"),
        ({"legacy_allowed": "yes"}, "legacy_allowed must be true or false"),
    ],
)
def test_what_cannot_be_a_route_is_named(change: dict[str, Any], told: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        read_fleet_document([METER | AT | change])
    assert told in caught.value.what
    assert "CQX0001" in caught.value.what


MEMBERS = sorted({key for document, _ in ROUTES for key in document})
VALUES = st.one_of(st.none(), st.booleans(), st.integers(), st.text(max_size=9), st.just([]), st.just({}))


@given(st.dictionaries(st.sampled_from(MEMBERS), VALUES))
def test_any_members_are_a_route_or_the_one_error(members: dict[str, Any]) -> None:
    try:
        route = read_route(Fields("it", members))
    except ConfigurationError:
        return
    assert read_route(Fields("it", route_document(route))) == route


@pytest.mark.parametrize(
    ("route", "text"),
    [
        (over_tcp("10.0.0.7", 4059), "10.0.0.7:4059"),
        (Route(HdlcLink(SerialLine("/dev/ttyUSB0"))), "/dev/ttyUSB0"),
        (Route(WrapperLink(HERE), collector="DC7"), "10.0.0.7:4059 via DC7"),
        (Route(WrapperLink(HERE), Gateway(3, b"\x2a")), "10.0.0.7:4059, network 3 device 2a behind it"),
    ],
)
def test_a_failure_names_the_whole_way(route: Route, text: str) -> None:
    assert str(route) == text
