"""Whatever octets reach the meter, it answers or stays silent; it never raises and never lets go of its policy."""

from hypothesis import given
from hypothesis import strategies as st

from amity.devices.client import Authentication, Ciphering, Protection
from amity.devices.server import MeterAssociation, State
from amity.protocols.dlms import acse, apdu
from amity.protocols.dlms.apdu import ExceptionResponse
from tests.unit.devices.conversing import NOW, PUBLIC, Line, access, meter, settings_for

GMAC = access(Authentication.HLS_GMAC, Ciphering.GLO, Protection.AUTHENTICATED_ENCRYPTED)
REQUESTS = [
    "601da109060760857405080101be10040e01000000065f1f0400001e1dffff",
    "6036a1090607608574050801018a0207808b0760857405080201ac0a80083132333435363738be10040e01000000065f1f0400001e1dffff",
    "c001c100030100010800ff0200",
    "c001c100070100630100ff0201010204020412000809060000010000ff0f02120000"
    + 2 * "090c07ea0101040000000000000000"
    + "0100",
    "c002c100000001",
    "c003c102030100010800ff0200030100010800ff0300",
    "c101c100030100010800ff020006000000ff",
    "c301c1000f0000280000ff010109111000000001aabbccddeeff001122334455",
    "d91000000000000000",
    "6200",
    "6203800100",
    "db08414d590000000001133000000001aabbccddeeff00112233445566",
    "c81e3000000001411312ff935a47566827c467bc7d825c3be4a77c3fcc056b6b",
]


def mutations():
    """A known request with a few octets changed, cut or doubled."""
    return st.builds(
        lambda request, place, octet, cut: (request[:place] + bytes([octet]) + request[place + 1 :])[: cut or None],
        st.sampled_from([bytes.fromhex(request) for request in REQUESTS if len(request) % 2 == 0]),
        st.integers(0, 60),
        st.integers(0, 255),
        st.integers(0, 60),
    )


def answers_are_apdus(association: MeterAssociation, requests: list[bytes]):
    for request in requests:
        answer = association.receive(request, NOW)
        if answer is not None:
            (acse if answer[0] in range(0x60, 0x64) else apdu).decode(answer)


@given(st.lists(st.binary(max_size=80) | mutations(), max_size=6))
def test_any_octets_to_a_meter_that_nobody_has_associated_with(requests: list[bytes]):
    answers_are_apdus(meter(GMAC).open_association(PUBLIC), requests)


@given(st.lists(st.binary(max_size=80) | mutations(), max_size=6))
def test_any_octets_inside_a_plain_association(requests: list[bytes]):
    line = Line(meter(), client=PUBLIC)
    line.associate(settings_for(access()))
    answers_are_apdus(line.association, requests)


@given(st.lists(st.binary(max_size=80) | mutations(), max_size=6))
def test_any_octets_inside_a_ciphered_association_reveal_nothing(requests: list[bytes]):
    line = Line(meter(GMAC))
    line.associate(settings_for(GMAC))
    for request in requests:
        answer = line.association.receive(request, NOW)
        if answer is not None and answer[0] not in range(0x60, 0x64):
            assert answer[0] == ExceptionResponse.TAG


@given(st.binary(max_size=60))
def test_any_plain_octets_under_the_right_keys(plain: bytes):
    line = Line(meter(GMAC))
    session = line.associate(settings_for(GMAC))
    sealed = session.security.seal(b"\xc0" + plain)
    answer = line.association.receive(sealed, NOW)
    assert answer is not None
    assert line.association.state is State.OPEN
