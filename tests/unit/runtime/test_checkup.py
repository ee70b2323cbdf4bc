"""Each check of the system doctor, on what is well and on what is not."""

import os
import socket
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from amity.domain.collection import Delivery, Outcome
from amity.headend.mapping_file import MappingFile
from amity.headend.ports import Progress
from amity.kernel.errors import StorageError
from amity.runtime.checkup import backlog, clock, disk, ports
from amity.runtime.checkup.all_checks import examine
from amity.runtime.checkup.backlog import check_backlog, check_broker
from amity.runtime.checkup.check import Check, State, guarded
from amity.runtime.checkup.clock import Synchronisation, check_clock, kernel_clock
from amity.runtime.checkup.disk import check_owners
from amity.runtime.checkup.keys import check_keys
from amity.runtime.checkup.limits import check_open_files, check_serial_ports
from amity.runtime.checkup.ports import Door, check_door, doors
from amity.runtime.files.schedules import ScheduleFile
from amity.runtime.folder import Folder
from amity.runtime.gateway.config import load_gateway
from amity.runtime.install.layout import UNIT, Place
from amity.runtime.install.material import KeyKind, make_material, material
from amity.runtime.settings import (
    BrokerSettings,
    CollectorSettings,
    HeadendSettings,
    MdmSettings,
    SerialPortSettings,
    Settings,
)
from amity.storage.ot.condition import Condition
from amity.storage.ot.database import open_database
from amity.transports.call import CallRules
from tests.unit.runtime.installed import edit, lay_down

NOW = datetime(2026, 11, 20, 6, tzinfo=UTC)
ME = os.geteuid()


@pytest.fixture
def configuration(tmp_path: Path) -> Path:
    return lay_down(tmp_path)


@pytest.fixture
def folder(configuration: Path) -> Folder:
    return load_gateway(configuration, {}).folder


def named(checks: list[Check], name: str) -> Check:
    (found,) = (check for check in checks if check.name == name)
    return found


def test_a_fresh_installation_has_hints_and_no_failure(configuration: Path):
    edit(configuration, "port: 4059", "port: 45059")
    checks = examine(configuration, None, NOW)
    names = {check.name for check in checks}
    assert {"clock", "time zones", "configuration", "private key", "certificate", "open files", "broker"} <= names
    assert named(checks, "database").state is State.HINT
    assert all(check.next_step for check in checks if check.state in {State.HINT, State.FAIL})


def test_a_configuration_that_cannot_be_read_is_the_one_failure_told(configuration: Path):
    (configuration / "dlms_config.yaml").chmod(0o644)
    failed = [check for check in examine(configuration, None, NOW) if check.state is State.FAIL]
    assert [check.name for check in failed] == ["configuration"]
    assert failed[0].next_step.startswith("chmod 600 ")


def test_a_device_profile_that_is_none_is_told(configuration: Path):
    edit(configuration, "device_profile: generic", "device_profile: genric")
    assert named(examine(configuration, None, NOW), "configuration").state is State.FAIL


def test_a_mapping_that_is_broken_is_told_with_its_line(configuration: Path):
    (configuration / "mapping.json").write_text('{"version": "1",\n "rules": [}')
    failed = [check for check in examine(configuration, None, NOW) if check.state is State.FAIL]
    assert any("mapping.json" in check.found for check in failed)


def test_what_amity_itself_writes_into_one_folder_is_well(tmp_path: Path):
    folder = Folder(tmp_path)
    folder.create()
    MappingFile(folder.mapping, folder.last_good_mapping)
    ScheduleFile(folder.schedules, folder.last_good_schedules)
    checks = examine(None, tmp_path, NOW)
    assert {named(checks, name).state for name in ("mapping", "schedules")} == {State.OK}
    assert not any("install" in check.next_step or "systemctl" in check.next_step for check in checks)


def test_schedules_that_are_broken_are_told(configuration: Path):
    (configuration / "schedules.toml").write_text("[")
    failed = [check for check in examine(configuration, None, NOW) if check.state is State.FAIL]
    assert any("schedules.toml" in check.found for check in failed)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file to another user")
