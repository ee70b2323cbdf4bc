"""Clients that nobody here wrote change a meter of ours: SET, ACTION, lists, long values."""

import asyncio
import json
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from amity.devices.objects import data_object
from amity.kernel.obis import Obis
from amity.protocols.dlms.data import compact_array, double_long_unsigned, long_unsigned, structure
from amity.protocols.dlms.data_types import Tag, TypeDescription
from amity.transports.meter_listener import serve_meter
from tests.interop import ledger
from tests.interop.foreign import interpreter_of
from tests.unit.devices.changing import ECHO, NOTES, OTHER_NOTES, Echo, Notebook, managing
from tests.unit.devices.conversing import IMPORT, LOAD_PROFILE, NOW, READER, measured_objects, meter

COMPACT = Obis.parse("0.0.96.50.2.255")
SCRIPTS = {"gurux-dlms": "gurux_changer.py", "dlms-cosem": "dlms_cosem_changer.py"}
SHORT, LONG = bytes(range(20)), bytes(number % 251 for number in range(700))
TIMEOUT_S = 60
STEPS_SHOWN = 6
VALUES: dict[str, Any] = {
    "boolean": True, "integer": -5, "long": -300, "double-long": -70_000, "long64": -(1 << 40), "unsigned": 200,
    "long-unsigned": 60_000, "double-long-unsigned": 4_000_000_000, "long64-unsigned": 1 << 60, "enum": 7,
    "float32": 1.5, "float64": 2.25, "visible-string": "Amity",
}  # fmt: skip


class StandingClock:
    """Always the same instant."""

    def now(self) -> Any:
        return NOW


@asynccontextmanager
async def changeable_meter(max_pdu_octets: int) -> AsyncIterator[dict[str, Any]]:
    """A meter with notebooks, an echo and a compact array on a free loopback port; gives the order for a peer."""
    pair = TypeDescription(
        Tag.STRUCTURE, (TypeDescription(Tag.LONG_UNSIGNED), TypeDescription(Tag.DOUBLE_LONG_UNSIGNED))
    )
    pairs = [structure(long_unsigned(number), double_long_unsigned(1000 * number)) for number in range(3)]
    objects = [
        *measured_objects(), Notebook(NOTES), Notebook(OTHER_NOTES), Echo(),
        data_object(COMPACT, compact_array(pair, pairs)),
    ]  # fmt: skip
    server = meter(managing(), objects=objects, max_pdu_octets=max_pdu_octets)
    listener = await serve_meter(server, "127.0.0.1", 0, clock=StandingClock())
    try:
        yield {
            "host": "127.0.0.1", "port": listener.port, "client": READER, "server": 1, "max_pdu": 256, "general": False,
            "names": {
                "note": str(NOTES), "other_note": str(OTHER_NOTES), "echo": str(ECHO), "compact": str(COMPACT),
                "profile": str(LOAD_PROFILE), "register": str(IMPORT),
            },
        }  # fmt: skip
    finally:
        await listener.close()


async def changed(peer: str, *steps: str, max_pdu_octets: int = 200, **changes: Any) -> dict[str, Any]:
    """What the peer printed of each step."""
    ledger.ran(
        peer,
        auth="none",
        services=", ".join(steps) if len(steps) <= STEPS_SHOWN else f"{steps[0]} and {len(steps) - 1} other types",
    )
    async with changeable_meter(max_pdu_octets) as order:
        finished = await asyncio.to_thread(_run, peer, {**order, "steps": steps, **changes})
    assert finished.returncode == 0, finished.stderr[-3000:]
    answer: dict[str, Any] = json.loads(finished.stdout.splitlines()[-1])
    return answer


def _run(peer: str, order: dict[str, Any]) -> subprocess.CompletedProcess[str]:
    script = Path(__file__).parent / "peers" / SCRIPTS[peer]
    return subprocess.run(  # noqa: S603 - our own script
        [interpreter_of(peer), script], input=json.dumps(order), capture_output=True, text=True, timeout=TIMEOUT_S,
        check=False,
    )  # fmt: skip


async def test_gurux_writes_every_type():
    answer = await changed("gurux-dlms", *(f"set {name}" for name in VALUES))
    assert {name: answer[f"set {name}"] for name in VALUES} == VALUES


async def test_gurux_writes_and_acts_in_blocks():
    answer = await changed("gurux-dlms", "set octets", "set long octets", "set refused", "action short", "action long")
    assert (answer["set octets"], answer["set long octets"]) == (SHORT.hex(), LONG.hex())
    assert "unmatched type" in answer["set refused"]
    assert answer["action short"] == SHORT.hex()
    outcome = "000100" + "098202bc"  # success, data: the peer joins the blocks and leaves the reading to its caller
    assert answer["action long"] == outcome + LONG.hex()


async def test_gurux_reads_a_compact_array_and_rows_by_entry_with_columns():
    answer = await changed("gurux-dlms", "compact array", "entries")
    assert answer["compact array"] == [[0, 0], [1, 1000], [2, 2000]]
    assert [row[1] for row in answer["entries"]] == [0, 0, 0]
    assert [row[0][11:16] for row in answer["entries"]] == ["00:30", "00:45", "01:00"]


@pytest.mark.parametrize(
    ("step", "general", "sentence"),
    [
        ("set list", False, "its own code raises when it builds SET with-list"),
        ("access", False, "its own code raises when it builds ACCESS"),
        ("set long octets", True, "its own code raises in general block transfer"),
    ],
)
async def test_what_gurux_cannot(step: str, general: bool, sentence: str):
    answer = await changed("gurux-dlms", step, general=general)
    assert answer[step].startswith("AttributeError")
    ledger.defect(sentence)


async def test_dlms_cosem_writes_and_acts():
    answer = await changed("dlms-cosem", "set octets", "action short", "set refused")
    assert answer["set octets"] == ["SUCCESS", "0914" + SHORT.hex()]
    assert answer["action short"] == "0914" + SHORT.hex()
    assert answer["set refused"] == ["TYPE_UNMATCHED", "0914" + SHORT.hex()]


async def test_dlms_cosem_writes_what_fits_one_apdu():
    answer = await changed("dlms-cosem", "set long octets", max_pdu_octets=1024, max_pdu=1024)
    assert answer["set long octets"] == ["SUCCESS", "098202bc" + LONG.hex()]


async def test_dlms_cosem_has_no_blocks_for_set():
    answer = await changed("dlms-cosem", "set long octets")
    assert answer["set long octets"].startswith("LocalDlmsProtocolError: PDU size too big")
    ledger.defect("it cannot SET in blocks")
