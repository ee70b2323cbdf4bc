"""Sequence numbers that an earlier client has left behind: who comes next begins at zero and hears nothing of it."""

from amity.protocols.hdlc.address import Address
from amity.protocols.hdlc.events import Deliver, Disconnected, Ending, Event, Send
from amity.protocols.hdlc.frame import encode, information_control
from amity.protocols.hdlc.llc import LLC_RESPONSE
from amity.protocols.hdlc.primary import Primary, State
from amity.protocols.hdlc.secondary import Secondary

METER, EARLIER, LATER = Address(1, 17), Address(16), Address(1)


class Wire:
    """A meter on a line; clients come and go, and nobody says goodbye."""

    def __init__(self) -> None:
        self.meter = Secondary(METER)

    def carry(self, client: Primary, events: list[Event]) -> list[bytes]:
        """Everything that the client and the meter send each other until both are silent; the APDUs delivered."""
        delivered: list[bytes] = []
        while octets := b"".join(event.octets for event in events if isinstance(event, Send)):
            answers = self.meter.receive(octets, 0.0)
            asked = [event for event in answers if isinstance(event, Deliver)]
            answers += [one for ask in asked for one in self.meter.send(ask.client, b"answer to " + ask.apdu, 0.0)]
            events = client.receive(b"".join(one.octets for one in answers if isinstance(one, Send)), 0.0)
            delivered += [event.apdu for event in events if isinstance(event, Deliver)]
        return delivered

    def session(self, address: Address, *requests: bytes) -> list[bytes]:
        """Link set up, requests answered, and the client gone without a word."""
        client = Primary(address, METER)
        self.carry(client, client.connect(0.0))
        assert client.state is State.READY
        return [answer for request in requests for answer in self.carry(client, client.send(request, 0.0))]


def test_a_client_after_another_that_never_took_its_link_down():
    wire = Wire()
    assert wire.session(EARLIER, b"one", b"two", b"three") == [b"answer to one", b"answer to two", b"answer to three"]
    assert wire.session(LATER, b"four", b"five") == [b"answer to four", b"answer to five"]
    assert wire.session(EARLIER, b"six") == [b"answer to six"]


def test_the_same_client_again_after_its_line_was_cut():
    wire = Wire()
    assert wire.session(LATER, b"one", b"two", b"three") == [b"answer to one", b"answer to two", b"answer to three"]
    assert wire.session(LATER, b"four") == [b"answer to four"]


def test_a_late_answer_to_the_earlier_client_is_not_taken_for_ours():
    wire, client = Wire(), Primary(LATER, METER)
    wire.carry(client, client.connect(0.0))
    client.send(b"request", 0.0)
    late = encode(METER, EARLIER, information_control(3, 4, final=True), LLC_RESPONSE + b"for another")
    assert not [event for event in client.receive(late, 0.0) if isinstance(event, Deliver | Disconnected)]
    assert client.state is State.AWAITING


def test_a_meter_that_goes_on_with_the_old_numbers_is_found_out():
    wire, client = Wire(), Primary(LATER, METER)
    wire.carry(client, client.connect(0.0))
    client.send(b"request", 0.0)
    stale = encode(METER, LATER, information_control(3, 4, final=True), LLC_RESPONSE + b"of the session before")
    events = client.receive(stale, 0.0)
    assert [event.ending for event in events if isinstance(event, Disconnected)] == [Ending.VIOLATED]
    assert not [event for event in events if isinstance(event, Deliver)]
