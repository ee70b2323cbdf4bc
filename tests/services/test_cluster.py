"""Several head-end nodes over one PostgreSQL, a cluster of brokers, HAProxy in front: killed part by part.

Whatever dies, every job ends, and the MDM side has each delivery exactly once.
"""

import asyncio
import urllib.request
from collections.abc import Iterator

import pytest

from amity.domain.jobs import JobState
from tests.services import cluster as cluster_module
from tests.services import postgres
from tests.services.cluster import BROKERS, Cluster, listens, running, until


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    for reason in (postgres.why_missing(), cluster_module.why_missing()):
        if reason:
            pytest.skip(reason)
    with postgres.server() as url, running(tmp_path_factory.mktemp("cluster"), url) as stands:
        yield stands


def settled(cluster: Cluster, ids: list[str]) -> None:
    """Wait for the end of it all; then every job is done, and every delivery arrived once."""
    until(lambda: cluster.all_ended(ids), "every job ends", limit_s=180)
    assert {job.state for job in cluster.jobs(ids)} == {JobState.DONE}
    arrived_once(cluster)


def arrived_once(cluster: Cluster) -> None:
    until(lambda: not cluster.unsent(), "the outbox is empty", limit_s=120)
    until(lambda: set(cluster.stored()) >= cluster.sent(), "the MDM side has all of it", limit_s=120)
    stored = cluster.stored()
    assert sorted(stored) == sorted(cluster.sent())
    assert cluster.dead_letters() == 0


def test_two_nodes_share_the_fleet_and_every_delivery_arrives_once(cluster: Cluster) -> None:
    ids = cluster.read_all("plain")
    settled(cluster, ids)
    jobs = cluster.jobs(ids)
    assert len({job.worker for job in jobs}) == len(cluster.shape.nodes)
    assert {job.attempts for job in jobs} == {1}
    assert len(cluster.stored()) == cluster.shape.meters, "one association for the three jobs of each meter"


def test_nodes_that_take_turns_are_never_refused_for_a_counter(cluster: Cluster) -> None:
    before = len(cluster.stored())
    for turn in range(2):
        settled(cluster, cluster.read_all(f"turn {turn}"))
    assert len(cluster.stored()) - before == 2 * cluster.shape.meters


def test_a_killed_worker_s_meters_are_read_by_another(cluster: Cluster) -> None:
    ids = cluster.read_all("worker")
    victim = f"/{cluster.pid('node1')}"
    until(lambda: any(one.endswith(victim) for one in cluster.workers_at_work()), "node1 is at work")
    cluster.kill("node1")
    try:
        settled(cluster, ids)
        assert max(job.attempts for job in cluster.jobs(ids)) == 2, "somebody took over what node1 had begun"
    finally:
        cluster.start_role("node1", "headend")
        until(lambda: listens(cluster.ports["node1"]), "node1 is back")


@pytest.mark.parametrize("victim", BROKERS[:2])
def test_a_killed_broker_of_three_loses_and_doubles_nothing(cluster: Cluster, victim: str) -> None:
    ids = cluster.read_all(victim)
    until(lambda: bool(cluster.workers_at_work()), "somebody is at work")
    cluster.kill_broker(victim)
    try:
        settled(cluster, ids)
    finally:
        cluster.start_role(victim, "broker")
        until(lambda: listens(cluster.ports[victim]), f"{victim} is back")


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
