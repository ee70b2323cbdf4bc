"""The page's way from a laid-down installation to a read meter, and its four messages, through the real head-end."""

import asyncio
import json
import os
import re
import shlex
import socket
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from amity.cli.main import app
from amity.devices.profiles import Framing, SignOn
from amity.devices.settings import Authentication
from amity.headend.ports import Endpoint, MeterSecrets
from amity.headend.routes import HdlcLink, Host, Route, SerialLine, WrapperLink
from amity.kernel.errors import ConfigurationError, TransportError
from amity.messaging.codec import ProtobufCodec
from amity.runtime.system import SystemClock
from amity.simulation.carriers import Carried
from amity.simulation.fleet import FleetSettings, build_fleet
from amity.simulation.serving import serve_fleet
from amity.storage.ot.database import open_database
from amity.storage.ot.keys import KeyFile
from tests.unit.cli.in_a_thread import serving
from tests.unit.runtime.installed import edit, lay_down

Entry = dict[str, Any]


def run(*argv: str) -> Result:
    return CliRunner().invoke(app, argv, catch_exceptions=False)


@pytest.fixture
def configuration(tmp_path: Path) -> Path:
    configuration = lay_down(tmp_path)
    edit(configuration, "request_timeout: 5", "request_timeout: 0.3")
    edit(configuration, "attempts: 3", "attempts: 1")
    return configuration


@contextmanager
def simulated(**settings: Any) -> Iterator[list[Entry]]:
    fleet = build_fleet(FleetSettings(meters=1, seed=5, anchor=SystemClock().now(), **settings))
    with serving(lambda: serve_fleet(fleet, clock=SystemClock())) as document:
        yield document


def know(configuration: Path, document: list[Entry], tmp_path: Path) -> str:
    """Make the simulated meter known; its name."""
    file = tmp_path / "fleet.json"
    file.write_text(json.dumps(document))
    assert run("meter", "add", "--fleet", str(file), "--config", str(configuration)).exit_code == 0
    return str(document[0]["logical_device_name"])


def ping(configuration: Path, meter: str, *more: str) -> Result:
    return run("meter", "ping", meter, "--config", str(configuration), *more)


def log_lines(configuration: Path, name: str) -> list[dict[str, str]]:
    """The lines of a log as their keys and values."""
    path = configuration.parents[1] / "var/log/ami" / name
    return [dict(word.partition("=")[::2] for word in shlex.split(line)) for line in path.read_text().splitlines()]


def only_error(configuration: Path) -> dict[str, str]:
    (line,) = log_lines(configuration, "error.log")
    return line


# ------------------------------------------------------------------ a read meter
def test_a_manual_ping_makes_the_line_of_the_page_appear(configuration: Path, tmp_path: Path):
    with simulated(auth=Authentication.HLS_GMAC) as document:
        meter = know(configuration, document, tmp_path)
        result = ping(configuration, meter, "--correlation", "from-the-command-line")
    assert result.exit_code == 0, result.stdout
    assert "OBIS Code 1.0.1.8.0.255" in result.stdout
    (line,) = log_lines(configuration, "ingest.log")
    assert "OBIS Code 1.0.1.8.0.255" in line["parsed"]
    assert (line["correlation"], line["meter"]) == ("from-the-command-line", meter)
    with closing(open_database(configuration.parents[1] / "var/lib/ami-gateway/ot/ot.sqlite")) as database:
        (queued,) = database.collection.queued(2)
    assert ProtobufCodec().decode(queued.body).correlation_id == "from-the-command-line"
    assert (line["registers"], int(line["intervals"])) == ("1", 0), "a ping reads one register"
    assert log_lines(configuration, "error.log") == []


