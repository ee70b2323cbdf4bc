"""References to what a COSEM object has and does (IEC 62056-5-3, Cosem-Attribute- and -Method-Descriptor)."""

import struct
from typing import NamedTuple

from amity.kernel.errors import LocalProtocolError
from amity.kernel.obis import Obis

_FORM = struct.Struct(">H6sb")
DESCRIPTOR_OCTETS = _FORM.size


class Attribute(NamedTuple):
    """One attribute of one object; index 0 is all attributes."""

    class_id: int
    obis: Obis
    index: int  # type: ignore[assignment]  # the standard's word; nobody searches a reference with tuple.index

    def __str__(self) -> str:
        """`3/1.0.1.8.0.255/2`."""
        return f"{self.class_id}/{self.obis}/{self.index}"


class Method(NamedTuple):
    """One method of one object."""

    class_id: int
    obis: Obis
    index: int  # type: ignore[assignment]  # the standard's word; nobody searches a reference with tuple.index

    def __str__(self) -> str:
        """`70/0.0.96.3.10.255/1`."""
        return f"{self.class_id}/{self.obis}/{self.index}"


def descriptor_octets(reference: Attribute | Method) -> bytes:
    """Class id, logical name and index in nine octets; raise LocalProtocolError when one does not fit."""
    try:
        return _FORM.pack(reference.class_id, bytes(reference.obis), reference.index)
    except struct.error as error:
        raise LocalProtocolError(f"{reference} does not fit a descriptor: {error}") from error


def descriptor_fields(octets: bytes) -> tuple[int, Obis, int]:
    """Class id, logical name and index from nine octets."""
    class_id, obis, index = _FORM.unpack(octets)
    return class_id, Obis(obis), index
