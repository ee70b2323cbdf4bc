"""docs/install.md, line by line on an empty Debian with a real systemd; then everything that happens to a service.

One machine serves all tests, which stand in the order of a service's life; each leaves it running but the last.
"""

import json
import re
from collections.abc import Iterator
from typing import Final

import pytest

from tests.services.machine import ROOT, SOURCES, USER, Machine, booted, sources_as_a_repository

UNIT: Final = "ami-collector"
PAGE: Final = (ROOT / "docs" / "install.md").read_text("utf-8").partition("\n## Logs")[0]
BLOCKS: Final = re.findall(r"^```sh\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
ADDRESS: Final = "192.0.2.17"
"""Of the page's meter; here a simulated one listens there."""
CONFIG: Final = "/etc/ami-gateway/dlms_config.yaml"
ERRORS: Final = "/var/log/ami/error.log"
INGEST: Final = "/var/log/ami/ingest.log"
CUTS_FRAMES: Final = """import socket
with socket.create_server(("127.0.0.1", 4701)) as server:
    while True:
        line, _ = server.accept()
        line.recv(1)
        line.sendall(bytes.fromhex("00010001000100206129"))
        line.recv(65536)
"""
"""A meter of which ten octets of a frame arrive, and then none."""


class Field:
    """What stands outside the machine: simulated meters, in services of their own that come back after a reboot."""

    def __init__(self, machine: Machine) -> None:
        self.machine = machine

    def serve(self, name: str, command: str) -> None:
        """Run a command as a service, its output in /srv/NAME.json."""
        text = (
            f"[Service]\nExecStartPre=-/usr/sbin/ip address add {ADDRESS}/32 dev lo\nExecStart={command}\n"
            f"StandardOutput=truncate:/srv/{name}.json\n[Install]\nWantedBy=multi-user.target\n"
        )
        self.machine.run(f"sudo tee /etc/systemd/system/{name}.service > /dev/null <<'E'\n{text}E")
        self.machine.run(f"sudo systemctl daemon-reload; sudo systemctl enable --quiet --now {name}")

    def meters(self, name: str, options: str) -> list[dict[str, str]]:
        """Simulated meters; their document."""
        self.serve(name, f"/usr/local/bin/amity simulate --json {options}")
        document = self.machine.until(f"test -s /srv/{name}.json && cat /srv/{name}.json")
        return list(json.loads(document))


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    folder = tmp_path_factory.mktemp("machine")
    source = sources_as_a_repository(folder / "source")
    layer = folder / "layer"
    layer.mkdir()
    with booted(layer, source) as running:
        yield running


@pytest.fixture(scope="module")
def field(machine: Machine) -> Field:
    """Also: the page's first section is done, for the simulated meters are of the same program."""
    machine.run(BLOCKS[0].replace("REPOSITORY", SOURCES), patience_s=600)
    return Field(machine)


@pytest.fixture(scope="module")
def walked(machine: Machine, field: Field) -> dict[str, str]:
    """The rest of the page; what each block said."""
    (meter,) = field.meters("field", f"--meters 1 --auth hls-gmac --host {ADDRESS} --port-base 4059 --seed 7")
    filled = iter((meter["guek"], meter["gak"], meter["guek"], meter["gak"], meter["system_title"]))
    said = {"meter": meter["logical_device_name"]}
    for block in BLOCKS[1:]:
        script = re.sub("…", lambda _: next(filled), block).replace("METER", said["meter"])
        script = script.replace("tail -f", "timeout 3 tail -f")
        said[block] = machine.run(f"set -e\n{script}", check="tail -f" not in block)
    return said


def about(walked: dict[str, str], words: str) -> str:
    """What the block said in which these words stand."""
    (text,) = [text for block, text in walked.items() if words in block]
    return text


def errors_of(machine: Machine, meter: str) -> str:
    """The last line of error.log about a meter."""
    return machine.run(f"sudo grep 'meter={meter} ' {ERRORS} | tail -n 1")


def settled(machine: Machine) -> str:
    """Wait until the service is up; its main process."""
    machine.until(f"systemctl is-active --quiet {UNIT}")
    return machine.property_of(UNIT, "MainPID")


def read_now(machine: Machine, meter: str) -> str:
    """Have the running service read a meter, as a job."""
    return machine.run(f"sudo amity meter read {meter} --wait 60", check=False)


def open_files(machine: Machine, pid: str) -> int:
    """How many a process may have."""
    return int(machine.run(f"sudo awk '/Max open files/ {{print $5}}' /proc/{pid}/limits"))


# ------------------------------------------------------------------ the page
def test_the_page_leads_from_an_empty_machine_to_a_read_meter(machine: Machine, walked: dict[str, str]):
    meter = walked["meter"]
    assert f"meter     {meter}" in about(walked, "amity meter probe")
    assert f"meter {meter}: complete" in about(walked, "amity meter ping")
    assert "OBIS Code 1.0.1.8.0.255" in about(walked, "tail -f")
    assert re.search(r'Status: "serving broker, headend"', about(walked, "systemctl status"))
    told = json.loads(machine.run("sudo amity doctor --json"))
    states = {check["name"]: check["state"] for check in told["checks"]}
    assert told["failed"] == 0
    assert (states["broker"], states["private key"], states["outbox"], states["open files"]) == ("ok",) * 4


def test_the_service_reads_by_itself_as_a_user_without_any_right(machine: Machine, walked: dict[str, str]):
    pid = settled(machine)
    status = machine.run(f"cat /proc/{pid}/status")
    assert re.search(r"^NoNewPrivs:\s1$", status, re.MULTILINE)
    assert re.search(r"^Seccomp:\s2$", status, re.MULTILINE)
    for kind in ("Inh", "Prm", "Eff", "Bnd", "Amb"):
        assert re.search(rf"^Cap{kind}:\s0+$", status, re.MULTILINE)
    assert machine.run(f"ps -o user= -p {pid}").strip() == "ami"
    assert machine.run(f"sudo systemd-analyze security --threshold=16 {UNIT}")
    assert open_files(machine, pid) == min(65_536, open_files(machine, "1"))  # a container has no more than its host
    by_itself = f"test $(grep -c 'meter={walked['meter']} ' {INGEST}) -ge 2"  # one of them is the ping's
    machine.until(by_itself)
    assert machine.run("sudo find /var/lib/ami-gateway /var/log/ami ! -user ami").strip() == ""


# ------------------------------------------------------------------ the four messages
@pytest.fixture(scope="module")
def troubled(machine: Machine, field: Field, walked: dict[str, str]) -> dict[str, str]:
    """A meter for each way to fail, known to the service, and one that is well; its name by the way."""
    machine.run(f"sudo sed -i 's/^request_timeout: .*/request_timeout: 1/; s/attempts: 3/attempts: 1/' {CONFIG}")
    machine.run(f"sudo systemctl restart {UNIT}")
    (low,) = field.meters("low", "--meters 1 --auth lls --port-base 4601 --seed 8")
    field.meters("silent", "--meters 1 --auth none --port-base 4602 --seed 9 --fault silent=1")
    machine.run(f"sudo tee /srv/cuts.py > /dev/null <<'E'\n{CUTS_FRAMES}E")
    field.serve("cuts", "/usr/bin/python3 /srv/cuts.py")
    machine.until("ss -ltn | grep -q ':4701 '")
    ways = {
        "refused": "127.0.0.1:4700 --level none",
        "client": f"127.0.0.1:4601 --level none --client {int(low['client']) + 40}",
        "password": f"127.0.0.1:4601 --level low --password wrong --client {low['client']}",
        "cut": "127.0.0.1:4701 --level none",
        "silent": "127.0.0.1:4602 --level none",
    }
    for way, options in ways.items():
        machine.run(f"sudo amity meter add {way.upper()} {options}")
    return {"well": walked["meter"], **{way: way.upper() for way in ways}}


@pytest.mark.parametrize(
    ("way", "event", "cause", "remedy"),
    [
        ("refused", "Connection Refused (Error 111)", "listening port is closed", "iptables -L"),
        ("client", "DLMS Association Rejected", "client_address", "/etc/ami-gateway/certs"),
        ("password", "DLMS Association Rejected", "security keys", CONFIG),
        ("cut", "Partial Frame Received", "attenuation", "spectrum analyser"),
        ("silent", "Timer T1 Timeout", "request_timeout", f"raise request_timeout in {CONFIG}"),
    ],
)
def test_each_of_the_four_messages_comes_from_the_service_and_from_the_command(
    machine: Machine, troubled: dict[str, str], way: str, event: str, cause: str, remedy: str
):
    meter = troubled[way]
    read_now(machine, meter)
    line = machine.until(f"grep 'meter={meter} ' {ERRORS} | tail -n 1 | grep .")
    assert f'event="{event}' in line
    assert cause in line
    assert remedy in line
    said = machine.run(f"sudo amity meter ping {meter}", check=False)
    assert event in said
    told = re.search(r'cause="([^"]*)"', line)
    assert told is not None
    assert f"cause: {told[1]}" in said


def test_those_that_fail_hold_up_nobody_else(machine: Machine, troubled: dict[str, str]):
    assert "done" in read_now(machine, troubled["well"])


# ------------------------------------------------------------------ a service's life
def test_logs_are_rotated_while_it_writes_them(machine: Machine, walked: dict[str, str]):
    settled(machine)
    before = int(machine.run(f"sudo grep -c ^timestamp {INGEST}"))
    assert before > 0
    machine.run("sudo logrotate --force /etc/logrotate.d/ami-gateway")
    read_now(machine, walked["meter"])
    machine.until(f"grep -q 'meter={walked['meter']} ' {INGEST}")
    assert int(machine.run(f"sudo grep -c ^timestamp {INGEST}.1")) >= before
    assert machine.run(f"sudo stat -c '%U:%G %a' {INGEST}").strip() == "ami:ami 640"


def test_a_killed_service_is_there_again_and_reads(machine: Machine, walked: dict[str, str]):
    for victim in ("service", "broker"):
        pid = settled(machine)
        gone = pid if victim == "service" else machine.run("pgrep -x nats-server").strip()
        machine.run(f"sudo kill -9 {gone}")
        machine.until(
            f"test $(systemctl show {UNIT} -p MainPID --value) -ne {pid} && systemctl is-active --quiet {UNIT}"
        )
        assert len(machine.run("pgrep -x nats-server").split()) == 1
        assert "done" in read_now(machine, walked["meter"])


def test_a_service_that_hangs_is_ended_by_the_watchdog(machine: Machine):
    drop_in = f"/etc/systemd/system/{UNIT}.service.d/hurry.conf"
    machine.run(f"sudo mkdir -p $(dirname {drop_in}); printf '[Service]\nWatchdogSec=3\n' | sudo tee {drop_in}")
    machine.run(f"sudo systemctl daemon-reload; sudo systemctl restart {UNIT}")
    pid = settled(machine)
    machine.run(f"sudo kill -STOP {pid}")
    machine.until(f"journalctl -u {UNIT} | grep -q 'Watchdog timeout'")
    machine.until(f"test $(systemctl show {UNIT} -p MainPID --value) -ne {pid} && systemctl is-active --quiet {UNIT}")
    machine.run(f"sudo rm {drop_in}; sudo systemctl daemon-reload; sudo systemctl restart {UNIT}")


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (f"chmod 644 {CONFIG}", f"chmod 600 {CONFIG}"),
        (f"sed -i s/^client_address/client_adress/ {CONFIG}", "did you mean client_address"),
        (f"mv {CONFIG} /srv/kept.yaml; ln -s /srv/kept.yaml {CONFIG}", "is a symbolic link"),
        ("chmod 644 /etc/ami-gateway/mapping.json", "chmod 600 /etc/ami-gateway/mapping.json"),
    ],
)
@pytest.mark.usefixtures("walked")
def test_what_a_person_must_mend_is_said_once_and_not_tried_again(machine: Machine, spoil: str, said: str):
    settled(machine)
    machine.run("sudo cp -a /etc/ami-gateway /srv/good")
    machine.run(f"sudo sh -c '{spoil}'; sudo systemctl restart {UNIT}", check=False)
    machine.until(f"systemctl is-failed --quiet {UNIT}")
    assert machine.property_of(UNIT, "ExecMainStatus") == "2"
    assert said in machine.run(f"sudo journalctl -u {UNIT} -n 20 -o cat").replace("\n", "")
    assert said in machine.run("sudo amity doctor", check=False).replace("\n", "")
    machine.run("sudo rm -r /etc/ami-gateway; sudo mv /srv/good /etc/ami-gateway")
    machine.run(f"sudo systemctl start {UNIT}")


