"""What an interface class is: attributes and methods by number, their types, and who may do what with them."""

from enum import Enum, Flag, auto
from typing import NamedTuple

from amity.protocols.dlms.data import Tag

LOGICAL_NAME = 1
"""Attribute 1 of every class."""


class Right(Flag):
    """What may be done to an attribute."""

    READ = auto()
    WRITE = auto()


class Role(Enum):
    """What a client of a meter is there for."""

    READING = "reading"
    """Sees what is readable and changes nothing (the public client too, of the few objects it sees)."""
    MANAGEMENT = "management"
    """Sees everything and changes what does not touch supply or money: clock, pushes, images, calendars."""
    CONTROL = "control"
    """Sees everything and switches, limits, credits and charges; nothing else."""


class AttributeSpec(NamedTuple):
    """One attribute. `tag` is the type it travels as, None where the meter chooses."""

    name: str
    tag: Tag | None
    dynamic: bool
    access: Right


class MethodSpec(NamedTuple):
    """One method and the type of its parameter."""

    name: str
    parameter: Tag


class InterfaceClass(NamedTuple):
    """One version of one class; attributes and methods are numbered from 1, attribute 1 being the logical name."""

    class_id: int
    version: int
    name: str
    attributes: tuple[AttributeSpec, ...]
    methods: tuple[MethodSpec, ...] = ()
    changed_by: Role = Role.MANAGEMENT

    def index_of(self, attribute: str) -> int:
        """The number of an attribute by its name; raise ValueError when there is none of that name."""
        return [spec.name for spec in self.attributes].index(attribute) + 1

    def method_index(self, method: str) -> int:
        """The number of a method by its name; raise ValueError when there is none of that name."""
        return [spec.name for spec in self.methods].index(method) + 1

    def attribute_name(self, index: int) -> str | None:
        """The name of attribute `index`, None when this version has none of that number."""
        return self.attributes[index - 1].name if 1 <= index <= len(self.attributes) else None

    def method_name(self, index: int) -> str | None:
        """The name of method `index`, None when this version has none of that number."""
        return self.methods[index - 1].name if 1 <= index <= len(self.methods) else None

    def rights(self, index: int, role: Role) -> Right:
        """What a role may do to attribute `index`, as far as the class goes; an object may allow less."""
        access = self.attributes[index - 1].access
        return access if role is self.changed_by else access & Right.READ