def test_a_file_of_another_user_in_the_state_is_told_with_the_command(folder: Folder):
    folder.create()
    for path in (folder.root, *folder.root.rglob("*"), folder.logs):
        os.chown(path, 12345, 12345)
    assert {one.state for one in check_owners(folder)} == {State.OK}
    folder.keys.touch()  # as root
    told = named(list(check_owners(folder)), "files of the state")
    assert told == Check(
        "files of the state", State.FAIL, f"{folder.keys} belongs to root, not to 12345",
        f"chown -R 12345:12345 {folder.root}",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("found", "state"),
    [
        (None, State.UNKNOWN),
        (Synchronisation(False, 16.0), State.HINT),
        (Synchronisation(True, 2.5), State.HINT),
        (Synchronisation(True, 0.004), State.OK),
    ],
)
def test_the_clock(found: Synchronisation | None, state: State, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(clock, "kernel_clock", lambda: found)
    assert named(list(check_clock()), "clock").state is state


def test_the_kernel_answers_or_says_nothing():
    found = kernel_clock()
    assert found is None or found.error_s_max >= 0


def test_a_port_is_free_ours_or_somebody_elses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    with socket.create_server(("127.0.0.1", 0)) as held:
        port = held.getsockname()[1]
        door, folder = Door("x", "127.0.0.1", port), Folder(tmp_path)
        monkeypatch.setattr(ports, "holders_of", lambda _port: [])
        assert check_door(door, folder).found == "in use; by whom only root can see"
        monkeypatch.undo()
        stranger = check_door(door, folder)
        assert (stranger.state, stranger.name) == (State.FAIL, f"x ({port})")
        assert "of another installation" not in stranger.found
        both = [ports.Holder("another's, at another address", frozenset()), ports.Holder("ours", frozenset([tmp_path]))]
        monkeypatch.setattr(ports, "holders_of", lambda _port: both)
        assert check_door(door, folder).found == "in use by ours"
        monkeypatch.undo()
        with (tmp_path / "ot.sqlite").open("w"):  # as a role of this installation has something of it open
            assert check_door(door, folder).state is State.OK
    assert check_door(door, folder).found.startswith("free")
    assert check_door(Door("x", "192.0.2.1", port), folder).state is State.FAIL


@pytest.mark.parametrize(
    ("words", "state"),
    [
        (("amity", "serve", "--dir", "{here}"), State.OK),
        (("amity", "serve", "--dir", "{here}-2"), State.FAIL),
        (("nats-server", "--config", "{here}/broker/nats-server.conf"), State.OK),
        (("amity", "simulate"), State.FAIL),
    ],
)
def test_an_amity_of_another_folder_on_our_port_is_a_failure(tmp_path: Path, words: tuple[str, ...], state: State):
    here = tmp_path / "ours"
    listens = "import socket, sys; s = socket.create_server(('127.0.0.1', 0)); print(s.getsockname()[1], flush=True)"
    argv = [sys.executable, "-c", f"{listens}; sys.stdin.read()", *(word.format(here=here) for word in words)]
    with subprocess.Popen(  # noqa: S603 - our own words
        argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout is not None
        found = check_door(Door("x", "127.0.0.1", int(other.stdout.readline())), Folder(here))
        other.communicate()
    assert found.state is state
    assert "in use by" in found.found


def certify(path: Path, key: Any, until: datetime) -> None:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "gateway.example")])
    certificate = (
        x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
        .serial_number(7).not_valid_before(NOW - timedelta(days=400)).not_valid_after(until)
        .sign(key, hashes.SHA256())
    )  # fmt: skip
    path.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))


@pytest.mark.parametrize(("days", "state"), [(300, State.OK), (20, State.HINT), (-1, State.FAIL)])
def test_a_certificate_expires(folder: Folder, configuration: Path, tmp_path: Path, days: int, state: State):
    place = Place(tmp_path)
    make_material(place, KeyKind.P_256, "gateway.example")
    assert named(list(check_keys(folder, Settings(), NOW, ME)), "certificate").found.endswith("is not signed yet")
    key = serialization.load_pem_private_key(material(place).key.read_bytes(), None)
    certify(configuration / "certs/ami_service.crt", key, NOW + timedelta(days=days))
    assert named(list(check_keys(folder, Settings(), NOW, ME)), "certificate").state is state


def test_a_certificate_of_another_key_or_none_at_all(folder: Folder, configuration: Path, tmp_path: Path):
    make_material(Place(tmp_path), KeyKind.P_256, "gateway.example")
    certify(configuration / "certs/ami_service.crt", ec.generate_private_key(ec.SECP256R1()), NOW + timedelta(days=300))
    assert "another key" in named(list(check_keys(folder, Settings(), NOW, ME)), "certificate").found
    (configuration / "certs" / "ami_service.crt").write_text("none")
    assert "cannot be used" in named(list(check_keys(folder, Settings(), NOW, ME)), "certificate").found


