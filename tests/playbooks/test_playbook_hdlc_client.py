"""The client's end of a link, step by step."""

import pytest

from amity.kernel.errors import LocalProtocolError
from amity.protocols.hdlc.address import Address
from amity.protocols.hdlc.frame import Frame, FrameKind, HdlcError, control_of, encode, information_control
from amity.protocols.hdlc.llc import LLC_RESPONSE, without_llc
from amity.protocols.hdlc.parameters import Parameters
from amity.protocols.hdlc.primary import Primary, State
from amity.protocols.hdlc.sequence import APDU_OCTETS_MAX, Incoming
from amity.protocols.hdlc.station import LinkSettings
from tests.playbooks.link_playbook import CLIENT, METER, LinkPlay, apdu

WIDE = LinkSettings(Parameters.both_ways(256, 3))


def client(settings: LinkSettings | None = None) -> LinkPlay:
    return LinkPlay(Primary(CLIENT, METER, settings))


def connected(settings: LinkSettings = WIDE) -> LinkPlay:
    link = client(settings)
    link.play("""
        do connect
        << SNRM P 256x3
        >> UA P 256x3
        == connected 256x3
        """)
    return link


def test_what_nobody_says_has_the_default_of_the_standard():
    client().play("""
        do connect
        << SNRM P                   # our own wishes are the defaults: not a word
        >> UA P
        == connected 128x1
        """)


@pytest.mark.parametrize(("answer", "agreed"), [("100x2", "100x2"), ("2030x7", "256x3"), ("", "128x1")])
def test_the_meter_agrees_to_less_or_to_nothing(answer: str, agreed: str):
    client(WIDE).play(f"""
        do connect
        << SNRM P 256x3
        >> {f"UA P {answer}".strip()}
        == connected {agreed}
        """)


@pytest.mark.parametrize("said", ["81801405", "8180030500", "8180140501800601800704000000010804000000ff", "ff"])
def test_parameters_that_do_not_decode_are_the_least_of_the_standard(said: str):
    client(WIDE).play(f"""
        do connect
        << SNRM P 256x3
        >> UA P {said}
        == connected 128x1
        """)


def test_a_meter_that_refuses():
    client().play("""
        do connect
        << SNRM P
        >> DM P
        == disconnected refused
        """)


def test_silence_is_asked_three_times():
    client(LinkSettings(retries=2)).play("""
        do connect
        << SNRM P
        do wait
        << SNRM P
        do wait
        << SNRM P
        do wait
        == disconnected silent
        """)


def test_one_request_and_its_answer():
    connected().play("""
        do send 10
        << I(0,0) P 0:13
        >> I(0,1) P 0:23
        == deliver 20
        do send 10
        << I(1,1) P 0:13
        >> I(1,2) P 0:23
        == deliver 20
        """)


def test_a_long_answer_is_fetched_window_by_window():
    connected().play("""
        do send 10
        << I(0,0) P 0:13
        >> I(0,1) 0:256 more
        >> I(1,1) 256:512 more
        >> I(2,1) P 512:768 more
        << RR(3) P
        >> I(3,1) P 768:1003
        == deliver 1000
        """)


def test_a_long_request_goes_out_window_by_window():
    connected().play("""
        do send 1000
        << I(0,0) 0:256 more
        << I(1,0) 256:512 more
        << I(2,0) P 512:768 more
        >> RR(3) P
        << I(3,0) P 768:1003
        >> I(0,4) P 0:13
        == deliver 10
        """)


def test_sequence_numbers_wrap():
    link = connected()
    for number in range(20):
        link.play(f"""
            do send 1
            << I({number % 8},{number % 8}) P 0:4
            >> I({number % 8},{(number + 1) % 8}) P 0:4
            == deliver 1
            """)


def test_a_lost_request_frame_is_sent_again_from_where_it_was_lost():
    connected().play("""
        do send 700
        << I(0,0) 0:256 more
        << I(1,0) 256:512 more      # lost
        << I(2,0) P 512:703         # out of order there, dropped
        >> RR(1) P
        << I(1,0) 256:512 more
        << I(2,0) P 512:703
        >> I(0,3) P 0:4
        == deliver 1
        """)


def test_rej_says_the_same():
    connected().play("""
        do send 700
        << I(0,0) 0:256 more
        << I(1,0) 256:512 more
        << I(2,0) P 512:703
        >> REJ(1) P
        << I(1,0) 256:512 more
        << I(2,0) P 512:703
        >> I(0,3) P 0:4
        == deliver 1
        """)


@pytest.mark.parametrize(("settings", "kind"), [(WIDE, "RR"), (LinkSettings(WIDE.parameters, rejects=True), "REJ")])
def test_a_lost_answer_frame_is_asked_for_again(settings: LinkSettings, kind: str):
    connected(settings).play(f"""
        do send 1
        << I(0,0) P 0:4
        >> I(0,1) 0:256 more
        >> I(2,1) P 512:603          # I(1,1) was lost
        << {kind}(1) P
        >> I(1,1) 256:512 more
        >> I(2,1) P 512:603
        == deliver 600
        """)


