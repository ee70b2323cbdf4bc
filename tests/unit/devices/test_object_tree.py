"""The object list of an unknown meter as a tree, also when parts of it are not what they should be."""

import pytest

from amity.devices.equipment.clock import AdjustableClock, clock_object
from amity.devices.equipment.relay import Relay, disconnect_control
from amity.devices.interface_classes import CURRENT_ASSOCIATION, Right
from amity.devices.obis_names import medium_of, name_of
from amity.devices.object_tree import ObjectList, object_list, read_object_list
from amity.devices.profiles import CLOCK_OBIS
from amity.kernel.errors import RemoteProtocolError
from amity.kernel.obis import Obis
from amity.protocols.dlms.data import (
    Data,
    array,
    enum,
    integer,
    long_unsigned,
    null,
    octet_string,
    structure,
    unsigned,
)
from tests.unit.devices.conversing import IMPORT, LOAD_PROFILE, measured_objects
from tests.unit.devices.equipped import CONTROL, MANAGEMENT, EquippedMeter

BOTH = Right.READ | Right.WRITE


def entry(
    class_id: int, obis: Obis | bytes, modes: list[int], methods: list[int] | None = None, version: int = 0
) -> Data:
    attributes = array(structure(integer(index), enum(mode), null()) for index, mode in enumerate(modes, 1))
    called = array(structure(integer(index), enum(mode)) for index, mode in enumerate(methods or [], 1))
    return structure(
        long_unsigned(class_id), unsigned(version), octet_string(bytes(obis)), structure(attributes, called)
    )


# ------------------------------------------------------------------ a meter of our own
def listed(client: int) -> ObjectList:
    adjustable = clock_object(AdjustableClock(lambda now: now), CLOCK_OBIS, lambda *_: null(), deviation_min=0)
    others = [cosem for cosem in measured_objects() if cosem.obis != CLOCK_OBIS]
    visit = EquippedMeter([*others, adjustable, disconnect_control(Relay(4))]).visit(client)
    return visit.lead(read_object_list(visit.session))


def test_the_tree_goes_by_medium_and_class():
    tree = listed(MANAGEMENT).tree()
    general, electricity = tree
    assert [branch.name for branch in tree] == ["General", "Electricity"]
    assert [branch.name for branch in general.classes] == ["Data", "Clock", "Association LN", "Disconnect control"]
    assert [branch.name for branch in electricity.classes] == ["Register", "Extended register", "Profile generic"]
    (total,) = electricity.classes[0].objects
    assert (total.obis, total.name, total.medium) == (IMPORT, "Active energy import, total", "Electricity")


def test_it_says_what_this_association_may_do():
    for client, sets_clock, switches in ((MANAGEMENT, True, False), (CONTROL, False, True)):
        objects = listed(client)
        clock, relay = objects.find(CLOCK_OBIS), objects.find(Obis.parse("0.0.96.3.10.255"))
        assert clock is not None
        assert relay is not None
        assert clock.attributes[1] == (2, "time", BOTH if sets_clock else Right.READ, ())
        assert clock.methods[5] == (6, "shift_time", sets_clock)
        assert relay.attributes[3] == (4, "control_mode", BOTH if switches else Right.READ, ())
        assert [method.callable for method in relay.methods] == [switches, switches]


def test_selectors_of_a_profile_are_listed():
    profile = listed(MANAGEMENT).find(LOAD_PROFILE)
    assert profile is not None
    assert profile.attributes[1] == (2, "buffer", Right.READ, (1, 2))
    assert listed(MANAGEMENT).find(Obis.parse("9.9.9.9.9.9")) is None


# ------------------------------------------------------------------ meters of others
def test_unknown_classes_and_versions_are_shown_by_what_is_known():
    objects = object_list(array((entry(8192, IMPORT, [1, 1], [1]), entry(3, IMPORT, [1, 1, 1, 1], version=9)))).objects
    unknown, newer = objects
    assert (unknown.class_name, unknown.attributes[1], unknown.methods[0]) == (
        "Class 8192", (2, None, Right.READ, ()), (1, None, True),
    )  # fmt: skip
    assert (newer.class_name, [attribute.name for attribute in newer.attributes]) == (
        "Register", ["logical_name", "value", "scaler_unit", None],
    )  # fmt: skip


