"""`amity simulate` and `amity read` over every framing: as processes, found by the fleet document alone."""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from amity.cli.channels import Gateway, gateway_of, place_of
from amity.cli.main import app
from amity.kernel.errors import AmityError, ConfigurationError


@contextmanager
def simulated(*options: str) -> Iterator[dict[str, Any]]:
    """One plain meter, and its entry in the fleet document."""
    with fleet("--meters", "1", *options) as (entry,):
        yield entry


@contextmanager
def fleet(*options: str) -> Iterator[list[dict[str, Any]]]:
    """Plain meters, and their fleet document."""
    command = [sys.executable, "-m", "amity.cli", "simulate", "--auth", "none", "--json", "--seed", "5"]
    with subprocess.Popen([*command, *options], stdout=subprocess.PIPE, text=True) as child:  # noqa: S603 - our own
        try:
            yield json.loads(child.stdout.readline())  # type: ignore[union-attr]
        finally:
            child.terminate()


def read(entry: dict[str, Any], *options: str) -> Result:
    where = entry.get("device") or f"{entry['host']}:{entry['port']}"
    words = ["read", where, "--client", str(entry["client"]), "--server", str(entry["server"]), "--json", *options]
    return CliRunner().invoke(app, words, catch_exceptions=False)


def test_hdlc_over_tcp():
    with simulated("--framing", "hdlc") as entry:
        assert (entry["framing"], entry["physical"]) == ("hdlc", 17)
        for wide in ((), ("--hdlc-octets", "1024", "--hdlc-window", "7"), ("--address-octets", "4")):
            result = read(entry, "--framing", "hdlc", "--physical", "17", "--profile-from", "2026-11-01T00:00Z", *wide)
            assert result.exit_code == 0, result.output
            assert json.loads(result.stdout)["logical_device_name"] == entry["logical_device_name"]


@pytest.mark.parametrize("framing", [(), ("--framing", "hdlc")], ids=["wrapper", "hdlc"])
def test_meters_behind_a_gateway(framing: tuple[str, ...]):
    with fleet("--meters", "4", "--behind-gateway", "2", *framing) as entries:
        assert ["gateway" in entry for entry in entries] == [False, True, True, False]
        assert len({entry["port"] for entry in entries}) == 2
        for entry in entries:
            place = entry.get("gateway")
            way = ["--gateway", f"{place['network']}:{place['device']}"] if place else []
            physical = ["--physical", str(entry["physical"])] if framing else []
            result = read(entry, *framing, *physical, *way)
            assert result.exit_code == 0, result.output
            assert json.loads(result.stdout)["logical_device_name"] == entry["logical_device_name"]


def test_hdlc_on_a_pseudo_terminal():
    with simulated("--pty") as entry:
        assert entry["device"].startswith("/dev/")
        result = read(entry, "--physical", "17", "--baud", "9600")  # a serial line speaks HDLC without being told
        assert json.loads(result.stdout)["logical_device_name"] == entry["logical_device_name"]


def test_the_wrapper_over_udp():
    with simulated("--udp") as entry:
        assert (entry["framing"], entry["udp"]) == ("wrapper", True)
        result = read(entry, "--udp")
        assert json.loads(result.stdout)["logical_device_name"] == entry["logical_device_name"]
        where = f"{entry['host']}:{entry['port']}"
        listing = CliRunner().invoke(app, ["meter", "objects", where, "--udp"], catch_exceptions=False)
        assert "1.0.1.8.0.255" in listing.stdout
        probe = ["meter", "probe", where, "--udp", "--pause", "0", "--timeout", "2"]
        printed = CliRunner().invoke(app, probe, catch_exceptions=False).stdout.splitlines()[-1]
        assert "--udp" in printed
        assert CliRunner().invoke(app, printed.split()[1:], catch_exceptions=False).exit_code == 0


def test_a_meter_that_never_answers_is_told_with_the_addresses_it_was_called_by():
    with simulated("--framing", "hdlc") as entry, pytest.raises(AmityError) as caught:
        read(entry, "--framing", "hdlc", "--physical", "99", "--timeout", "0.4")
    assert "--physical 99" in str(caught.value.next_step)


def test_a_meter_without_gateway_is_not_taken_for_one():
    with simulated() as entry, pytest.raises(AmityError, match="gateway"):
        read(entry, "--gateway", "1:0A2B")


@pytest.mark.parametrize("options", [("--udp", "--framing", "hdlc"), ("--pty", "--framing", "wrapper")])
def test_what_does_not_go_together(options: tuple[str, ...]):
    with pytest.raises(ConfigurationError) as caught:
        CliRunner().invoke(app, ["simulate", *options], catch_exceptions=False)
    assert caught.value.next_step


def test_places_and_gateways_as_typed():
    assert place_of("/dev/ttyUSB0").serial
    assert not place_of("127.0.0.1:4059").serial
    assert gateway_of("3:0A2B") == Gateway(3, b"\x0a\x2b")
    for wrong in ("3", "256:00", "x:00", "1:0"):
        with pytest.raises(ConfigurationError):
            gateway_of(wrong)
