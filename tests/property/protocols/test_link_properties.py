"""Two HDLC stations on a line that cuts, loses, alters and adds octets: what arrives is what was sent, or nothing."""

from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from amity.kernel.errors import RemoteProtocolError
from amity.protocols.hdlc.address import Address
from amity.protocols.hdlc.events import Connected, Deliver, Disconnected, Ending, Event, Send, WakeAt
from amity.protocols.hdlc.frame import encode
from amity.protocols.hdlc.parameters import DEFAULT_PARAMETERS, Parameters, decode_parameters
from amity.protocols.hdlc.primary import Primary, State
from amity.protocols.hdlc.secondary import Secondary
from amity.protocols.hdlc.station import LinkSettings
from tests.property.protocols.strategies import mutated

CLIENT, METER = Address(16), Address(1, 17)
Line = Callable[[bytes], list[bytes]]


@dataclass
class World:
    """A client, a meter that answers each request with its mirror image, and the line between them."""

    primary: Primary
    secondary: Secondary
    line: Line
    now_s: float = 0.0
    wire: deque[tuple[str, bytes]] = field(default_factory=deque)
    alarms: dict[str, float | None] = field(default_factory=dict)
    at_meter: list[bytes] = field(default_factory=list)
    at_client: list[bytes] = field(default_factory=list)
    endings: list[Ending] = field(default_factory=list)
    connections: int = 0

    def run(self, events: list[Event]) -> None:
        """Let things happen until nobody has the turn to do anything but wait for the client."""
        self._take("client", events)
        for _ in range(20_000):
            if self.wire:
                who, octets = self.wire.popleft()
                self._take(who, self._station(who).receive(octets, self.now_s))
            elif self.primary.state in {State.READY, State.DISCONNECTED}:
                return
            else:
                self._wait()
        raise AssertionError(f"no end is in sight: {self.primary.state}")

    def _wait(self) -> None:
        at_s, who = min((at_s, who) for who, at_s in self.alarms.items() if at_s is not None)
        self.now_s = max(self.now_s, at_s)
        self.alarms[who] = None
        self._take(who, self._station(who).wake(self.now_s))

    def _station(self, who: str) -> Primary | Secondary:
        return self.primary if who == "client" else self.secondary

    def _take(self, who: str, events: list[Event]) -> None:
        for event in events:
            match event:
                case WakeAt(at_s):
                    self.alarms[who] = at_s
                case Send(octets):
                    other = "meter" if who == "client" else "client"
                    self.wire.extend((other, piece) for piece in self.line(octets))
                case Deliver(client, apdu) if who == "meter":
                    self.at_meter.append(apdu)
                    self._take(who, self.secondary.send(client, apdu[::-1], self.now_s))
                case Deliver(_, apdu):
                    self.at_client.append(apdu)
                case Connected() if who == "client":
                    self.connections += 1
                case Disconnected(_, ending, _) if who == "client":
                    self.endings.append(ending)


def chopped(chance: Random) -> Line:
    def line(octets: bytes) -> list[bytes]:
        size = chance.randint(1, 60)
        return [octets[at : at + size] for at in range(0, len(octets), size)]

    return line


def bad(chance: Random, share: float) -> Line:
    """Loses whole frames, alters octets, adds noise between frames."""
    cut = chopped(chance)

    def line(octets: bytes) -> list[bytes]:
        if chance.random() < share:
            octets = b""
        elif chance.random() < share:
            at = chance.randrange(len(octets))
            octets = octets[:at] + bytes([octets[at] ^ 1 << chance.randrange(8)]) + octets[at + 1 :]
        noise = chance.randbytes(chance.randint(1, 20)) if chance.random() < share else b""
        return cut(noise + octets)

    return line


parameters = st.builds(Parameters, st.integers(32, 2030), st.integers(32, 2030), st.integers(1, 7), st.integers(1, 7))
apdus = st.lists(st.binary(min_size=1, max_size=40).map(lambda some: some * 50), min_size=1, max_size=4)


@given(parameters, parameters, apdus, st.randoms(use_true_random=False))
def test_on_a_good_line_everything_arrives_once_and_in_order(
    client: Parameters, meter: Parameters, requests: list[bytes], chance: Random
):
    world = World(Primary(CLIENT, METER, LinkSettings(client)), Secondary(METER, LinkSettings(meter)), chopped(chance))
    world.run(world.primary.connect(0.0))
    for request in requests:
        world.run(world.primary.send(request, world.now_s))
    world.run(world.primary.disconnect(world.now_s))
    assert world.at_meter == requests
    assert world.at_client == [request[::-1] for request in requests]
    assert (world.connections, world.endings) == (1, [Ending.RELEASED])
    assert world.now_s == 0.0  # nobody had to wait for anything


@given(parameters, parameters, apdus, st.randoms(use_true_random=False), st.booleans())
def test_on_a_bad_line_nothing_arrives_altered_twice_or_out_of_order(
    client: Parameters, meter: Parameters, requests: list[bytes], chance: Random, rejects: bool
):
    settings = [LinkSettings(parameters, retries=8, rejects=rejects) for parameters in (client, meter)]
    world = World(Primary(CLIENT, METER, settings[0]), Secondary(METER, settings[1]), bad(chance, 0.1))
    world.run(world.primary.connect(0.0))
    for request in requests:
        if world.primary.state is State.READY:
            world.run(world.primary.send(request, world.now_s))
    arrived = len(world.at_client)
    assert world.at_client == [request[::-1] for request in requests[:arrived]]
    assert world.at_meter == requests[: len(world.at_meter)]
    assert world.endings == ([] if arrived == len(requests) else [Ending.SILENT])


@given(parameters)
def test_parameters_come_back_from_their_octets(said: Parameters):
    assert decode_parameters(said.encode()) == said


@given(st.binary(max_size=40) | mutated([DEFAULT_PARAMETERS.encode()]))
def test_any_octets_are_parameters_or_one_typed_error(octets: bytes):
    with suppress(RemoteProtocolError):
        assert isinstance(decode_parameters(octets), Parameters)


@given(st.lists(st.tuples(st.integers(0, 255), st.binary(max_size=140), st.booleans()), max_size=30))
def test_stations_survive_any_sequence_of_frames(frames: list[tuple[int, bytes, bool]]):
    """Every control octet, every information: events, never an exception; the client ends in a state it knows."""
    primary, secondary = Primary(CLIENT, METER), Secondary(METER)
    primary.connect(0.0)
    for number, (control, information, segmented) in enumerate(frames):
        primary.receive(encode(METER, CLIENT, control, information, segmented=segmented), float(number))
        secondary.receive(encode(CLIENT, METER, control, information, segmented=segmented), float(number))
        if primary.state is State.READY:
            primary.send(b"\xc0", float(number))
    assert primary.state in State
