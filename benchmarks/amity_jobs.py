"""Amity at the measured work; each job returns CPU seconds, and checks first that it does the work."""

import asyncio
import secrets
import statistics
import time
from collections.abc import Generator, Iterator
from itertools import count
from typing import Any

from amity.devices.client import (
    AssociationSettings,
    Authentication,
    Ciphering,
    Ports,
    Protection,
    associate,
    get,
    get_octets,
    release,
)
from amity.devices.objects import CaptureObject
from amity.devices.settings import CLIENT_CONFORMANCE
from amity.kernel.obis import Obis
from amity.protocols.dlms import acse, apdu
from amity.protocols.dlms.acse import Aarq, ApplicationContext, Mechanism
from amity.protocols.dlms.apdu import Attribute, InitiateRequest
from amity.protocols.dlms.ciphering import SecurityControl, unwrap, wrap_glo
from amity.protocols.dlms.data import octet_string
from amity.protocols.dlms.datetime import CosemDateTime
from amity.protocols.dlms.profile_buffer import ClockReading, ProfileColumns, TemplateCache
from amity.protocols.dlms.selective_access import RangeAccess
from amity.protocols.wrapper import frame
from amity.transports.wrapper_channel import WrapperChannel
from benchmarks import meter, workload
from benchmarks.measure import ClientClock, cpu_seconds, median_session_s

JOINED_BUFFERS = 200
TIMEOUT_S = 10
_MODEL = "workload"
_REGISTER = Attribute(3, Obis.parse(workload.REGISTER), 2)
_BUFFER = Attribute(7, Obis.parse(workload.PROFILE), 2)
_RESTRICTING = CaptureObject(*workload.COLUMNS[0][:1], Obis.parse(workload.CLOCK), 2).definition()


def profile_s() -> float:
    """One buffer at a time, the template of its model cached."""
    cache, octets = TemplateCache(), workload.buffer_octets()
    _check_rows(cache.decode(_MODEL, octets))
    return cpu_seconds(lambda: cache.decode(_MODEL, octets))


def profile_without_times_s() -> float:
    """The same from a meter that leaves all times but the first out."""
    cache, octets = TemplateCache(), workload.compressed_octets()
    clock = ClockReading(capture_period_s=workload.INTERVAL_S)
    _check_rows(cache.decode(_MODEL, octets, clock))
    return cpu_seconds(lambda: cache.decode(_MODEL, octets, clock))


def profile_joined_s() -> float:
    """Per buffer, when the buffers of many meters are decoded in one go."""
    cache, many = TemplateCache(), [workload.buffer_octets()] * JOINED_BUFFERS
    return cpu_seconds(lambda: cache.decode_joined(_MODEL, many)) / JOINED_BUFFERS


def _check_rows(columns: ProfileColumns) -> None:
    assert columns.rows == workload.ROWS  # noqa: S101
    assert columns.timestamps_s[-1] == workload.LAST.timestamp()  # noqa: S101
    assert columns.columns[1][-1] == 1_000_000 + 250 * (workload.ROWS - 1)  # noqa: S101


def association_s() -> float:
    """Build the AARQ with its ciphered InitiateRequest, parse the AARE and what it grants."""
    answer = workload.aare()
    initiate = InitiateRequest(CLIENT_CONFORMANCE, workload.MAX_PDU)

    def once() -> apdu.Apdu:
        keys = workload.keys()
        information = wrap_glo(keys, SecurityControl.BOTH, workload.CLIENT_TITLE, 1, initiate.encode())
        Aarq(
            information, ApplicationContext.LN_CIPHERED, Mechanism.HLS_GMAC, workload.CHALLENGE, workload.CLIENT_TITLE
        ).encode()
        aare = acse.decode(answer)
        assert isinstance(aare, acse.Aare)  # noqa: S101
        ciphered = apdu.decode(aare.user_information or b"")
        assert isinstance(ciphered, apdu.Ciphered)  # noqa: S101
        return apdu.decode(unwrap(keys, None, workload.METER_TITLE, ciphered))

    assert isinstance(once(), apdu.InitiateResponse)  # noqa: S101
    return cpu_seconds(once)


