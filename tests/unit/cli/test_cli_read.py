"""`amity read` against a simulated meter on a real socket, as a process of its own would do it."""

import asyncio
import json
import socket
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from random import Random
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from amity.cli.association import SECRET_DIGESTS
from amity.cli.main import app
from amity.cli.reading.answers import in_association
from amity.cli.reading.values import printable
from amity.devices.client import AssociationRejectedError, AssociationSettings, InvocationCounterError, Ports
from amity.devices.profiles import Stamp
from amity.devices.settings import Authentication, Ciphering, Protection
from amity.kernel.errors import AmityError, ConfigurationError, TransportError
from amity.kernel.obis import Obis
from amity.kernel.time import from_epoch_s, isoformat
from amity.protocols.dlms.apdu import ExceptionResponse, ServiceError
from amity.protocols.dlms.key_ring import KeyRing, Keys
from amity.runtime.system import SystemClock
from amity.simulation.fleet import FleetSettings, build_fleet
from amity.simulation.meter import SimulatedMeter
from amity.simulation.serving import serve_fleet
from amity.transports.channel import MeterChannel


class Fleets:
    """Serves a fleet in a thread of its own until told; gives the entry of its first meter."""

    def __init__(self, auth: Authentication | None, meters: int = 1) -> None:
        suite = int(auth is Authentication.HLS_ECDSA)
        told = FleetSettings(meters=meters, seed=5, anchor=datetime.now(UTC), auth=auth, suite=suite)
        self.fleet = build_fleet(told)
        self.document: list[dict[str, Any]] = []
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self._stop = asyncio.Event()
        self.entry: dict[str, Any] = {}
        self._thread = threading.Thread(target=self._loop.run_until_complete, args=(self._serve(),))

    def __enter__(self) -> dict[str, Any]:
        self._thread.start()
        assert self._ready.wait(10)
        return self.entry

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(10)
        self._loop.close()

    async def _serve(self) -> None:
        async with serve_fleet(self.fleet, clock=SystemClock(), host="127.0.0.1", port_base=0) as document:
            self.document, self.entry = document, document[0]
            self._ready.set()
            await self._stop.wait()


@pytest.fixture(params=list(Authentication))
def entry(request: pytest.FixtureRequest) -> Iterator[dict[str, Any]]:
    with Fleets(request.param) as one:
        yield one


@pytest.fixture
def ciphered() -> Iterator[dict[str, Any]]:
    with Fleets(Authentication.HLS_GMAC) as one:
        yield one


def words(entry: dict[str, Any], **changed: str) -> list[str]:
    options = {
        "client": str(entry["client"]),
        "server": str(entry["server"]),
        "auth": entry["auth"],
        "ciphering": entry["ciphering"],
    }
    if entry["auth"] in {"lls", *SECRET_DIGESTS}:
        options["password"] = entry["password"]
    if entry["ciphering"] != "none":
        options |= {"key": entry["guek"], "auth-key": entry["gak"], "system-title": entry["system_title"]}
    if entry["auth"] == "hls-ecdsa":
        keys = {"signing-key": entry["client_signing_key"], "meter-signing-key": entry["meter_signing_key"]}
        options |= {"suite": str(entry["suite"]), **keys}
    options |= changed
    flags = ["--allow-broken-digest"] if entry["auth"] in {"hls-md5", "hls-sha1"} else []
    listed = (word for name in options for word in (f"--{name}", options[name]))
    return [f"{entry['host']}:{entry['port']}", *listed, *flags]


def run(*argv: str) -> Result:
    return CliRunner().invoke(app, ["read", *argv], catch_exceptions=False)


@pytest.mark.parametrize(("auth", "warned"), [("none", True), ("lls", True), ("hls-gmac", False)])
def test_who_could_be_read_from_a_tape_is_warned_of(auth: str, warned: bool) -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        place = f"127.0.0.1:{nobody.getsockname()[1]}"
        secrets = ["--password", "open", "--key", "00" * 16, "--auth-key", "11" * 16]
        result = CliRunner().invoke(app, ["read", place, "--auth", auth, "--ciphering", "glo", *secrets])
    assert isinstance(result.exception, TransportError)
    assert ("from a recording of it" in result.stderr) is warned


