"""The door for collectors: everybody but a collector with a certificate of our CA is turned away, and told apart."""

import asyncio
import os
import ssl
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from amity.kernel.errors import AmityError, ConfigurationError, SecurityError, TransportError
from amity.kernel.time import Clock
from amity.protocols.relay.assembly import Arrived
from amity.protocols.relay.messages import Message
from amity.runtime.files.relay import RelayFiles, relay_files
from amity.runtime.files.watch import FileWatch
from amity.runtime.folder import Folder
from amity.transports.relay_dialer import Destination, dial
from amity.transports.relay_listener import RelayListener, StrangerRules
from amity.transports.relay_peer import RelayPeer
from amity.transports.relay_tls import Identity, Standing, client_context, identity_of, server_context
from tests.relay_certificates import CLIENT, HEADEND_URI, SERVER, Authority, collector_uri

TIMEOUT_S = 20.0
DC7 = collector_uri("DC7")


class Hears:
    """A listener that only remembers."""

    def __init__(self) -> None:
        self.is_lost = asyncio.Event()

    def received(self, arrived: Arrived, message: Message) -> None:
        pass

    def lost(self) -> None:
        self.is_lost.set()


class Door:
    """A head-end's door, and who came in."""

    def __init__(self, authority: Authority, folder: Path, **issued: object) -> None:
        files = Folder(folder)
        authority.issue(files.certificates, **{"uri": HEADEND_URI, **issued})
        self.came_in: list[Identity] = []
        self.callers: list[RelayPeer] = []
        self.listener = RelayListener(server_context(relay_files(files)), self._greet)
        self.port = 0

    def _greet(self, _peer: RelayPeer, identity: Identity) -> Hears:
        self.came_in.append(identity)
        return Hears()


@pytest.fixture
def authority() -> Authority:
    return Authority()


@pytest.fixture
async def door(authority: Authority, tmp_path: Path) -> AsyncIterator[Door]:
    opened = Door(authority, tmp_path / "headend")
    opened.port = await opened.listener.start("127.0.0.1", 0)
    yield opened
    for caller in opened.callers:
        caller.close()
    await opened.listener.close()
    async with asyncio.timeout(TIMEOUT_S):
        await asyncio.gather(*(caller.ended for caller in opened.callers))


async def call(door: Door, folder: Path, change: Callable[[ssl.SSLContext], None] = lambda _: None) -> RelayPeer:
    """Dial as a collector with the files of this folder does; give the link once it stands on this side."""
    context = client_context(relay_files(Folder(folder)))
    change(context)
    hears = Hears()
    peer = await dial(Destination("localhost", door.port), context, lambda _: hears, TIMEOUT_S)
    peer.hears = hears  # type: ignore[attr-defined]
    door.callers.append(peer)
    return peer


async def is_turned_away(door: Door, folder: Path, change: Callable[[ssl.SSLContext], None] = lambda _: None) -> str:
    """Dial; give what the door says of the caller, who never came in."""
    try:
        peer = await call(door, folder, change)
    except AmityError:
        pass
    else:  # in TLS 1.3 a client is done before the server has looked at its certificate
        await asyncio.wait_for(peer.hears.is_lost.wait(), TIMEOUT_S)  # type: ignore[attr-defined]
    async with asyncio.timeout(TIMEOUT_S):
        while not door.listener.turned_away.count:  # noqa: ASYNC110 - counted a little after
            await asyncio.sleep(0.01)
    assert door.came_in == []
    return door.listener.turned_away.last


async def test_a_collector_of_our_ca_comes_in_by_its_name(door: Door, authority: Authority, tmp_path: Path) -> None:
    authority.issue(Folder(tmp_path / "dc7").certificates, DC7)
    await call(door, tmp_path / "dc7")
    async with asyncio.timeout(TIMEOUT_S):
        while not door.came_in:  # noqa: ASYNC110 - the other end is a little later
            await asyncio.sleep(0.01)
    assert [(one.role, one.name) for one in door.came_in] == [("collector", "DC7")]
    assert len(door.came_in[0].fingerprint) == 64
    assert door.listener.turned_away.count == 0


