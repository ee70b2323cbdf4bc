"""The objects of an unknown meter as a tree: by medium and class, with names and what this association may do.

The list comes from the association itself (class 15, attribute 2; IEC 62056-6-2, 4.4.4). Classes and codes that the
tables do not know are shown by their numbers: nothing that the meter lists is left out.
"""

from collections.abc import Iterable, Iterator
from itertools import groupby
from typing import NamedTuple

from amity.devices.client.conversation import Conversation
from amity.devices.client.reading import get
from amity.devices.client.session import Session
from amity.devices.interface_classes import (
    ASSOCIATION_LN,
    CURRENT_ASSOCIATION,
    INTERFACE_CLASSES,
    InterfaceClass,
    Right,
    newest_version,
)
from amity.devices.obis_names import medium_of, name_of
from amity.kernel.errors import RemoteProtocolError
from amity.kernel.obis import Obis
from amity.protocols.dlms.attributes import Attribute
from amity.protocols.dlms.data import Data

OBJECT_LIST = Attribute(ASSOCIATION_LN.class_id, CURRENT_ASSOCIATION, ASSOCIATION_LN.index_of("object_list"))

_RIGHTS_AS_BITS_FROM = 3  # version of class 15
_READ_BIT, _WRITE_BIT = 0x01, 0x02
_READ_WRITE = Right.READ | Right.WRITE
_ACCESS_MODES = (Right(0), Right.READ, Right.WRITE, _READ_WRITE, Right.READ, Right.WRITE, _READ_WRITE)
"""access_mode of an attribute up to version 2; 4 to 6 are the same with authenticated requests."""

_OBIS_OCTETS = 6


class AttributeEntry(NamedTuple):
    """One attribute: its number, its name where the class is known, what may be done, which selectors it takes."""

    index: int  # type: ignore[assignment]  # the standard's word; nobody searches an entry with tuple.index
    name: str | None
    rights: Right
    selectors: tuple[int, ...] = ()


class MethodEntry(NamedTuple):
    """One method: its number, its name where the class is known, and whether it may be called."""

    index: int  # type: ignore[assignment]  # the standard's word; nobody searches an entry with tuple.index
    name: str | None
    callable: bool


class ObjectEntry(NamedTuple):
    """One object of the meter as its association lists it."""

    class_id: int
    version: int
    obis: Obis
    attributes: tuple[AttributeEntry, ...]
    methods: tuple[MethodEntry, ...]

    @property
    def interface(self) -> InterfaceClass | None:
        """Its class: this version, or the newest one known when this one is not; None for an unknown class."""
        return INTERFACE_CLASSES.get((self.class_id, self.version)) or newest_version(self.class_id)

    @property
    def class_name(self) -> str:
        """`Register`, or `Class 8192` for one that is not known."""
        return self.interface.name if self.interface else f"Class {self.class_id}"

    @property
    def name(self) -> str | None:
        """What its logical name stands for, None when that is the maker's own."""
        return name_of(self.obis)

    @property
    def medium(self) -> str:
        """What it is about."""
        return medium_of(self.obis)


class ClassBranch(NamedTuple):
    """The objects of one class within a medium, by logical name."""

    class_id: int
    name: str
    objects: tuple[ObjectEntry, ...]


class MediumBranch(NamedTuple):
    """The classes of one medium, by number."""

    name: str
    classes: tuple[ClassBranch, ...]


class ObjectList(NamedTuple):
    """Everything that an association lists; `unreadable` counts the entries that are not what they should be."""

    objects: tuple[ObjectEntry, ...]
    unreadable: int

    def find(self, obis: Obis) -> ObjectEntry | None:
        """The object of a logical name."""
        return next((entry for entry in self.objects if entry.obis == obis), None)

    def tree(self) -> tuple[MediumBranch, ...]:
        """By medium, by class, by logical name."""
        ordered = sorted(self.objects, key=lambda entry: (entry.obis[0], entry.class_id, entry.obis))
        return tuple(
            MediumBranch(medium_of(branch[0].obis), _by_class(branch))
            for branch in (list(found) for _, found in groupby(ordered, key=lambda entry: entry.obis[0]))
        )


def read_object_list(session: Session) -> Conversation[ObjectList]:
    """Ask the association what there is; raise RemoteProtocolError when the answer is no list."""
    return object_list((yield from get(session, OBJECT_LIST)))


def object_list(listed: Data) -> ObjectList:
    """The object_list as it travels, made readable; raise RemoteProtocolError when it is no list at all."""
    if not listed.is_sequence:
        raise RemoteProtocolError(f"the object list is no list but {listed.tag.label}", tried=f"GET {OBJECT_LIST}")
    bits = any(_head(item) == (ASSOCIATION_LN.class_id, CURRENT_ASSOCIATION, True) for item in listed.items)
    entries = [_entry(item, rights_as_bits=bits) for item in listed.items]
    return ObjectList(tuple(entry for entry in entries if entry is not None), entries.count(None))


# ------------------------------------------------------------------ one entry
def _head(item: Data) -> tuple[int, Obis, bool] | None:
    """Class, logical name, and whether the version writes rights as bits."""
    match [field.value for field in item.items] if item.is_sequence else []:
        case [int(class_id), int(version), bytes(name), _] if len(name) == _OBIS_OCTETS:
            return class_id, Obis(name), version >= _RIGHTS_AS_BITS_FROM
        case _:
            return None


def _entry(item: Data, *, rights_as_bits: bool) -> ObjectEntry | None:
    match [field.value for field in item.items] if item.is_sequence else []:
        case [int(class_id), int(version), bytes(name), (Data() as attributes, Data() as methods)] if (
            len(name) == _OBIS_OCTETS
        ):
            bare = ObjectEntry(class_id, version, Obis(name), (), ())
        case _:
            return None
    return bare._replace(
        attributes=tuple(_attributes(attributes, bare.interface, rights_as_bits=rights_as_bits)),
        methods=tuple(_methods(methods, bare.interface)),
    )


def _attributes(listed: Data, interface: InterfaceClass | None, *, rights_as_bits: bool) -> Iterator[AttributeEntry]:
    for item in listed.items if listed.is_sequence else ():
        match [field.value for field in item.items] if item.is_sequence else []:
            case [int(index), int(mode), selectors]:
                name = interface.attribute_name(index) if interface else None
                yield AttributeEntry(index, name, _rights(mode, rights_as_bits=rights_as_bits), _numbers(selectors))


def _methods(listed: Data, interface: InterfaceClass | None) -> Iterator[MethodEntry]:
    for item in listed.items if listed.is_sequence else ():
        match [field.value for field in item.items] if item.is_sequence else []:
            case [int(index), int(mode)]:
                yield MethodEntry(index, interface.method_name(index) if interface else None, bool(mode))


def _rights(mode: int, *, rights_as_bits: bool) -> Right:
    if rights_as_bits:
        return (Right.READ if mode & _READ_BIT else Right(0)) | (Right.WRITE if mode & _WRITE_BIT else Right(0))
    return _ACCESS_MODES[mode] if 0 <= mode < len(_ACCESS_MODES) else Right(0)


def _numbers(selectors: object) -> tuple[int, ...]:
    items: Iterable[object] = selectors if isinstance(selectors, tuple) else ()
    return tuple(item.value for item in items if isinstance(item, Data) and isinstance(item.value, int))


def _by_class(entries: list[ObjectEntry]) -> tuple[ClassBranch, ...]:
    groups = (list(found) for _, found in groupby(entries, key=lambda entry: entry.class_id))
    return tuple(ClassBranch(found[0].class_id, found[0].class_name, tuple(found)) for found in groups)
