"""An object by the names of its attributes: what may be written is kept, what was computed is asked for."""

from collections.abc import Callable, Mapping
from datetime import datetime

from amity.devices.interface_classes import AttributeSpec, InterfaceClass, Right
from amity.devices.objects import Answer, Source
from amity.kernel.errors import AmityError
from amity.kernel.obis import Obis
from amity.protocols.dlms.action_service import ActionOutcome
from amity.protocols.dlms.data import Data, Tag, integer
from amity.protocols.dlms.results import ActionResult, DataAccessResult
from amity.protocols.dlms.selective_access import Access

Accept = Callable[[Data, datetime], None]
"""Takes a value of the right type; raises an AmityError when it means nothing here: other-reason then."""

Call = Callable[[Data, datetime], ActionResult | None]
"""Does a method with its parameter, which has the right type; None is success, an AmityError other-reason."""


class StoredObject:
    """One object of a meter. The class says which attributes may be written and what type they travel as.

    Args:
        interface: class and version.
        obis: the logical name.
        values: by name, every attribute but the logical name.
        accept: attributes that do something when they are written, instead of just being kept.
        methods: by name, the methods that this object has.
    """

    def __init__(
        self,
        interface: InterfaceClass,
        obis: Obis,
        values: Mapping[str, Source],
        *,
        accept: Mapping[str, Accept] | None = None,
        methods: Mapping[str, Call] | None = None,
    ) -> None:
        self.interface = interface
        self.obis = obis
        self._values = {interface.index_of(name): value for name, value in values.items()}
        self._accept = {interface.index_of(name): take for name, take in (accept or {}).items()}
        self._methods = {interface.method_index(name): call for name, call in (methods or {}).items()}
        self.writable_attributes = frozenset(
            index for index, spec in enumerate(interface.attributes, 1) if self._is_writable(index, spec)
        )
        self.offered_methods = frozenset(self._methods)

    def attribute(self, index: int, access: Access | None, now: datetime) -> Answer:
        """The value of attribute `index`; these classes have no selective access."""
        if access is not None:
            return DataAccessResult.SCOPE_OF_ACCESS_VIOLATED
        source = self._values.get(index, DataAccessResult.OBJECT_UNAVAILABLE)
        return source(now) if callable(source) else source

    def set_attribute(self, index: int, access: Access | None, value: Data, now: datetime) -> DataAccessResult:
        """Take a value, if it has the type that the class (where that leaves it open: the value before) asks for."""
        if access is not None:
            return DataAccessResult.SCOPE_OF_ACCESS_VIOLATED
        wanted = self.interface.attributes[index - 1].tag or self._tag_now(index)
        if wanted is not None and value.tag is not wanted:
            return DataAccessResult.TYPE_UNMATCHED
        if index not in self._accept:
            self._values[index] = value
            return DataAccessResult.SUCCESS
        try:
            self._accept[index](value, now)
        except AmityError:
            return DataAccessResult.OTHER_REASON
        return DataAccessResult.SUCCESS

    def act(self, index: int, parameters: Data | None, now: datetime) -> ActionOutcome:
        """Do what a method does; none of these returns a value. Where the parameter says nothing, it may be missing."""
        wanted = self.interface.methods[index - 1].parameter
        parameters = integer(0) if parameters is None and wanted is Tag.INTEGER else parameters
        if parameters is None or parameters.tag is not wanted:
            return ActionOutcome(ActionResult.TYPE_UNMATCHED)
        try:
            return ActionOutcome(self._methods[index](parameters, now) or ActionResult.SUCCESS)
        except AmityError:
            return ActionOutcome(ActionResult.OTHER_REASON)

    def _is_writable(self, index: int, spec: AttributeSpec) -> bool:
        stands_still = index in self._values and not callable(self._values[index])
        return bool(spec.access & Right.WRITE) and (index in self._accept or stands_still)

    def _tag_now(self, index: int) -> Tag | None:
        now = self._values.get(index)
        return now.tag if isinstance(now, Data) else None