async def test_no_certificate(door: Door, authority: Authority, tmp_path: Path) -> None:
    authority.issue(Folder(tmp_path / "dc7").certificates, DC7)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(Folder(tmp_path / "dc7").certificates / "ca.crt")
    context.set_alpn_protocols(["amity-relay/1"])
    reader, writer = await asyncio.open_connection("localhost", door.port, ssl=context)
    with suppress(ssl.SSLError, ConnectionError):
        assert await asyncio.wait_for(reader.read(), TIMEOUT_S) == b""
    writer.transport.abort()
    assert door.came_in == []
    assert "PEER_DID_NOT_RETURN_A_CERTIFICATE" in door.listener.turned_away.last


async def test_a_wrong_ca(door: Door, authority: Authority, tmp_path: Path) -> None:
    Authority("Somebody else").issue(Folder(tmp_path / "dc7").certificates, DC7, believes=authority)
    assert "CERTIFICATE_VERIFY_FAILED" in await is_turned_away(door, tmp_path / "dc7")


async def test_tls_1_2(door: Door, authority: Authority, tmp_path: Path) -> None:
    authority.issue(Folder(tmp_path / "dc7").certificates, DC7)

    def older(context: ssl.SSLContext) -> None:
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.maximum_version = ssl.TLSVersion.TLSv1_2

    assert "PROTOCOL" in await is_turned_away(door, tmp_path / "dc7", older)


async def test_plain_octets(door: Door) -> None:
    _, writer = await asyncio.open_connection("localhost", door.port)
    writer.write(b"GET / HTTP/1.0\r\n\r\n")
    async with asyncio.timeout(TIMEOUT_S):
        while not door.listener.turned_away.count:  # noqa: ASYNC110 - counted a little after
            await asyncio.sleep(0.01)
    writer.transport.abort()
    assert door.came_in == []


async def test_another_protocol_in_the_same_tls(door: Door, authority: Authority, tmp_path: Path) -> None:
    authority.issue(Folder(tmp_path / "dc7").certificates, DC7)
    said = await is_turned_away(door, tmp_path / "dc7", lambda context: context.set_alpn_protocols(["h2"]))
    assert "NO_APPLICATION_PROTOCOL" in said or "relay protocol" in said


@pytest.mark.parametrize(
    ("uri", "said"),
    [
        (None, "does not say who it is"),
        ("spiffe://elsewhere/ot/collector/DC7", "does not say who it is"),
        ("spiffe://ami/ot/collector/DC 7", "does not say who it is"),
        ("spiffe://ami/it/collector/DC7", "no collector of zone ot"),
        ("spiffe://ami/ot/headend/DC7", "no collector"),
        ("spiffe://ami/ot/meter/DC7", "no collector"),
    ],
)
async def test_a_role_that_is_missing_or_another(
    door: Door, authority: Authority, tmp_path: Path, uri: str | None, said: str
) -> None:
    authority.issue(Folder(tmp_path / "dc7").certificates, uri)
    assert said in await is_turned_away(door, tmp_path / "dc7")


async def test_a_certificate_for_servers_only(door: Door, authority: Authority, tmp_path: Path) -> None:
    authority.issue(Folder(tmp_path / "dc7").certificates, DC7, uses=(SERVER,))
    assert "CERTIFICATE_VERIFY_FAILED" in await is_turned_away(door, tmp_path / "dc7")


async def test_a_certificate_that_is_over(door: Door, authority: Authority, tmp_path: Path) -> None:
    authority.issue(Folder(tmp_path / "dc7").certificates, DC7, days=-1)
    assert "CERTIFICATE_VERIFY_FAILED" in await is_turned_away(door, tmp_path / "dc7")


async def test_a_certificate_that_was_revoked(authority: Authority, tmp_path: Path) -> None:
    certificate = authority.issue(Folder(tmp_path / "dc7").certificates, DC7)
    door = Door(authority, tmp_path / "headend", revoked=(certificate,))
    door.port = await door.listener.start("127.0.0.1", 0)
    assert "CERTIFICATE_VERIFY_FAILED" in await is_turned_away(door, tmp_path / "dc7")
    await door.listener.close()


