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
        "", "60", "6005a1", "6003a10100", "600ba109060760857405080109", "600ba109060760857405090101",
        "6016a109060760857405080101a109060760857405080101", "610da109060760857405080101a20100",
        "6110a109060760857405080101a203020107", "62018", "99",
    ],
)  # fmt: skip
def test_malformed_association_apdus_are_one_typed_error(octets: str):
    padded = octets if len(octets) % 2 == 0 else octets + "0"
    with pytest.raises(DecodeError):
        acse.decode(bytes.fromhex(padded))


def test_a_field_that_stands_twice_is_refused():
    with pytest.raises(DecodeError, match="twice"):
        acse.decode(bytes.fromhex("6016a109060760857405080101a109060760857405080101"))
