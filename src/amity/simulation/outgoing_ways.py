"""Pushes of simulated meters over everything that is not the wrapper over TCP: UDP, HDLC over TCP, MQTT over TLS."""

import asyncio
from enum import StrEnum
from typing import Final

from amity.kernel.errors import AmityError
from amity.messaging.meter_access import topics
from amity.protocols.hdlc import frame as hdlc
from amity.protocols.hdlc.address import Address
from amity.protocols.hdlc.llc import LLC_RESPONSE, without_llc
from amity.protocols.wrapper import frame as wrapper
from amity.simulation.carriers import PHYSICAL_DEVICE
from amity.simulation.mqtt_client import Broker, MqttClient
from amity.simulation.outgoing import CONNECT_TIMEOUT_S, Hearing, deliver

_ANSWERS_MAX: Final = 8


class Over(StrEnum):
    """What carries pushes."""

    TCP = "tcp"
    UDP = "udp"
    HDLC = "hdlc"
    MQTT = "mqtt"


async def deliver_in_datagram(host: str, port: int, frame: bytes, hearing: Hearing | None = None) -> bool:
    """Send one datagram; where an answer is wanted, whether it came. One that is lost is lost."""
    loop = asyncio.get_running_loop()
    answers: asyncio.Queue[bytes] = asyncio.Queue(_ANSWERS_MAX)
    try:
        transport, _ = await loop.create_datagram_endpoint(lambda: _Answers(answers), remote_addr=(host, port))
    except OSError:
        return False
    try:
        transport.sendto(frame)
        if hearing is None:
            return True
        async with asyncio.timeout(CONNECT_TIMEOUT_S):
            while not hearing(await answers.get()):
                pass
    except TimeoutError:
        return False
    finally:
        transport.close()
    return True


async def deliver_in_hdlc(host: str, port: int, frame: bytes, hearing: Hearing | None = None) -> bool:
    """Call and push in a UI frame, as a meter does that speaks HDLC over TCP; else as `deliver`."""
    push = wrapper.decode_datagram(frame)
    octets = hdlc.encode_ui(
        Address(push.source, PHYSICAL_DEVICE), Address(push.destination), LLC_RESPONSE + push.payload
    )
    return await deliver(host, port, octets, None if hearing is None else _hearing_hdlc(hearing))


def _hearing_hdlc(hearing: Hearing) -> Hearing:
    def hears(octets: bytes) -> bool:
        frames = hdlc.Reader().feed(octets)
        answers = (wrapper.encode(1, 1, without_llc(one.information)) for one in frames)
        return any(hearing(answer) for answer in answers)

    return hears


async def deliver_by_mqtt(broker: Broker, meter_id: str, frame: bytes, hearing: Hearing | None = None) -> bool:
    """Publish the bare APDU on the meter's topic; where an answer is wanted, whether it came."""
    push_topic, confirm_topic = topics(meter_id)
    try:
        async with await MqttClient.connect(broker, meter_id) as client:
            if hearing is not None:
                await client.subscribe(confirm_topic)
            await client.publish(push_topic, wrapper.decode_datagram(frame).payload)
            if hearing is None:
                return True
            async with asyncio.timeout(CONNECT_TIMEOUT_S):
                while not hearing(wrapper.encode(1, 1, await client.next_message())):
                    pass
    except (OSError, AmityError):  # TimeoutError and SSLError are OSErrors
        return False
    return True


class _Answers(asyncio.DatagramProtocol):
    def __init__(self, answers: asyncio.Queue[bytes]) -> None:
        self._answers = answers

    def datagram_received(self, data: bytes, addr: object) -> None:  # noqa: ARG002 - the socket is connected to one
        """Keep it; what nobody waits for is dropped."""
        if not self._answers.full():
            self._answers.put_nowait(data)

    def error_received(self, exc: Exception) -> None:
        """Nobody listens: no answer will come."""