async def test_revoked_it_is_cut_off_and_comes_in_no_more_without_a_restart(
    door: Door, authority: Authority, tmp_path: Path
) -> None:
    """Open connections, new ones, and those that would resume an earlier one: there is nothing to resume."""
    files = Folder(tmp_path / "headend")
    certificate = authority.issue(Folder(tmp_path / "dc7").certificates, DC7)
    other = authority.issue(Folder(tmp_path / "dc8").certificates, collector_uri("DC8"))
    assert certificate.serial_number != other.serial_number
    watching = asyncio.create_task(watch(door, files).run())
    seven, eight = await call(door, tmp_path / "dc7"), await call(door, tmp_path / "dc8")
    assert not session_of(seven).has_ticket
    (files.certificates / "ca.crl").write_bytes(authority.revoking((certificate,)))
    await asyncio.wait_for(seven.hears.is_lost.wait(), TIMEOUT_S)
    door.came_in.clear()
    assert "CERTIFICATE_VERIFY_FAILED" in await is_turned_away(door, tmp_path / "dc7")
    assert not eight.hears.is_lost.is_set()
    watching.cancel()


async def test_files_that_cannot_be_used_change_nothing_and_a_stranger_s_list_revokes_nobody(
    door: Door, authority: Authority, tmp_path: Path
) -> None:
    files = Folder(tmp_path / "headend")
    certificate = authority.issue(Folder(tmp_path / "dc7").certificates, DC7)
    clock = CountingClock()
    watching = asyncio.create_task(watch(door, files, clock).run())
    peer = await call(door, tmp_path / "dc7")
    for written in (b"no list", Authority("AMI test CA").revoking((certificate,))):
        (files.certificates / "ca.crl").write_bytes(written)
        looks, clock.looks = 3, 0
        async with asyncio.timeout(TIMEOUT_S):
            while clock.looks < looks:  # noqa: ASYNC110 - counted by the watch
                await asyncio.sleep(0.01)
        assert not peer.hears.is_lost.is_set()
    assert not watching.done()
    watching.cancel()


def test_a_certificate_that_is_over_no_longer_counts(authority: Authority, tmp_path: Path) -> None:
    files = Folder(tmp_path)
    certificate = authority.issue(files.certificates, HEADEND_URI)
    standing = Standing(relay_files(files))
    assert standing.against(certificate, certificate.not_valid_after_utc) == ""
    assert "over" in standing.against(certificate, certificate.not_valid_after_utc + timedelta(seconds=1))


@pytest.mark.parametrize("name", ["ami_service.key", "ami_service.crt", "ca.crt", "ca.crl"])
def test_a_pipe_in_the_place_of_one_of_them_holds_nobody_up(authority: Authority, tmp_path: Path, name: str) -> None:
    files = Folder(tmp_path)
    authority.issue(files.certificates, HEADEND_URI, revoked=())
    (files.certificates / name).unlink(missing_ok=True)
    os.mkfifo(files.certificates / name, 0o600)
    with pytest.raises(ConfigurationError, match="no regular file"):
        relay_files(files)


class CountingClock:
    """Asked once in each look."""

    looks = 0

    def now(self) -> datetime:
        self.looks += 1
        return datetime.now(UTC)


def session_of(peer: RelayPeer) -> ssl.SSLSession:
    session: ssl.SSLSession = peer._transport.get_extra_info("ssl_object").session  # type: ignore[union-attr]
    return session


def watch(door: Door, files: Folder, clock: Clock | None = None) -> FileWatch:
    return RelayFiles(
        files,
        clock or CountingClock(),
        lambda new: door.listener.use(server_context(new)),
        lambda: door.listener.peers,
    ).watch(0.02)


# ------------------------------------------------------------------ what a collector believes
@pytest.mark.parametrize(
    "issued",
    [
        {"uri": collector_uri("DC8")},  # a collector that poses as the head-end
        {"uri": None},
        {"dns": ("elsewhere.example",)},
        {"uses": (CLIENT,)},
        {"days": -1},
    ],
)
async def test_a_collector_tells_nothing_to_who_is_not_the_head_end(
    authority: Authority, tmp_path: Path, issued: dict[str, object]
) -> None:
    door = Door(authority, tmp_path / "headend", **issued)
    door.port = await door.listener.start("127.0.0.1", 0)
    authority.issue(Folder(tmp_path / "dc7").certificates, DC7)
    with pytest.raises(SecurityError):
        await call(door, tmp_path / "dc7")
    await door.listener.close()


