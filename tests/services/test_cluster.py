"""Several head-end nodes over one PostgreSQL, a cluster of brokers, HAProxy in front: killed part by part.

Whatever dies, every job ends, the MDM side has each delivery exactly once, what it holds is what the meters counted,
and no meter ever has two associations at a time.
"""

import asyncio
import signal
import socket
import ssl
import urllib.request
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import nats.errors
import pytest

from amity.domain.jobs import JobState
from amity.messaging.access import SETUP, STREAM
from amity.messaging.broker import Link
from amity.runtime.doors.broker_place import broker_access
from amity.runtime.settings import load
from tests.services import cluster as cluster_module
from tests.services import postgres
from tests.services.cluster import BROKERS, HOST, Cluster, Shape, listens, running, until

SHAPE = Shape(spares=("node3",))


@pytest.fixture(scope="module")
def server() -> Iterator[postgres.Server]:
    for reason in (postgres.why_missing(), cluster_module.why_missing()):
        if reason:
            pytest.skip(reason)
    with postgres.server() as stands:
        yield stands


@pytest.fixture(scope="module")
def the_cluster(server: postgres.Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with running(tmp_path_factory.mktemp("cluster"), server.url, SHAPE) as stands:
        yield stands


@pytest.fixture
def cluster(the_cluster: Cluster) -> Cluster:
    """The one of all these tests, each of which begins with no association remembered."""
    the_cluster.taps.together.clear()
    the_cluster.taps.spoke_late.clear()
    return the_cluster


def settled(cluster: Cluster, ids: list[str]) -> None:
    """Wait for the end of it all; then every job is done, and every meter had one association at a time."""
    done_and_true(cluster, ids)
    assert cluster.taps.together == []


def done_and_true(cluster: Cluster, ids: list[str]) -> None:
    """Wait for the end of it all; then every job is done, and every delivery arrived once and is true."""
    until(lambda: cluster.all_ended(ids), "every job ends", limit_s=180)
    assert {job.state for job in cluster.jobs(ids)} == {JobState.DONE}
    arrived_once(cluster)


def arrived_once(cluster: Cluster) -> None:
    until(lambda: not cluster.unsent(), "the outbox is empty", limit_s=120)
    until(lambda: set(cluster.stored()) >= cluster.sent(), "the MDM side has all of it", limit_s=120)
    stored = cluster.stored()
    assert sorted(stored) == sorted(cluster.sent())
    assert cluster.dead_letters() == 0
    assert cluster.untrue() == []


def back(cluster: Cluster, name: str) -> None:
    """Start it again, and wait for it."""
    cluster.start_role(name, "broker" if name in BROKERS else "headend")
    until(lambda: listens(cluster.ports[name]), f"{name} is back")


def test_two_nodes_share_the_fleet_and_every_delivery_arrives_once(cluster: Cluster) -> None:
    ids = cluster.read_all("plain")
    settled(cluster, ids)
    jobs = cluster.jobs(ids)
    assert len({job.worker for job in jobs}) == len(cluster.shape.nodes)
    assert {job.attempts for job in jobs} == {1}
    assert len(cluster.stored()) == cluster.shape.meters, "one session for the three jobs of each meter"
    assert len(cluster.taps.begun) == cluster.shape.meters, "the taps hear them all"


def test_nodes_that_take_turns_are_never_refused_for_a_counter(cluster: Cluster) -> None:
    before = len(cluster.stored())
    for turn in range(2):
        settled(cluster, cluster.read_all(f"turn {turn}"))
    assert len(cluster.stored()) - before == 2 * cluster.shape.meters


# ---------------------------------------------------------------- workers
@pytest.mark.parametrize("victim", SHAPE.nodes)
def test_a_killed_worker_s_meters_are_read_by_another(cluster: Cluster, victim: str) -> None:
    before = cluster.answered()
    ids = cluster.read_all(f"kill {victim}")
    until(lambda: victim in cluster.nodes_at_work(), f"{victim} is at work")
    cluster.kill(victim)
    try:
        settled(cluster, ids)
        assert max(job.attempts for job in cluster.jobs(ids)) == 2, "somebody took over what it had begun"
        assert (cluster.answered() - before).total() == cluster.shape.meters
    finally:
        back(cluster, victim)


def test_a_worker_that_hung_past_its_leases_writes_nothing(cluster: Cluster) -> None:
    """It wakes with sessions in its hands whose meters another node has leased meanwhile.

    A meter that it was speaking with refuses the other one until then: it has one association at a time.
    """
    before = cluster.answered()
    ids = cluster.read_all("hang")
    until(lambda: "node1" in cluster.nodes_at_work(), "node1 is at work")
    cluster.hang("node1")
    lost = cluster.log("node1").count("lease lost")
    try:
        until(lambda: "node1" not in cluster.nodes_at_work(), "another has its meters", limit_s=180)
    finally:
        cluster.wake("node1")
    until(lambda: cluster.log("node1").count("lease lost") > lost, "node1 notices")
    done_and_true(cluster, ids)
    assert max(job.attempts for job in cluster.jobs(ids)) >= 2, "somebody took over what it had begun"
    assert cluster.answered() - before == Counter(one.meter_id for one in cluster.fleet.endpoints)
    assert cluster.taps.spoke_late == []


def test_a_node_that_leaves_gives_its_leases_back_at_once(cluster: Cluster) -> None:
    ids = cluster.read_all("leave")
    until(lambda: "node1" in cluster.nodes_at_work(), "node1 is at work")
    assert cluster.leave("node1") == 0
    try:
        assert cluster.nodes_at_work() <= {"node2"}, "nobody waits for its leases to end"
        settled(cluster, ids)
        assert {job.attempts for job in cluster.jobs(ids)} == {1}, "as if it had never taken them"
    finally:
        back(cluster, "node1")


def test_a_node_that_joins_takes_its_share(cluster: Cluster) -> None:
    back(cluster, "node3")
    try:
        ids = cluster.read_all("join")
        until(lambda: "node3" in cluster.nodes_at_work(), "node3 is at work")
        settled(cluster, ids)
    finally:
        assert cluster.leave("node3") == 0


# ---------------------------------------------------------------- brokers and database
@pytest.mark.parametrize("which", [*BROKERS, "the leader"])
def test_a_killed_broker_of_three_loses_and_doubles_nothing(cluster: Cluster, which: str) -> None:
    victim = leader(cluster) if which == "the leader" else which
    ids = cluster.read_all(f"broker {which}")
    until(lambda: bool(cluster.nodes_at_work()), "somebody is at work")
    cluster.kill_broker(victim)
    try:
        settled(cluster, ids)
        assert leader(cluster) != victim
    finally:
        back(cluster, victim)


def leader(cluster: Cluster) -> str:
    """The broker that orders the stream's messages."""
    link = Link(broker_access(cluster.of("broker1"), load(cluster.of("node1").settings).broker, SETUP))

    async def ask() -> str:
        while True:
            try:
                info = await (await link.connection()).jetstream.stream_info(STREAM)
                if info.cluster is not None and info.cluster.leader:
                    return info.cluster.leader
            except (TimeoutError, nats.errors.Error):
                await link.try_another()
            await asyncio.sleep(0.1)

    async def ask_and_leave() -> str:
        try:
            return await asyncio.wait_for(ask(), 60)
        finally:
            await link.close()

    return asyncio.run(ask_and_leave())


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGQUIT])
def test_postgresql_that_is_restarted_loses_and_doubles_nothing(
    cluster: Cluster, server: postgres.Server, how: signal.Signals
) -> None:
    """In good order, and as after a power cut."""
    ids = cluster.read_all(f"database {how.name}")
    until(lambda: bool(cluster.nodes_at_work()), "somebody is at work")
    server.stop(how)
    server.start()
    settled(cluster, ids)