def test_an_answer_that_was_lost_whole_is_asked_for_with_rr():
    connected().play("""
        do send 1
        << I(0,0) P 0:4
        do wait
        << RR(0) P
        >> I(0,1) P 0:4
        == deliver 1
        """)


def test_a_request_that_was_lost_whole_is_sent_again():
    connected().play("""
        do send 1
        << I(0,0) P 0:4
        do wait
        << RR(0) P
        >> RR(0) P                  # it has not had I(0,0)
        << I(0,0) P 0:4
        >> I(0,1) P 0:4
        == deliver 1
        """)


def test_a_meter_that_does_not_answer_rr_is_sent_the_request_again():
    connected().play("""
        do send 1
        << I(0,0) P 0:4
        do wait
        << RR(0) P
        do wait
        << I(0,0) P 0:4
        do wait
        == disconnected silent
        """)


def test_a_request_that_never_gets_through_ends_the_link():
    connected().play("""
        do send 1
        << I(0,0) P 0:4
        >> RR(0) P
        << I(0,0) P 0:4
        >> RR(0) P
        << I(0,0) P 0:4
        >> RR(0) P
        == disconnected silent
        """)


def test_a_meter_that_needs_time_is_polled_now_and_then():
    connected().play("""
        do send 1
        << I(0,0) P 0:4
        >> RR(1) P                  # has it, no answer yet
        do wait
        << RR(0) P
        >> RR(1) P
        do wait
        << RR(0) P
        >> I(0,1) P 0:4
        == deliver 1
        """)


def test_a_meter_that_is_not_ready_gets_no_information():
    connected().play("""
        do send 1000
        << I(0,0) 0:256 more
        << I(1,0) 256:512 more
        << I(2,0) P 512:768 more
        >> RNR(2) P
        do wait
        << RR(0) P
        >> RNR(2) P
        do wait
        << RR(0) P
        >> RR(2) P                  # ready again
        << I(2,0) 512:768 more
        << I(3,0) P 768:1003
        >> I(0,4) P 0:4
        == deliver 1
        """)


def test_we_are_not_ready():
    connected().play("""
        do send 1
        << I(0,0) P 0:4
        >> I(0,1) P 0:256 more
        << RR(1) P
        do busy
        do wait
        << RNR(1) P
        do ready
        >> RR(1) P
        << RR(1) P
        >> I(1,1) P 256:303
        == deliver 300
        """)


def test_a_late_copy_of_the_last_answer_is_not_taken_for_the_next():
    connected().play("""
        do send 1
        << I(0,0) P 0:4
        >> I(0,1) P 0:4
        == deliver 1
        do send 2
        << I(1,1) P 0:5
        >> I(0,1) P 0:4             # again: the meter had two polls
        >> I(1,2) P 0:5
        == deliver 2
        """)


def test_requests_that_need_no_answer_go_with_the_next():
    connected().play("""
        do more 10
        do more 20
        do send 30
        << I(0,0) 0:13
        << I(1,0) 0:23
        << I(2,0) P 0:33
        >> I(0,3) P 0:4
        == deliver 1
        do more 10
        do poll
        << I(3,1) P 0:13
        >> RR(4) P
        do wait
        << RR(1) P
        >> I(1,4) P 0:4
        == deliver 1
        """)


def test_answers_that_follow_each_other_are_polled_for():
    connected().play("""
        do send 1
        << I(0,0) P 0:4
        >> I(0,1) 0:4
        >> I(1,1) P 0:5
        == deliver 1
        == deliver 2
        do poll
        << RR(2) P
        do send 3                   # while the meter has the turn
        do poll
        >> I(2,1) P 0:6
        == deliver 3
        << I(1,3) P 0:6
        >> RR(2) P
        do send 4                   # while we pause
        << I(2,3) P 0:7
        >> I(3,3) P 0:4
        == deliver 1
        """)


def test_disconnecting():
    connected().play("""
        do disconnect
        << DISC P
        >> UA P
        == disconnected released
        do disconnect
        do connect                  # and anew
        << SNRM P 256x3
        >> UA P
        == connected 128x1
        """)


def test_disconnecting_a_meter_that_has_left_already():
    connected().play("""
        do disconnect
        << DISC P
        >> DM P
        == disconnected released
        """)


def test_disconnecting_in_the_middle_of_an_answer():
    connected().play("""
        do send 1
        << I(0,0) P 0:4
        do disconnect
        << DISC P
        >> I(0,1) P 0:4             # too late
        >> UA P
        == disconnected released
        """)


@pytest.mark.parametrize(("frame", "ending"), [("DM P", "refused"), ("FRMR P 100201", "rejected")])
def test_a_meter_that_leaves(frame: str, ending: str):
    connected().play(f"""
        do send 1
        << I(0,0) P 0:4
        >> {frame}
        == disconnected {ending}
        """)


@pytest.mark.parametrize("frame", ["RR(5) P", "I(0,5) P 0:4"])
def test_an_acknowledgement_of_what_was_never_sent(frame: str):
    connected().play(f"""
        do send 1
        << I(0,0) P 0:4
        >> {frame}
        == disconnected violated
        """)


