"""`sudo amity install` on the machine itself, in a mount namespace over which nothing outlives the test."""

import json
import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from amity.runtime.system import SystemClock
from amity.simulation.fleet import FleetSettings, build_fleet
from amity.simulation.serving import serve_fleet
from tests.unit.cli.in_a_thread import serving

SOURCES = Path(__file__).resolve().parents[2] / "src"

OVERLAY = """set -e
work=$1; shift
mount -t tmpfs tmpfs "$work"
for folder in etc var/lib var/log; do
  mkdir -p "$work/$folder/up" "$work/$folder/work"
  mount -t overlay overlay -o "lowerdir=/$folder,upperdir=$work/$folder/up,workdir=$work/$folder/work" "/$folder"
done
mount -t tmpfs tmpfs /opt
mkdir -p /opt/amity/bin
printf '%s\\n' "$PROGRAM" > /opt/amity/bin/amity
chmod 755 /opt/amity/bin/amity
cd /
"""
WALK = r"""
sed -i 's/^authentication_level: .*/authentication_level: none/' /etc/ami-gateway/dlms_config.yaml
chown ami: /etc/ami-gateway/dlms_config.yaml
setpriv --reuid nobody --regid nogroup --clear-groups amity install 2> "$OUT/refused" && exit 9
amity meter add --fleet "$OUT/fleet.json"
amity fleet import "$OUT/fleet.json" --dir /var/lib/ami-gateway > "$OUT/imported"
amity meter ping "$METER" --json > "$OUT/ping"
setpriv --reuid ami --regid ami --init-groups amity meter ping "$METER" --json > "$OUT/as_ami"
stat -c '%U:%G %a %n' /etc/ami-gateway/* /etc/ami-gateway/certs/*.key /var/log/ami/* /var/lib/ami-gateway \
  > "$OUT/owners"
find /var/lib/ami-gateway /var/log/ami ! -user ami > "$OUT/not_ami"
chown root: /var/lib/ami-gateway/ot/keys.json
amity doctor > "$OUT/doctor" || true
chmod 644 /etc/ami-gateway/certs/ami_service.key
amity install > "$OUT/exposed" || echo "status $?" >> "$OUT/exposed"
amity install --uninstall --json > "$OUT/left"
"""


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """A Python that another user may run, as /opt/amity has it."""
    python = f"/usr/bin/python3.{sys.version_info.minor}"
    needed = ("unshare", "setpriv", "systemd-sysusers", "systemd-tmpfiles", python)
    missing = [name for name in needed if shutil.which(name) is None]
    if os.geteuid() != 0 or missing:
        pytest.skip(f"needs root and {', '.join(needed)}; missing: {missing or 'root'}")
    out = tmp_path / "out"
    out.mkdir()
    packages = sysconfig.get_path("purelib")
    words = (
        f'#!/bin/sh\nexport PYTHONPATH={SOURCES}:{packages} PYTHONDONTWRITEBYTECODE=1\nexec {python} -m amity.cli "$@"'
    )
    return {"PROGRAM": words, "OUT": str(out), "PATH": f"/opt/amity/bin:{os.environ['PATH']}"}


def in_namespace(work: Path, environment: dict[str, str]) -> None:
    work.mkdir()
    install = "amity install --key p-256 --name gateway.example --program /opt/amity/bin/amity"
    script = f"{OVERLAY}\n{install}\n{install} > $OUT/second\n{WALK}"
    told = subprocess.run(  # noqa: S603 - our own script
        ["/usr/bin/unshare", "--mount", "/bin/sh", "-c", script, "sh", str(work)],
        env=environment, capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    if "mount:" in told.stderr:
        pytest.skip(f"no overlay can be mounted here: {told.stderr.splitlines()[-1]}")
    assert told.returncode == 0, told.stderr


def test_the_machine_itself_gets_a_service_that_reads_a_meter(tmp_path: Path, environment: dict[str, str]):
    out = Path(environment["OUT"])
    fleet = build_fleet(FleetSettings(meters=1, seed=3, anchor=SystemClock().now()))
    with serving(lambda: serve_fleet(fleet, clock=SystemClock())) as document:
        (out / "fleet.json").write_text(json.dumps(document))
        name = str(document[0]["logical_device_name"])
        in_namespace(tmp_path / "work", {**environment, "METER": name})
    assert (out / "second").read_text() == "nothing to do: everything is in place\n"
    assert "only root" in (out / "refused").read_text()
    for asked in ("ping", "as_ami"):
        registers = json.loads((out / asked).read_text())["registers"]
        assert any(one["obis"] == "1.0.1.8.0.255" for one in registers)
    owners = set((out / "owners").read_text().splitlines())
    assert {
        "ami:ami 600 /etc/ami-gateway/dlms_config.yaml", "ami:ami 600 /etc/ami-gateway/mapping.json",
        "root:root 600 /etc/ami-gateway/certs/ami_service.key", "ami:ami 640 /var/log/ami/ingest.log",
        "ami:ami 640 /var/log/ami/error.log", "ami:ami 700 /var/lib/ami-gateway",
    } <= owners  # fmt: skip
    assert (out / "not_ami").read_text() == ""
    assert "0 meters added, 1 replaced" in (out / "imported").read_text()
    doctor = (out / "doctor").read_text()
    assert "keys.json belongs to root, not to ami" in doctor
    assert "chown -R ami:ami /var/lib/ami-gateway" in doctor
    exposed = (out / "exposed").read_text()
    assert "chmod 600 /etc/ami-gateway/certs/ami_service.key; others could read it" in exposed
    assert exposed.endswith("status 2\n")
    assert "/var/lib/ami-gateway" in json.loads((out / "left").read_text())["left"]
    assert not Path("/etc/ami-gateway/.installed.json").exists()
