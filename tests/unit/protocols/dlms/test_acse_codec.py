import pytest

from amity.protocols.dlms import acse
from amity.protocols.dlms.acse import (
    Aare,
    Aarq,
    ApplicationContext,
    AssociationResult,
    Mechanism,
    ProviderDiagnostic,
    Rlre,
    Rlrq,
    SourceDiagnostic,
)
from amity.protocols.dlms.data import DecodeError

TITLE, CHALLENGE, INITIATE = b"AMY\x00\x00\x00\x00\x01", b"12345678", bytes.fromhex("01000000065f1f0400001e1dffff")

EVERY_APDU = [
    Aarq(INITIATE),
    Aarq(INITIATE, ApplicationContext.LN, Mechanism.LLS, b"secret"),
    Aarq(
        INITIATE, ApplicationContext.LN_CIPHERED, Mechanism.HLS_GMAC, CHALLENGE, TITLE,
        calling_ae_qualifier=b"cert", calling_ae_invocation_id=5,
    ),
    Aare(AssociationResult.ACCEPTED, SourceDiagnostic.NULL, INITIATE),
    Aare(
        AssociationResult.ACCEPTED, SourceDiagnostic.AUTHENTICATION_REQUIRED, INITIATE, ApplicationContext.LN_CIPHERED,
        Mechanism.HLS_GMAC, CHALLENGE, TITLE,
    ),
    Aare(AssociationResult.REJECTED_PERMANENT, ProviderDiagnostic.NO_COMMON_ACSE_VERSION, None),
    Rlrq(),
    Rlrq(0, INITIATE),
    Rlre(),
    Rlre(None),
]  # fmt: skip


@pytest.mark.parametrize("one", EVERY_APDU, ids=lambda one: type(one).__name__)
def test_every_association_apdu_comes_back(one: acse.AcseApdu):
    octets = acse.encode(one)
    again = acse.decode(octets)
    assert acse.encode(again) == octets
    assert type(again) is type(one)
    for field in ("result", "diagnostic", "mechanism", "authentication_value", "user_information", "reason"):
        assert getattr(again, field, None) == getattr(one, field, None)


def test_plain_aarq_is_the_one_every_meter_knows():
    octets = acse.encode(Aarq(INITIATE))
    assert octets.hex() == "601da109060760857405080101be10040e01000000065f1f0400001e1dffff"


def test_answer_without_user_information_is_taken():
    answer = acse.decode(acse.encode(Aare(AssociationResult.ACCEPTED, SourceDiagnostic.NULL, None)))
    assert isinstance(answer, Aare)
    assert answer.accepted
    assert answer.user_information is None


@pytest.mark.parametrize("length", ["00", "02", "03", "05", "7f"])
def test_a_release_response_that_counts_its_own_length_wrong_is_taken(length: str):
    assert acse.decode(bytes.fromhex(f"63{length}800100")) == Rlre(0)


def test_fields_without_a_name_here_are_kept():
    octets = bytes.fromhex("6014a109060760857405080101a303020105be020400")
    one = acse.decode(octets)
    assert isinstance(one, Aarq)
    assert one.other_fields == ((0xA3, bytes.fromhex("020105")),)
    assert acse.encode(one) == octets


@pytest.mark.parametrize(
    "octets",
    [
        "", "60", "6005a1", "6003a10100", "600ba109060760857405090101",
        "6016a109060760857405080101a109060760857405080101", "610da109060760857405080101a20100",
        "6111a109060760857405080101a20402020107", "62018", "99", "600ba109060760857405080101" + "0001",
        "6114a109060760857405080101a203020101a302a100",
    ],
)  # fmt: skip
def test_malformed_association_apdus_are_one_typed_error(octets: str):
    padded = octets if len(octets) % 2 == 0 else octets + "0"
    with pytest.raises(DecodeError):
        acse.decode(bytes.fromhex(padded))


CONTEXT, ACCEPTED, NO_DIAGNOSTIC = "a109060760857405080101", "a203020100", "a305a103020100"
REJECTED, REASON_2 = "a203020101", "a305a103020102"


def aare(*parts: str, behind: str = "") -> Aare:
    content = bytes.fromhex("".join(parts))
    one = acse.decode(bytes([0x61, len(content)]) + content + bytes.fromhex(behind))
    assert isinstance(one, Aare)
    return one


@pytest.mark.parametrize(("tag", "field"), [(0xA4, ""), (0xA4, "06052a03040506"), (0xA5, "020101"), (0xA5, "0401")])
def test_a_title_or_qualifier_in_another_form_is_kept_and_not_used(tag: int, field: str):
    octets = bytes.fromhex(field)
    one = aare(CONTEXT, ACCEPTED, NO_DIAGNOSTIC, bytes([tag, len(octets)]).hex(), field)
    assert (one.responding_ap_title, one.responding_ae_qualifier) == (None, None)
    assert one.other_fields == ((tag, octets),)
    assert acse.decode(one.encode()) == one


def test_an_object_identifier_with_its_tag_written_again_is_the_same():
    assert aare(CONTEXT, ACCEPTED, NO_DIAGNOSTIC, "8909060760857405080205").mechanism is Mechanism.HLS_GMAC


@pytest.mark.parametrize(
    ("context", "named"),
    [("", None), ("a109060760857405080105", "unknown-5"), ("a109060760857405090101", None), ("a100", None)],
)
def test_a_rejection_in_a_context_that_nobody_knows_is_a_rejection(context: str, named: str | None):
    one = aare(context, REJECTED, REASON_2)
    assert not one.accepted
    assert not one.ciphered
    assert one.diagnostic is SourceDiagnostic.APPLICATION_CONTEXT_NAME_NOT_SUPPORTED
    assert (None if one.context is None else one.context.label) == named


def test_zeros_that_pad_an_answer_are_stepped_over():
    assert aare(CONTEXT, ACCEPTED, NO_DIAGNOSTIC, behind="0000") == aare(CONTEXT, ACCEPTED, NO_DIAGNOSTIC)


def test_a_reason_that_the_standard_does_not_name_keeps_its_number():
    assert aare(CONTEXT, REJECTED, "a305a10302010f").diagnostic.label == "unknown-15"
    assert aare(CONTEXT, REJECTED, "a306a10402020001").diagnostic is SourceDiagnostic.NO_REASON_GIVEN
    assert aare(CONTEXT, "a203020107").result.label == "unknown-7"
    assert not aare(CONTEXT, "a203020107").accepted


def test_the_password_is_in_no_repr():
    assert "hunter22" not in repr(Aarq(INITIATE, mechanism=Mechanism.LLS, authentication_value=b"hunter22"))


def test_a_field_that_stands_twice_is_refused():
    with pytest.raises(DecodeError, match="twice"):
        acse.decode(bytes.fromhex("6016a109060760857405080101a109060760857405080101"))
