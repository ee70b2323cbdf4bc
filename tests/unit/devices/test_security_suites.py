"""Suites 0, 1 and 2 in every mode, client against meter; then everything that must be refused in them."""

import hashlib
import itertools
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from amity.devices.client import (
    AssociationRejectedError,
    AssociationSettings,
    Authentication,
    Ciphering,
    DowngradeError,
    Ports,
    Protection,
    ReplayError,
    ServiceRefusedError,
    associate,
    get,
    release,
)
from amity.devices.freshness import Received
from amity.devices.server import ClientAccess, State
from amity.kernel.errors import AmityError, ConfigurationError, LocalProtocolError, SecurityError
from amity.protocols.dlms import acse, apdu, elliptic
from amity.protocols.dlms.apdu import Attribute, Conformance, ExceptionResponse, InitiateRequest, ServiceError
from amity.protocols.dlms.ciphering import SecurityControl, wrap_glo
from amity.protocols.dlms.data import double_long_unsigned
from amity.protocols.dlms.general_protection import KeyUse, PublicKeys
from amity.protocols.dlms.key_ring import KeyRing, Keys
from amity.protocols.dlms.protector import Protector
from amity.protocols.dlms.suites import suite_of
from tests.unit.devices.conversing import (
    CLIENT_TITLE,
    IMPORT,
    METER_TITLE,
    NOW,
    READER,
    Line,
    counter,
    lead,
    meter,
    ports,
)

BOTH = Protection.AUTHENTICATED_ENCRYPTED
PROTECTIONS = (Protection.AUTHENTICATED, Protection.ENCRYPTED, BOTH)
IMPORT_VALUE = Attribute(3, IMPORT, 2)
HLS = [how for how in Authentication if how.hls]
GET = bytes.fromhex("c001c100030100010800ff0200")


def sound_chance(seed: int) -> Callable[[int], bytes]:
    numbers = itertools.count()
    return lambda count: hashlib.shake_128(bytes([seed]) + next(numbers).to_bytes(4, "big")).digest(count)


def ring(suite: int, who: int, **changes: bytes | None) -> KeyRing:
    """The keys of client (1) or meter (2): the symmetric ones are the same, the private ones each has for itself."""
    curve = suite_of(suite)
    octets = curve.key_octets
    keys = Keys(bytes(range(octets)), bytes(range(octets, 2 * octets)), master=bytes(octets), secret=b"our secret")
    if suite:
        keys = replace(
            keys,
            signing=(1000 + who).to_bytes(curve.coordinate_octets, "big"),
            agreement=(2000 + who).to_bytes(curve.coordinate_octets, "big"),
        )
    return KeyRing(suite, replace(keys, **changes), sound_chance(who))


def public_keys(suite: int, who: int) -> PublicKeys:
    if not suite:
        return PublicKeys()
    curve = suite_of(suite)
    points = (
        elliptic.public_octets(
            elliptic.private_key(curve, number.to_bytes(curve.coordinate_octets, "big")).public_key()
        )
        for number in (1000 + who, 2000 + who)
    )
    return PublicKeys(*points)


def allowed(
    suite: int,
    how: Authentication = Authentication.NONE,
    wrap: Ciphering = Ciphering.GLO,
    guard: Protection = BOTH,
    **changes: Any,
) -> ClientAccess:
    fitting: dict[str, Any] = {"protector": ring(suite, 2), "client_keys": public_keys(suite, 1)}
    return ClientAccess(READER, how, wrap, guard, **(fitting | changes))


def settings(access: ClientAccess, **changes: Any) -> AssociationSettings:
    suite = 0 if access.protector is None else access.protector.suite
    fitting: dict[str, Any] = {
        "authentication": access.authentication,
        "ciphering": access.ciphering,
        "protection": access.protection,
        "client_title": CLIENT_TITLE,
        "protector": ring(suite, 1),
        "server_keys": public_keys(suite, 2),
        "broken_digests_allowed": access.authentication.broken,
        "signed": access.signed,
    }
    return AssociationSettings(**(fitting | changes))


