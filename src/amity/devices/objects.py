"""The meter's objects as building blocks: attributes by number, answers as Data or as octets made beforehand."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from amity.devices import interface_classes as classes
from amity.devices.interface_classes import LOGICAL_NAME, InterfaceClass
from amity.kernel.obis import Obis
from amity.kernel.units import Unit
from amity.protocols.dlms.attributes import Attribute
from amity.protocols.dlms.data import (
    Data,
    array,
    boolean,
    enum,
    integer,
    long,
    long_unsigned,
    octet_string,
    structure,
    unsigned,
)
from amity.protocols.dlms.datetime import CosemDateTime
from amity.protocols.dlms.results import DataAccessResult
from amity.protocols.dlms.selective_access import Access

Answer = Data | bytes | DataAccessResult
"""The value of an attribute: Data, its A-XDR octets, or why there is none."""

Source = Answer | Callable[[datetime], Answer]
"""A value that stands still, or one that depends on the instant of asking."""

_INTERNAL_CLOCK_BASE = 1  # clock_base: internal crystal
_TCP, _COSEM_APDU = 0, 0  # transport_service_type and message_type of a push destination
NOT_SPECIFIED_TIME = CosemDateTime(None, None, None, status=None).to_octets()


class CosemObject(Protocol):
    """One object of the meter."""

    @property
    def interface(self) -> InterfaceClass:
        """Its class and version."""
        ...

    @property
    def obis(self) -> Obis:
        """Its logical name."""
        ...

    def attribute(self, index: int, access: Access | None, now: datetime) -> Answer:
        """The value of attribute `index` (from 2 to the class's last), or the part that `access` selects."""
        ...


class ObjectModel(Protocol):
    """All objects of one logical device, as the server asks for them."""

    def attribute(self, attribute: Attribute, access: Access | None, now: datetime) -> Answer:
        """The value at `now`; unknown objects and attributes are a DataAccessResult, never an exception."""
        ...

    def objects(self) -> Iterable[CosemObject]:
        """Every object, for the list that the Association object shows."""
        ...


@dataclass(frozen=True, slots=True)
class AttributeObject:
    """An object whose attributes from 2 on are sources, in the order of its class."""

    interface: InterfaceClass
    obis: Obis
    sources: tuple[Source, ...]

    def attribute(self, index: int, access: Access | None, now: datetime) -> Answer:
        """The value of attribute `index`; these classes have no selective access."""
        if access is not None:
            return DataAccessResult.SCOPE_OF_ACCESS_VIOLATED
        source = self.sources[index - LOGICAL_NAME - 1]
        return source(now) if callable(source) else source


class ObjectTree:
    """An object model from a collection of objects, found by logical name; gives logical names itself."""

    __slots__ = ("_by_obis",)

    def __init__(self, objects: Iterable[CosemObject]) -> None:
        self._by_obis: Mapping[bytes, CosemObject] = {bytes(cosem.obis): cosem for cosem in objects}

    def attribute(self, attribute: Attribute, access: Access | None, now: datetime) -> Answer:
        """The value, or object-undefined, object-class-inconsistent, read-write-denied as the standard has it."""
        cosem = self._by_obis.get(bytes(attribute.obis))
        if cosem is None:
            return DataAccessResult.OBJECT_UNDEFINED
        return attribute_of(cosem, attribute, access, now)

    def objects(self) -> Iterable[CosemObject]:
        """Every object."""
        return self._by_obis.values()


def attribute_of(cosem: CosemObject, attribute: Attribute, access: Access | None, now: datetime) -> Answer:
    """One attribute of a known object, after checking that class and index exist."""
    if cosem.interface.class_id != attribute.class_id:
        return DataAccessResult.OBJECT_CLASS_INCONSISTENT
    if attribute.index == LOGICAL_NAME:
        return octet_string(bytes(cosem.obis))
    if not LOGICAL_NAME < attribute.index <= len(cosem.interface.attributes):
        return DataAccessResult.READ_WRITE_DENIED
    return cosem.attribute(attribute.index, access, now)


# ------------------------------------------------------------------ constructors, one per class
def scaler_unit(scaler: int, unit: Unit) -> Data:
    """`scal_unit_type`: a value stands for value x 10**scaler of the unit."""
    return structure(integer(scaler), enum(unit))


def data_object(obis: Obis, value: Source) -> AttributeObject:
    """Class 1."""
    return AttributeObject(classes.DATA, obis, (value,))


def register(obis: Obis, value: Source, scaler: int, unit: Unit) -> AttributeObject:
    """Class 3."""
    return AttributeObject(classes.REGISTER, obis, (value, scaler_unit(scaler, unit)))


def extended_register(
    obis: Obis, value: Source, scaler: int, unit: Unit, *, status: Source, capture_time: Source
) -> AttributeObject:
    """Class 4; `capture_time` is a date-time of 12 octets in an octet string."""
    return AttributeObject(
        classes.EXTENDED_REGISTER, obis, (value, scaler_unit(scaler, unit), status, capture_time)
    )  # fmt: skip


def clock(obis: Obis, time: Source, *, deviation_min: int, status: Source | None = None) -> AttributeObject:
    """Class 8 without daylight saving; `deviation_min` are the minutes from local time to UTC (attribute time_zone)."""
    never = octet_string(NOT_SPECIFIED_TIME)
    return AttributeObject(
        classes.CLOCK,
        obis,
        (
            time, long(deviation_min), unsigned(0) if status is None else status,
            never, never, integer(0), boolean(False), enum(_INTERNAL_CLOCK_BASE),
        ),
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class CaptureObject:
    """Which attribute of which object fills a column of a profile or a push; `data_index` 0 is the whole attribute."""

    class_id: int
    obis: Obis
    attribute: int
    data_index: int = 0

    def definition(self) -> Data:
        """The capture_object_definition as it travels."""
        return structure(
            long_unsigned(self.class_id), octet_string(bytes(self.obis)),
            integer(self.attribute), long_unsigned(self.data_index),
        )  # fmt: skip


def push_setup(obis: Obis, pushed: Iterable[CaptureObject], destination: str) -> AttributeObject:
    """Class 40: what is pushed, over TCP, to `destination` (`host:port`); no window, no repetition."""
    return AttributeObject(
        classes.PUSH_SETUP,
        obis,
        (
            array(capture.definition() for capture in pushed),
            structure(enum(_TCP), octet_string(destination.encode()), enum(_COSEM_APDU)),
            array(()), long_unsigned(0), unsigned(0), long_unsigned(0),
        ),
    )  # fmt: skip


def security_setup(obis: Obis, *, policy: int, client_title: bytes, server_title: bytes) -> AttributeObject:
    """Class 64 version 0, read-only, suite 0; `policy` 0 nothing, 1 authenticated, 2 encrypted, 3 both."""
    return AttributeObject(
        classes.SECURITY_SETUP, obis, (enum(policy), enum(0), octet_string(client_title), octet_string(server_title))
    )
