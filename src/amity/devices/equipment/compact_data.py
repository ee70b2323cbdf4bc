"""Compact data that captures (class 62)."""

from collections.abc import Callable, Iterable
from datetime import datetime

from amity.devices.cosem import fields
from amity.devices.cosem.compact import CaptureMethod, encode_buffer
from amity.devices.cosem.push import pushed_object
from amity.devices.equipment.stored import StoredObject
from amity.devices.interface_classes import COMPACT_DATA
from amity.devices.objects import CaptureObject
from amity.kernel.errors import LocalProtocolError
from amity.kernel.obis import Obis
from amity.protocols.dlms.data import Data, Tag, array, enum, octet_string, unsigned
from amity.protocols.dlms.results import ActionResult

COMPACT_DATA_OBIS = Obis.parse("0.0.66.0.1.255")

Read = Callable[[CaptureObject, datetime], Data | None]
"""The value of a captured attribute at an instant, None when there is none."""


class CompactData:
    """What is captured, and the last capture; `template_id` names the selection and is its writer's to change."""

    def __init__(self, objects: Iterable[CaptureObject], read: Read, *, template_id: int = 1) -> None:
        self.objects = tuple(objects)
        self.template_id = template_id
        self.method = CaptureMethod.INVOKED
        self._read = read
        self._captured: tuple[bytes, bytes] | None = None

    def capture(self, now: datetime) -> ActionResult:
        """Capture now; other-reason when one of the values cannot be had."""
        values = [self._read(wanted, now) for wanted in self.objects]
        if any(value is None for value in values):
            return ActionResult.OTHER_REASON
        self._captured = encode_buffer(self.template_id, tuple(value for value in values if value is not None))
        return ActionResult.SUCCESS

    def reset(self) -> ActionResult:
        """Forget the last capture."""
        self._captured = None
        return ActionResult.SUCCESS

    def shown(self, now: datetime) -> tuple[bytes, bytes]:
        """Buffer and template description; both are empty before the first capture."""
        if self.method is CaptureMethod.IMPLICIT:
            self.capture(now)
        return self._captured or (b"", b"")


def compact_data(compact: CompactData, obis: Obis = COMPACT_DATA_OBIS) -> StoredObject:
    """Class 62: the selection, and what was captured of it. Another selection, or another id, empties the buffer."""

    def take_objects(value: Data, _now: datetime) -> None:
        compact.objects = fields.elements(value, pushed_object, "capture objects")
        compact.reset()

    def take_id(value: Data, _now: datetime) -> None:
        compact.template_id = fields.number(value, "template id", Tag.UNSIGNED)
        compact.reset()

    def take_method(value: Data, _now: datetime) -> None:
        compact.method = fields.member(CaptureMethod, value, "capture method")

    def capture(_value: Data, now: datetime) -> ActionResult:
        if not compact.objects:
            raise LocalProtocolError("nothing is to be captured")
        return compact.capture(now)

    return StoredObject(
        COMPACT_DATA,
        obis,
        {
            "compact_buffer": lambda now: octet_string(compact.shown(now)[0]),
            "capture_objects": lambda _now: array(wanted.definition() for wanted in compact.objects),
            "template_id": lambda _now: unsigned(compact.template_id),
            "template_description": lambda now: octet_string(compact.shown(now)[1]),
            "capture_method": lambda _now: enum(compact.method),
        },
        accept={"capture_objects": take_objects, "template_id": take_id, "capture_method": take_method},
        methods={"reset": lambda _, _now: compact.reset(), "capture": capture},
    )
