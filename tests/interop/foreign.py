"""Has a foreign client read a meter, in an interpreter of its own, and holds its answer against the truth."""

import json
import os
import subprocess
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import count, pairwise
from pathlib import Path
from typing import Any

import pytest

from amity.devices.profiles import CLOCK_COLUMN, DeviceProfile, Form, MeasuredObject, Quantity, Stamp
from amity.kernel.obis import Obis
from amity.kernel.time import epoch_s
from amity.simulation.cosem_objects import cosem_objects
from amity.simulation.meter import SimulatedMeter
from tests.interop import ledger
from tests.interop.fleets import Served

ROOT = Path(__file__).parents[2]
PEERS = {
    "gurux-dlms": ("gurux", "gurux_reader.py"),
    "dlms-cosem": ("dlms-cosem", "dlms_cosem_reader.py"),
    "amshan": ("amshan", "amshan_listener.py"),
}
ANSWER_TIMEOUT_S = 60
BLOCKS_MIN = 4
CLIENT_TITLE = "414d590000000001"
INTERVAL_S = 900
ROWS = 96
COUNTERS = count(1_000_000, 1_000)
"""Each session starts well above the last one: a meter takes no invocation counter twice."""

_INTERVAL_OBIS = {
    Quantity.ACTIVE_IMPORT: Obis.parse("1.0.1.29.0.255"),
    Quantity.ACTIVE_EXPORT: Obis.parse("1.0.2.29.0.255"),
    Quantity.REACTIVE_IMPORT: Obis.parse("1.0.3.29.0.255"),
}


@dataclass(frozen=True, slots=True)
class Day:
    """The rows of a day: the stamps from `first` to `last`, both included."""

    first: datetime

    @property
    def last(self) -> datetime:
        """The last stamp."""
        return self.first + timedelta(seconds=(ROWS - 1) * INTERVAL_S)


def yesterday() -> Day:
    """The UTC day before this one."""
    return Day(datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(days=1))


def interpreter_of(peer: str) -> Path:
    """The interpreter of a foreign program's own environment; fails the test when it is not installed."""
    folder, _ = PEERS[peer]
    python = ROOT / ".interop" / folder / "bin" / "python"
    if not python.exists():
        pytest.fail(f"{peer} is not installed in .interop/{folder}; run make interop")
    return python


def order_for(served: Served, protection: str, day: Day, **changes: Any) -> dict[str, Any]:
    """What the foreign client is to read, as the JSON document it takes."""
    entry, profile = served.entry, served.meter.profile
    lls = entry["auth"] == "lls"
    return {
        "host": entry["host"], "port": entry["port"], "client": entry["client"], "server": entry["server"],
        "auth": entry["auth"], "protection": protection, "password": entry["password"] if lls else "",
        "guek": entry["guek"], "gak": entry["gak"], "client_title": CLIENT_TITLE,
        "invocation_counter": next(COUNTERS), "max_pdu": 512,
        "register": str(total_of(profile).obis), "register_class": total_of(profile).class_id,
        "profile": str(profile.load_profile.obis), "start": day.first.isoformat(), "end": day.last.isoformat(),
        "with_list": profile.association.with_list, "newest": None,
        "release": profile.association.answers_release,
        **{name: entry[name] for name in ("framing", "physical", "device") if name in entry}, **changes,
    }  # fmt: skip


def read_with(peer: str, order: dict[str, Any]) -> dict[str, Any]:
    """The foreign client's answer; the test fails with its error output when it does not come to an end."""
    _note(peer, order, _services(order))
    finished = run(peer, order)
    assert finished.returncode == 0, finished.stderr[-3000:]
    answer: dict[str, Any] = json.loads(finished.stdout.splitlines()[-1])  # gurux-dlms prints while it works
    return answer


def refusal_to(peer: str, order: dict[str, Any]) -> str:
    """What the foreign client says of a meter that does not let it in; the test fails when it is let in."""
    _note(peer, order, f"{_services(order)}, refused")
    finished = run(peer, order)
    assert finished.returncode != 0, finished.stdout
    return finished.stderr


def _note(peer: str, order: dict[str, Any], services: str) -> None:
    ledger.ran(
        peer, framing=order.get("framing", "wrapper"), auth=order["auth"], ciphering=_ciphering(peer, order),
        services=services,
    )  # fmt: skip


def _ciphering(peer: str, order: dict[str, Any]) -> str:
    """Wrapping, protection and suite, as they are on the line."""
    if order["protection"] == "none":
        return "none"
    general, _, protection = order["protection"].rpartition(":")
    wrapping = "ded" if order.get("dedicated_key") else "glo"
    if peer == "dlms-cosem":  # knows no other; see test_protections
        general, wrapping, protection = "general", "glo", "auth+enc"
    suite = f" suite {order['suite']}" if order.get("suite") else ""
    return f"{'general-' if general else ''}{wrapping} {protection}{suite}"


def _services(order: dict[str, Any]) -> str:
    """What every order asks for, and what this one asks for besides."""
    access = "entry" if order["newest"] else "range"
    asked = ["GET", "blocks", f"by {access}", *(["list"] if order["with_list"] else [])]
    return ", ".join(asked)


