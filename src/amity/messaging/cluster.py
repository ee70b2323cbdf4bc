"""Several nats-servers as one: every message is on the disks of a majority before it is acknowledged (Raft)."""

import json
from dataclasses import dataclass
from typing import Final

from amity.messaging.broker_tls import BrokerTls

NAME: Final = "amity"
USER: Final = "cluster"
"""The servers know each other by this user; its password lies in `cluster.secret`, the same on every node."""
REPLICAS_MAX: Final = 3


@dataclass(frozen=True, slots=True)
class Cluster:
    """One server's place: its name, where the others reach it, and where they are (HOST:PORT)."""

    node: str
    host: str
    port: int
    others: tuple[str, ...]

    @property
    def replicas(self) -> int:
        """On how many disks a message lies: three where there are three; two are no safer than one."""
        return REPLICAS_MAX if len(self.others) + 1 >= REPLICAS_MAX else 1


def cluster_section(cluster: Cluster, password: str, tls: BrokerTls | None = None) -> list[str]:
    """The lines of the server's configuration."""
    routes = [f"nats-route://{USER}:{password}@{other}" for other in cluster.others]
    return [
        "cluster {",
        f"  name: {NAME}",
        f"  listen: {json.dumps(f'{cluster.host}:{cluster.port}')}",
        f"  authorization {{ user: {USER}, password: {json.dumps(password)}, timeout: 5 }}",
        f"  routes: {json.dumps(routes)}",
        *([] if tls is None else [f"  tls: {json.dumps(tls.route_section())}"]),
        "}",
    ]
