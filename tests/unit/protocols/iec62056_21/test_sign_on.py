"""Signing on, both sides: messages, then sequences."""

import pytest

from amity.kernel.errors import LocalProtocolError
from amity.protocols.iec62056_21.events import Event, Failed, Send, SetLine, SignedOn, WakeAt
from amity.protocols.iec62056_21.messages import (
    Acknowledgement,
    Identification,
    Mode,
    SignOnError,
    decode_acknowledgement,
    decode_identification,
    decode_request,
    request,
    with_even_parity,
    without_parity,
)
from amity.protocols.iec62056_21.meter_sign_on import MeterSignOn, MeterSignOnSettings
from amity.protocols.iec62056_21.sign_on import SignOn, SignOnSettings, State

METER = Identification("LGZ", 9600, offers_hdlc=True, text="ZMD410")
MESSAGE = b"/LGZ5\\2ZMD410\r\n"
ASCII_300, BINARY_9600 = SetLine(300, seven_bits_even=True), SetLine(9600, seven_bits_even=False)


# ------------------------------------------------------------------ messages
def test_messages_of_the_standard():
    assert request() == b"/?!\r\n"
    assert request("00012") == b"/?00012!\r\n"
    assert decode_request(b"/?00012!\r\n") == "00012"
    assert METER.encode() == MESSAGE
    assert decode_identification(MESSAGE) == METER
    assert Acknowledgement(Mode.HDLC, 9600).encode() == b"\x06252\r\n"
    assert Acknowledgement(Mode.READOUT, 300).encode() == b"\x06000\r\n"
    assert Acknowledgement(Mode.PROGRAMMING, 4800).encode() == b"\x06041\r\n"
    assert decode_acknowledgement(b"\x06252\r\n") == Acknowledgement(Mode.HDLC, 9600)


def test_an_identification_without_escape():
    assert decode_identification(b"/ISk5MT174-0001\r\n") == Identification("ISk", 9600, False, "MT174-0001")


@pytest.mark.parametrize("octets", [b"", b"/", b"/LGZ\r\n", b"/LGZAmodeB\r\n", b"/1GZ5x\r\n", b"\xff\xfe\r\n", b"LGZ5"])
def test_what_is_no_identification(octets: bytes):
    with pytest.raises(SignOnError):
        decode_identification(octets)


@pytest.mark.parametrize("octets", [b"", b"\x06", b"\x06292\r\n", b"\x06990\r\n", b"\x06152\r\n", b"252\r\n"])
def test_what_is_no_acknowledgement(octets: bytes):
    assert decode_acknowledgement(octets) is None


@pytest.mark.parametrize("octets", [b"", b"/?", b"/?!", b"?!\r\n", b"/?\xff!\r\n", b"/?a/b!\r\n"])
def test_what_is_no_request(octets: bytes):
    assert decode_request(octets) is None


@pytest.mark.parametrize("address", ["x" * 33, "ä", "a!b"])
def test_addresses_that_no_meter_has(address: str):
    with pytest.raises(LocalProtocolError):
        request(address)


def test_a_rate_that_the_standard_does_not_have():
    with pytest.raises(LocalProtocolError, match="115200"):
        Acknowledgement(Mode.HDLC, 115_200).encode()


def test_parity():
    assert with_even_parity(b"/?!\r\n").hex() == "af3f218d0a"
    assert without_parity(bytes.fromhex("af3f218d0a")) == b"/?!\r\n"


# ------------------------------------------------------------------ the client
def times(events: list[Event]) -> list[float | None]:
    return [event.at_s for event in events if isinstance(event, WakeAt)]


def without_times(events: list[Event]) -> list[Event]:
    return [event for event in events if not isinstance(event, WakeAt)]


def identified(settings: SignOnSettings | None = None) -> tuple[SignOn, float]:
    """A client whose acknowledgement is on the line, and when it has left."""
    client = SignOn(settings)
    assert without_times(client.start(0.0)) == [ASCII_300, Send(b"/?!\r\n")]
    events = client.receive(MESSAGE, 1.0)
    (left_s,) = times(events)
    assert client.state is State.SWITCHING
    assert left_s is not None
    assert left_s > 1.0 + 6 * 10 / 300  # six octets at 300 Bd
    return client, left_s


def test_mode_e():
    client, left_s = identified()
    assert without_times(client.wake(left_s)) == [SetLine(9600, seven_bits_even=True)]
    events = client.receive(b"\x06252\r\n\x7e\xa0", left_s + 0.3)
    assert events == [BINARY_9600, WakeAt(None), SignedOn(Mode.HDLC, 9600, METER, b"\x7e\xa0")]
    assert client.state is State.SIGNED_ON
    assert client.receive(b"more", 9.0) == client.wake(9.0) == []


def test_a_meter_that_does_not_confirm():
    client, left_s = identified()
    (due_s,) = times(client.wake(left_s))
    assert due_s is not None
    assert client.wake(due_s)[-1] == SignedOn(Mode.HDLC, 9600, METER)


