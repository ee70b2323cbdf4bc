"""Where the broker of an installation is: its own server, alone or one of a cluster, and the servers to connect to."""

from amity.messaging.access import Access, Role, load_access
from amity.messaging.broker_tls import BrokerTls
from amity.messaging.cluster import Cluster
from amity.messaging.nats_server import BrokerFolder
from amity.runtime.files.relay import relay_files
from amity.runtime.folder import Folder
from amity.runtime.settings import BrokerSettings


def broker_folder(folder: Folder, settings: BrokerSettings) -> BrokerFolder:
    """The server that this installation runs."""
    return BrokerFolder(
        folder.broker, settings.port, host=settings.host, cluster=_cluster(settings), tls=_tls(folder, settings)
    )


def broker_access(folder: Folder, settings: BrokerSettings, role: Role) -> Access:
    """How a role reaches the broker: the servers that are named, else its own."""
    own = broker_folder(folder, settings)
    url = ",".join(f"nats://{one}" for one in settings.servers) or own.url
    return load_access(folder.broker, role, url, own.tls)


def _tls(folder: Folder, settings: BrokerSettings) -> BrokerTls | None:
    """The machine's own certificate, the one that its link to collectors shows too."""
    if not settings.tls:
        return None
    files = relay_files(folder)
    return BrokerTls(files.certificate, files.key, files.authorities)


def _cluster(settings: BrokerSettings) -> Cluster | None:
    if settings.cluster_port is None:
        return None
    return Cluster(settings.node, settings.cluster_host, settings.cluster_port, settings.cluster_others)