@pytest.mark.parametrize(
    ("mode", "rights"),
    [
        (0, Right(0)),
        (1, Right.READ),
        (2, Right.WRITE),
        (3, BOTH),
        (4, Right.READ),
        (6, BOTH),
        (7, Right(0)),
        (-1, Right(0)),
    ],
)
def test_rights_up_to_version_2_are_an_enumeration(mode: int, rights: Right):
    (found,) = object_list(array((entry(1, IMPORT, [mode]),))).objects
    assert found.attributes[0].rights == rights


@pytest.mark.parametrize(
    ("mode", "rights"), [(0, Right(0)), (0b1, Right.READ), (0b10, Right.WRITE), (0b11111111, BOTH)]
)
def test_rights_from_version_3_on_are_bits(mode: int, rights: Right):
    association = entry(15, CURRENT_ASSOCIATION, [1], version=3)
    objects = object_list(array((entry(1, IMPORT, [mode]), association)))
    found = objects.find(IMPORT)
    assert found is not None
    assert found.attributes[0].rights == rights


@pytest.mark.parametrize(
    "item",
    [
        null(),
        structure(),
        structure(long_unsigned(3), unsigned(0), octet_string(b"short"), structure(array(()), array(()))),
        structure(long_unsigned(3), unsigned(0), octet_string(bytes(6)), structure(array(()))),
        structure(long_unsigned(3), octet_string(b""), octet_string(bytes(6)), structure(array(()), array(()))),
    ],
)
def test_an_entry_that_is_none_is_counted_and_the_rest_is_read(item: Data):
    objects = object_list(array((item, entry(3, IMPORT, [1, 1, 1]))))
    assert (len(objects.objects), objects.unreadable) == (1, 1)


def test_rights_that_are_none_are_left_out():
    odd = structure(
        long_unsigned(3), unsigned(0), octet_string(IMPORT), structure(array((null(), integer(3))), octet_string(b""))
    )  # fmt: skip
    (found,) = object_list(array((odd,))).objects
    assert (found.attributes, found.methods) == ((), ())


@pytest.mark.parametrize("answer", [null(), integer(3), octet_string(b"")])
def test_what_is_no_list_is_an_error_of_the_meter(answer: Data):
    with pytest.raises(RemoteProtocolError, match="no list"):
        object_list(answer)


# ------------------------------------------------------------------ names
@pytest.mark.parametrize(
    ("obis", "name"),
    [
        ("1.0.1.8.0.255", "Active energy import, total"),
        ("1.1.2.8.3.255", "Active energy export, total, tariff 3"),
        ("1.0.1.8.0.101", "Active energy import, total, billing period 101"),
        ("1.0.21.7.0.255", "Active power import L1"),
        ("1.0.52.7.0.255", "Voltage L2"),
        ("1.0.71.7.0.255", "Current L3"),
        ("1.0.91.7.0.255", "Neutral current"),
        ("1.0.14.7.0.255", "Frequency"),
        ("1.0.1.29.0.255", "Active energy import, in the interval"),
        ("1.0.99.1.0.255", "Load profile 1"),
        ("1.0.0.2.0.255", "Active firmware identifier"),
        ("0.0.1.0.0.255", "Clock"),
        ("0.0.42.0.0.255", "Logical device name"),
        ("0.0.96.1.0.255", "Serial number"),
        ("0.0.96.1.4.255", "Device id 5"),
        ("0.0.43.1.2.255", "Invocation counter 2"),
        ("0.0.96.3.10.255", "Disconnect control"),
        ("0.3.24.2.1.255", "M-Bus value 1"),
        ("0.0.97.98.13.255", "Alarm filter"),
        ("0.0.19.40.0.255", "Token gateway 0"),
        ("7.0.3.0.0.255", "Gas volume"),
    ],
)
def test_codes_have_names(obis: str, name: str):
    assert name_of(Obis.parse(obis)) == name


@pytest.mark.parametrize("obis", ["1.0.129.129.0.255", "1.0.1.200.0.255", "1.0.50.200.0.255", "250.1.2.3.4.5"])
def test_a_makers_own_code_has_none(obis: str):
    assert name_of(Obis.parse(obis)) is None


def test_media():
    assert [medium_of(Obis(bytes((medium, *bytes(5))))) for medium in (0, 1, 7, 42)] == [
        "General", "Electricity", "Gas", "Medium 42",
    ]  # fmt: skip
