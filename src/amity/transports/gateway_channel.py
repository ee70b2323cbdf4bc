"""A way through a gateway: every APDU with the prefix that says for which device behind it, on any framing."""

from amity.devices.client.conversation import Unanswered
from amity.protocols.gateway.prefix import GatewayError, Prefixed, decode, encode
from amity.transports.channel import MeterChannel


class GatewayChannel(MeterChannel):
    """A channel within a channel; `network` and `device` are those that the gateway knows the meter by."""

    __slots__ = ("_device", "_inner", "_network")

    def __init__(self, inner: MeterChannel, network: int, device: bytes) -> None:
        super().__init__()
        inner.answers_from = (network, device)
        self.unsolicited = inner.unsolicited  # one place for all, whoever heard it
        self._inner = inner
        self._network = network
        self._device = device

    async def exchange(self, apdu: bytes, timeout_s: float) -> bytes:
        """Send one APDU through the gateway and return the answer's; raises as the channel to the gateway does.

        Raises:
            GatewayError: the answer has no prefix, or comes from another device.
        """
        answer = await self._inner.exchange(self._prefixed(apdu), timeout_s)
        if not answer:
            return answer
        opened = decode(answer)
        if (opened.network, opened.device, opened.is_request) != (self._network, self._device, False):
            raise GatewayError(
                "the answer comes from another device behind the gateway",
                tried=f"device {self._device.hex()} in network {self._network}",
                answer=f"device {opened.device.hex()} in network {opened.network}",
            )
        return opened.apdu

    async def close(self) -> None:
        """Close the channel to the gateway."""
        await self._inner.close()

    def _prefixed(self, apdu: bytes) -> bytes:
        if not apdu:
            return apdu
        octets = encode(Prefixed(self._network, self._device, apdu))
        return Unanswered(octets) if isinstance(apdu, Unanswered) else octets
