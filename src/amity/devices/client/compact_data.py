"""Reading compact data: the buffer and what its octets are (class 62; IEC 62056-6-2, 4.3.10)."""

from collections.abc import Sequence
from typing import NamedTuple

from amity.devices.client import named
from amity.devices.client.conversation import Conversation
from amity.devices.client.session import Session
from amity.devices.cosem import fields
from amity.devices.cosem.compact import CaptureMethod, decode_buffer
from amity.devices.cosem.push import pushed_object
from amity.devices.interface_classes import COMPACT_DATA
from amity.devices.objects import CaptureObject
from amity.kernel.errors import RemoteProtocolError
from amity.kernel.obis import Obis
from amity.protocols.dlms.data import Data, array, enum, unsigned


class CompactReadout(NamedTuple):
    """The last capture: which attribute, and its value; empty before the first one."""

    template_id: int
    values: tuple[tuple[CaptureObject, Data], ...]


def read_compact(session: Session, obis: Obis) -> Conversation[CompactReadout]:
    """Read buffer, description and capture objects together, and decode.

    Raises RemoteProtocolError when they do not fit each other.
    """
    buffer, listed, template_id, description = yield from named.read(
        session, COMPACT_DATA, obis, "compact_buffer", "capture_objects", "template_id", "template_description"
    )
    octets = fields.octets(buffer, "compact buffer")
    captured = fields.elements(listed, pushed_object, "capture objects")
    values = decode_buffer(octets, fields.octets(description, "template description")) if octets else ()
    if octets and len(values) != len(captured):
        raise RemoteProtocolError(
            f"{len(captured)} objects are captured and the buffer holds {len(values)} values", tried=f"GET {obis}"
        )
    return CompactReadout(
        fields.number(template_id, "template id"), tuple(zip(captured, values, strict=False))
    )  # fmt: skip


def capture_compact(session: Session, obis: Obis) -> Conversation[CompactReadout]:
    """Capture now, then read; raise MethodRefusedError when the meter cannot."""
    yield from named.call(session, COMPACT_DATA, obis, "capture")
    return (yield from read_compact(session, obis))


def set_compact_objects(
    session: Session, obis: Obis, objects: Sequence[CaptureObject], *, template_id: int, method: CaptureMethod
) -> Conversation[None]:
    """Say what is captured and how; a selection must have a template id of its own, readers keep its description."""
    listed = array(wanted.definition() for wanted in objects)
    yield from named.write(session, COMPACT_DATA, obis, "capture_objects", listed)
    yield from named.write(session, COMPACT_DATA, obis, "template_id", unsigned(template_id))
    yield from named.write(session, COMPACT_DATA, obis, "capture_method", enum(method))