def test_a_meter_that_says_nothing_else_is_spoken_to_as_configured(configuration: Path):
    edit(configuration, 'authentication_level: "High Level Authentication"', "authentication_level: low")
    edit(configuration, "device_profile: generic", "device_profile: norrvik_n1")
    with simulated(auth=Authentication.LLS) as (entry,):
        edit(configuration, "client_address: 1", f"client_address: {entry['client']}")
        edit(configuration, "logical_device_id: 1", f"logical_device_id: {entry['server']}")
        where, meter = f"127.0.0.1:{entry['port']}", entry["logical_device_name"]
        added = run("meter", "add", meter, where, "--password", entry["password"], "--config", str(configuration))
        assert added.exit_code == 0
        told = json.loads(ping(configuration, meter, "--json").stdout)
    assert told["outcome"] in {"complete", "partial"}, told
    assert any(one["obis"] == "1.0.1.8.0.255" for one in told["registers"])


def test_the_correlation_id_reaches_each_frame(configuration: Path, tmp_path: Path):
    edit(configuration, "frames: false", "frames: true")
    with simulated() as document:
        meter = know(configuration, document, tmp_path)
        told = json.loads(ping(configuration, meter, "--json").stdout)
    frames = [line for line in log_lines(configuration, "ingest.log") if line["event"] == "frame"]
    assert {line["correlation"] for line in frames} == {told["correlation"]}
    assert frames[0]["direction"] == "to meter"
    assert bytes.fromhex(frames[0]["octets"])[8] == 0x60  # the AARQ behind the wrapper's header


def test_no_log_and_no_terminal_ever_holds_a_secret(configuration: Path, tmp_path: Path):
    edit(configuration, "frames: false", "frames: true")
    said = ""
    for auth in (Authentication.LLS, Authentication.HLS_GMAC):
        with simulated(auth=auth) as document:
            meter = know(configuration, document, tmp_path)
            said += ping(configuration, meter).stdout
            for name in ("ingest.log", "error.log"):
                said += (configuration.parents[1] / "var/log/ami" / name).read_text()
            (entry,) = document
            for secret in (entry["password"], entry["password"].encode().hex(), entry["guek"], entry["gak"]):
                assert secret not in said
    assert "frame" in said


def test_an_unknown_meter_and_two_ways_to_name_an_installation(configuration: Path):
    with pytest.raises(ConfigurationError, match="no meter is called"):
        ping(configuration, "NOBODY")
    with pytest.raises(ConfigurationError, match="two ways"):
        ping(configuration, "NOBODY", "--dir", "x")
    with pytest.raises(ConfigurationError, match="no meter is named"):
        run("meter", "add", "--config", str(configuration))


@pytest.mark.parametrize("document", ["{", "[]", '[{"host": 1}]'])
def test_a_fleet_document_that_is_none_is_refused(configuration: Path, tmp_path: Path, document: str):
    file = tmp_path / "fleet.json"
    file.write_text(document)
    with pytest.raises(ConfigurationError):
        run("meter", "add", "--fleet", str(file), "--config", str(configuration))


def known(configuration: Path) -> Endpoint:
    with closing(open_database(configuration.parents[1] / "var/lib/ami-gateway/ot/ot.sqlite")) as database:
        (endpoint,) = database.endpoints.all()
    return endpoint


@pytest.mark.parametrize(("level", "octets", "suite"), [("Security Suite 1", 16, 1), ("Security Suite 2", 32, 2)])
def test_the_suite_of_a_level_stands_at_the_meter(configuration: Path, level: str, octets: int, suite: int):
    with simulated(auth=Authentication.HLS_GMAC, suite=suite) as (entry,):
        keys = ("--key", entry["guek"], "--auth-key", entry["gak"], "--system-title", entry["system_title"])
        where, meter = f"127.0.0.1:{entry['port']}", entry["logical_device_name"]
        assert len(bytes.fromhex(entry["guek"])) == octets
        run("meter", "add", meter, where, "--level", level, *keys, "--config", str(configuration))
        assert known(configuration).suite == suite
        told = json.loads(ping(configuration, meter, "--json").stdout)
    assert told["outcome"] in {"complete", "partial"}, told


