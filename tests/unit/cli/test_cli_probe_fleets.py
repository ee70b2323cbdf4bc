"""The connection doctor on meters of the fleet: every authentication and suite, models, clients with rights."""

import json
import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from amity.cli.main import app
from amity.devices.settings import Authentication
from amity.kernel.time import isoformat
from amity.runtime.system import SystemClock
from amity.simulation.fleet import FleetSettings, build_fleet
from amity.simulation.serving import serve_fleet
from tests.unit.cli.in_a_thread import serving

PACE = ("--pause", "0", "--timeout", "2")


@contextmanager
def fleet(auth: Authentication | None, meters: int = 1, suite: int = 0) -> Iterator[list[dict[str, Any]]]:
    built = build_fleet(FleetSettings(meters, 5, datetime.now(UTC), auth=auth, suite=suite))
    with serving(lambda: serve_fleet(built, clock=SystemClock())) as document:
        yield document


def run(*argv: str) -> Result:
    return CliRunner().invoke(app, argv, catch_exceptions=False)


def probe(entry: dict[str, Any], *secrets: str) -> dict[str, Any]:
    result = run("meter", "probe", f"{entry['host']}:{entry['port']}", *secrets, *PACE, "--json", "--show-secrets")
    return json.loads(result.stdout) | {"status": result.exit_code}


def password(entry: dict[str, Any]) -> tuple[str, ...]:
    return ("--password", entry["password"])


def keys(entry: dict[str, Any]) -> tuple[str, ...]:
    return ("--key", entry["guek"], "--auth-key", entry["gak"])


def signing(entry: dict[str, Any]) -> tuple[str, ...]:
    return ("--signing-key", entry["client_signing_key"], "--meter-signing-key", entry["meter_signing_key"])


def told(found: dict[str, Any]) -> list[str]:
    return [attempt["answer"] for attempt in found["tried"]]


@pytest.mark.parametrize("suite", [1, 2])
def test_the_security_suite_is_found(suite: int):
    with fleet(Authentication.HLS_GMAC, suite=suite) as (entry,):
        found = probe(entry, *keys(entry))
        assert (found["status"], found["association"]["suite"]) == (0, suite)
        assert run(*shlex.split(found["command"])[1:]).exit_code == 0


def test_wrong_keys_are_not_blamed_while_a_suite_is_untried():
    with fleet(Authentication.HLS_GMAC) as (entry,):
        found = probe(entry, "--key", "00" * 16, "--auth-key", "11" * 16)
    assert "does not accept the keys given in suite 0 or 1" in found["missing"][0]
    with fleet(Authentication.HLS_GMAC) as (entry,):
        found = probe(entry, "--key", "00" * 16, "--auth-key", "11" * 16, "--suite", "0")
    assert "does not accept the keys given;" in found["missing"][0]


@pytest.mark.parametrize(
    ("auth", "suite", "more"),
    [
        (Authentication.LLS, 0, ("--clear-password",)),
        (Authentication.HLS2, 0, ()),
        (Authentication.HLS_SHA256, 0, ()),
        (Authentication.HLS_SHA256, 1, ()),
        (Authentication.HLS_MD5, 0, ("--allow-broken-digest",)),
        (Authentication.HLS_SHA1, 0, ("--allow-broken-digest",)),
        (Authentication.HLS_ECDSA, 1, ()),
        (Authentication.HLS_ECDSA, 2, ()),
    ],
)
def test_with_everything_given_every_authentication_is_found_and_read(
    auth: Authentication, suite: int, more: tuple[str, ...]
):
    with fleet(auth, suite=suite) as (entry,):
        held = (*password(entry), *keys(entry), *(signing(entry) if suite else ()), *more)
        found = probe(entry, *held)
        assert (found["status"], found["association"]["auth"]) == (0, auth.value), told(found)
        for command in ("command", "objects_command"):
            assert run(*shlex.split(found[command])[1:]).exit_code == 0


@pytest.mark.parametrize("auth", [Authentication.HLS2, Authentication.HLS_MD5, Authentication.HLS_ECDSA])
def test_right_secrets_that_do_not_fit_are_never_blamed(auth: Authentication):
    suite = int(auth is Authentication.HLS_ECDSA)
    with fleet(auth, suite=suite) as (entry,):
        found = probe(entry, *password(entry), *(keys(entry) if suite else ()))
    if auth is Authentication.HLS2:
        assert found["status"] == 0
        return
    (advice,) = (sentence for sentence in found["missing"] if f"client {entry['client']} " in sentence)
    assert "takes none of " in advice
    assert "hls-sha256, hls2" in advice
    assert ("--signing-key" if suite else "--allow-broken-digest") in advice
    assert "--password" not in advice
    assert found["status"] == 4


def test_an_hls_secret_is_never_sent_in_the_clear_before_hls_was_tried():
    with fleet(Authentication.HLS_SHA256) as (entry,):
        found = probe(entry, *password(entry), *keys(entry))
    assert not [attempt for attempt in found["tried"] if "authentication lls" in attempt["what"]]


@pytest.mark.parametrize("more", [(), ("--no-clear-password",)])
def test_with_keys_or_when_forbidden_the_password_is_not_said_in_the_clear(more: tuple[str, ...]):
    with fleet(Authentication.LLS) as (entry,):
        found = probe(entry, *password(entry), *(more or keys(entry)))
    assert not [attempt for attempt in found["tried"] if "authentication lls" in attempt["what"]]
    assert "--clear-password" in " ".join(found["missing"])


def test_a_public_client_with_rights_reads_energy_and_is_a_success():
    with fleet(Authentication.NONE) as (entry,):
        for secrets in ((), keys(entry)):
            found = probe(entry, *secrets)
            assert found["status"] == 0, told(found)
            assert "--obis" not in found["command"]
            result = run(*shlex.split(found["command"])[1:], "--json")
            (reading,) = json.loads(result.stdout)["readings"]
            assert (reading["obis"], reading["unit"]) == ("1.0.1.8.0.255", "Wh")


def test_the_model_printed_never_makes_a_profile_unreadable():
    since = isoformat(datetime.now(UTC) - timedelta(hours=2))
    with fleet(None, meters=6) as document:
        models = {entry["profile"]: entry for entry in document}
        for entry in models.values():
            found = probe(entry, *(password(entry) if entry["auth"] == "lls" else keys(entry)))
            result = run(*shlex.split(found["command"])[1:], "--profile-from", since, "--json")
            assert result.exit_code == 0, (entry["profile"], found["command"])
            assert json.loads(result.stdout)["profile"]["rows"], entry["profile"]
    assert "tarn_t4" in models