@pytest.mark.parametrize("link", ["collectors", "brokers", "this is a collector"])
def test_a_link_that_is_configured_needs_certificate_and_ca(folder: Folder, configuration: Path, link: str):
    settings = {
        "collectors": Settings(headend=HeadendSettings(collector_port=4060)),
        "brokers": Settings(broker=BrokerSettings(tls=True)),
        "this is a collector": Settings(collector=CollectorSettings(headends=("he1.example:4060",))),
    }[link]
    missing = list(check_keys(folder, settings, NOW, ME))
    assert named(missing, "certificate").state is State.FAIL
    assert named(missing, "CA of collectors and brokers").state is State.FAIL
    key, certs = ec.generate_private_key(ec.SECP256R1()), configuration / "certs"
    for name in ("ami_service.crt", "ca.crt"):
        certify(certs / name, key, NOW + timedelta(days=300))
    there = list(check_keys(folder, settings, NOW, ME))
    assert {named(there, name).state for name in ("certificate", "CA of collectors and brokers")} == {State.OK}
    certify(certs / "ca.crt", key, NOW - timedelta(days=1))
    assert named(list(check_keys(folder, settings, NOW, ME)), "CA of collectors and brokers").state is State.FAIL


def test_mqtt_needs_files_of_its_own(folder: Folder, configuration: Path):
    settings = Settings(headend=HeadendSettings(mqtt_port=8883), broker=BrokerSettings(mqtt_port=18883))
    names = ("key for MQTT", "certificate for MQTT", "CA of the meters")
    missing = list(check_keys(folder, settings, NOW, ME))
    assert {named(missing, name).state for name in names} == {State.FAIL}
    key, certs = ec.generate_private_key(ec.SECP256R1()), configuration / "certs"
    form = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    (certs / "mqtt.key").write_bytes(key.private_bytes(*form))
    (certs / "mqtt.key").chmod(0o600)
    for name in ("mqtt.crt", "meters-ca.crt"):
        certify(certs / name, key, NOW + timedelta(days=300))
    assert {named(list(check_keys(folder, settings, NOW, ME)), name).state for name in names} == {State.OK}
    (certs / "mqtt.key").chmod(0o644)
    assert named(list(check_keys(folder, settings, NOW, ME)), "key for MQTT").next_step.startswith("chmod 600 ")


def test_every_port_that_is_configured_is_looked_at():
    silent = {door.port for door in doors(Settings())}
    assert silent == {4059, 8883, 4222, 8470, 443}
    spoken = Settings(
        headend=HeadendSettings(mqtt_port=8884, collector_port=4060, metrics_port=9101),
        broker=BrokerSettings(mqtt_port=18883, cluster_port=6222),
        mdm=MdmSettings(metrics_port=9102),
    )
    assert {door.port for door in doors(spoken)} == {4059, 8884, 18883, 4060, 4222, 6222, 9101, 9102, 8470, 443}


def test_a_key_that_others_can_read_fails(folder: Folder, tmp_path: Path):
    make_material(Place(tmp_path), KeyKind.P_256, "gateway.example")
    material(Place(tmp_path)).key.chmod(0o640)
    check = named(list(check_keys(folder, Settings(), NOW, ME)), "private key")
    assert check.state is State.FAIL
    assert check.next_step == f"chmod 600 {material(Place(tmp_path)).key}"