def decrypt_s() -> float:
    """Decrypt and verify a ciphered GET response of 3.6 KB."""
    ciphered, keys = apdu.decode(workload.ciphered_answer()), workload.keys()
    assert isinstance(ciphered, apdu.Ciphered)  # noqa: S101
    least, title = SecurityControl.BOTH, workload.METER_TITLE
    assert len(unwrap(keys, least, title, ciphered)) > workload.DECRYPT_OCTETS  # noqa: S101
    return cpu_seconds(lambda: unwrap(keys, least, title, ciphered))


def session_s(sessions: int) -> float:
    """Whole sessions against the meter in memory, the meter's time left out; keys and client are made anew in each."""
    server, cache, counters = meter.build(), TemplateCache(), count(1)

    def session(clock: ClientClock) -> int:
        association = server.open_association(workload.CLIENT)
        clock.run()
        wire = _over_the_wire(_conversation(cache, counters))
        request, rows = next(wire), 0
        while True:
            clock.pause()
            answer = frame.encode(workload.SERVER, workload.CLIENT, association.receive(request[8:], meter.NOW) or b"")
            clock.run()
            try:
                request = wire.send(answer)
            except StopIteration as end:
                rows = end.value
                clock.pause()
                return rows

    assert session(ClientClock()) == workload.ROWS  # noqa: S101
    return median_session_s(session, sessions)


def _over_the_wire(conversation: Generator[bytes, bytes, int]) -> Generator[bytes, bytes, int]:
    """The wrapper around a conversation, as the transport puts it there."""
    reader = frame.Reader()
    request = next(conversation)
    while True:
        (answer,) = reader.feed((yield frame.encode(workload.CLIENT, workload.SERVER, request)))
        try:
            request = conversation.send(answer.payload)
        except StopIteration as end:
            return end.value


def _conversation(cache: TemplateCache, counters: Iterator[int]) -> Generator[bytes, bytes, int]:
    settings = AssociationSettings(
        Authentication.HLS_GMAC, Ciphering.GLO, Protection.AUTHENTICATED_ENCRYPTED,
        client_title=workload.CLIENT_TITLE, protector=workload.keys(), max_pdu_octets=workload.MAX_PDU,
    )  # fmt: skip
    session = yield from associate(settings, Ports(secrets.token_bytes, counters.__next__))
    yield from get(session, _REGISTER)
    bounds = (octet_string(CosemDateTime.from_utc(at).to_octets()) for at in (workload.START, workload.LAST))
    raw = yield from get_octets(session, _BUFFER, RangeAccess(_RESTRICTING, *bounds))
    columns: Any = cache.decode(_MODEL, raw)
    yield from release(session)
    return columns.rows


def session_over_tcp_s(port: int, sessions: int) -> float:
    """Whole sessions through Amity's asyncio transport: connecting, sockets and event loop included."""
    cache, counters = TemplateCache(), count(1)

    async def one() -> float:
        start = time.process_time()
        channel = await WrapperChannel.open("127.0.0.1", port, workload.CLIENT, workload.SERVER, TIMEOUT_S)
        rows = await channel.run(_conversation(cache, counters), TIMEOUT_S)
        await channel.close()
        assert rows == workload.ROWS  # noqa: S101
        return time.process_time() - start

    async def several() -> float:
        measured = [await one() for _ in range(sessions)]
        return statistics.median(measured[sessions // 10 :])

    return asyncio.run(several())


def measure(port: int, sessions: int) -> dict[str, float]:
    """CPU seconds of every job; the workload's meter is served on a loopback port."""
    return {
        "profile": profile_s(),
        "profile without times": profile_without_times_s(),
        "profile joined": profile_joined_s(),
        "association": association_s(),
        "decrypt": decrypt_s(),
        "session": session_s(sessions),
        "session over TCP": session_over_tcp_s(port, sessions),
    }
