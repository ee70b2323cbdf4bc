"""The meter's objects as building blocks: attributes by number, answers as Data or as octets made beforehand."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol, runtime_checkable

from amity.devices import interface_classes as classes
from amity.devices.interface_classes import LOGICAL_NAME, InterfaceClass
from amity.kernel.obis import Obis
from amity.kernel.units import Unit
from amity.protocols.dlms.action_service import ActionOutcome
from amity.protocols.dlms.attributes import Attribute, Method
from amity.protocols.dlms.data import (
    Data,
    decode_all,
    enum,
    integer,
    long_unsigned,
    octet_string,
    structure,
)
from amity.protocols.dlms.datetime import CosemDateTime
from amity.protocols.dlms.results import ActionResult, DataAccessResult
from amity.protocols.dlms.selective_access import Access

Answer = Data | bytes | DataAccessResult
"""The value of an attribute: Data, its A-XDR octets, or why there is none."""

Source = Answer | Callable[[datetime], Answer]
"""A value that stands still, or one that depends on the instant of asking."""

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


@runtime_checkable
class WritableObject(CosemObject, Protocol):
    """An object that takes new values; whether a client may give them, the association has decided before."""

    @property
    def writable_attributes(self) -> frozenset[int]:
        """The numbers of the attributes that take values."""
        ...

    def set_attribute(self, index: int, access: Access | None, value: Data, now: datetime) -> DataAccessResult:
        """Take a value for attribute `index` (from 2 to the class's last), or say why not; all of it or nothing."""
        ...


@runtime_checkable
class ActingObject(CosemObject, Protocol):
    """An object with methods; whether a client may call them, the association has decided before."""

    @property
    def offered_methods(self) -> frozenset[int]:
        """The numbers of the methods that this object has, of those its class knows."""
        ...

    def act(self, index: int, parameters: Data | None, now: datetime) -> ActionOutcome:
        """Do what method `index` (from 1 to the class's last) does, or say why not."""
        ...


class ObjectModel(Protocol):
    """All objects of one logical device, as the server asks for them."""

    def find(self, obis: Obis) -> CosemObject | None:
        """The object of a logical name, None when there is none."""
        ...

    def attribute(self, attribute: Attribute, access: Access | None, now: datetime) -> Answer:
        """The value at `now`; unknown objects and attributes are a DataAccessResult, never an exception."""
        ...

    def set_attribute(
        self, attribute: Attribute, access: Access | None, value: Data, now: datetime
    ) -> DataAccessResult:
        """Write one attribute; what cannot be written is a DataAccessResult, never an exception."""
        ...

    def act(self, method: Method, parameters: Data | None, now: datetime) -> ActionOutcome:
        """Call one method; what cannot be called is an ActionResult, never an exception."""
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

    def find(self, obis: Obis) -> CosemObject | None:
        """The object of a logical name, None when there is none."""
        return self._by_obis.get(bytes(obis))

    def attribute(self, attribute: Attribute, access: Access | None, now: datetime) -> Answer:
        """The value, or object-undefined, object-class-inconsistent, read-write-denied as the standard has it."""
        cosem = self._by_obis.get(bytes(attribute.obis))
        if cosem is None:
            return DataAccessResult.OBJECT_UNDEFINED
        return attribute_of(cosem, attribute, access, now)

    def set_attribute(
        self, attribute: Attribute, access: Access | None, value: Data, now: datetime
    ) -> DataAccessResult:
        """Write one attribute; logical names and objects that take no values are read-write-denied."""
        cosem = self._by_obis.get(bytes(attribute.obis))
        if cosem is None:
            return DataAccessResult.OBJECT_UNDEFINED
        if cosem.interface.class_id != attribute.class_id:
            return DataAccessResult.OBJECT_CLASS_INCONSISTENT
        if not isinstance(cosem, WritableObject) or attribute.index not in cosem.writable_attributes:
            return DataAccessResult.READ_WRITE_DENIED
        return cosem.set_attribute(attribute.index, access, value, now)

    def act(self, method: Method, parameters: Data | None, now: datetime) -> ActionOutcome:
        """Call one method; objects without methods are read-write-denied."""
        cosem = self._by_obis.get(bytes(method.obis))
        if cosem is None:
            return ActionOutcome(ActionResult.OBJECT_UNDEFINED)
        if cosem.interface.class_id != method.class_id:
            return ActionOutcome(ActionResult.OBJECT_CLASS_INCONSISTENT)
        if not isinstance(cosem, ActingObject) or method.index not in cosem.offered_methods:
            return ActionOutcome(ActionResult.READ_WRITE_DENIED)
        return cosem.act(method.index, parameters, now)

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


def value_in(model: ObjectModel, wanted: CaptureObject, now: datetime) -> Data | None:
    """What a meter captures of its own objects at an instant: a value, None where there is none."""
    answer = model.attribute(Attribute(wanted.class_id, wanted.obis, wanted.attribute), None, now)
    if isinstance(answer, DataAccessResult):
        return None
    return decode_all(answer) if isinstance(answer, bytes) else answer
