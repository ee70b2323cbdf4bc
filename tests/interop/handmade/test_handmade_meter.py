"""Amity's client against a meter that shares no line with it: mechanisms, wrappings, framings, habits of the field."""

import ast
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from amity.devices.client import AssociationRejectedError, Ciphering, DowngradeError, get, release, set_attribute
from amity.kernel.errors import SecurityError, TransportError
from amity.protocols.dlms.data import octet_string
from amity.protocols.hdlc.address import Address
from amity.protocols.hdlc.parameters import Parameters
from amity.protocols.hdlc.station import LinkSettings
from tests.interop import ledger
from tests.interop.handmade import ciphers, link, meter, serving, tlv
from tests.interop.handmade import habits as meters
from tests.interop.handmade.habits import Habits
from tests.interop.handmade.link import LinkHabits
from tests.interop.handmade.meter import Meter
from tests.interop.handmade.serving import WrapperHabits
from tests.interop.handmade.visiting import (
    AUTHENTICATIONS,
    NOTE,
    TIMEOUT_S,
    linked,
    opened,
    secrets_of,
    settings_for,
    visit,
    wrapped,
)

MECHANISMS = {number: how.value for number, how in AUTHENTICATIONS.items()}
CONTROLS = {0x10: "auth", 0x20: "enc", 0x30: "auth+enc"}
WRAPPINGS = {
    "plain": (Ciphering.NONE, False), "glo": (Ciphering.GLO, False), "ded": (Ciphering.GLO, True),
    "general-glo": (Ciphering.GENERAL_GLO, False), "general-ded": (Ciphering.GENERAL_GLO, True),
}  # fmt: skip
FRAMINGS = {"wrapper": wrapped, "hdlc": linked}


