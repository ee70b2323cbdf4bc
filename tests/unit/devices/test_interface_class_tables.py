"""The tables of the interface classes: complete for the scope, consistent, numbered as the standard does."""

import pytest

from amity.devices.interface_classes import (
    CLOCK,
    DISCONNECT_CONTROL,
    IMAGE_TRANSFER,
    INTERFACE_CLASSES,
    InterfaceClass,
    Right,
    Role,
    newest_version,
)
from amity.devices.interface_classes.loader import classes_in
from amity.protocols.dlms.data import Tag

MUST = (
    1, 3, 4, 5, 6, 7, 8, 9, 11, 15, 17, 18, 20, 21, 22, 23, 40, 41, 43, 62, 63, 64, 70, 71, 72, 111, 112, 113, 115,
)  # fmt: skip
SHOULD = (65, 67, 68, 122, 123, 124)
ALL = [pytest.param(known, id=f"{known.class_id}-{known.version}") for known in INTERFACE_CLASSES.values()]


@pytest.mark.parametrize("class_id", MUST + SHOULD)
def test_every_class_of_the_scope_has_a_table(class_id: int):
    assert newest_version(class_id) is not None


@pytest.mark.parametrize("known", ALL)
def test_a_class_is_consistent(known: InterfaceClass):
    names = [spec.name for spec in known.attributes]
    assert names[0] == "logical_name"
    assert len(set(names)) == len(names)
    methods = [spec.name for spec in known.methods]
    assert len(set(methods)) == len(methods)
    assert [known.index_of(name) for name in names] == list(range(1, len(names) + 1))
    assert known.attribute_name(0) is known.attribute_name(len(names) + 1) is known.method_name(0) is None


@pytest.mark.parametrize(
    ("class_id", "version", "index", "name"),
    [
        (3, 0, 3, "scaler_unit"),
        (5, 0, 9, "number_of_periods"),
        (7, 1, 8, "profile_entries"),
        (15, 1, 9, "security_setup_reference"),
        (15, 2, 11, "current_user"),
        (18, 0, 7, "image_to_activate_info"),
        (40, 1, 10, "push_protection_parameters"),
        (40, 2, 13, "last_confirmation_date_time"),
        (64, 1, 6, "certificates"),
        (71, 0, 11, "actions"),
        (72, 1, 14, "encryption_key_status"),
        (111, 0, 19, "max_provision_period"),
        (112, 0, 11, "period"),
        (113, 0, 13, "proportion"),
        (115, 0, 6, "token_status"),
    ],
)
def test_attributes_have_the_numbers_of_the_standard(class_id: int, version: int, index: int, name: str):
    known = INTERFACE_CLASSES[class_id, version]
    assert known.index_of(name) == index
    assert known.attribute_name(index) == name


@pytest.mark.parametrize(
    ("class_id", "version", "index", "name"),
    [
        (8, 0, 6, "shift_time"),
        (15, 1, 1, "reply_to_hls_authentication"),
        (18, 0, 4, "image_activate"),
        (40, 0, 1, "push"),
        (64, 1, 8, "remove_certificate"),
        (70, 0, 2, "remote_reconnect"),
        (72, 0, 8, "transfer_key"),
        (113, 0, 5, "set_total_amount_remaining"),
    ],
)
def test_methods_have_the_numbers_of_the_standard(class_id: int, version: int, index: int, name: str):
    known = INTERFACE_CLASSES[class_id, version]
    assert known.method_index(name) == index
    assert known.method_name(index) == name


def test_a_version_that_extends_another_begins_with_its_attributes():
    older, newer = INTERFACE_CLASSES[40, 0], INTERFACE_CLASSES[40, 1]
    assert newer.attributes[: len(older.attributes)] == older.attributes
    assert newer.methods == older.methods


def test_only_the_role_of_a_class_may_write_it_and_nobody_writes_what_is_only_read():
    mode, state = DISCONNECT_CONTROL.index_of("control_mode"), DISCONNECT_CONTROL.index_of("control_state")
    assert DISCONNECT_CONTROL.rights(mode, Role.CONTROL) == Right.READ | Right.WRITE
    assert DISCONNECT_CONTROL.rights(mode, Role.MANAGEMENT) == Right.READ
    assert DISCONNECT_CONTROL.rights(state, Role.CONTROL) == Right.READ
    assert CLOCK.rights(CLOCK.index_of("time"), Role.MANAGEMENT) == Right.READ | Right.WRITE
    assert CLOCK.rights(CLOCK.index_of("time"), Role.READING) == Right.READ


def test_whatever_leaves_a_customer_without_supply_is_changed_by_control_alone():
    controlled = {known.class_id for known in INTERFACE_CLASSES.values() if known.changed_by is Role.CONTROL}
    assert controlled == {68, 70, 71, 111, 112, 113, 115}


def test_types_are_those_of_cosem_data():
    spec = IMAGE_TRANSFER.attributes[IMAGE_TRANSFER.index_of("image_transferred_blocks_status") - 1]
    assert (spec.tag, spec.dynamic, spec.access) == (Tag.BIT_STRING, True, Right.READ)


def test_a_table_of_ones_own_reads_like_those_that_ship():
    (known,) = classes_in(
        """
        [thermometer-0]
        class = [9000, 0, "Thermometer"]
        changed_by = "control"
        attributes = [["value", "choice", "dynamic", "r"], ["alarm", "unsigned", "static", "-"]]
        methods = [["reset", "integer"]]
        """
    )
    assert (known.class_id, known.name, known.changed_by) == (9000, "Thermometer", Role.CONTROL)
    assert [spec.tag for spec in known.attributes] == [Tag.OCTET_STRING, None, Tag.UNSIGNED]
    assert known.rights(3, Role.CONTROL) == Right(0)
