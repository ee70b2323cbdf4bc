"""Image transfer (class 18): what an image is, how far its transfer has come (IEC 62056-6-2, 4.4.6)."""

from dataclasses import dataclass, field
from enum import IntEnum
from typing import NamedTuple, Self

from amity.devices.cosem import fields
from amity.kernel.errors import ConfigurationError
from amity.kernel.obis import Obis
from amity.protocols.dlms.data import Data, double_long_unsigned, octet_string, structure

IMAGE_TRANSFER_OBIS = Obis.parse("0.0.44.0.0.255")


class ImageStatus(IntEnum):
    """Attribute 6."""

    NOT_INITIATED = 0
    INITIATED = 1
    VERIFICATION_INITIATED = 2
    VERIFICATION_SUCCESSFUL = 3
    VERIFICATION_FAILED = 4
    ACTIVATION_INITIATED = 5
    ACTIVATION_SUCCESSFUL = 6
    ACTIVATION_FAILED = 7


@dataclass(frozen=True, slots=True)
class Image:
    """What is transferred: a name by which the meter knows it, and its octets."""

    identifier: bytes
    octets: bytes = field(repr=False)

    def __post_init__(self) -> None:
        """Raise ConfigurationError for an image without octets."""
        if not self.octets:
            raise ConfigurationError("an image has at least one octet")

    def block_count(self, block_octets: int) -> int:
        """How many blocks it makes; the last one may be shorter."""
        return -(-len(self.octets) // block_octets)

    def block(self, number: int, block_octets: int) -> bytes:
        """Block `number`, counted from 0."""
        return self.octets[number * block_octets : (number + 1) * block_octets]


class ImageInfo(NamedTuple):
    """One entry of image_to_activate_info."""

    size_octets: int
    identification: bytes
    signature: bytes

    @classmethod
    def from_data(cls, data: Data) -> Self:
        """Read one; raise RemoteProtocolError when it is none."""
        size, identification, signature = fields.parts(data, 3, "image_to_activate_info_element")
        return cls(
            fields.number(size, "image size"),
            fields.octets(identification, "image identification"),
            fields.octets(signature, "image signature"),
        )

    def to_data(self) -> Data:
        """The structure as it travels."""
        return structure(
            double_long_unsigned(self.size_octets), octet_string(self.identification), octet_string(self.signature)
        )