def test_keys_that_do_not_do_for_the_level_are_refused_at_once(configuration: Path):
    short = ("--key", "00" * 16, "--auth-key", "11" * 16, "--system-title", "4142430000000001")
    with pytest.raises(ConfigurationError, match="meter M1 cannot be associated with"):
        run(
            "meter",
            "add",
            "M1",
            "127.0.0.1:4059",
            "--level",
            "Security Suite 2",
            *short,
            "--config",
            str(configuration),
        )
    with pytest.raises(ConfigurationError, match="meter M1 cannot be associated with"):
        run("meter", "add", "M1", "127.0.0.1:4059", "--config", str(configuration))
    assert not (configuration.parents[1] / "var/lib/ami-gateway/ot/keys.json").exists()


KEYS = ("--key", "00" * 16, "--auth-key", "11" * 16, "--system-title", "4142430000000001")


def add(configuration: Path, *more: str) -> Result:
    return run("meter", "add", "M1", "127.0.0.1:4059", *more, "--config", str(configuration))


def test_a_profile_takes_nothing_from_the_configured_level_and_client(configuration: Path):
    """It would be a downgrade to no authentication, with keys given, and not a word."""
    with simulated(auth=Authentication.HLS_GMAC) as (entry,):
        edit(configuration, "client_address: 1", f"client_address: {entry['client']}")
        keys = ("--key", entry["guek"], "--auth-key", entry["gak"], "--system-title", entry["system_title"])
        where, meter = f"127.0.0.1:{entry['port']}", entry["logical_device_name"]
        run("meter", "add", meter, where, "--profile", "generic", *keys, "--config", str(configuration))
        told = json.loads(ping(configuration, meter, "--json").stdout)
    assert told["outcome"] in {"complete", "partial"}, told
    with pytest.raises(ConfigurationError, match="cannot be associated with"):
        add(configuration, "--profile", "generic")


@pytest.mark.parametrize(
    ("level", "given", "unused"),
    [
        ("none", KEYS, "--key and --auth-key"),
        ("low", (*KEYS, "--password", "12345678"), "--key and --auth-key"),
        ("none", ("--password", "12345678"), "--password"),
        ("high", (*KEYS, "--password", "12345678"), "--password"),
    ],
)
def test_secrets_that_the_association_will_not_use_are_refused(
    configuration: Path, level: str, given: tuple[str, ...], unused: str
):
    with pytest.raises(ConfigurationError, match=f"{unused} would not be used") as caught:
        add(configuration, "--level", level, *given)
    assert "--level" in (caught.value.next_step or "")
    assert not (configuration.parents[1] / "var/lib/ami-gateway/ot/keys.json").exists()


def test_a_serial_line_has_the_speed_of_serial_ports(configuration: Path):
    edit(configuration, "serial_ports: []", "serial_ports: [{device: /dev/ttyUSB7, baud: 300}]")
    add = ("meter", "add", "M1", "/dev/ttyUSB7", "--level", "none", "--config", str(configuration))
    assert run(*add, "--sign-on", "mode-e", "--physical", "17").exit_code == 0
    line = SerialLine("/dev/ttyUSB7", 300, SignOn.MODE_E)
    assert known(configuration).route == Route(HdlcLink(line, 17))
    assert run(*add, "--baud", "19200").exit_code == 0
    assert known(configuration).route == Route(HdlcLink(SerialLine("/dev/ttyUSB7", 19200)))
    with pytest.raises(ConfigurationError, match="/dev/ttyUSB8 is not among serial_ports") as caught:
        run("meter", "add", "M2", "/dev/ttyUSB8", "--level", "none", "--config", str(configuration))
    assert "serial_ports in dlms_config.yaml" in (caught.value.next_step or "")


def test_a_meter_on_a_serial_line_is_read(configuration: Path):
    fleet = build_fleet(FleetSettings(meters=1, seed=5, anchor=SystemClock().now(), auth=Authentication.NONE))
    with serving(lambda: serve_fleet(fleet, clock=SystemClock(), carried=Carried(Framing.HDLC, pty=True))) as (entry,):
        edit(configuration, "serial_ports: []", f"serial_ports: [{{device: {entry['device']}}}]")
        addresses = ("--client", str(entry["client"]), "--server", str(entry["server"]), "--profile", entry["profile"])
        meter, device = entry["logical_device_name"], entry["device"]
        run("meter", "add", meter, device, "--level", "none", *addresses, "--config", str(configuration))
        told = json.loads(ping(configuration, meter, "--json").stdout)
    assert any(one["obis"] == "1.0.1.8.0.255" for one in told["registers"]), told


