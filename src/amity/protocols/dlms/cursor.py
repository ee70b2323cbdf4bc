"""A place in a buffer that moves on as fields are read; the end of the buffer is a DecodeError, never an IndexError."""

from amity.protocols.dlms.data import Data, DecodeError, decode, decode_length


class Cursor:
    """Reads the fields of an APDU one after the other."""

    __slots__ = ("buffer", "offset")

    def __init__(self, buffer: bytes, offset: int = 0) -> None:
        self.buffer = buffer
        self.offset = offset

    def take(self, octet_count: int) -> bytes:
        """The next octets."""
        end = self.offset + octet_count
        if end > len(self.buffer):
            raise DecodeError(f"the buffer ends before {octet_count} expected octets", self.offset)
        octets = self.buffer[self.offset : end]
        self.offset = end
        return octets

    def unsigned(self, octet_count: int = 1) -> int:
        """The next big-endian number."""
        return int.from_bytes(self.take(octet_count), "big")

    def integer(self) -> int:
        """The next signed octet."""
        return int.from_bytes(self.take(1), "big", signed=True)

    def flag(self) -> bool:
        """The next boolean octet, also the mark that an optional field is there."""
        return self.unsigned() != 0

    def length(self) -> int:
        """The next A-XDR (or BER definite) length."""
        value, self.offset = decode_length(self.buffer, self.offset)
        return value

    def count(self, octets_each_min: int = 1) -> int:
        """A number of elements; refused when the rest of the buffer cannot hold that many."""
        value = self.length()
        if value * octets_each_min > len(self.buffer) - self.offset:
            raise DecodeError(f"{value} elements are announced; {self.remaining} octets follow", self.offset)
        return value

    def octets(self) -> bytes:
        """The next octet string with its length before it."""
        return self.take(self.length())

    def data(self) -> Data:
        """The next COSEM data."""
        value, self.offset = decode(self.buffer, self.offset)
        return value

    def rest(self) -> bytes:
        """Everything that is left."""
        octets = self.buffer[self.offset :]
        self.offset = len(self.buffer)
        return octets

    @property
    def remaining(self) -> int:
        """How many octets are left."""
        return len(self.buffer) - self.offset

    def skip_padding(self) -> None:
        """Step over zeros, where nothing else is left: some servers send their buffer as it is."""
        if not self.buffer[self.offset :].strip(b"\0"):
            self.offset = len(self.buffer)

    def finish(self) -> None:
        """Raise DecodeError when octets are left over."""
        if self.offset != len(self.buffer):
            raise DecodeError(f"{self.remaining} octets are left over", self.offset)
