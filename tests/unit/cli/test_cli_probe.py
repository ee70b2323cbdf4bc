"""`amity meter probe` meets every awkward meter of the simulator on a real socket, and its command is then run."""

import json
import shlex
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from amity.cli.main import app
from amity.cli.simulate import awkward_in_words
from amity.devices.server import PUBLIC_CLIENT
from amity.kernel.errors import ConfigurationError, TransportError
from amity.runtime.system import SystemClock
from amity.simulation.awkward import AWKWARD, awkward_named, serve_awkward
from tests.unit.cli.in_a_thread import serving

HELD_BACK = {"wrong-key": "shown once", "public-only": ""}
"""Meters that let in the public client only, and what the doctor says is missing."""


@contextmanager
def served(name: str) -> Iterator[dict[str, Any]]:
    """One awkward meter in a thread of its own while the block lasts."""
    with serving(lambda: serve_awkward(name, clock=SystemClock(), seed=5)) as (papers,):
        yield papers


def run(*argv: str) -> Result:
    return CliRunner().invoke(app, argv, catch_exceptions=False)


def probe(papers: dict[str, Any], *more: str) -> Result:
    """The line that the simulator prints, word by word, only faster."""
    (line,) = (line for line in awkward_in_words([papers]).splitlines() if line.startswith("amity "))
    return run(*shlex.split(line)[1:], "--pause", "0", "--timeout", "1", *more)


@pytest.mark.parametrize("name", sorted(AWKWARD))
def test_the_doctor_connects_and_its_command_works(name: str):
    with served(name) as papers:
        result = probe(papers, "--json", "--show-secrets")
        found = json.loads(result.stdout)
        assert found["association"]["logical_device_name"] == papers["logical_device_name"]
        assert (found["client"] == PUBLIC_CLIENT) is (name in HELD_BACK)
        assert HELD_BACK.get(name, "") in " ".join(found["missing"])
        program, *words = shlex.split(found["command"])
        assert program == "amity"
        reading = run(*words, "--timeout", "2", "--json")
        assert reading.exit_code == 0, reading.output
        assert json.loads(reading.stdout)["logical_device_name"] == papers["logical_device_name"]
        listing = run(*shlex.split(found["objects_command"])[1:], "--timeout", "2", "--json")
        assert listing.exit_code == 0, listing.output


def test_of_several_counters_it_takes_that_of_the_association_and_says_why():
    with served("many-counters") as papers:
        found = json.loads(probe(papers, "--json").stdout)
        told = probe(papers).stdout
    began = found["association"]["first_counter"]
    assert (began["counter"], began["object"]) == (1001, "0.0.43.1.2.255")
    assert "security setup of this client's association" in began["why"]
    assert len(found["association"]["invocation_counters"]) > 1
    assert f"by 0.0.43.1.2.255: {began['why']}" in told


def test_a_meter_that_wants_more_than_was_given_says_what():
    for name, wanted in (("signature", "give --signing-key"), ("broken-digest", "--allow-broken-digest")):
        with served(name) as papers:
            result = run("meter", "probe", papers["meter"], "--pause", "0", "--timeout", "1")
        assert wanted in result.stdout


def test_the_printed_command_has_placeholders_for_every_secret_and_all_else_it_needs():
    with served("signature") as papers:
        (command,) = (line for line in probe(papers).stdout.splitlines() if line.startswith("amity read"))
    assert {"<key>", "<auth-key>", "<signing-key>", papers["meter_signing_key"]} <= set(shlex.split(command))
    assert "--suite 1" in command
    with served("broken-digest") as papers:
        assert "--allow-broken-digest" in probe(papers).stdout.splitlines()[-1]


def test_it_says_what_it_tried_and_masks_the_secrets():
    with served("counter-ahead") as papers:
        result = probe(papers)
    assert "tried  wrapper, client 16 to server 1" in result.stdout
    assert "meter  AARE accepted" in result.stdout
    assert "--key '<key>' --auth-key '<auth-key>'" in result.stdout
    assert "--show-secrets" in result.stdout
    assert papers["guek"] not in result.output
    assert papers["gak"] not in result.output


def test_a_wrong_key_is_named_and_the_status_tells():
    with served("wrong-key") as papers:
        result = probe(papers)
    assert result.exit_code == 4
    assert "does not accept the keys given" in result.stdout


@pytest.mark.parametrize("more", [(), ("--client", "1")])
def test_a_meter_for_the_public_client_alone_lets_nobody_in(more: tuple[str, ...]):
    with served("public-only") as papers:
        result = probe(papers, *more)
    assert result.exit_code == 4
    assert "missing   client 1 does not accept" in result.stdout


def test_the_line_for_objects_works_as_it_is_printed():
    with served("suite-1") as papers:
        told = probe(papers, "--show-secrets").stdout.splitlines()
        (listing,) = (line for line in told if line.startswith("amity meter objects "))
        assert told[-1].startswith("amity read ")
        assert run(*shlex.split(listing)[1:], "--timeout", "2").exit_code == 0
        assert run(*shlex.split(told[-1])[1:], "--timeout", "2").exit_code == 0  # the counter it names is used by now


def test_under_a_title_of_ones_own_one_command_is_printed_so_that_no_counter_comes_twice():
    with served("suite-1") as papers:
        found = json.loads(probe(papers, "--client-title", b"HEADEND1".hex(), "--counter", "50", "--json").stdout)
    assert "--client-title" in found["command"]
    assert found["objects_command"] is None


def test_without_secrets_it_says_which_are_wanted():
    with served("password") as papers:
        result = run("meter", "probe", papers["meter"], "--pause", "0", "--timeout", "1")
    assert result.exit_code == 0
    assert "missing   client 1 wants authentication" in result.stdout


def test_a_closed_port_ends_it_at_once():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound, not listening
        with pytest.raises(TransportError, match="Connection Refused"):
            run("meter", "probe", f"127.0.0.1:{taken.getsockname()[1]}", "--pause", "0")


def test_a_device_that_is_not_there_ends_it_at_once(tmp_path: Path):
    with pytest.raises(TransportError, match="Serial Port Not Available") as caught:
        run("meter", "probe", str(tmp_path / "ttyNOPE"))
    assert "No such file" in str(caught.value.answer)


def test_a_far_counter_is_followed_by_every_command():
    with served("counter-ahead") as papers:
        keys = ("--client", "1", "--auth", "hls-gmac", "--key", papers["guek"], "--auth-key", papers["gak"])
        for command in (("read",), ("meter", "objects")):
            assert run(*command, papers["meter"], *keys).exit_code == 0


def test_a_port_that_speaks_something_else_is_said_to():
    with socket.create_server(("127.0.0.1", 0)) as silent, pytest.raises(TransportError, match="nothing that speaks"):
        run("meter", "probe", f"127.0.0.1:{silent.getsockname()[1]}", "--pause", "0", "--timeout", "0.1")


@pytest.mark.parametrize(
    "argv",
    [("127.0.0.1",), ("127.0.0.1:1", "--auth-key", "00" * 16), ("127.0.0.1:1", "--key", "00"),
     ("127.0.0.1:1", "--client-title", "4141410000000001"), ("127.0.0.1:1", "--profiles", "/nowhere")],
)  # fmt: skip
def test_options_that_cannot_work_are_refused_before_anything_is_sent(argv: tuple[str, ...]):
    with pytest.raises(ConfigurationError):
        run("meter", "probe", *argv)


def test_an_awkward_meter_that_does_not_exist_names_those_that_do():
    with pytest.raises(ConfigurationError) as caught:
        awkward_named("friendly")
    assert "odd-addresses" in str(caught.value.next_step)
