"""Parameters of key_transfer and key_agreement of a Security setup object (IEC 62056-6-2, class 64)."""

from collections.abc import Iterable

from amity.kernel.errors import RemoteProtocolError
from amity.protocols.dlms.data import Data, array, enum, octet_string, structure
from amity.protocols.dlms.protector import KeyId


class KeyParametersError(RemoteProtocolError):
    """The parameters of a method have another shape than the class says."""


def keyed_data(keys: Iterable[tuple[KeyId, bytes]]) -> Data:
    """An array of key numbers with their octets."""
    return array(structure(enum(key_id), octet_string(octets)) for key_id, octets in keys)


def keyed_octets(parameters: Data) -> list[tuple[KeyId, bytes]]:
    """What `keyed_data` wrote; raise KeyParametersError for another shape, an unknown or a repeated key number."""
    found: list[tuple[KeyId, bytes]] = []
    for entry in parameters.value if isinstance(parameters.value, tuple) else ():
        match [field.value for field in entry.value] if isinstance(entry.value, tuple) else []:
            case [int(number), bytes(octets)] if number in KeyId.__members__.values():
                found.append((KeyId(number), octets))
            case _:
                raise KeyParametersError("an entry of these parameters names no key")
    if not found or len({key_id for key_id, _ in found}) != len(found):
        raise KeyParametersError("each key is named once")
    return found