def test_disks_without_room_and_folders_that_are_gone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    assert disk.check_folder("disk", tmp_path / "gone", "").state is State.FAIL
    real = os.statvfs(tmp_path)

    def with_room(**changed: int) -> Any:
        fields = {name: getattr(real, name) for name in dir(real) if name.startswith("f_")} | changed
        monkeypatch.setattr(disk.os, "statvfs", lambda _path: type("Room", (), fields))
        return disk.check_folder("disk", tmp_path, "the old ones").state

    block = real.f_frsize
    assert with_room(f_bavail=10_000_000_000 // block, f_favail=10**6) is State.OK
    assert with_room(f_bavail=1_000_000_000 // block, f_favail=10**6) is State.HINT
    assert with_room(f_bavail=100_000_000 // block, f_favail=10**6) is State.FAIL
    assert "the old ones" in disk.check_folder("disk", tmp_path, "the old ones").next_step
    assert with_room(f_bavail=10_000_000_000 // block, f_files=10**6, f_favail=3) is State.FAIL


def test_the_backlog(folder: Folder):
    folder.create()
    database = open_database(folder.ot_database)
    assert named(list(check_backlog(folder, NOW)), "outbox").found == "empty"
    waiting = Delivery("id", "M", "s", NOW - timedelta(minutes=20), Outcome.SILENT)
    database.collection.save(waiting, "subject", b"body", progress=Progress())
    database.close()
    assert named(list(check_backlog(folder, NOW - timedelta(minutes=19))), "outbox").state is State.OK
    late = named(list(check_backlog(folder, NOW)), "outbox")
    assert (late.state, late.found) == (State.FAIL, "1 deliveries wait, the oldest for 1200 s")


def test_open_files_and_serial_lines():
    (many,) = check_open_files(Settings(headend=HeadendSettings(concurrency=10_000)))
    (few,) = check_open_files(Settings(headend=HeadendSettings(concurrency=1)))
    assert "10640 needed" in many.found
    assert "641 needed" in few.found
    gone, none = check_serial_ports([SerialPortSettings(device="/dev/ttyNONE9"), SerialPortSettings(device="/dev/fd")])
    assert (gone.state, none.state) == (State.FAIL, State.FAIL)


def test_the_limit_of_the_services_unit_counts_not_that_of_the_shell(tmp_path: Path):
    unit, settings = tmp_path / "ami-collector.service", Settings()
    unit.write_text("[Service]\nLimitNOFILE=500\n")
    (check,) = check_open_files(settings, unit)
    assert (check.state, check.found) == (State.FAIL, "500 allowed, 704 needed")
    assert "systemctl edit" in check.next_step
    unit.write_text("[Service]\nLimitNOFILE=65536\n")
    (check,) = check_open_files(settings, unit)
    assert (check.state, check.found) == (State.OK, "65536, 704 needed")


def test_the_unit_that_is_laid_down_has_room_for_associations_and_lines_of_meters_that_called(configuration: Path):
    unit = configuration.parents[1] / UNIT.lstrip("/")
    limit = int(unit.read_text().partition("LimitNOFILE=")[2].split()[0])
    assert limit >= 2 * (HeadendSettings.model_fields["concurrency"].metadata[1].le + CallRules().lines_max)


def test_jobs_that_were_given_up_and_a_schema_of_another_program_are_told(monkeypatch: pytest.MonkeyPatch):
    condition = Condition("0001", "0002", 0, 0, 0, None, 0)
    monkeypatch.setattr(backlog, "look", lambda *_: condition)
    (check,) = check_backlog(Folder(Path("/nowhere")), NOW, "postgresql://ami@db.example/ami")
    assert (check.state, check.found) == (State.HINT, "schema 0001, this program's is 0002")
    condition = Condition("0002", "0002", 5, 2, 0, None, 3)
    told = list(check_backlog(Folder(Path("/nowhere")), NOW, "postgresql://ami@db.example/ami"))
    assert named(told, "fleet").found == "5 meters known, 2 of them failing again and again"
    assert (named(told, "dead letters").state, named(told, "dead letters").found) == (
        State.HINT,
        "3 jobs were given up",
    )


def test_jobs_that_nobody_takes_and_workers_that_are_gone_are_told(monkeypatch: pytest.MonkeyPatch):
    def told(due_since: datetime | None, held_until: datetime | None) -> list[Check]:
        condition = Condition("0002", "0002", 5, 0, 0, None, 0, due_since, held_until)
        monkeypatch.setattr(backlog, "look", lambda *_: condition)
        return list(check_backlog(Folder(Path("/nowhere")), NOW, "postgresql://ami@db.example/ami"))

    for due, held in ((None, None), (NOW - timedelta(hours=1), NOW - timedelta(minutes=1))):
        assert {named(told(due, held), name).state for name in ("jobs", "leases")} == {State.OK}
    old = told(NOW - timedelta(hours=5), NOW - timedelta(hours=5))
    assert {named(old, name).state for name in ("jobs", "leases")} == {State.HINT}
    assert "amity jobs release" in named(old, "leases").next_step


def test_a_broker_that_does_not_answer_is_told(tmp_path: Path):
    with socket.create_server(("127.0.0.1", 0)) as held:
        port = held.getsockname()[1]
    settings = Settings(broker=BrokerSettings(port=port))
    (by_hand,) = check_broker(Folder(tmp_path), settings)
    (installed,) = check_broker(Folder(tmp_path, configuration=tmp_path), settings)
    assert (by_hand.state, by_hand.next_step) == (State.HINT, f"amity serve --dir {tmp_path}")
    assert installed.next_step.startswith("sudo systemctl start")


def test_a_machine_without_time_zones_is_told(monkeypatch: pytest.MonkeyPatch):
    def none(_: str) -> None:
        raise KeyError

    monkeypatch.setattr(clock, "ZoneInfo", none)
    assert named(list(check_clock()), "time zones").state is State.FAIL


def test_an_error_in_a_check_is_a_check_that_failed():
    def look() -> list[Check]:
        raise StorageError("no", answer="disk", next_step="mend")

    assert guarded("x", look) == [Check("x", State.FAIL, "no: disk", "mend")]
