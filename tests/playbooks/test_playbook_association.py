"""Opening an association, step by step; ciphertexts were made with AES-GCM alone, not with our stack."""

import pytest

from amity.devices.client import (
    AssociationRejectedError,
    AssociationSettings,
    Authentication,
    Ciphering,
    DowngradeError,
    InvocationCounterError,
    Protection,
    ReplayError,
    ServiceRefusedError,
    associate,
    get,
    release,
)
from amity.devices.client.unasked import UNASKED_MAX
from amity.kernel.errors import AmityError, RemoteProtocolError, SecurityError
from amity.kernel.obis import Obis
from amity.protocols.dlms.apdu import Attribute, Conformance
from amity.protocols.dlms.ciphering import CipherKeys
from amity.protocols.dlms.data import double_long_unsigned
from tests.playbooks.playbook import READING, open_session, play, ports

LOWEST = AssociationSettings(conformance=READING)
LLS = AssociationSettings(Authentication.LLS, password=b"12345678", conformance=READING)
GREEN_BOOK_KEYS = CipherKeys(
    0, bytes.fromhex("000102030405060708090a0b0c0d0e0f"), bytes.fromhex("d0d1d2d3d4d5d6d7d8d9dadbdcdddedf")
)
OUR_TITLE = bytes.fromhex("4d4d4d0000000001")
HLS = AssociationSettings(
    Authentication.HLS_GMAC, client_title=OUR_TITLE, protector=GREEN_BOOK_KEYS, conformance=READING
)
CHALLENGE = b"K56iVagYK56iVagY"
IMPORT = Attribute(3, Obis.parse("1.0.1.8.0.255"), 2)


def ciphered(ciphering: Ciphering, authentication: Authentication = Authentication.NONE):
    return AssociationSettings(
        authentication,
        ciphering,
        Protection.AUTHENTICATED_ENCRYPTED,
        client_title=OUR_TITLE,
        protector=GREEN_BOOK_KEYS,
        conformance=READING,
    )


def test_lowest():
    session = play(
        associate(LOWEST, ports()),
        """
        << 601d a109060760857405080101 be10040e 01000000065f1f0400001215ffff    # AARQ, InitiateRequest
        >> 6129 a109060760857405080101 a203020100 a305a103020100
           be10040e 0800065f1f0400001a1d04c80007  # accepted
        """,
    )
    assert session.max_pdu_octets == 0x04C8
    assert session.conformance == Conformance(0x001215 & 0x001A1D)


def test_lls():
    session = play(
        associate(LLS, ports()),
        """
        << 6036 a109060760857405080101
           8a020780 8b0760857405080201 ac0a80083132333435363738
           be10040e 01000000065f1f0400001215ffff
        >> 6129 a109060760857405080101 a203020100 a305a103020100 be10040e 0800065f1f040000121504000007
        """,
    )
    assert session.exchanges[0].request.endswith(
        bytes.fromhex("80082a2a2a2a2a2a2a2abe10040e01000000065f1f0400001215ffff")
    )


def test_hls_gmac_in_four_passes():
    """f(StoC) is the one printed in the Green Book for this key, title, counter and challenge."""
    session = play(
        associate(HLS, ports(CHALLENGE)),
        """
        << 604a a109060760857405080101 a60a0408 4d4d4d0000000001
           8a020780 8b0760857405080205 ac128010 4b353669566167594b35366956616759
           be10040e 01000000065f1f0400001215ffff
        >> 614e a109060760857405080101 a203020100 a305a10302010e a40a0408 4d4d4d0000bc614e
           88020780 890760857405080205 aa0a8008 503677524a323146
           be10040e 0800065f1f040000121504000007
        << c301 41 000f 0000280000ff 01 01 0911 10000000011a52fe7dd3e72748973c1e28      # f(StoC)
        >> c701 41 00 01 00 0911 100123456715a34dcd46dd1a733ee6d577                     # f(CtoS)
        """,
    )
    assert len(session.exchanges) == 2


def test_a_meter_that_answers_the_challenge_of_another_day_is_refused():
    """The Green Book's own f(CtoS), right for its eight octets of challenge, wrong for ours."""
    with pytest.raises(SecurityError, match="does not verify"):
        play(
            associate(HLS, ports(CHALLENGE)),
            """
            << 604a a109060760857405080101 a60a0408 4d4d4d0000000001
               8a020780 8b0760857405080205 ac128010 4b353669566167594b35366956616759
               be10040e 01000000065f1f0400001215ffff
            >> 614e a109060760857405080101 a203020100 a305a10302010e a40a0408 4d4d4d0000bc614e
               88020780 890760857405080205 aa0a8008 503677524a323146
               be10040e 0800065f1f040000121504000007
            << c301 41 000f 0000280000ff 01 01 0911 10000000011a52fe7dd3e72748973c1e28
            >> c701 41 00 01 00 0911 1001234567fe1466afb3dbcd4f9389e2b7
            """,
        )