def check_reading(access: ClientAccess, line: Line | None = None, **changes: Any) -> Line:
    line = line or Line(meter(access))
    session = line.associate(settings(access, **changes))
    assert line.association.state is State.OPEN
    for _ in range(3):
        assert line.lead(get(session, IMPORT_VALUE)) == double_long_unsigned(4711)
    assert line.lead(release(session)) is True
    return line


# ------------------------------------------------------------------ everything that works
@pytest.mark.parametrize("dedicated", [False, True], ids=["global", "dedicated"])
@pytest.mark.parametrize("guard", PROTECTIONS)
@pytest.mark.parametrize("wrap", [Ciphering.GLO, Ciphering.GENERAL_GLO])
@pytest.mark.parametrize("suite", [0, 1, 2])
def test_every_suite_in_every_wrapping_with_either_key(
    suite: int,
    wrap: Ciphering,
    guard: Protection,
    dedicated: bool,
):
    line = check_reading(allowed(suite, Authentication.HLS_GMAC, wrap, guard), dedicated_key=dedicated)
    requests = {request[0] for request in line.requests[2:-1]}
    answers = {answer[0] for answer in line.answers[2:-1]}
    tags = {(Ciphering.GLO, False): 0xC8, (Ciphering.GLO, True): 0xD0, (Ciphering.GENERAL_GLO, False): 0xDB}
    assert requests == {tags.get((wrap, dedicated), 0xDC)}
    assert answers == {{0xC8: 0xCC, 0xD0: 0xD4}.get(next(iter(requests)), next(iter(requests)))}
    ciphered = apdu.decode(line.requests[-2])
    assert ciphered.security_control == guard.control | suite


@pytest.mark.parametrize("how", HLS)
@pytest.mark.parametrize("suite", [1, 2])
def test_every_mechanism_in_the_suites_with_curves(suite: int, how: Authentication):
    check_reading(allowed(suite, how))


@pytest.mark.parametrize("key_use", KeyUse)
@pytest.mark.parametrize("guard", PROTECTIONS)
@pytest.mark.parametrize("suite", [0, 1, 2])
def test_general_ciphering_under_every_kind_of_key(suite: int, guard: Protection, key_use: KeyUse):
    if not suite and key_use in {KeyUse.ONE_PASS, KeyUse.STATIC}:
        pytest.skip("suite 0 agrees on no keys")
    access = allowed(suite, wrap=Ciphering.GENERAL, guard=guard)
    if guard is Protection.ENCRYPTED and key_use in {KeyUse.WRAPPED, KeyUse.ONE_PASS}:
        with pytest.raises(ConfigurationError, match="used again by anybody"):
            settings(access, key_use=key_use)
        return
    line = check_reading(access, key_use=key_use)
    for wire in (line.requests[-2], line.answers[-2]):
        message = apdu.decode(wire)
        assert isinstance(message, apdu.GeneralCiphering)
        assert message.security_control == guard.control | suite


@pytest.mark.parametrize("wrap", list(Ciphering)[1:])
@pytest.mark.parametrize("suite", [1, 2])
def test_signed_messages_in_every_wrapping(suite: int, wrap: Ciphering):
    check_reading(allowed(suite, Authentication.HLS_ECDSA, wrap, signed=True))


def test_a_dedicated_key_has_counters_of_its_own_and_is_another_each_time():
    access = allowed(0, Authentication.HLS_GMAC)
    server = meter(access)
    with_ports = Ports(sound_chance(5), counter(1000))
    keys = []
    for _ in range(2):
        line = Line(server)
        session = line.associate(settings(access, dedicated_key=True), with_ports)
        for _ in range(2):
            line.lead(get(session, IMPORT_VALUE))
        counters = [apdu.decode(request).invocation_counter for request in line.requests[2:]]
        assert counters == [1, 2]
        aarq = acse.decode(line.requests[0])
        initiate = apdu.decode(aarq.user_information)
        plain = ring(0, 2).unprotect(0x30, CLIENT_TITLE, initiate.invocation_counter, initiate.payload)
        keys.append(apdu.decode(plain).dedicated_key)
        line.association.close()
    assert len(set(keys)) == 2
    assert {len(key) for key in keys} == {16}
    assert server.received_counter(READER) == 1005


