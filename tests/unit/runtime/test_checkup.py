"""Each check of the system doctor, on what is well and on what is not."""

import os
import socket
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from amity.domain.collection import Delivery, Outcome
from amity.headend.ports import Progress
from amity.kernel.errors import StorageError
from amity.runtime.checkup import clock, disk
from amity.runtime.checkup.all_checks import examine
from amity.runtime.checkup.backlog import check_backlog
from amity.runtime.checkup.check import Check, State, guarded
from amity.runtime.checkup.clock import Synchronisation, check_clock, kernel_clock
from amity.runtime.checkup.keys import check_keys
from amity.runtime.checkup.limits import check_open_files, check_serial_ports
from amity.runtime.checkup.ports import Door, check_door
from amity.runtime.folder import Folder
from amity.runtime.gateway_config import SerialPort, load_gateway
from amity.runtime.install.layout import Place
from amity.runtime.install.material import KeyKind, make_material, material
from amity.runtime.settings import HeadendSettings, Settings
from amity.storage.ot.database import open_database
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


def test_schedules_that_are_broken_are_told(configuration: Path):
    (configuration / "schedules.toml").write_text("[")
    failed = [check for check in examine(configuration, None, NOW) if check.state is State.FAIL]
    assert any("schedules.toml" in check.found for check in failed)


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


def test_a_port_is_free_ours_or_somebody_elses(monkeypatch: pytest.MonkeyPatch):
    with socket.create_server(("127.0.0.1", 0)) as held:
        port = held.getsockname()[1]
        monkeypatch.setattr("amity.runtime.checkup.ports.holder_of", lambda _port: "/usr/bin/otherd")
        assert check_door(Door("x", "127.0.0.1", port)).state is State.FAIL
        monkeypatch.setattr("amity.runtime.checkup.ports.holder_of", lambda _port: "/opt/amity/bin/amity serve")
        assert check_door(Door("x", "127.0.0.1", port)).state is State.OK
        monkeypatch.undo()
        assert str(port) in check_door(Door("x", "127.0.0.1", port)).name
    assert check_door(Door("x", "127.0.0.1", port)).found.startswith("free")
    assert check_door(Door("x", "192.0.2.1", port)).state is State.FAIL


def certify(certificates: Path, key: Any, until: datetime) -> None:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "gateway.example")])
    certificate = (
        x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
        .serial_number(7).not_valid_before(NOW - timedelta(days=400)).not_valid_after(until)
        .sign(key, hashes.SHA256())
    )  # fmt: skip
    (certificates / "ami_service.crt").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))


@pytest.mark.parametrize(("days", "state"), [(300, State.OK), (20, State.HINT), (-1, State.FAIL)])
def test_a_certificate_expires(folder: Folder, configuration: Path, tmp_path: Path, days: int, state: State):
    place = Place(tmp_path)
    make_material(place, KeyKind.P_256, "gateway.example")
    assert named(list(check_keys(folder, NOW, ME)), "certificate").found.endswith("is not signed yet")
    key = serialization.load_pem_private_key(material(place).key.read_bytes(), None)
    certify(configuration / "certs", key, NOW + timedelta(days=days))
    assert named(list(check_keys(folder, NOW, ME)), "certificate").state is state


def test_a_certificate_of_another_key_or_none_at_all(folder: Folder, configuration: Path, tmp_path: Path):
    make_material(Place(tmp_path), KeyKind.P_256, "gateway.example")
    certify(configuration / "certs", ec.generate_private_key(ec.SECP256R1()), NOW + timedelta(days=300))
    assert "another key" in named(list(check_keys(folder, NOW, ME)), "certificate").found
    (configuration / "certs" / "ami_service.crt").write_text("none")
    assert "cannot be used" in named(list(check_keys(folder, NOW, ME)), "certificate").found


def test_a_key_that_others_can_read_fails(folder: Folder, tmp_path: Path):
    make_material(Place(tmp_path), KeyKind.P_256, "gateway.example")
    material(Place(tmp_path)).key.chmod(0o640)
    check = named(list(check_keys(folder, NOW, ME)), "private key")
    assert check.state is State.FAIL
    assert check.next_step == f"chmod 600 {material(Place(tmp_path)).key}"


def test_disks_without_room_and_folders_that_are_gone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    assert disk.check_folder("disk", tmp_path / "gone").state is State.FAIL
    real = os.statvfs(tmp_path)

    def with_room(**changed: int) -> Any:
        fields = {name: getattr(real, name) for name in dir(real) if name.startswith("f_")} | changed
        monkeypatch.setattr(disk.os, "statvfs", lambda _path: type("Room", (), fields))
        return disk.check_folder("disk", tmp_path).state

    block = real.f_frsize
    assert with_room(f_bavail=10_000_000_000 // block, f_favail=10**6) is State.OK
    assert with_room(f_bavail=1_000_000_000 // block, f_favail=10**6) is State.HINT
    assert with_room(f_bavail=100_000_000 // block, f_favail=10**6) is State.FAIL
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
    gone, none = check_serial_ports([SerialPort(device="/dev/ttyNONE9"), SerialPort(device="/dev/fd")])
    assert (gone.state, none.state) == (State.FAIL, State.FAIL)


def test_an_error_in_a_check_is_a_check_that_failed():
    def look() -> list[Check]:
        raise StorageError("no", answer="disk", next_step="mend")

    assert guarded("x", look) == [Check("x", State.FAIL, "no: disk", "mend")]
