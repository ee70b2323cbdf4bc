"""Ports that both zones share."""

from typing import Protocol

from amity.domain.collection import Delivery


class DeliveryCodec(Protocol):
    """Turns a delivery into the octets that cross the zone (protobuf) and back."""

    def encode(self, delivery: Delivery) -> bytes:
        """Encode for the wire."""
        ...

    def decode(self, body: bytes) -> Delivery:
        """Raise RemoteProtocolError when the octets are not a delivery."""
        ...