def test_hdlc_over_tcp(configuration: Path):
    add = ("meter", "add", "M1", "127.0.0.1:4059", "--level", "none", "--hdlc", "--config", str(configuration))
    assert run(*add).exit_code == 0
    assert known(configuration).route == Route(HdlcLink(Host("127.0.0.1", 4059)))


PROBED = [
    ({"auth": Authentication.HLS_GMAC}, "High Level Authentication"),
    ({"auth": Authentication.HLS_GMAC, "suite": 2}, "Security Suite 2"),
    ({"auth": Authentication.LLS}, "low"),
    ({"auth": Authentication.NONE}, "none"),
]


@pytest.mark.parametrize(("settings", "level"), PROBED)
def test_the_line_that_probe_prints_makes_the_meter_known_as_it_was_opened(
    configuration: Path, settings: dict[str, Any], level: str
):
    edit(configuration, 'authentication_level: "High Level Authentication"', "authentication_level: hls-sha256")
    edit(configuration, "attempts: 1", "attempts: 2")  # the first one hears which counter the meter expects after probe
    with simulated(**settings) as (entry,):
        given = ["--password", entry["password"]] if level == "low" else []
        given += ["--key", entry["guek"], "--auth-key", entry["gak"]] if entry["auth"] == "hls-gmac" else []
        probe = ("meter", "probe", f"127.0.0.1:{entry['port']}", *given, "--pause", "0", "--timeout", "1")
        found = json.loads(run(*probe, "--show-secrets", "--json").stdout)
        assert f"--level {shlex.quote(level)}" in found["add_command"]
        assert run(*shlex.split(found["add_command"])[1:], "--config", str(configuration)).exit_code == 0
        told = json.loads(ping(configuration, entry["logical_device_name"], "--json").stdout)
        (line,) = (one for one in run(*probe).stdout.splitlines() if one.startswith("amity meter add "))
    assert told["outcome"] in {"complete", "partial"}, told["detail"]
    assert not any(secret in line for secret in given[1::2])


def test_a_meter_is_put_into_a_cell(configuration: Path):
    where = ("127.0.0.1:4059", "--level", "none", "--cell", "T7")
    assert run("meter", "add", "M1", *where, "--config", str(configuration)).exit_code == 0
    assert known(configuration).route == Route(WrapperLink(Host("127.0.0.1", 4059)), cell="T7")


# ------------------------------------------------------------------ the four messages (seed 003, section C)
def test_connection_refused_when_nothing_listens(configuration: Path, tmp_path: Path):
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        port = held.getsockname()[1]
        with simulated() as document:
            meter = know(configuration, [{**document[0], "port": port}], tmp_path)
        result = ping(configuration, meter)
    assert result.exit_code == 3
    line = only_error(configuration)
    assert line["event"] == "Connection Refused (Error 111)"
    assert f"port {port} (DLMS/COSEM: 4059) must not be dropped" in line["remedy"]
    assert "iptables -L" in line["remedy"]
    assert line["address"] == f"127.0.0.1:{port}"
    assert "iptables -L" in result.stdout
    assert log_lines(configuration, "ingest.log")[0]["event"] == "session refused"


def test_association_rejected_when_the_keys_are_not_the_meters(configuration: Path, tmp_path: Path):
    with simulated(auth=Authentication.LLS) as document:
        meter = know(configuration, document, tmp_path)
        KeyFile(configuration.parents[1] / "var/lib/ami-gateway/ot/keys.json").put({meter: MeterSecrets(b"wrong")})
        assert ping(configuration, meter).exit_code == 3
    line = only_error(configuration)
    assert line["event"].startswith("DLMS Association Rejected")
    assert f"{configuration}/certs" in line["remedy"]
    assert "logical_device_id" in line["remedy"]
    assert f"{configuration}/dlms_config.yaml" in line["remedy"]