async def test_a_head_end_of_another_ca(authority: Authority, tmp_path: Path) -> None:
    door = Door(Authority("Somebody else"), tmp_path / "headend")
    door.port = await door.listener.start("127.0.0.1", 0)
    authority.issue(Folder(tmp_path / "dc7").certificates, DC7)
    with pytest.raises(SecurityError):
        await call(door, tmp_path / "dc7")
    await door.listener.close()


async def test_a_door_that_is_closed_at_once_leaves_its_port(authority: Authority, tmp_path: Path) -> None:
    door = Door(authority, tmp_path / "headend")
    port = await door.listener.start("127.0.0.1", 0)
    await door.listener.close()
    again = Door(authority, tmp_path / "headend")
    assert await again.listener.start("127.0.0.1", port) == port
    await again.listener.close()


def test_an_end_that_hung_up_as_soon_as_tls_stood_is_nobody() -> None:
    """asyncio has no TLS object any more then; a parked collector was ended by it."""
    with pytest.raises(SecurityError, match="hung up"):
        identity_of(None, "headend")


async def test_nobody_there(authority: Authority, door: Door, tmp_path: Path) -> None:
    authority.issue(Folder(tmp_path / "dc7").certificates, DC7)
    await door.listener.close()
    with pytest.raises(TransportError):
        await call(door, tmp_path / "dc7")


@pytest.fixture
async def narrow_door(authority: Authority, tmp_path: Path) -> AsyncIterator[Door]:
    """Room for six who have not shown who they are, three of one address."""
    opened = Door(authority, tmp_path / "headend")
    opened.listener = RelayListener(
        server_context(relay_files(Folder(tmp_path / "headend"))),
        opened._greet,
        strangers=StrangerRules(most=6, most_of_one=3, silence_s=1.0),
    )
    opened.port = await opened.listener.start("127.0.0.1", 0)
    yield opened
    for caller in opened.callers:
        caller.close()
    await opened.listener.close()


async def silent_callers(door: Door, hosts: Iterable[str]) -> list[asyncio.StreamWriter]:
    """Connections that say nothing."""
    return [(await asyncio.open_connection("127.0.0.1", door.port, local_addr=(host, 0)))[1] for host in hosts]


@pytest.mark.parametrize(
    "hosts",
    [["127.0.0.9"] * 20, [f"127.0.{last}.2" for last in range(20)], ["127.0.0.2", "127.0.0.3"] * 10],
    ids=["one address", "many", "two"],
)
async def test_callers_who_say_nothing_shut_no_collector_out(
    narrow_door: Door, authority: Authority, tmp_path: Path, hosts: list[str]
) -> None:
    authority.issue(Folder(tmp_path / "dc7").certificates, DC7)
    silent = await silent_callers(narrow_door, hosts)
    await call(narrow_door, tmp_path / "dc7")
    async with asyncio.timeout(TIMEOUT_S):
        while not narrow_door.came_in:  # noqa: ASYNC110 - the other end is a little later
            await asyncio.sleep(0.01)
    assert narrow_door.came_in[0].name == "DC7"
    for one in silent:
        one.close()


async def test_who_says_nothing_is_cut_off_long_before_a_handshake_would_be(narrow_door: Door) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", narrow_door.port)
    async with asyncio.timeout(10):  # a handshake has 15 s
        assert await reader.read() == b""
    assert "said nothing" in narrow_door.listener.turned_away.last
    writer.close()


async def test_a_door_that_closes_lets_go_of_those_who_said_nothing(narrow_door: Door) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", narrow_door.port)
    await asyncio.sleep(0)
    await narrow_door.listener.close()
    async with asyncio.timeout(10):
        with suppress(ConnectionResetError):
            assert await reader.read() == b""
    writer.close()
