"""Objects that the server knows by itself: its name, the open association, its security and its counters."""

from collections.abc import Callable, Iterable
from datetime import datetime

from amity.devices.interface_classes import ASSOCIATION_LN, CURRENT_ASSOCIATION, PROFILE_GENERIC, Right
from amity.devices.objects import AttributeObject, CosemObject, data_object
from amity.devices.server.access_rights import attribute_rights, may_call
from amity.devices.server.client_book import ClientBook, SharedKeys
from amity.devices.server.opening import Opened
from amity.devices.server.security_setup import SecuritySetup
from amity.devices.server.settings import ClientAccess, MeterSettings
from amity.kernel.obis import Obis
from amity.protocols.dlms.data import (
    Data,
    Tag,
    array,
    bit_string,
    double_long_unsigned,
    enum,
    integer,
    long_unsigned,
    null,
    octet_string,
    structure,
    unsigned,
)
from amity.protocols.dlms.results import DataAccessResult
from amity.protocols.dlms.selective_access import ENTRY_SELECTOR, RANGE_SELECTOR

LOGICAL_DEVICE_NAME = Obis.parse("0.0.42.0.0.255")
_OID_CONTEXT = bytes.fromhex("608574050801")
_OID_MECHANISM = bytes.fromhex("608574050802")
_CONFORMANCE_BITS = 24
_DLMS_VERSION = 6
_ASSOCIATED = 2
_ACCESS_MODES = {Right(0): 0, Right.READ: 1, Right.WRITE: 2, Right.READ | Right.WRITE: 3}
_INTEGER_MAX = 127


def invocation_counter_obis(position: int) -> Obis:
    """The object that tells the highest counter seen of the keyed client at a position (from 0) of the settings."""
    return Obis(bytes((0, 0, 43, 1, position, 255)))


def security_setup_obis(position: int) -> Obis:
    """The security setup of the set of keys at a position (from 0)."""
    return Obis(bytes((0, 0, 43, 0, position, 255)))


def own_objects(settings: MeterSettings, clients: ClientBook) -> list[CosemObject]:
    """Everything but the association: the name, a counter for each ciphered client, a setup for each set of keys."""
    objects: list[CosemObject] = [data_object(LOGICAL_DEVICE_NAME, octet_string(settings.logical_device_name.encode()))]
    keyed = [access for access in settings.clients if access.ciphered]
    for position, access in enumerate(keyed):
        objects.append(data_object(invocation_counter_obis(position), _counter(clients, access.client)))
    for position, group in enumerate(settings.key_groups):
        keys = SharedKeys(clients, group)
        version = settings.security_setup_version
        version = int(keys.protector.suite > 0) if version is None else version
        setup = SecuritySetup(
            version, security_setup_obis(position), keys, settings.system_title,
            certificate=settings.certificate, trust=keys.trust,
        )  # fmt: skip
        objects.append(setup)
    return objects


def _counter(clients: ClientBook, client: int) -> Callable[[datetime], Data]:
    return lambda _now: double_long_unsigned(max(clients.received(client).counter, 0))


def _setup_reference(settings: MeterSettings, access: ClientAccess) -> bytes:
    """The logical name of the security setup that this client's association refers to."""
    positions = (at for at, clients in enumerate(settings.key_groups) if access.client in clients)
    return next((bytes(security_setup_obis(position)) for position in positions), b"")


def association_object(
    settings: MeterSettings, opened: Opened, objects: Callable[[], Iterable[CosemObject]]
) -> AttributeObject:
    """Association LN (class 15, version 1) as the client that has it open sees it; its secret is never given out."""
    access = opened.access

    def object_list(_now: datetime) -> Data:
        return array(_element(cosem, access) for cosem in (*objects(), association))

    association = AttributeObject(
        ASSOCIATION_LN,
        CURRENT_ASSOCIATION,
        (
            object_list,
            structure(integer(min(access.client, _INTEGER_MAX)), long_unsigned(settings.server)),
            octet_string(_OID_CONTEXT + bytes([access.ciphering.context])),
            _context_info(settings, opened),
            octet_string(_OID_MECHANISM + bytes([access.authentication.mechanism])),
            DataAccessResult.READ_WRITE_DENIED,
            enum(_ASSOCIATED),
            octet_string(_setup_reference(settings, access)),
        ),
    )
    return association


def _context_info(settings: MeterSettings, opened: Opened) -> Data:
    return structure(
        bit_string(f"{int(opened.conformance):0{_CONFORMANCE_BITS}b}"),
        long_unsigned(settings.max_pdu_octets),
        long_unsigned(opened.max_pdu_octets),
        unsigned(_DLMS_VERSION),
        integer(0),
        octet_string(b""),
    )


def _element(cosem: CosemObject, access: ClientAccess) -> Data:
    """What the object_list says of one object: its class, its name, and the rights of this association."""
    interface, role = cosem.interface, access.role
    attributes = array(
        structure(integer(index), enum(_ACCESS_MODES[attribute_rights(cosem, index, role)]), _selectors(cosem, index))
        for index in range(1, len(interface.attributes) + 1)
    )
    methods = array(
        structure(integer(index), enum(may_call(cosem, index, access)))
        for index in range(1, len(interface.methods) + 1)
    )
    return structure(
        long_unsigned(interface.class_id),
        unsigned(interface.version),
        octet_string(bytes(cosem.obis)),
        structure(attributes, methods),
    )


def _selectors(cosem: CosemObject, index: int) -> Data:
    if cosem.interface is PROFILE_GENERIC and PROFILE_GENERIC.attribute_name(index) == "buffer":
        return array(Data(Tag.INTEGER, selector) for selector in (RANGE_SELECTOR, ENTRY_SELECTOR))
    return null()