def test_name_clock_register_and_profile_are_read(entry: dict[str, Any]) -> None:
    result = run(*words(entry), "--profile-from", "2026-11-01T00:00Z", "--json", "--obis", "1.0.1.8.0.255",
                 "--obis", "0.0.1.0.0.255", "--obis", "8/0.0.1.0.0.255/3")  # fmt: skip
    assert result.exit_code == 0, result.output
    reading = json.loads(result.stdout)
    assert reading["logical_device_name"] == entry["logical_device_name"]
    total, clock, zone = reading["readings"]
    assert total["unit"] == "Wh"
    assert total["value"] > 0
    assert str(clock["value"]).startswith("20")
    assert isinstance(zone["value"], int)
    assert "1.0.1.8.0.255 Wh" in reading["profile"]["columns"]


def test_an_object_the_meter_does_not_have_is_said_and_the_status_tells(entry: dict[str, Any]) -> None:
    result = run(*words(entry), "--obis", "1.0.99.99.99.255")
    assert result.exit_code == 4
    assert "object-undefined" in result.stdout


def test_a_dedicated_key_and_general_ciphering(ciphered: dict[str, Any]) -> None:
    for options in (["--dedicated-key"], ["--dedicated-key", "--ciphering", "general-glo"]):
        result = run(*words(ciphered), *options, "--json")
        assert result.exit_code == 0, result.output
    result = run(*words(ciphered, ciphering="general-ciphering"), "--json")
    assert result.exit_code == 0, result.output


def test_the_trace_shows_the_conversation_and_no_secret(ciphered: dict[str, Any]) -> None:
    result = run(*words(ciphered), "--trace")
    assert "aarq" in result.stderr
    assert "get-request-normal" in result.stderr
    for secret in (ciphered["guek"], ciphered["gak"]):
        assert secret not in result.output
        assert secret not in result.stderr


def test_a_wrong_key_is_called_one(ciphered: dict[str, Any]) -> None:
    with pytest.raises(AmityError) as caught:
        run(*words(ciphered, key="00" * 16))
    assert "key" in " ".join(caught.value.lines())


def test_a_meter_with_another_title_than_expected_is_refused(ciphered: dict[str, Any]) -> None:
    with pytest.raises(AmityError):
        run(*words(ciphered, **{"system-title": "4141410000000001"}))


def test_an_association_the_meter_does_not_know_is_rejected_in_the_fields_words() -> None:
    with Fleets(Authentication.LLS) as entry, pytest.raises(AssociationRejectedError) as caught:
        run(*words(entry, password="wrong"))
    assert "DLMS Association Rejected" in caught.value.what
    assert caught.value.next_step


def test_too_little_protection_is_not_taken_for_a_wrong_key(ciphered: dict[str, Any]) -> None:
    with pytest.raises(AssociationRejectedError) as caught:
        run(*words(ciphered), "--protection", "authenticated")
    assert "too little protection" in caught.value.what
    assert "authenticated and encrypted" in str(caught.value.next_step)


def test_a_closed_port_is_refused_in_the_fields_words() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound, not listening
        with pytest.raises(TransportError) as caught:
            run(f"127.0.0.1:{taken.getsockname()[1]}")
    assert caught.value.what == "Connection Refused (Error 111)"


@pytest.mark.parametrize(
    "argv",
    [
        ("127.0.0.1",),
        ("127.0.0.1:99999",),
        ("127.0.0.1:1", "--auth-key", "00" * 16),
        ("127.0.0.1:1", "--auth", "lls"),
        ("127.0.0.1:1", "--auth", "hls-gmac"),
        ("127.0.0.1:1", "--key", "0" * 32, "--client-title", "4141410000000001"),
        ("127.0.0.1:1", "--profile-to", "2026-01-01"),
        ("127.0.0.1:1", "--obis", "99999/1.0.1.8.0.255/2"),
        ("127.0.0.1:1", "--obis", "3/1.0.1.8.0.255/200"),
        ("127.0.0.1:1", "--obis", "1.0.1.8"),
        ("127.0.0.1:1", "--profile-from", "yesterday"),
        ("127.0.0.1:1", "--model", "no_such_model"),
        ("127.0.0.1:1", "--profile-from", "2026-01-02", "--profile-to", "2026-01-01"),
    ],
)
def test_options_that_cannot_work_are_refused_before_anything_is_sent(argv: tuple[str, ...]) -> None:
    with pytest.raises(ConfigurationError):
        run(*argv)


