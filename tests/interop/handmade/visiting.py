"""Amity's client visits the hand-made meter: its settings by the meter's habits, and all that it asks."""

import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import count
from typing import Any

from amity.devices.client import (
    AssociationSettings,
    Authentication,
    Ciphering,
    Conversation,
    Ports,
    Protection,
    Session,
    act,
    associate,
    get,
    get_list,
    get_octets,
    release,
    set_attribute,
)
from amity.kernel.obis import Obis
from amity.protocols.dlms.apdu import Attribute, Conformance, DataAccessResult, Method
from amity.protocols.dlms.data import Data, decode_all, natural, octet_string
from amity.protocols.dlms.key_ring import KeyRing, Keys
from amity.protocols.dlms.selective_access import EntryAccess, RangeAccess
from amity.protocols.hdlc.address import Address
from amity.protocols.hdlc.station import LinkSettings
from amity.transports.channel import MeterChannel
from amity.transports.hdlc_channel import HdlcChannel, HdlcRoute
from amity.transports.wrapper_channel import WrapperChannel
from tests.interop.handmade import habits as handmade
from tests.interop.handmade.ciphers import Secrets
from tests.interop.handmade.habits import Habits
from tests.interop.handmade.link import Link, LinkHabits
from tests.interop.handmade.meter import Meter, day_rows
from tests.interop.handmade.serving import WrapperHabits, on_hdlc, on_wrapper

CLIENT, LOGICAL_DEVICE, TIMEOUT_S = 1, 1, 5.0
SERVER = Address(LOGICAL_DEVICE, 17)
NAME = Attribute(1, Obis(handmade.NAME), 2)
REGISTER, SCALER_UNIT = (Attribute(3, Obis(handmade.REGISTER), index) for index in (2, 3))
NOTE, NOWHERE = Attribute(1, Obis(handmade.NOTE), 2), Attribute(1, Obis.parse("0.0.96.99.99.255"), 2)
PROFILE, ECHO = Attribute(7, Obis(handmade.PROFILE), 2), Method(9, Obis(handmade.ECHO), 1)
CLOCK_COLUMN = decode_all(bytes.fromhex("020412000809060000010000ff0f02120000"))
LONG_NOTE = bytes(number % 251 for number in range(700))
AUTHENTICATIONS = dict(enumerate(list(Authentication)[:7]))
PROTECTIONS = {0x10: Protection.AUTHENTICATED, 0x20: Protection.ENCRYPTED, 0x30: Protection.AUTHENTICATED_ENCRYPTED}


def secrets_of(habits: Habits) -> Secrets:
    """Keys as long as the suite has them."""
    octets = 32 if habits.suite == 2 else 16
    return Secrets(
        habits.suite, bytes(range(octets)), bytes(range(0xD0, 0xD0 + octets)), b"sunrise1", b"a shared secret"
    )


def settings_for(
    habits: Habits, ciphering: Ciphering = Ciphering.GLO, *, dedicated_key: bool = False, **others: Any
) -> AssociationSettings:
    """What opens an association with such a meter."""
    known = secrets_of(habits)
    return AssociationSettings(
        AUTHENTICATIONS[habits.mechanism],
        ciphering if habits.ciphered else Ciphering.NONE,
        PROTECTIONS[habits.control] if habits.ciphered else Protection.NONE,
        client_title=handmade.CLIENT_TITLE,
        password=known.password,
        protector=KeyRing(habits.suite, Keys(known.encryption, known.authentication, secret=known.secret)),
        dedicated_key=dedicated_key,
        broken_digests_allowed=habits.mechanism in {3, 4},
        **others,
    )


def opened(settings: AssociationSettings) -> Conversation[Session]:
    """An association, and nothing asked in it."""
    return associate(settings, Ports(secrets.token_bytes, count(1).__next__))


def visit(settings: AssociationSettings, *, releasing: bool = True) -> Conversation[Session]:
    """Ask for everything that was granted, and hold it against what the meter has."""
    session = yield from opened(settings)
    name = yield from get(session, NAME)
    assert name.value == handmade.NAME_TEXT
    register, scaler_unit, nothing = yield from get_list(session, [REGISTER, SCALER_UNIT, NOWHERE])
    assert isinstance(register, Data)
    assert isinstance(scaler_unit, Data)
    assert (register.value, natural(scaler_unit)) == (handmade.REGISTER_COUNT, [1, 30])
    assert nothing is DataAccessResult.OBJECT_UNDEFINED
    yield from _rows(session)
    yield from _changes(session)
    if releasing:
        assert (yield from release(session))
    return session


def _rows(session: Session) -> Conversation[None]:
    rows = [row for _, row in day_rows()]
    if session.conformance & Conformance.BLOCK_TRANSFER_WITH_GET_OR_READ:
        assert (yield from get_octets(session, PROFILE)) == b"\x01\x60" + b"".join(rows)
    if session.conformance & Conformance.SELECTIVE_ACCESS:
        first, last = (octet_string(day_rows()[number][0]) for number in (4, 7))
        by_range = yield from get_octets(session, PROFILE, RangeAccess(CLOCK_COLUMN, first, last))
        assert by_range == b"\x01\x04" + b"".join(rows[4:8])
        by_entry = yield from get_octets(session, PROFILE, EntryAccess(95, 0))
        assert by_entry == b"\x01\x02" + b"".join(rows[94:])


def _changes(session: Session) -> Conversation[None]:
    if session.conformance & Conformance.SET:
        long = session.conformance & Conformance.BLOCK_TRANSFER_WITH_SET_OR_WRITE
        note = octet_string(LONG_NOTE if long else LONG_NOTE[:40])
        yield from set_attribute(session, NOTE, note)
        assert (yield from get(session, NOTE)) == note
    if session.conformance & Conformance.ACTION:
        long = session.conformance & Conformance.BLOCK_TRANSFER_WITH_ACTION
        parameter = octet_string(LONG_NOTE[:500] if long else b"short")
        assert (yield from act(session, ECHO, parameter)) == parameter


# ------------------------------------------------------------------ over a socket
@asynccontextmanager
async def wrapped(meter: Meter, habits: WrapperHabits | None = None) -> AsyncIterator[MeterChannel]:
    """A channel over the TCP wrapper."""
    async with on_wrapper(meter, habits or WrapperHabits()) as port:
        channel = await WrapperChannel.open("127.0.0.1", port, CLIENT, LOGICAL_DEVICE, TIMEOUT_S)
        try:
            yield channel
        finally:
            await channel.close()


@asynccontextmanager
async def linked(
    meter: Meter,
    habits: LinkHabits | None = None,
    *,
    server: Address = SERVER,
    settings: LinkSettings | None = None,
    pieces: int = 0,
) -> AsyncIterator[MeterChannel]:
    """A channel over HDLC, set up and taken down."""
    link = Link(habits or LinkHabits(), meter.answer)
    route = HdlcRoute(Address(CLIENT), server, settings or LinkSettings(response_timeout_s=1.0, poll_interval_s=0.001))
    async with on_hdlc(link, pieces=pieces) as port:
        channel = await HdlcChannel.open_tcp("127.0.0.1", port, route, TIMEOUT_S)
        try:
            yield channel
        finally:
            await channel.close()
