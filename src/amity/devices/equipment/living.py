"""Objects of a meter whose parts act by themselves, and objects that are only built when somebody asks for them."""

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from itertools import chain
from typing import Protocol

from amity.devices.objects import Answer, CosemObject, ObjectModel, ObjectTree
from amity.kernel.obis import Obis
from amity.protocols.dlms.action_service import ActionOutcome
from amity.protocols.dlms.attributes import Attribute, Method
from amity.protocols.dlms.data import Data
from amity.protocols.dlms.results import DataAccessResult
from amity.protocols.dlms.selective_access import Access


class Part(Protocol):
    """Something in a meter that goes on while nobody looks."""

    def advance(self, now: datetime) -> None:
        """Do everything that was due until `now`."""
        ...


class LivingObjects(ObjectTree):
    """An object tree with parts; what a client sees does not depend on when it looked before."""

    __slots__ = ("_parts",)

    def __init__(self, objects: Iterable[CosemObject], parts: Sequence[Part]) -> None:
        super().__init__(objects)
        self._parts = parts

    def advance(self, now: datetime) -> None:
        """Let every part go on until `now`."""
        for part in self._parts:
            part.advance(now)

    def attribute(self, attribute: Attribute, access: Access | None, now: datetime) -> Answer:
        """The value, after what was due."""
        self.advance(now)
        return super().attribute(attribute, access, now)

    def set_attribute(
        self, attribute: Attribute, access: Access | None, value: Data, now: datetime
    ) -> DataAccessResult:
        """Write one attribute, after what was due."""
        self.advance(now)
        return super().set_attribute(attribute, access, value, now)

    def act(self, method: Method, parameters: Data | None, now: datetime) -> ActionOutcome:
        """Call one method, after what was due."""
        self.advance(now)
        return super().act(method, parameters, now)


class LateObjects:
    """The objects that are read every day, and `build` for the others: most meters of a large fleet never need them.

    Once they are there they go on whatever is asked for: what is read every day may depend on them.
    """

    def __init__(self, daily: ObjectModel, build: Callable[[], LivingObjects]) -> None:
        self._daily = daily
        self._build = build
        self._built: LivingObjects | None = None

    def find(self, obis: Obis) -> CosemObject | None:
        """The object of a logical name, None when there is none."""
        return self._daily.find(obis) or self._late.find(obis)

    def attribute(self, attribute: Attribute, access: Access | None, now: datetime) -> Answer:
        """The value at `now`."""
        return self._holder(attribute.obis, now).attribute(attribute, access, now)

    def set_attribute(
        self, attribute: Attribute, access: Access | None, value: Data, now: datetime
    ) -> DataAccessResult:
        """Write one attribute."""
        return self._holder(attribute.obis, now).set_attribute(attribute, access, value, now)

    def act(self, method: Method, parameters: Data | None, now: datetime) -> ActionOutcome:
        """Call one method."""
        return self._holder(method.obis, now).act(method, parameters, now)

    def objects(self) -> Iterable[CosemObject]:
        """Every object."""
        return chain(self._daily.objects(), self._late.objects())

    def advance(self, now: datetime) -> None:
        """Let what is there go on until `now`."""
        if self._built is not None:
            self._built.advance(now)

    @property
    def _late(self) -> LivingObjects:
        if self._built is None:
            self._built = self._build()
        return self._built

    def _holder(self, obis: Obis, now: datetime) -> ObjectModel:
        if self._daily.find(obis) is None:
            return self._late
        self.advance(now)
        return self._daily