def opened(ciphering: Ciphering, initiate_response: str):
    """The AARQ that our client really sends cannot stand here twice: lead the opening, then hand on the session."""
    conversation = associate(ciphered(ciphering), ports())
    next(conversation)
    aare = bytes.fromhex(
        "6148a109060760857405080103a203020100a305a103020100a40a04084d4d4d0000bc614ebe230421" + initiate_response
    )
    try:
        conversation.send(aare)
    except StopIteration as finished:
        return finished.value
    raise AssertionError("the association needs another step")


GLO_INITIATE_RESPONSE = "281f3000000001d96106551db77e516391d00b895a58ee526d1554bb0a6a32213a"
GENERAL_INITIATE_RESPONSE = "281f3000000001d96106551db77e116391d00b895aac75e91b843a794c38006a25"


def test_a_ciphered_opening():
    session = play(
        associate(ciphered(Ciphering.GLO), ports()),
        """
        << 603c a109060760857405080103 a60a0408 4d4d4d0000000001
           be230421 211f30000000019945ab0e570975ccdf518fcd675f40b1cd9e697ebb7d58a1e809
        >> 6148 a109060760857405080103 a203020100 a305a103020100 a40a0408 4d4d4d0000bc614e
           be230421 281f3000000001d96106551db77e516391d00b895a58ee526d1554bb0a6a32213a
        """,
    )
    assert session.security.peer_title == bytes.fromhex("4d4d4d0000bc614e")
    assert session.security.last_received == 1


@pytest.mark.parametrize(
    ("ciphering", "initiate_response", "script"),
    [
        (
            Ciphering.GLO,
            GLO_INITIATE_RESPONSE,
            """
            << c81e 30 00000002 18d9b13e54766097e356bd5f07a72f5173ec6e318cad54bd7b      # GET 3/1.0.1.8.0.255/2
            >> cc1a 30 00000002 34ca3ff2cbe0659a99a420e3749c2016c723964b65              # 4711
            """,
        ),
        (
            Ciphering.GENERAL_GLO,
            GENERAL_INITIATE_RESPONSE,
            """
            << db08 4d4d4d0000000001 1e 30 00000002 18d9b13e54766097e356bd5f07a72f5173ec6e318cad54bd7b
            >> db08 4d4d4d0000bc614e 1a 30 00000002 34ca3ff2cbe0659a99a420e3749c2016c723964b65
            """,
        ),
        (
            Ciphering.GENERAL_GLO,
            GENERAL_INITIATE_RESPONSE,
            """
            << db08 4d4d4d0000000001 1e 30 00000002 18d9b13e54766097e356bd5f07a72f5173ec6e318cad54bd7b
            >> db00 1a 30 00000002 34ca3ff2cbe0659a99a420e3749c2016c723964b65           # the title is left out
            """,
        ),
    ],
)
def test_a_ciphered_get(ciphering: Ciphering, initiate_response: str, script: str):
    session = opened(ciphering, initiate_response)
    assert play(get(session, IMPORT), script) == double_long_unsigned(4711)


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        ("cc1a 30 00000001 34ca3ff2cbe0659a99a420e3749c2016c723964b65", ReplayError),
        ("cc1a 30 00000003 34ca3ff2cbe0659a99a420e3749c2016c723964b65", SecurityError),
        ("cc1a 30 00000002 34ca3ff2cbe0659a99a420e3749c2016c723964b66", SecurityError),
        ("cc0e 20 00000002 34ca3ff2cbe0659a99", DowngradeError),
        ("cc1a 10 00000002 34ca3ff2cbe0659a99a420e3749c2016c723964b65", DowngradeError),
        ("d41a 30 00000002 34ca3ff2cbe0659a99a420e3749c2016c723964b65", SecurityError),
        ("c401 41 00 0600001267", DowngradeError),
        ("cc03 30 0000", RemoteProtocolError),
        ("d8 01 05", ServiceRefusedError),
        ("d8 01 06 00000100", InvocationCounterError),
    ],
)
def test_a_ciphered_answer_that_must_not_be_believed(answer: str, error: type[AmityError]):
    session = opened(Ciphering.GLO, GLO_INITIATE_RESPONSE)
    with pytest.raises(error):
        play(
            get(session, IMPORT),
            f"""
            << c81e 30 00000002 18d9b13e54766097e356bd5f07a72f5173ec6e318cad54bd7b
            >> {answer}
            """,
        )


