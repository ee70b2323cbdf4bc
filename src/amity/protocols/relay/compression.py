"""Zstandard over the whole connection, one stream each way (RFC 8878): what passed before is the dictionary.

The window is small, 128 KiB, because a head-end holds one for each collector. Both directions have their own, so what
a meter sends never shares one with what we send. Ciphertext does not compress; it goes through as raw blocks.
"""

from typing import Final

import zstandard

from amity.protocols.relay.errors import RelayError

_LEVEL: Final = 3
_WINDOW_LOG: Final = 17
_STEP_OCTETS: Final = 64 * 1024
UNPACKED_OCTETS_MAX: Final = 4 * 1024 * 1024
"""What one arrival from the network may unpack to: far above honest traffic, far below what would hurt."""


class Packer:
    """Compresses one direction; whatever is packed can be unpacked at once."""

    __slots__ = ("_stream",)

    def __init__(self) -> None:
        parameters = zstandard.ZstdCompressionParameters.from_level(
            _LEVEL, window_log=_WINDOW_LOG, write_content_size=0, write_checksum=0
        )
        self._stream = zstandard.ZstdCompressor(compression_params=parameters).compressobj()

    def pack(self, octets: bytes) -> bytes:
        """The octets to put on the wire."""
        return self._stream.compress(octets) + self._stream.flush(zstandard.COMPRESSOBJ_FLUSH_BLOCK)


class Unpacker:
    """Decompresses one direction, in steps, so that no arrival takes more memory than it may."""

    __slots__ = ("_sink", "_stream")

    def __init__(self, octets_max: int = UNPACKED_OCTETS_MAX) -> None:
        self._sink = _Sink(octets_max)
        context = zstandard.ZstdDecompressor(max_window_size=1 << _WINDOW_LOG)
        self._stream = context.stream_writer(self._sink, write_size=_STEP_OCTETS, closefd=False)  # type: ignore[arg-type] # it only calls write

    def unpack(self, octets: bytes) -> bytes:
        """What was packed, as far as it has come; raise RelayError for octets that nothing packed, or a bomb."""
        try:
            self._stream.write(octets)
        except zstandard.ZstdError as error:
            raise RelayError(
                "the connection carries no Zstandard stream",
                answer=str(error),
                next_step="check that both ends are Amity of a like version",
            ) from error
        return self._sink.take()


class _Sink:
    """Where the decompressor writes, step by step."""

    def __init__(self, octets_max: int) -> None:
        self._octets_max = octets_max
        self._octets = bytearray()

    def write(self, octets: bytes) -> int:
        """Keep a step; raise RelayError when it is one too many."""
        self._octets += octets
        if len(self._octets) > self._octets_max:
            raise RelayError(f"one arrival unpacks to more than {self._octets_max} octets")
        return len(octets)

    def take(self) -> bytes:
        """All that was written since the last time."""
        taken = bytes(self._octets)
        self._octets.clear()
        return taken