# ------------------------------------------------------------------ what must be refused
@pytest.mark.parametrize(("ours", "theirs"), [(0, 1), (1, 0), (1, 2), (2, 1), (0, 2)])
def test_another_suite_than_agreed_opens_nothing(ours: int, theirs: int):
    with pytest.raises(AssociationRejectedError, match="wrong key likely"):
        Line(meter(allowed(theirs))).associate(settings(allowed(theirs), protector=ring(ours, 1)))


@pytest.mark.parametrize("suite", [0, 2])
def test_an_answer_in_another_suite_is_refused(suite: int):
    access = allowed(1)
    line = Line(meter(access))
    session = line.associate(settings(access))
    line.spoil = lambda _answer: wrap_glo(ring(suite, 2), 0x30 | suite, METER_TITLE, 5000, b"\xc4\x01\xc1\x00\x00")
    with pytest.raises(SecurityError, match=f"security suite {suite}"):
        line.lead(get(session, IMPORT_VALUE))


@pytest.mark.parametrize(("control", "words"), [
    (0xB0, "compressed"), (0x33, "suite 3, which the standard does not have"), (0x3F, "suite 15"),
    (0x70, "broadcast"),
])  # fmt: skip
def test_bits_that_nobody_agreed_on_are_named(control: int, words: str):
    access = allowed(0)
    line = Line(meter(access))
    session = line.associate(settings(access))
    line.spoil = lambda answer: answer[:2] + bytes([control]) + answer[3:]
    with pytest.raises(SecurityError, match=words):
        line.lead(get(session, IMPORT_VALUE))
    answer = line.association.receive(line.requests[-1][:2] + bytes([control]) + line.requests[-1][3:], NOW)
    refusal = ExceptionResponse(apdu.StateError.SERVICE_NOT_ALLOWED, ServiceError.DECIPHERING_ERROR).encode()
    assert answer == (None if control & SecurityControl.BROADCAST else refusal)  # what all hear nobody answers


@pytest.mark.parametrize("wrap", list(Ciphering)[1:])
@pytest.mark.parametrize("key_use", KeyUse)
def test_a_replayed_message_is_refused_by_both_sides(wrap: Ciphering, key_use: KeyUse):
    access = allowed(1, wrap=wrap)
    line = Line(meter(access))
    session = line.associate(settings(access, key_use=key_use))
    line.lead(get(session, IMPORT_VALUE))
    answer = line.association.receive(line.requests[-1], NOW)
    assert answer[:3] == bytes([ExceptionResponse.TAG, 1, ServiceError.INVOCATION_COUNTER_ERROR])
    line.spoil = lambda _answer: line.answers[-2]
    with pytest.raises(ReplayError):
        line.lead(get(session, IMPORT_VALUE))


def test_a_replay_in_a_later_association_is_refused_too():
    access = allowed(1, wrap=Ciphering.GENERAL)
    server = meter(access)
    line = Line(server)
    session = line.associate(settings(access, key_use=KeyUse.ONE_PASS))
    line.lead(get(session, IMPORT_VALUE))
    recorded = line.requests[-1]
    line.association.close()
    later = Line(server)
    later.associate(settings(access, key_use=KeyUse.ONE_PASS), ports(9000))
    answer = later.association.receive(recorded, NOW)
    assert answer[2] == ServiceError.INVOCATION_COUNTER_ERROR


def test_a_whole_session_played_again_is_refused_by_a_client_that_remembers():
    access = allowed(0)
    line = Line(meter(access))
    heard = Received()
    session = line.associate(settings(access), Ports(sound_chance(3), counter(), received=heard))
    line.lead(get(session, IMPORT_VALUE))
    assert heard.counter == 2
    recorded = iter(line.answers)
    with pytest.raises(ReplayError):
        lead(associate(settings(access), Ports(sound_chance(4), counter(50), received=heard)), lambda _: next(recorded))
    forgetful = iter(line.answers)
    lead(associate(settings(access), Ports(sound_chance(4), counter(50))), lambda _: next(forgetful))


def test_a_replay_under_a_dedicated_key_is_refused():
    access = allowed(0)
    line = Line(meter(access))
    session = line.associate(settings(access, dedicated_key=True))
    line.lead(get(session, IMPORT_VALUE))
    answer = line.association.receive(line.requests[-1], NOW)
    assert answer == bytes([ExceptionResponse.TAG, 1, ServiceError.INVOCATION_COUNTER_ERROR, 0, 0, 0, 2])


