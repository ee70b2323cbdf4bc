"""Objects that the server knows by itself: its name, the open association, its security and its counters."""

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime

from amity.devices.interface_classes import ASSOCIATION_LN, CURRENT_ASSOCIATION, PROFILE_GENERIC
from amity.devices.objects import AttributeObject, CosemObject, data_object, security_setup
from amity.devices.server.opening import Opened
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
SECURITY_SETUP = Obis.parse("0.0.43.0.0.255")
_OID_CONTEXT = bytes.fromhex("608574050801")
_OID_MECHANISM = bytes.fromhex("608574050802")
_CONFORMANCE_BITS = 24
_DLMS_VERSION = 6
_ASSOCIATED = 2
_READ_ONLY = 1
_NO_ACCESS = 0
_INTEGER_MAX = 127


def invocation_counter_obis(position: int) -> Obis:
    """The object that tells the highest counter seen of the keyed client at a position (from 0) of the settings."""
    return Obis(bytes((0, 0, 43, 1, position, 255)))


def own_objects(settings: MeterSettings, received_counters: Mapping[int, int]) -> list[CosemObject]:
    """Everything but the association: the logical device name and, per ciphered client, counter and security setup."""
    objects: list[CosemObject] = [data_object(LOGICAL_DEVICE_NAME, octet_string(settings.logical_device_name.encode()))]
    keyed = [access for access in settings.clients if access.ciphered]
    for position, access in enumerate(keyed):
        objects.append(data_object(invocation_counter_obis(position), _counter(received_counters, access.client)))
    if keyed:
        objects.append(_security_setup(settings, keyed[0]))
    return objects


def _counter(received_counters: Mapping[int, int], client: int) -> Callable[[datetime], Data]:
    return lambda _now: double_long_unsigned(max(received_counters.get(client, 0), 0))


def _security_setup(settings: MeterSettings, access: ClientAccess) -> CosemObject:
    return security_setup(
        SECURITY_SETUP,
        policy=access.protection.control >> 4,
        client_title=access.client_title,
        server_title=settings.system_title,
    )


def association_object(settings: MeterSettings, opened: Opened, objects: Iterable[CosemObject]) -> AttributeObject:
    """Association LN (class 15, version 1) as the client that has it open sees it; its secret is never given out."""
    access, others = opened.access, tuple(objects)

    def object_list(_now: datetime) -> Data:
        return array(_element(cosem) for cosem in (*others, association))

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
            octet_string(bytes(SECURITY_SETUP) if access.ciphered else b""),
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


def _element(cosem: CosemObject) -> Data:
    interface = cosem.interface
    attributes = array(
        structure(integer(index), enum(_READ_ONLY), _selectors(cosem, index))
        for index in range(1, len(interface.attributes) + 1)
    )
    methods = array(
        structure(integer(index), enum(_NO_ACCESS)) for index in range(1, len(interface.methods) + 1)
    )  # fmt: skip
    return structure(
        long_unsigned(interface.class_id),
        unsigned(interface.version),
        octet_string(bytes(cosem.obis)),
        structure(attributes, methods),
    )


def _selectors(cosem: CosemObject, index: int) -> Data:
    if cosem.interface is PROFILE_GENERIC and PROFILE_GENERIC.attributes[index - 1] == "buffer":
        return array(Data(Tag.INTEGER, selector) for selector in (RANGE_SELECTOR, ENTRY_SELECTOR))
    return null()
