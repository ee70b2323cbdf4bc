"""What passes on the wires of a world: counters that are used, associations that are held, octets to replay."""

from collections.abc import Collection, Iterator, Mapping
from typing import Final, NamedTuple

from amity.domain.collection import Outcome
from amity.headend.ports import Channel, Connector, Endpoint
from amity.kernel.errors import AmityError, TransportError
from amity.protocols.dlms import acse, apdu
from amity.protocols.dlms.acse import AARQ_TAG, Aarq
from amity.protocols.dlms.apdu import Ciphered, GeneralCiphering
from amity.protocols.dlms.ciphered import CipherTag
from amity.protocols.gateway import prefix
from amity.protocols.wrapper.frame import Reader
from amity.simulation.campaign.machine import Machine
from amity.simulation.campaign.moments import Moments
from amity.simulation.campaign.witness import Invariant, Witness

_RECORDED_MAX: Final = 200
_CIPHERED: Final = frozenset(int(tag) for tag in CipherTag)


class Recorded(NamedTuple):
    """Octets that somebody wrote down: to whom, and what."""

    host: str
    octets: bytes


class Counted(NamedTuple):
    """A counter in a message: the device behind a gateway that it is for (empty: the one on the line), and the APDU."""

    behind: bytes
    counter: int
    apdu: bytes


class Wire:
    """Implements `network.Observer`; is told of associations by `WatchedConnector`, of what meters hear by their ears.

    `meters` says how many meters are at a host, `readers` are the hosts that speak with them for the head-end: its
    nodes, and the collectors.
    """

    def __init__(self, witness: Witness, meters: Mapping[str, int], readers: Collection[str]) -> None:
        self._witness = witness
        self._meters = meters
        self._readers = readers
        self._held: dict[str, dict[object, Machine]] = {}
        self._sent: dict[tuple[str, bytes], dict[int, int]] = {}
        self._heard: dict[str, dict[int, int]] = {}
        self._ends = Moments()
        self._highest: dict[tuple[str, bytes], int] = {}
        self.pushes: list[Recorded] = []
        self.requests: dict[str, list[bytes]] = {}
        self.associations = 0

    # ------------------------------------------------------------------ associations
    def held(self, client: Machine, meter_id: str, line: object) -> None:
        """A head-end node begins to speak with a meter; it must be the only one.

        One which stands still does not count: it cannot know that its lease is over until it goes on.
        """
        now_s, held = self._witness.now_s(), self._held.setdefault(meter_id, {})
        awake = [other.name for other in held.values() if other.alive and not other.was_frozen(now_s)]
        self._witness.checked(Invariant.ONE_ASSOCIATION)
        if awake:
            self._witness.violated(
                Invariant.ONE_ASSOCIATION, f"{client.name} speaks with {meter_id}, held by {', '.join(awake)}"
            )
        held[line] = client
        self.associations += 1

    def let_go(self, meter_id: str, line: object) -> None:
        """It is done with it."""
        client = self._held[meter_id].pop(line, None)
        if client is not None:
            self._ends.tell(client)

    async def next_end(self, client: Machine, within_s: float) -> None:
        """Wait until a node has just ended an association, whose fruits it has not stored; only so long."""
        await self._ends.next(client, within_s)

    # ------------------------------------------------------------------ octets
    def sent(self, sender: Machine, host: str, octets: bytes, *, opened: bool) -> None:
        """Note the counter of a request, and record what an attacker could; `opened`: by the sender himself."""
        if host in self._meters and sender.host in self._readers:
            requests = self.requests.setdefault(host, [])
            if len(requests) < _RECORDED_MAX:
                requests.append(octets)
            if opened or self._meters[host] == 1:  # else nobody sees here whose key it is; the meter's ears do
                self._count_sent(host, octets, asked=opened)
            if opened and not sender.was_frozen(self._witness.now_s()):
                self._look_whether_it_rises(host, octets)
        elif opened and sender.host in self._meters and len(self.pushes) < _RECORDED_MAX:
            self.pushes.append(Recorded(host, octets))

    def _count_sent(self, host: str, octets: bytes, *, asked: bool) -> None:
        """What is asked never goes out twice; a push that comes again is confirmed in the very octets of before."""
        for found in counted_in(octets):
            sent, message = self._sent.setdefault((host, found.behind), {}), hash(found.apdu)
            self._witness.checked(Invariant.COUNTERS_SENT)
            if found.counter in sent and (asked or sent[found.counter] != message):
                self._witness.violated(Invariant.COUNTERS_SENT, f"{found.counter} was sent before to {host}")
            sent[found.counter] = message

    def _look_whether_it_rises(self, host: str, octets: bytes) -> None:
        """A meter takes no counter below one that it heard: whoever sends one had it at hand for too long."""
        for found in counted_in(octets):
            self._witness.checked(Invariant.COUNTERS_RISE)
            highest = self._highest.get((host, found.behind), -1)
            if found.counter < highest:
                self._witness.violated(Invariant.COUNTERS_RISE, f"{found.counter} was sent to {host} after {highest}")
            self._highest[host, found.behind] = max(highest, found.counter)

    def heard(self, meter_id: str, client: int, octets: bytes) -> None:
        """An APDU has reached a meter, whatever carried it: the same one may come twice, another with its counter not.

        Another message under the same key and counter would give both away (NIST SP 800-38D, 8).
        """
        found = counted(octets)
        if found is None or found.behind:
            return  # nothing is counted, or not here: another meter behind this one hears it
        before = self._heard.setdefault(f"{meter_id}/{client}", {}).setdefault(found.counter, hash(found.apdu))
        self._witness.checked(Invariant.COUNTERS_HEARD)
        if before != hash(found.apdu):
            self._witness.violated(
                Invariant.COUNTERS_HEARD, f"{meter_id} heard {found.counter} with another message before"
            )


