"""The meter's end of a link, step by step."""

import pytest

from amity.protocols.hdlc.address import Address
from amity.protocols.hdlc.frame import FrameKind as Kind
from amity.protocols.hdlc.frame import control_of, encode
from amity.protocols.hdlc.parameters import Parameters
from amity.protocols.hdlc.secondary import LINKS_MAX, Secondary, State
from amity.protocols.hdlc.station import LinkSettings
from tests.playbooks.link_playbook import CLIENT, METER, LinkPlay, frames_of

WIDE = LinkSettings(Parameters.both_ways(256, 3))


def meter(settings: LinkSettings | None = None, address: Address = METER) -> LinkPlay:
    return LinkPlay(Secondary(address, settings))


def connected(settings: LinkSettings = WIDE) -> LinkPlay:
    link = meter(settings)
    link.play("""
        >> SNRM P 256x3
        << UA P 256x3
        == connected 256x3
        """)
    return link


@pytest.mark.parametrize(
    ("asked", "agreed"), [("SNRM P", "128x1"), ("SNRM P 100x2", "100x2"), ("SNRM P 2030x7", "256x3")]
)
def test_a_link_is_set_up_with_what_both_can(asked: str, agreed: str):
    meter(WIDE).play(f"""
        >> {asked}
        << UA P {agreed}
        == connected {agreed}
        """)


def test_parameters_that_do_not_decode_are_refused():
    meter().play("""
        >> SNRM P 818003
        << DM P
        """)


def test_without_a_link_every_poll_is_answered_with_dm():
    meter().play("""
        >> RR(0) P
        << DM P
        >> I(0,0) P 0:4
        << DM P
        >> DISC P
        << DM P
        >> I(0,0) 0:4               # no poll, no answer
        >> UA P
        """)


def test_a_request_and_its_answer():
    connected().play("""
        >> I(0,0) P 0:4
        == deliver 1
        do send 20
        << I(0,1) P 0:23
        >> I(1,1) P 0:4
        == deliver 1
        do send 20
        << I(1,2) P 0:23
        """)


def test_a_long_request_is_fetched_window_by_window():
    connected().play("""
        >> I(0,0) 0:256 more
        >> I(1,0) 256:512 more
        >> I(2,0) P 512:768 more
        << RR(3) P
        >> I(3,0) P 768:1003
        == deliver 1000
        do send 1
        << I(0,4) P 0:4
        """)


def test_a_long_answer_goes_out_window_by_window():
    connected().play("""
        >> I(0,0) P 0:4
        == deliver 1
        do send 1000
        << I(0,1) 0:256 more
        << I(1,1) 256:512 more
        << I(2,1) P 512:768 more
        >> RR(3) P
        << I(3,1) P 768:1003
        """)


@pytest.mark.parametrize("ask", ["RR(1) P", "REJ(1) P"])
def test_what_was_lost_of_an_answer_is_sent_again(ask: str):
    connected().play(f"""
        >> I(0,0) P 0:4
        == deliver 1
        do send 700
        << I(0,1) 0:256 more
        << I(1,1) 256:512 more      # lost
        << I(2,1) P 512:703
        >> {ask}
        << I(1,1) 256:512 more
        << I(2,1) P 512:703
        """)


@pytest.mark.parametrize(("settings", "kind"), [(WIDE, "RR"), (LinkSettings(WIDE.parameters, rejects=True), "REJ")])
def test_a_lost_request_frame_is_asked_for(settings: LinkSettings, kind: str):
    connected(settings).play(f"""
        >> I(0,0) 0:256 more
        >> I(2,0) P 512:603          # I(1,0) was lost
        << {kind}(1) P
        >> I(1,0) 256:512 more
        >> I(2,0) P 512:603
        == deliver 600
        """)


def test_a_request_that_comes_twice_is_delivered_once():
    connected().play("""
        >> I(0,0) P 0:4
        == deliver 1
        do send 2
        << I(0,1) P 0:5             # lost
        >> I(0,0) P 0:4
        << I(0,1) P 0:5
        """)


def test_answers_that_follow_each_other():
    connected().play("""
        >> I(0,0) P 0:4
        == deliver 1
        do more 1
        do more 2
        do send 3
        << I(0,1) 0:4
        << I(1,1) 0:5
        << I(2,1) P 0:6
        """)


def test_a_client_that_asks_while_the_answer_is_made():
    connected().play("""
        >> I(0,0) P 0:4
        == deliver 1
        >> RR(0) P
        << RR(1) P                  # the turn is the client's again
        do send 2
        >> RR(0) P
        << I(0,1) P 0:5
        """)