def test_an_answer_in_the_name_of_somebody_else_is_refused_when_nothing_else_comes():
    session = opened(Ciphering.GLO, GLO_INITIATE_RESPONSE)
    with pytest.raises(SecurityError, match="title"):
        play(
            get(session, IMPORT),
            """
            << c81e 30 00000002 18d9b13e54766097e356bd5f07a72f5173ec6e318cad54bd7b
            >> db08 4d4d4d0000000001 1a 30 00000002 34ca3ff2cbe0659a99a420e3749c2016c723964b65
            <<                                                                      # listening on
            >>
            """,
        )


@pytest.mark.parametrize(
    ("answer", "error", "words"),
    [
        (
            "611f a109060760857405080101 a203020101 a305a10302010d be0604040e010601",
            AssociationRejectedError,
            "authentic",
        ),
        ("6117 a109060760857405080101 a203020101 a305a103020101", AssociationRejectedError, "no reason"),
        ("6117 a109060760857405080101 a203020101 a305a103020102", AssociationRejectedError, "context"),
        ("6117 a109060760857405080101 a203020102 a305a103020101", AssociationRejectedError, "busy"),
        ("6117 a109060760857405080101 a203020101 a305a203020102", AssociationRejectedError, "version"),
        ("d8 01 01", AssociationRejectedError, "operation-not-possible"),
        ("d8 01 06 00000100", InvocationCounterError, "256"),
        ("d8 01 07", AssociationRejectedError, "unknown-7"),
        ("6117 a109060760857405080101 a203020101 a305a10302010f", AssociationRejectedError, "no reason"),
        (
            "611f a109060760857405080101 a203020101 a305a103020101 be0604040e010602",
            AssociationRejectedError,
            "incompatible conformance",
        ),
        (
            "611f a109060760857405080101 a203020101 a305a103020101 be0604040e010603",
            AssociationRejectedError,
            "PDU size too short",
        ),
        ("0e 01 06 02", AssociationRejectedError, "incompatible conformance"),
        ("", RemoteProtocolError, "an empty answer came"),
        ("6203 800100", RemoteProtocolError, "no APDU"),
        ("c401 41 00 00", RemoteProtocolError, "something else"),
        ("ff", RemoteProtocolError, "no APDU"),
        ("61", RemoteProtocolError, "ends"),
    ],
)
def test_an_opening_that_fails(answer: str, error: type[AmityError], words: str):
    with pytest.raises(error, match=words) as caught:
        play(
            associate(LOWEST, ports()),
            f"""
            << 601d a109060760857405080101 be10040e 01000000065f1f0400001215ffff
            >> {answer}
            """,
        )
    if isinstance(caught.value, AssociationRejectedError):
        assert caught.value.what.startswith("DLMS Association Rejected")
        assert caught.value.next_step


@pytest.mark.parametrize(
    "answer",
    [
        "612b a109060760857405080101 a203020100 a305a103020100 a400 be10040e 0800065f1f040000121504000007",
        "612e a109060760857405080101 a203020100 a305a103020100 a503020101 be10040e 0800065f1f040000121504000007",
        "6134a109060760857405080101a203020100a305a1030201008909060760857405080200be10040e0800065f1f040000121504000007",
        "6129 a109060760857405080101 a203020100 a305a103020100 be10040e 0800065f1f040000121504000007 0000",
        "612b a109060760857405080101 a203020100 a305a103020100 be120410 0800065f1f040000121504000007 0000",
    ],
)
def test_what_the_client_does_not_need_does_not_stop_it(answer: str):
    script = f"""
        << 601d a109060760857405080101 be10040e 01000000065f1f0400001215ffff
        >> {answer}
        """
    assert play(associate(LOWEST, ports()), script).max_pdu_octets == 0x0400


def test_a_push_before_the_answer_to_an_opening_is_kept():
    push = "db08 4d4d4d0000bc614e 06 20 00000001 0f"
    script = f"""
        << 601d a109060760857405080101 be10040e 01000000065f1f0400001215ffff
        >> {push}
        <<                                                                          # listening on
        >> 6129 a109060760857405080101 a203020100 a305a103020100 be10040e 0800065f1f040000121504000007
        """
    session = play(associate(LOWEST, ports()), script)
    assert session.journal.unasked == [bytes.fromhex(push)]


def test_pushes_without_end_are_no_answer():
    script = ">> db08 4d4d4d0000bc614e 06 20 00000001 0f\n<<\n" * UNASKED_MAX
    opening = "<< 601d a109060760857405080101 be10040e 01000000065f1f0400001215ffff\n"
    with pytest.raises(RemoteProtocolError, match="nobody asked for"):
        play(associate(LOWEST, ports()), opening + script + ">> 00")


@pytest.mark.parametrize(
    ("answer", "confirmed"), [("6303 800100", True), ("6300", True), ("6203 800100", False), ("c0", False), ("", False)]
)
def test_release(answer: str, confirmed: bool):
    script = f"""
        << 6203 800100      # RLRQ, normal
        >> {answer}
        """
    assert play(release(open_session()), script) is confirmed