@pytest.mark.parametrize("name", BROKERS)
@pytest.mark.parametrize("port", ["", "-routes"])
def test_a_broker_speaks_with_nobody_who_shows_no_certificate(cluster: Cluster, name: str, port: str) -> None:
    place = (HOST, cluster.ports[f"{name}{port}"])
    certificates = cluster.of(name).certificates
    assert greeted(place, certificates, shown=True)
    with pytest.raises((ssl.SSLError, ConnectionError)):
        greeted(place, certificates, shown=False)


def greeted(place: tuple[str, int], certificates: Path, *, shown: bool) -> bool:
    """Whether the other end speaks after a handshake of TLS 1.3; raise what it refuses with."""
    context = ssl.create_default_context(cafile=str(certificates / "ca.crt"))
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    if shown:
        context.load_cert_chain(certificates / "ami_service.crt", certificates / "ami_service.key")
    with (
        socket.create_connection(place, timeout=20) as plain,
        context.wrap_socket(plain, server_hostname=HOST) as secured,
    ):
        return secured.recv(4096).startswith(b"INFO ")


# ---------------------------------------------------------------- meters that call
@pytest.mark.parametrize("victim", ["haproxy", "node2"])
def test_what_meters_push_arrives_once_whoever_is_killed(cluster: Cluster, victim: str) -> None:
    """A push whose confirmation was lost is heard twice: two deliveries as evidence, one value in effect."""
    before, callers = cluster.pushed(), cluster.callers
    intervals = range(8) if victim == "haproxy" else range(8, 16)
    callers.confirmed = 0

    def on_confirmed(count: int) -> None:
        if count == len(callers.provision.endpoints) * 2:
            cluster.kill(victim)
        if count == len(callers.provision.endpoints) * 5 and victim != "haproxy":
            cluster.start_role(victim, "headend")

    async def pushing() -> None:
        calling = asyncio.create_task(callers.push(cluster.ports["meters-bind"], intervals, on_confirmed))
        if victim == "haproxy":
            while not cluster.is_dead(victim):  # noqa: ASYNC110 - of another process
                await asyncio.sleep(0.1)
            await asyncio.sleep(1)
            cluster.start_proxy()
        await asyncio.wait_for(calling, 120)

    asyncio.run(pushing())
    arrived_once(cluster)
    pushed = cluster.pushed() - before
    assert len(pushed) == len(callers.provision.endpoints) * len(intervals)
    again = sum(pushed.values()) - len(pushed)
    assert again <= len(callers.provision.endpoints), "no more than was under way when it was killed"
    until(lambda: listens(cluster.ports["node2"]), "node2 is back")


def test_the_api_is_reached_through_haproxy_and_both_nodes_are_up(cluster: Cluster) -> None:
    with urllib.request.urlopen(f"http://127.0.0.1:{cluster.ports['api-bind']}/healthz") as answer:
        assert b"ok" in answer.read()
    until(lambda: metrics(cluster)["headends/node2"] == 1, "HAProxy finds node2")
    up = metrics(cluster)
    assert [up[f"headends/{name}"] for name in ("node1", "node2", "node3")] == [1, 1, 0]
    assert [up[f"web/{name}"] for name in ("web1", "web2")] == [1, 0]


def metrics(cluster: Cluster) -> dict[str, int]:
    """Which servers HAProxy takes for up."""
    with urllib.request.urlopen(f"http://127.0.0.1:{cluster.ports['stats']}/metrics") as answer:
        lines = answer.read().decode().splitlines()
    words = [line.split('"') for line in lines if line.startswith("haproxy_server_status") and '"UP"' in line]
    return {f"{one[1]}/{one[3]}": int(float(one[-1].split()[-1])) for one in words}
