"""A broker alone, one of a cluster, and the servers that clients are told of."""

import json
import ssl
import tomllib
from pathlib import Path

import pytest

from amity.kernel.errors import ConfigurationError
from amity.messaging.access import OT, load_or_create_password
from amity.messaging.cluster import Cluster, cluster_section
from amity.runtime.doors.broker_place import broker_access, broker_folder
from amity.runtime.folder import Folder
from amity.runtime.settings import BrokerSettings, Settings
from tests.relay_certificates import Authority

DEPLOY = Path(__file__).resolve().parents[3] / "deploy/nats"
OTHERS = ("10.20.0.12:6222", "10.20.0.13:6222")


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    folder = Folder(tmp_path)
    folder.create()
    load_or_create_password(folder.broker, OT)
    return folder


def test_alone_it_is_reached_on_this_machine(folder: Folder) -> None:
    broker = broker_folder(folder, BrokerSettings(port=4333))
    assert (broker.cluster, broker.replicas) == (None, 1)
    assert broker_access(folder, BrokerSettings(port=4333), OT).servers == ("nats://127.0.0.1:4333",)


def test_clients_are_told_of_every_server(folder: Folder) -> None:
    access = broker_access(folder, BrokerSettings(servers=("a:1", "b:2")), OT)
    assert access.servers == ("nats://a:1", "nats://b:2")


@pytest.mark.parametrize(("others", "replicas"), [((), 1), (OTHERS[:1], 1), (OTHERS, 3), ((*OTHERS, "x:1", "y:1"), 3)])
def test_three_disks_where_there_are_three_servers(others: tuple[str, ...], replicas: int) -> None:
    assert Cluster("node1", "10.20.0.11", 6222, others).replicas == replicas


def test_the_servers_know_each_other_by_their_secret() -> None:
    section = "\n".join(cluster_section(Cluster("node1", "10.20.0.11", 6222, OTHERS), "secret"))
    assert json.dumps([f"nats-route://cluster:secret@{one}" for one in OTHERS]) in section
    assert 'listen: "10.20.0.11:6222"' in section


def test_with_tls_clients_and_servers_show_the_machine_s_own_certificate(folder: Folder) -> None:
    Authority("brokers").issue(folder.certificates, None)
    settings = BrokerSettings(node="node1", cluster_port=6222, cluster_others=OTHERS, tls=True)
    broker, access = broker_folder(folder, settings), broker_access(folder, settings, OT)
    broker.write_config()
    text = broker.config_file.read_text()
    assert text.count(str(folder.certificates / "ami_service.key")) == 2
    assert text.count('"verify": true') == 2
    assert access.tls is not None
    assert access.tls.context().minimum_version is ssl.TLSVersion.TLSv1_3
    (folder.certificates / "ca.crt").write_text("nothing")
    with pytest.raises(ConfigurationError, match="cannot be used"):
        access.tls.context()


@pytest.mark.parametrize("number", [1, 2, 3])
def test_the_sections_of_deploy_are_settings_and_belong_together(number: int) -> None:
    document = tomllib.loads((DEPLOY / f"node{number}.toml").read_text())
    broker = Settings.model_validate(document).broker
    here = f"{broker.cluster_host}:{broker.cluster_port}"
    assert broker.node == f"node{number}"
    assert broker.tls
    assert sorted((here, *broker.cluster_others)) == [f"10.20.0.1{one}:6222" for one in (1, 2, 3)]
    assert sorted(broker.servers) == [f"10.20.0.1{one}:4222" for one in (1, 2, 3)]