def test_a_meter_with_nothing_to_say_gives_the_turn_back():
    connected().play("""
        >> I(0,0) P 0:4
        == deliver 1
        do pass
        << RR(1) P
        do pass
        """)


def test_a_meter_that_is_not_ready():
    connected().play("""
        do busy
        >> I(0,0) P 0:4
        << RNR(0) P
        >> RR(0) P
        << RNR(0) P
        do ready
        >> RR(0) P
        << RR(0) P
        >> I(0,0) P 0:4
        == deliver 1
        """)


def test_a_client_that_is_not_ready():
    connected().play("""
        >> I(0,0) P 0:4
        == deliver 1
        do send 300
        << I(0,1) 0:256 more
        << I(1,1) P 256:303
        >> RNR(1) P
        << RR(1) P
        >> RR(1) P
        << I(1,1) P 256:303
        """)


def test_disc_takes_the_link_down():
    connected().play("""
        >> DISC P
        << UA P
        == disconnected released
        do send 1                   # nobody is there
        >> RR(0) P
        << DM P
        """)


def test_snrm_sets_the_link_up_anew():
    connected().play("""
        >> I(0,0) P 0:4
        == deliver 1
        >> SNRM P
        << UA P 128x1
        == disconnected replaced
        == connected 128x1
        >> I(0,0) P 0:4
        == deliver 1
        """)


@pytest.mark.parametrize(
    ("frame", "complaint"),
    [
        ("I(0,0) P 0:257", "100004"),  # longer than agreed
        ("RR(3) P", "710008"),  # acknowledges what was never sent
    ],
)
def test_what_cannot_be_gone_on_from_is_answered_with_frmr(frame: str, complaint: str):
    connected().play(f"""
        >> {frame}
        << FRMR P {complaint}
        >> RR(0) P
        << FRMR P {complaint}
        do send 1
        >> DISC P
        << UA P
        == disconnected released
        """)


def test_an_undefined_control_octet_is_rejected_too():
    link = connected()
    (answer,) = frames_of(link.station.receive(encode(CLIENT, METER, 0x1D), link.now_s))
    assert (answer.kind, answer.information.hex()) == (Kind.FRMR, "1d0001")
    link.play("""
        >> SNRM P
        << UA P 128x1
        == disconnected replaced
        == connected 128x1
        """)


def test_a_request_that_never_ends_is_rejected():
    link = connected()
    for number in range(3 * 0x1_0100 // 256):
        link.take(link.station.receive(link.frame(f"I({number % 8},0) 0:256 more"), link.now_s))
    assert link.station.state_of(CLIENT.upper) is State.REJECTING


def test_a_client_that_says_nothing_any_more_is_forgotten():
    link = connected()
    assert link.wake_s == 100.0 + 120.0
    link.now_s = 150.0
    link.play("""
        >> RR(0) P
        << RR(0) P
        do wait
        == disconnected silent
        """)
    assert link.now_s == 150.0 + 120.0
    assert link.wake_s is None


def test_ui_frames_both_ways():
    meter().play("""
        do push 20
        << UI 0:23
        >> UI 0:13
        == notice 10
        """)


def heard(link: LinkPlay, called: Address, client: Address = CLIENT) -> list[Address]:
    """The addresses that an SNRM to some address is answered from."""
    frames = frames_of(link.station.receive(encode(client, called, control_of(Kind.SNRM)), link.now_s))
    return [frame.source for frame in frames]


@pytest.mark.parametrize(
    ("own", "called", "answers"),
    [
        (METER, Address(1, 17), True),
        (METER, Address(1, 17, 4), True),
        (METER, Address(1), True),
        (METER, Address(1, 18), False),
        (METER, Address(2, 17), False),
        (METER, Address(1, 0x3FFE), True),  # the CALLING device
        (METER, Address(0x7F, 17), False),  # all stations: heard, never answered
        (Address(1, 17, 4), Address(1, 17), False),  # knows four octets only
        (Address(1, 17, 4), Address(1, 17, 4), True),
        (Address(1), Address(1), True),
        (Address(1), Address(1, 17), False),
    ],
)
def test_who_is_heard(own: Address, called: Address, answers: bool):
    frames = heard(meter(address=own), called)
    expected = own if called.lower == 0x3FFE else called
    assert frames == ([expected] if answers else [])


def test_each_client_has_its_own_link_and_there_is_an_end_to_them():
    link = meter()
    for client in range(1, LINKS_MAX + 1):
        assert heard(link, METER, Address(client))
        assert link.station.state_of(client) is State.LISTENING
    (refusal,) = frames_of(link.station.receive(encode(Address(99), METER, control_of(Kind.SNRM)), 1.0))
    assert refusal.kind is Kind.DM