@contextmanager
def answering(octets: bytes | None) -> Iterator[int]:
    """A port where some octets come for a request and then silence, or nothing at all; its number."""
    loop = asyncio.new_event_loop()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        if octets:
            writer.write(octets)
        while await reader.read(100):
            pass
        writer.close()

    class Server:
        async def __aenter__(self) -> list[Entry]:
            self.server = await asyncio.start_server(answer, "127.0.0.1", 0)
            return [{"port": self.server.sockets[0].getsockname()[1]}]

        async def __aexit__(self, *_: object) -> None:
            self.server.close()
            await asyncio.sleep(0.05)

    loop.close()
    with serving(Server) as (entry,):
        yield entry["port"]


def meter_at(configuration: Path, tmp_path: Path, port: int) -> str:
    with simulated() as document:
        return know(configuration, [{**document[0], "port": port}], tmp_path)


def test_partial_frame_when_a_frame_breaks_off(configuration: Path, tmp_path: Path):
    with answering(bytes.fromhex("0001000100010020 6129")) as port:
        assert ping(configuration, meter_at(configuration, tmp_path, port)).exit_code == 3
    line = only_error(configuration)
    assert line["event"] == "Partial Frame Received"
    assert "10 octets of an unfinished frame" in line["answer"]
    assert "attenuation" in line["cause"]


def test_timer_t1_when_no_octet_comes_within_request_timeout(configuration: Path, tmp_path: Path):
    with answering(None) as port:
        assert ping(configuration, meter_at(configuration, tmp_path, port)).exit_code == 3
    line = only_error(configuration)
    assert line["event"] == "Timer T1 Timeout"
    assert line["answer"] == "nothing within 0.3 s"
    assert f"raise request_timeout in {configuration}/dlms_config.yaml" in line["remedy"]
    for other in ("client_address", "logical_device_id", "framing", f"amity meter probe 127.0.0.1:{port}"):
        assert other in line["cause"] + line["remedy"]


def test_what_is_no_dlms_is_told_in_words(configuration: Path, tmp_path: Path):
    with answering(b"HTTP/1.1 400 Bad Request\r\n\r\n") as port:
        result = ping(configuration, meter_at(configuration, tmp_path, port))
    line = only_error(configuration)
    assert "not DLMS" in line["event"]
    assert "it begins with 'HTTP/1.1'" in line["event"]
    assert line["cause"] not in {"", line["answer"], line["event"]}
    assert f"cause: {line['cause']}" in result.stdout


# ------------------------------------------------------------------ install and doctor as commands
def test_install_says_what_it_does_and_then_that_nothing_is_left(tmp_path: Path):
    args = ("install", "--root", str(tmp_path / "here"), "--key", "p-256", "--name", "gateway.example")
    dry = run(*args, "--dry-run")
    assert f"would create {tmp_path}/here/etc/ami-gateway/dlms_config.yaml" in dry.stdout
    assert not (tmp_path / "here").exists()
    first = run(*args)
    assert "systemctl enable --now ami-collector.service" in first.stdout
    assert run(*args).stdout == "nothing to do: everything is in place\n"
    config = tmp_path / "here/etc/ami-gateway/dlms_config.yaml"
    config.chmod(0o644)
    again = run(*args)
    assert (again.exit_code, f"chmod 600 {config}" in again.stdout) == (2, True)
    assert "nothing to do" not in again.stdout
    config.chmod(0o600)
    pieces = json.loads(run(*args, "--json").stdout)["pieces"]
    assert {piece["done"] for piece in pieces} == {"same"}


