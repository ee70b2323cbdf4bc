"""As much MQTT 3.1.1 as a meter needs to publish with QoS 1 over TLS, and to hear one answer."""

import asyncio
import ssl
import struct
from dataclasses import dataclass
from itertools import count
from typing import Final, Self

from amity.kernel.errors import RemoteProtocolError, TransportError

_CONNECT, _CONNACK, _PUBLISH, _PUBACK, _SUBSCRIBE, _SUBACK, _DISCONNECT = 0x10, 0x20, 0x30, 0x40, 0x82, 0x90, 0xE0
_QOS_1: Final = 0x02
_CLEAN_SESSION: Final = 0x02
_KEEP_ALIVE_S: Final = 60
_LEVEL_3_1_1: Final = b"\x00\x04MQTT\x04"
_REFUSED: Final = 0x80
_PACKET_OCTETS_MAX: Final = 1 << 20
_TIMEOUT_S: Final = 5.0


@dataclass(frozen=True, slots=True)
class Broker:
    """Where the broker is, and with which certificates it is spoken to."""

    host: str
    port: int
    context: ssl.SSLContext


class MqttClient:
    """One connection; use it as a context."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._numbers = count(1)

    @classmethod
    async def connect(cls, broker: Broker, client_id: str) -> Self:
        """Open a connection; raise OSError when there is none, TransportError when the broker does not want us."""
        async with asyncio.timeout(_TIMEOUT_S):
            reader, writer = await asyncio.open_connection(broker.host, broker.port, ssl=broker.context)
            client = cls(reader, writer)
            head = _LEVEL_3_1_1 + bytes([_CLEAN_SESSION]) + _KEEP_ALIVE_S.to_bytes(2, "big")
            writer.write(_packet(_CONNECT, head + _text(client_id)))
            _, answer = await client._expect(_CONNACK)
        if answer[1:2] != b"\0":
            writer.close()
            raise TransportError("the MQTT broker refuses the connection", answer=answer.hex())
        return client

    async def __aenter__(self) -> Self:
        """Itself."""
        return self

    async def __aexit__(self, *_: object) -> None:
        """Say good-bye and close."""
        self._writer.write(_packet(_DISCONNECT, b""))
        self._writer.close()

    async def publish(self, topic: str, body: bytes) -> None:
        """Publish with QoS 1; return when the broker has it; raise TransportError when it does not take it."""
        number = next(self._numbers).to_bytes(2, "big")
        async with asyncio.timeout(_TIMEOUT_S):
            self._writer.write(_packet(_PUBLISH | _QOS_1, _text(topic) + number + body))
            await self._expect(_PUBACK)

    async def subscribe(self, topic: str) -> None:
        """Hear what is published there from now on; raise TransportError when that is not allowed."""
        number = next(self._numbers).to_bytes(2, "big")
        async with asyncio.timeout(_TIMEOUT_S):
            self._writer.write(_packet(_SUBSCRIBE, number + _text(topic) + b"\0"))
            _, answer = await self._expect(_SUBACK)
        if answer[2:3] == bytes([_REFUSED]):
            raise TransportError(f"the MQTT broker does not let us hear {topic}")

    async def next_message(self) -> bytes:
        """What comes next on a topic that was subscribed."""
        _, body = await self._expect(_PUBLISH)
        (length,) = struct.unpack_from(">H", body)
        return body[2 + length :]

    async def _expect(self, wanted: int) -> tuple[int, bytes]:
        """The next packet of this kind; raise TransportError when the broker hangs up."""
        while True:
            try:
                kind, body = await self._packet()
            except (asyncio.IncompleteReadError, ConnectionError) as error:
                raise TransportError("the MQTT broker hung up") from error
            if kind & 0xF0 == wanted & 0xF0:
                return kind, body

    async def _packet(self) -> tuple[int, bytes]:
        kind, shift, length = (await self._reader.readexactly(1))[0], 0, 0
        while True:
            octet = (await self._reader.readexactly(1))[0]
            length |= (octet & 0x7F) << shift
            shift += 7
            if octet < 0x80:  # noqa: PLR2004 - the bit that says that more follow
                break
        if length > _PACKET_OCTETS_MAX:
            raise RemoteProtocolError(f"an MQTT packet of {length} octets")
        return kind, await self._reader.readexactly(length)


def _packet(kind: int, body: bytes) -> bytes:
    length, octets = len(body), bytearray([kind])
    while True:
        length, low = length >> 7, length & 0x7F
        octets.append(low | (0x80 if length else 0))
        if not length:
            return bytes(octets) + body


def _text(text: str) -> bytes:
    octets = text.encode()
    return len(octets).to_bytes(2, "big") + octets