@pytest.mark.usefixtures("walked")
def test_a_meter_on_a_serial_line_is_read_through_the_service(machine: Machine, field: Field):
    (meter,) = field.meters("serial", "--meters 1 --auth none --pty --seed 11")
    device, name = meter["device"], meter["logical_device_name"]
    machine.run(f"sudo chmod 660 {device}; sudo chgrp dialout {device}")
    machine.run(f"sudo sed -i 's|^serial_ports: .*|serial_ports: [{{device: {device}, baud: 9600}}]|' {CONFIG}")
    machine.run(f"sudo systemctl restart {UNIT}")
    assert f"serial line {device}: mode 0660" in machine.run("sudo amity doctor")
    addresses = f"--client {meter['client']} --server {meter['server']} --profile {meter['profile']}"
    machine.run(f"sudo amity meter add {name} {device} --level none {addresses}")
    assert "done" in read_now(machine, name)
    assert "OBIS Code 1.0.1.8.0.255" in machine.until(f"grep 'meter={name} ' {INGEST}")


def test_after_a_reboot_it_stands_by_itself_and_reads(machine: Machine, walked: dict[str, str]):
    machine.reboot()
    settled(machine)
    assert "done" in read_now(machine, walked["meter"])


@pytest.mark.usefixtures("walked")
def test_uninstalled_it_is_gone_and_what_is_the_administrators_stays(machine: Machine):
    machine.run(f"sudo systemctl disable --now {UNIT}")
    said = machine.run("sudo amity install --uninstall")
    assert f"removed /etc/systemd/system/{UNIT}.service" in said
    assert machine.run(f"systemctl cat {UNIT}", check=False).startswith("No files found")
    for kept in (CONFIG, "/etc/ami-gateway/certs/ami_service.key", INGEST, "/var/lib/ami-gateway/ot/keys.json"):
        machine.run(f"sudo test -e {kept}")
    assert machine.run("pgrep -u ami", check=False).strip() == ""
    assert USER not in said