@pytest.mark.parametrize("name", ["ami_service.key", "mqtt.key"])
@pytest.mark.parametrize("more", [(), ("--dry-run",)])
def test_a_key_that_others_could_read_is_refused_and_never_silently_closed(
    tmp_path: Path, name: str, more: tuple[str, ...]
):
    args = ("install", "--root", str(tmp_path), "--key", "p-256", "--name", "gateway.example")
    run(*args)
    key = tmp_path / "etc/ami-gateway/certs" / name
    key.touch()
    key.chmod(0o644)
    again = run(*args, *more)
    assert again.exit_code == 2
    assert f"chmod 600 {key}" in again.stdout
    assert "others could read it: make a new key and request" in again.stdout
    assert key.stat().st_mode & 0o777 == 0o644
    assert any(str(key) in one["path"] and one["mend"] for one in json.loads(run(*args, "--json").stdout)["pieces"])


def test_a_service_that_cannot_start_says_so_in_error_log_too(configuration: Path):
    with socket.create_server(("127.0.0.1", 0)) as held:
        edit(configuration, "port: 8470", f"port: {held.getsockname()[1]}")
        with pytest.raises(TransportError, match="cannot listen"):
            run("serve", "--config", str(configuration), "--roles", "web")
    line = only_error(configuration)
    assert line["level"] == "error"
    assert "cannot listen on 127.0.0.1" in line["event"]
    assert line["remedy"].startswith("end the program that holds the port")


def test_several_attempts_are_not_told_as_one_moment(configuration: Path):
    with socket.create_server(("127.0.0.1", 0)) as held:
        port = held.getsockname()[1]
    edit(configuration, "attempts: 1", "attempts: 2")
    run("meter", "add", "M1", f"127.0.0.1:{port}", "--level", "none", "--config", str(configuration))
    told = run("meter", "ping", "M1", "--config", str(configuration))
    assert re.match(r"meter M1: refused after 2 attempts, the last of \d+ ms, correlation \w+\n", told.stdout)


def test_uninstall_says_what_goes_and_what_stays(tmp_path: Path):
    args = ("install", "--root", str(tmp_path), "--key", "p-256", "--name", "gateway.example")
    run(*args)
    assert "ami-collector.service" in run(*args, "--uninstall", "--dry-run").stdout
    told = json.loads(run(*args, "--uninstall", "--json").stdout)
    assert any("ami-collector.service" in path for path in told["removed"])
    assert any("dlms_config.yaml" in path for path in told["left"])
    assert run(*args, "--uninstall", "--dry-run").stdout == "nothing to remove\n"


def test_the_firewall_lines_come_from_the_allow_list(configuration: Path, tmp_path: Path):
    edit(configuration, "#  - 10.20.0.0/16", "  - 10.20.0.0/16")
    lines = run("install", "--root", str(tmp_path), "--print-firewall", "nftables").stdout
    assert "10.20.0.0/16" in lines


@pytest.mark.skipif(os.geteuid() != 0, reason="who is not root is refused before the program is looked at")
def test_a_program_that_the_unit_hides_is_refused():
    with pytest.raises(ConfigurationError, match="could not see"):
        run("install", "--dry-run", "--program", "/run/user/1000/venv/bin/amity")


def test_doctor_as_a_command(configuration: Path):
    told = run("doctor", "--config", str(configuration), "--json")
    document = json.loads(told.stdout)
    assert told.exit_code == (1 if document["failed"] else 0)
    assert {"clock", "configuration", "outbox", "broker"} & {check["name"] for check in document["checks"]}
    (configuration / "dlms_config.yaml").chmod(0o644)
    failed = run("doctor", "--config", str(configuration))
    assert failed.exit_code == 1
    assert "chmod 600" in failed.stdout


def test_the_probe_takes_addresses_and_patience_from_the_configuration(configuration: Path):
    with simulated(auth=Authentication.NONE) as (entry,):
        edit(configuration, "client_address: 1", f"client_address: {entry['client']}")
        where = f"127.0.0.1:{entry['port']}"
        told = run("meter", "probe", where, "--config", str(configuration), "--pause", "0", "--json")
    found = json.loads(told.stdout)
    assert (found["client"], found["server"]) == (entry["client"], 1)