def test_a_meter_that_confirms_at_the_opening_rate():
    client, left_s = identified(SignOnSettings(confirms_at_opening_rate=True))
    assert without_times(client.wake(left_s)) == [ASCII_300]
    assert client.receive(b"\x06252\r\n", 2.0)[0] == BINARY_9600


def test_a_confirmation_that_came_before_we_were_ready():
    client, left_s = identified()
    assert client.receive(b"\x06252\r\n", left_s) == []
    assert client.wake(left_s)[-1] == SignedOn(Mode.HDLC, 9600, METER)


def test_no_more_than_we_accept():
    client = SignOn(SignOnSettings(baud_max=2400))
    client.start(0.0)
    assert without_times(client.receive(MESSAGE, 1.0)) == [Send(b"\x06232\r\n")]


@pytest.mark.parametrize(("mode", "chosen"), [(Mode.READOUT, b"\x06050\r\n"), (Mode.PROGRAMMING, b"\x06051\r\n")])
def test_mode_c_is_handed_over_with_the_acknowledgement(mode: Mode, chosen: bytes):
    client = SignOn(SignOnSettings(mode=mode))
    client.start(0.0)
    events = client.receive(MESSAGE, 1.0)
    assert without_times(events) == [Send(chosen)]
    assert without_times(client.wake(2.0)) == [SetLine(9600, seven_bits_even=True), SignedOn(mode, 9600, METER)]


@pytest.mark.parametrize("piece", [1, 3, 100])
def test_an_identification_in_pieces_after_noise(piece: int):
    client = SignOn()
    client.start(0.0)
    stream = b"\x00noise\r\n" + b"x" * 300 + MESSAGE
    events = [event for at in range(0, len(stream), piece) for event in client.receive(stream[at : at + piece], 1.0)]
    assert without_times(events) == [Send(b"\x06252\r\n")]


def test_parity_made_by_hand():
    client = SignOn(SignOnSettings(parity_by_hand=True))
    assert without_times(client.start(0.0)) == [
        SetLine(300, seven_bits_even=False),
        Send(with_even_parity(b"/?!\r\n")),
    ]
    assert without_times(client.receive(with_even_parity(MESSAGE), 1.0)) == [Send(with_even_parity(b"\x06252\r\n"))]


def test_nobody_answers():
    client = SignOn(SignOnSettings(retries=1))
    client.start(0.0)
    assert without_times(client.wake(3.0)) == [Send(b"/?!\r\n")]
    client.receive(b"\xff\x01", 4.0)
    (failed,) = without_times(client.wake(6.0))
    assert isinstance(failed, Failed)
    assert "2 requests" in failed.detail
    assert client.state is State.FAILED
    with pytest.raises(LocalProtocolError):
        client.start(7.0)


def test_a_meter_of_another_mode():
    client = SignOn()
    client.start(0.0)
    (failed,) = without_times(client.receive(b"/ABCFmodeB\r\n", 1.0))
    assert isinstance(failed, Failed)


# ------------------------------------------------------------------ both
def meter(**changes: object) -> MeterSignOn:
    machine = MeterSignOn(MeterSignOnSettings(METER, address="42", **changes))  # type: ignore[arg-type]
    assert machine.start() == [ASCII_300]
    return machine


def test_the_meter_identifies_itself_and_confirms():
    machine = meter()
    assert without_times(machine.receive(b"/?!\r\n", 0.0)) == [Send(MESSAGE)]
    events = machine.receive(b"\x06252\r\n", 1.0)
    assert without_times(events) == [SetLine(9600, seven_bits_even=True), Send(b"\x06252\r\n")]
    assert machine.receive(b"\x7e\xa0", 1.0) == []
    assert machine.wake(2.0) == [BINARY_9600, WakeAt(None), SignedOn(Mode.HDLC, 9600, METER, b"\x7e\xa0")]


@pytest.mark.parametrize(("called", "answers"), [(b"/?42!\r\n", 1), (b"/?43!\r\n", 0), (b"noise/?!\r\n", 1)])
def test_who_is_called(called: bytes, answers: int):
    assert len(without_times(meter().receive(called, 0.0))) == answers


def test_mode_c_for_the_meter():
    machine = meter()
    machine.receive(b"/?!\r\n", 0.0)
    events = without_times(machine.receive(b"\x06050\r\n", 1.0))
    assert events == [SetLine(9600, seven_bits_even=True), SignedOn(Mode.READOUT, 9600, METER)]


def test_a_client_that_does_not_choose_is_forgotten():
    machine = meter()
    machine.receive(b"/?!\r\n", 0.0)
    assert without_times(machine.wake(9.0)) == [ASCII_300]
    assert machine.receive(b"\x06252\r\n", 10.0) == []
    assert machine.wake(11.0) == []


def test_an_acknowledgement_nobody_asked_for():
    assert meter().receive(b"\x06252\r\n", 0.0) == []