def run(peer: str, order: dict[str, Any]) -> subprocess.CompletedProcess[str]:
    """The peer's script with an order, to its end."""
    script = Path(__file__).parent / "peers" / PEERS[peer][1]
    return subprocess.run(  # noqa: S603 - our own script
        [interpreter_of(peer), script], input=json.dumps(order), env=_environment(), capture_output=True, text=True,
        timeout=ANSWER_TIMEOUT_S, check=False,
    )  # fmt: skip


def _environment() -> dict[str, str]:
    """The meters' local standard time, for stamps that do not say their deviation."""
    return {**os.environ, "TZ": "Etc/GMT-1"}


# ------------------------------------------------------------------ the truth
def total_of(profile: DeviceProfile) -> MeasuredObject:
    """The register of imported energy."""
    return profile.object_named("import_total")


def register_between(meter: SimulatedMeter, asked: datetime, answered: datetime) -> tuple[int, int]:
    """The least and the most the import register can have shown."""
    register = total_of(meter.profile)
    before, after = (meter.element.instant(register, epoch_s(at)) for at in (asked, answered))
    return before, after


def energy_wh(meter: SimulatedMeter, answer: dict[str, Any]) -> dict[tuple[str, int], int]:
    """The rows that a foreign client gave back as Wh and varh by quantity and start of the interval."""
    columns = meter.profile.load_profile.columns
    stamps_s = [int(datetime.fromisoformat(row[columns.index(CLOCK_COLUMN)]).timestamp()) for row in answer["rows"]]
    energies: dict[tuple[str, int], int] = {}
    for place, name in enumerate(columns):
        if name == CLOCK_COLUMN or meter.profile.object_named(name).quantity not in _INTERVAL_OBIS:
            continue
        measured = meter.profile.object_named(name)
        starts_s, counts = _intervals(measured, stamps_s, [row[place] for row in answer["rows"]], meter.profile)
        for start_s, value in zip(starts_s, counts, strict=True):
            energies[measured.quantity, start_s] = int(value * 10**measured.scaler)
    return energies


def _intervals(
    measured: MeasuredObject, stamps_s: list[int], values: list[int], profile: DeviceProfile
) -> tuple[list[int], list[int]]:
    at_end = profile.load_profile.stamp is Stamp.END
    if measured.form is Form.INTERVAL:
        return [stamp_s - INTERVAL_S * at_end for stamp_s in stamps_s], values
    return stamps_s[:-1], [after - before for before, after in pairwise(values)]


def true_wh(meter: SimulatedMeter, intervals: dict[tuple[str, int], int]) -> dict[tuple[str, int], int]:
    """What the meter really counted in the same intervals."""
    return {
        (quantity, start_s): meter.truth_wh(_INTERVAL_OBIS[Quantity(quantity)], start_s)
        for quantity, start_s in intervals
    }


# ------------------------------------------------------------------ the comparison
def check_reading(served: Served, peer: str, protection: str, **changes: Any) -> None:
    """Everything that was ordered: name, clock, register with its scaler and unit, list, objects, the day's profile."""
    order = order_for(served, protection, yesterday(), **changes)
    asked = datetime.now(UTC)
    answer = read_with(peer, order)
    answered = datetime.now(UTC)
    _check_moment(served.meter, answer, asked, answered)
    _check_objects(served.meter, answer["objects"])
    _check_profile(served.meter, order, answer["profile"])


def _check_moment(meter: SimulatedMeter, answer: dict[str, Any], asked: datetime, answered: datetime) -> None:
    assert answer["logical_device_name"] == meter.meter_id
    slack = timedelta(seconds=1)  # the clock travels in whole seconds
    clock = datetime.fromisoformat(answer["clock"])
    assert meter.clock_now(asked) - slack <= clock <= meter.clock_now(answered) + slack
    register = total_of(meter.profile)
    least, most = register_between(meter, asked, answered)
    assert least <= answer["register"]["value"] <= most
    assert (answer["register"]["scaler"], answer["register"]["unit"]) == (register.scaler, register.unit)
    if meter.profile.association.with_list:
        name, value = answer["with_list"]
        assert name == meter.meter_id
        assert least <= value <= most


def _check_objects(meter: SimulatedMeter, listed: list[list[Any]]) -> None:
    shown = [(class_id, obis) for class_id, obis in listed]
    assert len(set(shown)) == len(shown)
    assert {(cosem.interface.class_id, str(cosem.obis)) for cosem in cosem_objects(meter, "")} < set(shown)


def _check_profile(meter: SimulatedMeter, order: dict[str, Any], profile: dict[str, Any]) -> None:
    columns = meter.profile.load_profile.columns
    assert len(profile["capture_objects"]) == len(columns)
    assert profile["blocks"] >= BLOCKS_MIN
    stamps = [datetime.fromisoformat(row[columns.index(CLOCK_COLUMN)]) for row in profile["rows"]]
    first = datetime.fromisoformat(order["start"]) if order["newest"] is None else stamps[0]
    assert stamps == [first + timedelta(seconds=INTERVAL_S * row) for row in range(ROWS)]
    energies = energy_wh(meter, profile)
    assert len(energies) >= len(_INTERVAL_OBIS) * (ROWS - 1)
    assert energies == true_wh(meter, energies)