def test_a_dedicated_key_that_was_never_given_opens_nothing():
    access = allowed(0)
    line = Line(meter(access))
    line.associate(settings(access))
    sealed = b"\xd0" + wrap_glo(ring(0, 1), 0x30, CLIENT_TITLE, 9000, GET)[1:]
    assert line.association.receive(sealed, NOW)[2] == ServiceError.DECIPHERING_ERROR


def test_a_dedicated_key_of_the_wrong_length_is_an_aare_that_says_no():
    access = allowed(0)
    initiate = InitiateRequest(Conformance.GET, 0, dedicated_key=bytes(5)).encode()
    information = wrap_glo(ring(0, 1), 0x30, CLIENT_TITLE, 1, initiate)
    aarq = acse.Aarq(information, acse.ApplicationContext.LN_CIPHERED, calling_ap_title=CLIENT_TITLE)
    aare = acse.decode(Line(meter(access)).answer(aarq.encode()))
    assert aare.diagnostic is acse.SourceDiagnostic.AUTHENTICATION_FAILURE


@pytest.mark.parametrize("how", [Authentication.HLS_ECDSA, Authentication.HLS_SHA256, Authentication.HLS2])
def test_a_client_with_another_key_or_secret_does_not_come_in(how: Authentication):
    access = allowed(1, how)
    strange = ring(1, 1, signing=bytes(31) + b"\x05", secret=b"guess")
    line = Line(meter(access))
    with pytest.raises(AssociationRejectedError, match="does not accept our answer"):
        line.associate(settings(access, protector=strange))
    assert line.association.state is State.IDLE


@pytest.mark.parametrize("how", [Authentication.HLS_ECDSA, Authentication.HLS_SHA256, Authentication.HLS2])
def test_a_meter_with_another_key_is_not_believed(how: Authentication):
    """Mechanisms with one secret fail at the client's proof already; with signatures the meter's own one is wrong."""
    access = allowed(1, how, protector=ring(1, 2, signing=bytes(31) + b"\x05", secret=b"guess"))
    with pytest.raises(AmityError, match=r"does not verify|does not accept"):
        Line(meter(access)).associate(settings(access))


def test_an_unsigned_message_is_a_downgrade_on_both_sides():
    access = allowed(1, signed=True)
    line = Line(meter(access))
    session = line.associate(settings(access))
    unsigned = wrap_glo(ring(1, 1), 0x31, CLIENT_TITLE, 9000, GET)
    assert line.association.receive(unsigned, NOW)[2] == ServiceError.OTHER_REASON
    line.spoil = lambda _answer: wrap_glo(ring(1, 2), 0x31, METER_TITLE, 9000, b"\xc4\x01\xc1\x00\x00")
    with pytest.raises(DowngradeError, match="unsigned"):
        line.lead(get(session, IMPORT_VALUE))


def test_a_signature_by_somebody_else_is_refused():
    access = allowed(1, signed=True)
    line = Line(meter(access))
    session = line.associate(settings(access, protector=ring(1, 1, signing=bytes(31) + b"\x05")))
    with pytest.raises(ServiceRefusedError, match="deciphering-error"):
        line.lead(get(session, IMPORT_VALUE))


# ------------------------------------------------------------------ digests that are broken
@pytest.mark.parametrize("how", [Authentication.HLS_MD5, Authentication.HLS_SHA1])
def test_a_broken_digest_is_refused_unless_it_is_allowed_and_then_only_reads(how: Authentication):
    access = allowed(0, how, Ciphering.NONE, Protection.NONE)
    with pytest.raises(ConfigurationError, match="broken") as caught:
        settings(access, broken_digests_allowed=False)
    assert "--allow-broken-digest" in caught.value.next_step
    line = Line(meter(access))
    session = line.associate(settings(access))
    assert not session.conformance & (Conformance.SET | Conformance.ACTION | Conformance.ACCESS)
    greedy = InitiateRequest(Conformance.GET | Conformance.SET | Conformance.ACTION | Conformance.ACCESS, 0).encode()
    aarq = acse.Aarq(greedy, mechanism=how.mechanism, authentication_value=b"K56iVagYK56iVagY").encode()
    aare = acse.decode(Line(meter(access)).answer(aarq))
    assert apdu.decode(aare.user_information).conformance == Conformance.GET | Conformance.ACTION
    action = bytes.fromhex("c301c10046000060030aff0101 0f00")
    assert line.association.receive(action, NOW)[2] == ServiceError.SERVICE_NOT_SUPPORTED
    assert line.lead(get(session, IMPORT_VALUE)) == double_long_unsigned(4711)


