"""Unit, users, folders, logs and firewall of `amity install`, before the programs that will read them."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from amity.runtime.install.carry_out import put_down
from amity.runtime.install.firewall import Firewall, firewall_lines
from amity.runtime.install.layout import Place, pieces
from amity.runtime.install.survey import survey
from amity.runtime.logs.files import LogFile

EXPOSURE_MAX = 1.6
"""What `systemd-analyze security` may say of the unit; 9.6 is a unit without any setting, 0 one that can do nothing."""

UNIT = "/etc/systemd/system/ami-collector.service"


def program(name: str, package: str) -> str:
    found = shutil.which(name) or shutil.which(name, path="/usr/sbin:/sbin")
    if found is None:
        pytest.skip(f"{name} is not installed; apt-get install {package}")
    return found


def run(*argv: str | Path, text: str | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(  # noqa: S603 - fixed commands
        [str(word) for word in argv], input=text, capture_output=True, text=True, check=False
    )


@pytest.fixture
def place(tmp_path: Path) -> Place:
    """Laid down below a folder; the program is one that is there, for `verify` looks."""
    laid = Place(tmp_path, Path(sys.executable))
    put_down(laid, survey(laid, pieces(laid), {}))
    return laid


def test_systemd_finds_nothing_wrong_with_the_unit(place: Place):
    told = run(program("systemd-analyze", "systemd"), "verify", place.at(UNIT))
    assert (told.returncode, told.stderr) == (0, "")


def test_systemd_would_find_something_wrong(place: Place):
    """So that the test above can fail."""
    path = place.at(UNIT)
    path.write_text(path.read_text().replace("ProtectSystem=strict", "ProtectSystem=stricter"))
    assert run(program("systemd-analyze", "systemd"), "verify", path).stderr


def test_the_unit_is_as_closed_as_a_service_on_the_network_can_be(place: Place):
    analyse = (program("systemd-analyze", "systemd"), "security", "--offline=true")
    limit = f"--threshold={EXPOSURE_MAX * 10:.0f}"
    told = run(*analyse, limit, place.at(UNIT))
    assert told.returncode == 0, told.stdout
    path = place.at(UNIT)
    path.write_text(path.read_text().replace("NoNewPrivileges=yes\n", "").replace("CapabilityBoundingSet=\n", ""))
    assert run(*analyse, limit, path).returncode != 0


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_sysusers_and_tmpfiles_give_everything_its_owner(place: Place):
    for word in ("", "again"):
        made = run(program("systemd-sysusers", "systemd"), f"--root={place.root}")
        assert made.returncode == 0, (word, made.stderr)
    user = int(place.at("/etc/passwd").read_text().split(":")[2])
    key = place.at("/etc/ami-gateway/certs/ami_service.key")
    key.touch(mode=0o644)
    told = run(program("systemd-tmpfiles", "systemd"), f"--root={place.root}", "--create", "ami-gateway.conf")
    assert told.returncode == 0, told.stderr
    owners = {
        "/etc/ami-gateway": (0, 0o750), "/etc/ami-gateway/certs": (0, 0o711), "/var/lib/ami-gateway": (user, 0o700),
        "/etc/ami-gateway/dlms_config.yaml": (user, 0o600), "/etc/ami-gateway/mapping.json": (user, 0o600),
        "/var/log/ami": (user, 0o750),
        "/etc/ami-gateway/certs/ami_service.key": (0, 0o644),  # left as it is: who installs is to learn of it
        "/var/log/ami/ingest.log": (user, 0o640), "/var/log/ami/error.log": (user, 0o640),
    }  # fmt: skip
    found = {path: (place.at(path).stat().st_uid, place.at(path).stat().st_mode & 0o7777) for path in owners}
    assert found == owners


# ------------------------------------------------------------------ logrotate
def configuration_for(place: Place, tmp_path: Path, *more: str) -> Path:
    """What is installed, for this root and this user, and with a rotation whenever it is asked for."""
    text = place.at("/etc/logrotate.d/ami-gateway").read_text().replace("/var/log/ami", str(place.at("/var/log/ami")))
    text = text.replace("    su ami ami\n", "").replace("0640 ami ami", "0640").replace("    delaycompress\n", "")
    text = text.replace("    compress\n", "")
    for line in more:
        text = text.replace("    missingok\n", f"    missingok\n    {line}\n")
    path = tmp_path / "logrotate.conf"
    path.write_text(text)
    path.chmod(0o600)
    return path


@pytest.mark.parametrize("way", ["create", "copytruncate"])
def test_no_line_is_lost_when_logrotate_rotates(place: Place, tmp_path: Path, way: str):
    rotate = program("logrotate", "logrotate")
    path = place.at("/var/log/ami") / "ingest.log"
    log = LogFile(path)
    configuration = configuration_for(place, tmp_path, *(["copytruncate"] if way != "create" else []))
    for turn in range(3):
        log.write(f"turn {turn} a")
        told = run(rotate, "--force", "--state", tmp_path / "state", configuration)
        assert told.returncode == 0, told.stderr
        log.write(f"turn {turn} b")
    files = sorted(path.parent.glob("ingest.log*"), reverse=True)
    assert len(files) == 4
    assert path.read_text() == "turn 2 b\n"
    lines = [line for file in files for line in file.read_text().splitlines()]
    assert lines == [f"turn {turn} {letter}" for turn in range(3) for letter in "ab"]


def test_the_installed_file_is_one_that_logrotate_takes(place: Place, tmp_path: Path):
    told = run(
        program("logrotate", "logrotate"), "--debug", "--state", tmp_path / "state", configuration_for(place, tmp_path)
    )
    assert told.returncode == 0
    assert "error:" not in told.stderr


# ------------------------------------------------------------------ firewall
def test_nftables_takes_the_lines(tmp_path: Path):
    nft = program("nft", "nftables")
    path = tmp_path / "ami-gateway.nft"
    for peers in ([], ["127.0.0.0/8", "10.20.0.0/16", "10.20.3.0/24", "2001:db8::/32"]):
        path.write_text("\n".join(firewall_lines(Firewall.NFTABLES, peers, 4059)) + "\n")
        told = run(nft, "--check", "--file", path)
        if "Operation not permitted" in told.stderr:
            pytest.skip("nft may not ask the kernel here: it needs CAP_NET_ADMIN")
        assert (told.returncode, told.stderr) == (0, "")


def test_material_that_openssl_made_is_taken_as_it_is(place: Place):
    """The page's own command, in place of ours: the installer keeps it, and the doctor reads it."""
    openssl = program("openssl", "openssl")
    certs = place.certificates
    key, request, certificate = certs / "ami_service.key", certs / "ami_service.csr", certs / "ami_service.crt"
    new = ("req", "-new", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=ami.example")
    made = run(openssl, *new, "-keyout", key, "-out", request)
    assert made.returncode == 0, made.stderr
    signed = run(openssl, "x509", "-req", "-in", request, "-signkey", key, "-days", "90", "-out", certificate)
    assert signed.returncode == 0, signed.stderr
    key.chmod(0o600)
    amity = (sys.executable, "-m", "amity.cli")
    before = key.read_bytes()
    assert run(*amity, "install", "--root", place.root, "--program", sys.executable).returncode == 0
    assert key.read_bytes() == before
    checks = json.loads(run(*amity, "doctor", "--config", place.configuration, "--json").stdout)["checks"]
    found = {check["name"]: check["state"] for check in checks}
    assert (found["private key"], found["certificate"]) == ("ok", "ok")