class WatchedConnector:
    """Implements `headend.ports.Connector`: another one, whose associations the wire is told of."""

    def __init__(self, inner: Connector, machine: Machine, wire: Wire) -> None:
        self._inner = inner
        self._machine = machine
        self._wire = wire

    async def connect(self, endpoint: Endpoint, timeout_s: float) -> Channel:
        """As the other does; from here on the meter is held."""
        held = _Held(self._wire, endpoint.meter_id)
        self._wire.held(self._machine, endpoint.meter_id, held)
        try:
            held.channel = await self._inner.connect(endpoint, timeout_s)
        except BaseException:
            held.let_go()
            raise
        return held

    def outcome_of(self, error: TransportError) -> Outcome:
        """As the other says."""
        return self._inner.outcome_of(error)


class _Held:
    """Implements `headend.ports.Channel`: the channel that was opened, until it is closed."""

    channel: Channel

    def __init__(self, wire: Wire, meter_id: str) -> None:
        self._wire = wire
        self._meter_id = meter_id

    @property
    def unsolicited(self) -> Iterator[bytes]:
        """What the meter said in between."""
        return iter(self.channel.unsolicited)

    async def exchange(self, apdu: bytes, timeout_s: float) -> bytes:
        """Ask."""
        return await self.channel.exchange(apdu, timeout_s)

    async def close(self) -> None:
        """Give the meter back."""
        try:
            await self.channel.close()
        finally:
            self.let_go()

    def let_go(self) -> None:
        """The meter is free."""
        self._wire.let_go(self._meter_id, self)


def counted_in(octets: bytes) -> list[Counted]:
    """The protected APDUs in wrapper frames; none in anything else (HDLC, a relay link, answers)."""
    return [found for one in apdus_in(octets) if (found := counted(one)) is not None]


def apdus_in(octets: bytes) -> list[bytes]:
    """What wrapper frames hold; nothing of what is none."""
    try:
        return [frame.payload for frame in Reader().feed(octets)]
    except AmityError:
        return []


def counted(payload: bytes) -> Counted | None:
    """The counter of one APDU, with or without a gateway's prefix; None for one that is not protected."""
    behind = b""
    try:
        if prefix.is_prefixed(payload):
            prefixed = prefix.decode(payload)
            behind, payload = bytes([prefixed.network]) + prefixed.device, prefixed.apdu
        if payload[:1] == bytes([AARQ_TAG]):
            request = acse.decode(payload)
            payload = (request.user_information if isinstance(request, Aarq) else None) or b""
        if not payload or payload[0] not in _CIPHERED:
            return None
        message = apdu.decode(payload)
    except AmityError:
        return None
    if not isinstance(message, Ciphered | GeneralCiphering):
        return None
    return Counted(behind, message.invocation_counter, payload)