def test_an_answer_that_never_ends():
    link = connected()
    link.play("""
        do send 1
        << I(0,0) P 0:4
        """)
    for number in range(3 * 0x1_0100 // 256):
        link.take(link.station.receive(link.frame(f"I({number % 8},1) 0:256 more"), link.now_s))
    assert link.told.popleft() == "disconnected violated"


def test_ui_frames_are_told_in_every_state():
    client().play("""
        >> UI 0:23
        == notice 20
        do connect
        << SNRM P
        >> UI P 0:23
        == notice 20
        >> UA P
        == connected 128x1
        do push 5
        << UI 0:8
        do send 1
        << I(0,0) P 0:4
        >> UI 3:13                  # without LLC octets
        == notice 10
        >> I(0,1) P 0:4
        == deliver 1
        """)


@pytest.mark.parametrize("written", [Address(1), Address(1, 17, 4)])
def test_a_meter_may_write_its_address_in_another_form_than_we(written: Address):
    link = client()
    link.play("""
        do connect
        << SNRM P
        """)
    link.take(link.station.receive(encode(written, CLIENT, control_of(FrameKind.UA)), link.now_s))
    link.play("""
        == connected 128x1
        do send 5
        << I(0,0) P 0:8
        """)
    answer = encode(written, CLIENT, information_control(0, 1), LLC_RESPONSE + apdu(5))
    link.take(link.station.receive(answer, link.now_s))
    link.play("== deliver 5")


def test_the_quality_octet_of_the_llc_may_be_any():
    assert without_llc(b"\xe6\xe7\x01" + b"apdu") == without_llc(LLC_RESPONSE + b"apdu") == b"apdu"


@pytest.mark.parametrize("segmented", [True, False])
def test_empty_frames_come_to_an_end(segmented: bool):
    incoming = Incoming()
    frames = [Frame(METER, CLIENT, information_control(number, 0, final=False), b"", segmented) for number in range(8)]
    with pytest.raises(HdlcError, match="more than"):
        any(not incoming.accept(frames[number % 8]) for number in range(2 * APDU_OCTETS_MAX))


def test_frames_for_others_and_damaged_ones_are_not_heard():
    link = connected()
    link.play("""
        do send 1
        << I(0,0) P 0:4
        """)
    answer = link.frame("I(0,1) P 0:4")
    damaged = answer[:-5] + bytes([answer[-5] ^ 1]) + answer[-4:]
    control = information_control(0, 1)
    for octets in (
        damaged,
        encode(METER, Address(32), control, b"for another client"),
        encode(Address(1, 18), CLIENT, control, b"from another meter"),
        encode(CLIENT, METER, control, b"our own words, echoed"),
    ):
        assert link.station.receive(octets, link.now_s) == []
    link.play("""
        >> I(0,1) P 0:4
        == deliver 1
        """)


def test_a_frame_that_stops_inside_is_given_up_and_asked_for_again():
    link = connected()
    link.play("""
        do send 1
        << I(0,0) P 0:4
        """)
    response_due_s = link.wake_s
    link.now_s = 102.9
    link.play(f"do noise {link.frame('I(0,1) P 0:4')[:-4].hex()}")
    assert link.wake_s == 102.9 + 0.5
    assert response_due_s == 103.0
    link.play("""
        do wait
        << RR(0) P
        >> I(0,1) P 0:4
        == deliver 1
        """)


def test_octets_that_come_keep_the_response_timeout_from_striking():
    link = connected()
    link.play("""
        do send 1
        << I(0,0) P 0:4
        """)
    answer = link.frame("I(0,1) P 0:4")
    for at in range(len(answer) - 2):  # the last octet of the check makes it whole
        link.now_s += 0.4
        link.play(f"do noise {answer[at : at + 1].hex()}")
    link.station.wake(link.now_s)
    link.play(f"""
        do noise {answer[-2:].hex()}
        == deliver 1
        """)


def test_what_cannot_be_asked_in_a_state_is_our_own_fault():
    link = client()
    with pytest.raises(LocalProtocolError, match="DISCONNECTED"):
        link.play("do send 1")
    link.play("""
        do connect
        << SNRM P
        """)
    for wish in ("do connect", "do send 1", "do poll", "do push 1"):
        with pytest.raises(LocalProtocolError, match="CONNECTING"):
            link.play(wish)
    assert link.station.state is State.CONNECTING


def test_a_meter_that_was_called_whoever_it_is_may_answer_with_its_own_address():
    LinkPlay(Primary(CLIENT, Address(1, 0x3FFE))).play("""
        do connect
        << SNRM P
        >> UA P
        == connected 128x1
        """)


@pytest.mark.parametrize("settings", [{"response_timeout_s": 0}, {"retries": -1}, {"inactivity_timeout_s": -1.0}])
def test_times_that_are_none(settings: dict):
    with pytest.raises(LocalProtocolError):
        LinkSettings(**settings)