@pytest.mark.parametrize("how", [Authentication.HLS2, Authentication.HLS_MD5, Authentication.HLS_SHA256])
def test_the_secret_never_travels(how: Authentication):
    line = check_reading(allowed(0, how, Ciphering.NONE, Protection.NONE))
    assert not any(b"our secret" in octets for octets in (*line.requests, *line.answers))
    assert b"our secret" not in repr(settings(allowed(0, how))).encode()


# ------------------------------------------------------------------ chance
@pytest.mark.parametrize(
    "bad",
    [
        bytes,
        lambda count: b"\xff" * count,
        lambda count: bytes(range(count)),
        lambda count: (b"ab" * count)[:count],
        lambda count: b"short"[:count],
    ],
    ids=["zeros", "ones", "the same each time", "two letters", "too few"],
)
def test_a_source_of_chance_that_repeats_itself_is_refused_by_both_sides(bad: Callable[[int], bytes]):
    access = allowed(0, Authentication.HLS_GMAC)
    line = Line(meter(access))
    with pytest.raises(LocalProtocolError, match="repeats itself"):
        line.associate(settings(access), Ports(bad, counter()))
    assert not line.requests
    server = meter(access)
    server.judge = server.judge._replace(random_octets=bad)
    with pytest.raises(AssociationRejectedError, match="busy"):
        Line(server).associate(settings(access))


def test_challenges_of_a_sound_source_never_repeat():
    access = allowed(0, Authentication.HLS_GMAC)
    server, drawn = meter(access), sound_chance(8)
    server.judge = server.judge._replace(random_octets=sound_chance(9))
    numbers = counter()
    seen = set()
    for _ in range(200):
        line = Line(server)
        line.associate(settings(access), Ports(drawn, numbers))
        seen |= {acse.decode(octets).authentication_value for octets in (line.requests[0], line.answers[0])}
        line.association.close()
    assert len(seen) == 400
    assert min(map(len, seen)) >= 16


def test_our_own_answer_sent_back_is_no_proof():
    access = allowed(0, Authentication.HLS_GMAC, Ciphering.NONE, Protection.NONE)
    line = Line(meter(access))

    def reflect(answer: bytes) -> bytes:
        if answer[0] == acse.AARE_TAG:
            return answer
        proof = apdu.decode(line.requests[-1]).parameters
        return apdu.ActionResponseNormal(0xC1, apdu.ActionResult.SUCCESS, proof).encode()

    line.spoil = reflect
    with pytest.raises(SecurityError, match="own answer back"):
        line.associate(settings(access))


# ------------------------------------------------------------------ settings
@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"authentication": Authentication.HLS_ECDSA}, "suite 1 or 2"),
        ({"ciphering": Ciphering.NONE, "protection": Protection.NONE, "dedicated_key": True}, "ciphered context"),
        ({"ciphering": Ciphering.GENERAL, "dedicated_key": True}, "no dedicated key"),
        ({"ciphering": Ciphering.GENERAL, "key_use": KeyUse.ONE_PASS}, "suite 1 or 2"),
        ({"signed": True}, "suite 1 or 2"),
        ({"authentication": Authentication.HLS_SHA256, "protector": None}, "need keys"),
    ],
)
def test_settings_that_cannot_work_are_refused(changes: dict[str, Any], words: str):
    with pytest.raises(ConfigurationError, match=words):
        settings(allowed(0), **changes)


def test_the_suite_is_that_of_the_keys():
    held: Protector = ring(2, 1)
    assert settings(allowed(2), protector=held).suite == 2
    assert AssociationSettings().suite == 0
    assert SecurityControl.BOTH | held.suite == 0x32