def test_the_profile_of_every_model_is_read_at_its_true_time() -> None:
    """Local time, times left open, other profiles, access by entry: the rows are those of the simulated truth."""
    yesterday = int(datetime.now(UTC).timestamp()) // 86_400 - 1
    first, last = from_epoch_s(yesterday * 86_400), from_epoch_s(yesterday * 86_400 + 6 * 3600)
    fleets = Fleets(None, meters=5)
    with fleets:
        for entry, meter in zip(fleets.document, fleets.fleet.meters, strict=True):
            span = ("--profile-from", isoformat(first), "--profile-to", isoformat(last))
            result = run(*words(entry), *span, "--json")
            assert result.exit_code == 0, result.output
            profile = json.loads(result.stdout)["profile"]
            assert _energy_wh(profile, meter) == _true_energy_wh(meter, yesterday), meter.profile.key


def _energy_wh(profile: dict[str, Any], meter: SimulatedMeter) -> list[int]:
    """Import of the intervals that end from 01:00 to 05:00, from totals or amounts."""
    rules = meter.profile.load_profile
    names = [name.split(" ")[0] for name in profile["columns"]]
    column = next(i for i, name in enumerate(names) if name in {"1.0.1.8.0.255", "1.0.1.29.0.255"})
    clock = names.index("0.0.1.0.0.255")
    shift = 0 if rules.stamp is Stamp.END else rules.capture_period_s
    ends = {int(datetime.fromisoformat(row[clock]).timestamp()) + shift: row[column] for row in profile["rows"]}
    slots = [end for end in sorted(ends) if 3600 <= end % 86_400 <= 5 * 3600]
    if names[column] == "1.0.1.8.0.255":
        return [round(ends[end] - ends[end - 900]) for end in slots]
    return [round(ends[end]) for end in slots]


def _true_energy_wh(meter: SimulatedMeter, day: int) -> list[int]:
    step = 10 if meter.profile.key == "bergholm_b20" else 1
    truth = meter.truth_of_day(Obis.parse("1.0.1.29.0.255"), day)[3:20].tolist()
    return truth if step == 1 else [round(value, -1) for value in truth]


def test_what_a_hostile_meter_calls_itself_does_not_move_the_terminal() -> None:
    assert printable("M\x1b]0;pwn\x07[/x]") == "M\\x1b]0;pwn\\x07[/x]"


def test_secrets_may_come_from_the_environment(ciphered: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AMITY_KEY", ciphered["guek"])
    monkeypatch.setenv("AMITY_AUTH_KEY", ciphered["gak"])
    options = words(ciphered)
    for name in ("--key", "--auth-key"):
        del options[options.index(name) : options.index(name) + 2]
    assert run(*options).exit_code == 0


def test_an_answer_that_nobody_vouches_for_never_lowers_our_counter() -> None:
    """The error that names a counter is not authenticated (a forger wants us to use a number again)."""
    ports = Ports(Random(1).randbytes, iter(range(5000, 6000)).__next__)
    settings = AssociationSettings(
        authentication=Authentication.HLS_GMAC,
        ciphering=Ciphering.GLO,
        protection=Protection.AUTHENTICATED_ENCRYPTED,
        client_title=b"AMI00001",
        protector=KeyRing(0, Keys(bytes(16), bytes(16))),
    )
    requests: list[bytes] = []

    class Forger(MeterChannel):
        async def exchange(self, apdu: bytes, timeout_s: float) -> bytes:  # noqa: ARG002 - answers at once
            requests.append(apdu)
            return ExceptionResponse(1, ServiceError.INVOCATION_COUNTER_ERROR, 1).encode()

        async def close(self) -> None:
            """Nothing to close."""

    with pytest.raises(InvocationCounterError):
        asyncio.run(in_association(Forger(), settings, ports, lambda _: pytest.fail("was let in"), timeout_s=1.0))
    assert len(requests) == 1