def test_it_shares_no_line_with_amity():
    for module in (ciphers, link, meter, meters, serving, tlv):
        tree = ast.parse(Path(module.__file__).read_text(encoding="utf-8"))
        names = [node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
        names += [alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names]
        assert not [name for name in names if name.split(".")[0] == "amity"], module.__name__


@pytest.mark.parametrize("framing", FRAMINGS)
@pytest.mark.parametrize("wrapping", WRAPPINGS)
@pytest.mark.parametrize("mechanism", MECHANISMS, ids=MECHANISMS.get)
async def test_every_mechanism_in_every_wrapping(mechanism: int, wrapping: str, framing: str):
    ciphering, dedicated_key = WRAPPINGS[wrapping]
    await check(Habits(mechanism, ciphered=wrapping != "plain"), ciphering, framing, dedicated_key=dedicated_key)


@pytest.mark.parametrize("suite", [0, 1, 2])
@pytest.mark.parametrize("control", CONTROLS, ids=CONTROLS.get)
@pytest.mark.parametrize("wrapping", list(WRAPPINGS)[1:])
async def test_every_protection_in_every_suite(wrapping: str, control: int, suite: int):
    ciphering, dedicated_key = WRAPPINGS[wrapping]
    await check(Habits(5, ciphered=True, control=control, suite=suite), ciphering, dedicated_key=dedicated_key)


PLAIN, GMAC = Habits(), Habits(5, ciphered=True)
AARES = {
    "protocol version": Habits(5, ciphered=True, protocol_version=b"\x07\x80"),
    "no title without ciphering": Habits(3, shows_title=False),
    "no ACSE requirements": replace(GMAC, shows_requirements=False),
    "no mechanism name": replace(GMAC, shows_mechanism=False),
    "LLS without either": Habits(1, shows_requirements=False, shows_mechanism=False),
    "diagnostic of the provider": Habits(1, provider_diagnostic=True),
    "no user information": Habits(0, user_information=False),
    "no user information, LLS": Habits(1, user_information=False),
    "no user information, HLS": Habits(6, user_information=False),
    "implementation information": replace(GMAC, implementation_information=b"XXX 1.0"),
    "lengths in one octet more": replace(GMAC, aare_length_octets=1),
    "lengths in three octets": replace(GMAC, aare_length_octets=2),
    "fields the other way round": replace(GMAC, aare_reversed=True),
    "quality of service": replace(GMAC, quality_of_service=0),
    "application tag of the early edition": Habits(1, short_conformance_tag=True),
    "its Initiate in general-glo": replace(GMAC, initiate_general=True),
    "challenge of 8 octets": replace(GMAC, challenge_octets=8),
    "challenge of 64 octets": Habits(6, ciphered=True, challenge_octets=64),
    "challenge of no whole block": Habits(2, challenge_octets=20),
    "counter from 0": replace(GMAC, first_counter=0),
    "counter in the upper half": replace(GMAC, first_counter=0xFFFF_FF00),
}


@pytest.mark.parametrize("framing", FRAMINGS)
@pytest.mark.parametrize("habits", AARES.values(), ids=AARES)
async def test_an_aare_may_look_like(habits: Habits, framing: str):
    await check(habits, Ciphering.GLO, framing)


@pytest.mark.parametrize("framing", FRAMINGS)
async def test_a_ciphered_aare_without_user_information_is_taken_where_the_settings_say_so(framing: str):
    silent = replace(GMAC, user_information=False)
    with pytest.raises(SecurityError, match="without saying what it grants"):
        await check(silent, Ciphering.GLO, framing)
    await check(silent, Ciphering.GLO, framing, bare_acceptance=True)


async def test_a_title_that_the_settings_know_need_not_be_said():
    await check(replace(GMAC, shows_title=False), Ciphering.GLO, server_title=meters.METER_TITLE)


@pytest.mark.parametrize("habits", [PLAIN, GMAC], ids=["plain", "ciphered"])
@pytest.mark.parametrize(
    "withheld",
    [
        meters.LISTS, meters.SELECTIVE_ACCESS, meters.SET, meters.SET_BLOCKS, meters.GENERAL_PROTECTION,
        meters.GET_BLOCKS | meters.SET_BLOCKS | meters.ACTION_BLOCKS | meters.LISTS,
        meters.FULL_CONFORMANCE & ~(meters.GET | meters.ACTION),
    ],
    ids=hex,
)  # fmt: skip
async def test_a_meter_may_grant_less(habits: Habits, withheld: int):
    visited = replace(habits, conformance=meters.FULL_CONFORMANCE & ~withheld)
    await check(visited, Ciphering.GENERAL_GLO if habits.ciphered else Ciphering.NONE)


@pytest.mark.parametrize("framing", FRAMINGS)
@pytest.mark.parametrize("wrapping", WRAPPINGS)
@pytest.mark.parametrize("octets", [0, 96, 128, 0xFFFF])
async def test_a_meter_may_take_long_or_short_requests(octets: int, wrapping: str, framing: str):
    ciphering, dedicated_key = WRAPPINGS[wrapping]
    habits = replace(GMAC if wrapping != "plain" else PLAIN, max_pdu=octets)
    await check(habits, ciphering, framing, dedicated_key=dedicated_key)


SERVICES = {
    "answers in blocks of 100 octets": {"block_octets": 100},
    "an empty last block": {"block_octets": 300, "empty_last_block": True},
    "the invoke id without its priority": {"keeps_priority": False},
}


@pytest.mark.parametrize("habits", [PLAIN, GMAC], ids=["plain", "ciphered"])
@pytest.mark.parametrize("changed", SERVICES.values(), ids=SERVICES)
async def test_services_may_look_like(habits: Habits, changed: dict):
    await check(replace(habits, **changed), Ciphering.GLO)


@pytest.mark.parametrize("changed", [{"answers": "glo"}, {"answers": "general-glo"}, {"empty_title": True}], ids=str)
@pytest.mark.parametrize("wrapping", list(WRAPPINGS)[1:])
async def test_answers_may_be_wrapped_in_another_way(wrapping: str, changed: dict):
    ciphering, dedicated_key = WRAPPINGS[wrapping]
    await check(replace(GMAC, **changed), ciphering, dedicated_key=dedicated_key)


RELEASES = {
    "nothing but the tag": "63", "no fields": "6300", "no reason": "6302be00", "a length too long": "6305800100",
    "a length too short": "6301800100",
}  # fmt: skip


@pytest.mark.parametrize("framing", FRAMINGS)
@pytest.mark.parametrize("octets", RELEASES.values(), ids=RELEASES)
async def test_a_release_may_be_confirmed_with(octets: str, framing: str):
    await check(replace(GMAC, release=bytes.fromhex(octets)), Ciphering.GLO, framing)


@pytest.mark.parametrize("framing", FRAMINGS)
async def test_a_meter_that_ignores_release_is_left_all_the_same(framing: str):
    visited = Meter(replace(GMAC, release=None), secrets_of(GMAC))
    async with FRAMINGS[framing](visited) as channel:
        session = await channel.run(visit(settings_for(GMAC), releasing=False), TIMEOUT_S)
        with pytest.raises(TransportError):
            await channel.run(release(session), 0.05)


REFUSALS = {
    "wrong password": ("6117a109060760857405080101a203020101a305a10302010d", "wrong password likely"),
    "and why its Initiate failed": (
        "611fa109060760857405080101a203020101a305a10302010dbe0604040e010601", "wrong password likely",
    ),
    "a diagnostic that the standard lacks": (
        "6117a109060760857405080101a203020101a305a10302011e", "the meter gives no reason",
    ),
    "the user's diagnostic as the provider's": (
        "6117a109060760857405080101a203020101a305a20302010d", "the meter gives no reason",
    ),
    "a diagnostic of two octets": ("6118a109060760857405080101a203020101a306a1040202000d", "wrong password likely"),
    "busy": ("6117a109060760857405080101a203020102a305a103020101", "busy"),
    "no common version": ("6117a109060760857405080101a203020101a305a203020102", "no common ACSE version"),
    "a ConfirmedServiceError": ("0e010601", "DLMS Association Rejected"),
    "an ExceptionResponse": ("d80101", "service-not-allowed"),
}  # fmt: skip


@pytest.mark.parametrize("framing", FRAMINGS)
@pytest.mark.parametrize(("octets", "words"), REFUSALS.values(), ids=REFUSALS)
async def test_an_association_may_be_refused_with(octets: str, words: str, framing: str):
    habits = Habits(1, refusal=bytes.fromhex(octets))
    async with FRAMINGS[framing](Meter(habits, secrets_of(habits))) as channel:
        with pytest.raises(AssociationRejectedError, match=words):
            await channel.run(visit(settings_for(habits)), TIMEOUT_S)


# ------------------------------------------------------------------ the line
HDLC = {
    "UA without parameters": LinkHabits(),
    "UA with every parameter": LinkHabits(ua=link.UA_FULL, send_octets=239),
    "UA with two parameters": LinkHabits(ua=bytes.fromhex("818006050140060140"), send_octets=64),
    "UA with windows in one octet": LinkHabits(ua=bytes.fromhex("81800c050180060180070101080101"), window=1),
    "UA with an empty group": LinkHabits(ua=bytes.fromhex("818000")),
    "UA with user data behind the group": LinkHabits(ua=link.UA_FULL + bytes.fromhex("f0020102")),
    "UA with a parameter nobody knows": LinkHabits(ua=bytes.fromhex("818006050180990107")),
    "frames of 20 octets": LinkHabits(send_octets=20),
    "bursts of three frames": LinkHabits(ua=bytes.fromhex("81800c050180060180070107080107"), window=3),
    "not yet, not yet": LinkHabits(not_yet=3),
    "not ready": LinkHabits(not_yet=2, not_yet_kind=link.RNR),
    "acknowledges first": LinkHabits(acknowledges=True),
    "acknowledges first, then takes its time": LinkHabits(acknowledges=True, not_yet=1),
    "RR before the answer in the same turn": LinkHabits(announces_rr=True),
    "DM to DISC": LinkHabits(goodbye=link.DM),
    "no LLC octets": LinkHabits(llc=b""),
    "LLC octets of a request": LinkHabits(llc=b"\xe6\xe6\x00"),
    "line noise": LinkHabits(idle=b"\xff\xff\x00\x55"),
    "flags fill the time": LinkHabits(idle=b"\x7e\x7e\x7e"),
    "one flag between two frames": LinkHabits(shared_flag=True, announces_rr=True),
    "pushes in between": LinkHabits(pushes=(bytes.fromhex("0f00000001000901ff"),)),
}


@pytest.mark.parametrize("habits", [PLAIN, GMAC], ids=["plain", "ciphered"])
@pytest.mark.parametrize("line", HDLC.values(), ids=HDLC)
async def test_a_link_may_look_like(line: LinkHabits, habits: Habits):
    visited = Meter(habits, secrets_of(habits))
    asked = LinkSettings(Parameters.both_ways(512, line.window), response_timeout_s=1.0, poll_interval_s=0.001)
    async with linked(visited, line, settings=asked) as channel:
        await channel.run(visit(settings_for(habits)), TIMEOUT_S)
        assert bool(channel.unsolicited) == bool(line.pushes)


@pytest.mark.parametrize("pieces", [0, 1, 7])
@pytest.mark.parametrize(
    "server",
    [Address(1), Address(1, 17), Address(1, 17, 4), Address(1, 8191), Address(200, 3), Address(1, 127)],
    ids=str,
)
async def test_addresses_have_one_two_or_four_octets(server: Address, pieces: int):
    async with linked(Meter(GMAC, secrets_of(GMAC)), server=server, pieces=pieces) as channel:
        await channel.run(visit(settings_for(GMAC)), TIMEOUT_S)


async def test_a_meter_that_ignores_disc_is_left_all_the_same():
    quick = LinkSettings(response_timeout_s=0.02, retries=1)
    async with linked(Meter(PLAIN, secrets_of(PLAIN)), LinkHabits(goodbye=None), settings=quick) as channel:
        await channel.run(visit(settings_for(PLAIN)), TIMEOUT_S)


@pytest.mark.parametrize("habits", [WrapperHabits(pieces=1), WrapperHabits(pieces=9), WrapperHabits(head_alone=True)])
async def test_wrapper_frames_may_come_in_pieces(habits: WrapperHabits):
    async with wrapped(Meter(GMAC, secrets_of(GMAC)), habits) as channel:
        await channel.run(visit(settings_for(GMAC)), TIMEOUT_S)


# ------------------------------------------------------------------ what is not let through
@pytest.mark.parametrize("mechanism", range(1, 7), ids=MECHANISMS.get)
async def test_it_tells_a_wrong_secret(mechanism: int):
    """Else it would prove nothing that the right one is taken."""
    habits = Habits(mechanism)
    known = secrets_of(habits)
    other = replace(known, password=b"guess", secret=b"guess", authentication=bytes(16))
    async with wrapped(Meter(habits, other)) as channel:
        with pytest.raises((AssociationRejectedError, SecurityError)):
            await channel.run(visit(settings_for(habits)), TIMEOUT_S)


@pytest.mark.parametrize("control", CONTROLS, ids=CONTROLS.get)
async def test_it_tells_a_wrong_key(control: int):
    habits = Habits(0, ciphered=True, control=control)
    other = replace(secrets_of(habits), authentication=bytes(16), encryption=bytes(16))
    async with wrapped(Meter(habits, other)) as channel:
        with pytest.raises((AssociationRejectedError, SecurityError)):
            await channel.run(visit(settings_for(habits)), TIMEOUT_S)


# ------------------------------------------------------------------ what peers get wrong
@pytest.mark.parametrize("octets", [0, 100, 111, 127, 128, 255, 256, 1000])
async def test_a_general_glo_apdu_says_its_length_right(octets: int):
    """A peer writes it in one octet always: from 111 octets of plaintext on, nobody can read that."""
    visited = Meter(replace(GMAC, max_pdu=0), secrets_of(GMAC))
    note = octet_string(bytes(octets))
    async with wrapped(visited) as channel:
        session = await channel.run(opened(settings_for(GMAC, Ciphering.GENERAL_GLO)), TIMEOUT_S)
        await channel.run(set_attribute(session, NOTE, note), TIMEOUT_S)
        assert await channel.run(get(session, NOTE), TIMEOUT_S) == note
    assert visited.note == b"\x09" + tlv.length(octets) + bytes(octets)


@pytest.mark.parametrize("wrapping", list(WRAPPINGS)[1:])
@pytest.mark.parametrize("control", [0x10, 0x20])
async def test_an_answer_is_undone_as_its_own_security_control_says(control: int, wrapping: str):
    """A peer undoes it as its own connection would seal."""
    ciphering, dedicated_key = WRAPPINGS[wrapping]
    habits = replace(GMAC, control=control, answer_control=0x30)
    await check(habits, ciphering, dedicated_key=dedicated_key)


async def test_less_protection_than_agreed_is_not_taken():
    habits = replace(GMAC, control=0x30, answer_control=0x20)
    async with wrapped(Meter(habits, secrets_of(habits))) as channel:
        with pytest.raises(DowngradeError):
            await channel.run(visit(settings_for(habits)), TIMEOUT_S)


@pytest.mark.parametrize("mechanism", MECHANISMS, ids=MECHANISMS.get)
async def test_nothing_is_printed(mechanism: int, capfd: pytest.CaptureFixture[str]):
    """Peers print APDUs, one of them its keys."""
    await check(Habits(mechanism, ciphered=True), Ciphering.GLO)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("mechanism", [2, 3, 4, 6], ids=MECHANISMS.get)
async def test_the_secret_of_hls_does_not_travel(mechanism: int):
    """A peer sends it as the challenge of HLS 2."""
    visited = await check(Habits(mechanism), Ciphering.NONE)
    assert visited.secrets.secret not in b"".join(visited.requests + visited.answers)


async def check(
    habits: Habits, ciphering: Ciphering, framing: str = "wrapper", *, dedicated_key: bool = False, **others: Any
) -> Meter:
    """Visit a meter of such habits, and see that what it was asked was wrapped as it had to be."""
    wrapping = next(name for name, one in WRAPPINGS.items() if one == (ciphering, dedicated_key))
    ledger.ran(
        "hand-made", role="meter", framing=framing, auth=MECHANISMS[habits.mechanism],
        ciphering=f"{wrapping} {CONTROLS[habits.control]} suite {habits.suite}" if habits.ciphered else "none",
        services="GET, blocks, list, by range, by entry, SET, ACTION, release",
    )  # fmt: skip
    visited = Meter(habits, secrets_of(habits))
    settings = settings_for(habits, ciphering, dedicated_key=dedicated_key, **others)
    async with FRAMINGS[framing](visited) as channel:
        await channel.run(visit(settings), TIMEOUT_S)
    general = settings.ciphering is Ciphering.GENERAL_GLO and habits.conformance & meters.GENERAL_PROTECTION
    expected = (0xDC if dedicated_key else 0xDB) if general else (0xD0 if dedicated_key else 0xC8)
    assert (expected if habits.ciphered else 0xC0) in {request[0] for request in visited.requests}
    return visited
