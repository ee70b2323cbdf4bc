"""Clients that nobody here wrote change a meter of ours: SET, ACTION, lists, long values."""

import asyncio
import json
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from amity.devices.objects import data_object
from amity.devices.server import ClientAccess
from amity.devices.settings import Authentication, Ciphering, Protection
from amity.kernel.obis import Obis
from amity.protocols.dlms.data import compact_array, double_long_unsigned, long_unsigned, structure
from amity.protocols.dlms.data_types import Tag, TypeDescription
from amity.protocols.wrapper.frame import Reader
from amity.transports.hdlc_listener import HdlcPlace, serve_hdlc_meter
from amity.transports.meter_listener import serve_meter
from tests.interop import ledger
from tests.interop.foreign import interpreter_of
from tests.services.tap import Tap
from tests.unit.devices.changing import ECHO, NOTES, OTHER_NOTES, Echo, Notebook, managing
from tests.unit.devices.conversing import (
    CLIENT_TITLE,
    IMPORT,
    LOAD_PROFILE,
    NOW,
    PASSWORD,
    READER,
    SECRET,
    measured_objects,
    meter,
)

COMPACT = Obis.parse("0.0.96.50.2.255")
SCRIPTS = {"gurux-dlms": "gurux_changer.py", "dlms-cosem": "dlms_cosem_changer.py"}
SHORT, LONG = bytes(range(20)), bytes(number % 251 for number in range(700))
TIMEOUT_S = 60
PHYSICAL = 17
KNOWN = {Authentication.LLS, Authentication.HLS_GMAC}
"""Mechanisms that dlms-cosem sees through."""
OBJECT_NAMES = {
    "note": str(NOTES), "other_note": str(OTHER_NOTES), "echo": str(ECHO), "compact": str(COMPACT),
    "profile": str(LOAD_PROFILE), "register": str(IMPORT),
}  # fmt: skip
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


@dataclass(frozen=True, slots=True)
class How:
    """How the peer reaches the meter: framing, authentication, and the wrapping of authenticated encryption."""

    framing: str = "wrapper"
    auth: Authentication = Authentication.NONE
    ciphering: Ciphering = Ciphering.NONE
    dedicated: bool = False

    @property
    def access(self) -> ClientAccess:
        """A client that may change things."""
        protection = Protection.AUTHENTICATED_ENCRYPTED if self.ciphering is not Ciphering.NONE else Protection.NONE
        return replace(managing(self.ciphering, protection), authentication=self.auth)

    @property
    def protection(self) -> str:
        """Its name in an order."""
        if self.ciphering is Ciphering.NONE:
            return "none"
        return f"{'general:' if self.ciphering.general else ''}auth+enc"

    def __str__(self) -> str:
        """For the name of a test, and the column of the table that says it."""
        if self.ciphering is Ciphering.NONE:
            return "none"
        return f"{'general-' if self.ciphering.general else ''}{'ded' if self.dedicated else 'glo'} auth+enc"


PLAIN = How()
CIPHERED = [
    How(framing, auth, ciphering, dedicated)
    for framing in ("wrapper", "hdlc")
    for auth in (Authentication.LLS, Authentication.HLS_GMAC, Authentication.HLS_SHA256)
    for ciphering in (Ciphering.GLO, Ciphering.GENERAL_GLO)
    for dedicated in (False, True)
]


@asynccontextmanager
async def changeable_meter(max_pdu_octets: int, how: How) -> AsyncIterator[dict[str, Any]]:
    """A meter with notebooks, an echo and a compact array on a free loopback port; gives the order for a peer."""
    pair = TypeDescription(
        Tag.STRUCTURE, (TypeDescription(Tag.LONG_UNSIGNED), TypeDescription(Tag.DOUBLE_LONG_UNSIGNED))
    )
    pairs = [structure(long_unsigned(number), double_long_unsigned(1000 * number)) for number in range(3)]
    objects = [
        *measured_objects(), Notebook(NOTES), Notebook(OTHER_NOTES), Echo(),
        data_object(COMPACT, compact_array(pair, pairs)),
    ]  # fmt: skip
    server = meter(how.access, objects=objects, max_pdu_octets=max_pdu_octets)
    if how.framing == "hdlc":
        listener = await serve_hdlc_meter(server, "127.0.0.1", 0, clock=StandingClock(), place=HdlcPlace())
    else:
        listener = await serve_meter(server, "127.0.0.1", 0, clock=StandingClock())
    try:
        yield {
            "dedicated_key": bytes(range(32, 48)).hex() if how.dedicated else "",
            "host": "127.0.0.1", "port": listener.port, "client": READER, "server": 1, "max_pdu": 256,
            "auth": how.auth.value, "protection": how.protection, "framing": how.framing,
            "physical": PHYSICAL if how.framing == "hdlc" else None,
            "password": (PASSWORD if how.auth is Authentication.LLS else SECRET).decode(),
            "guek": bytes(range(16)).hex(), "gak": bytes(range(16, 32)).hex(), "client_title": CLIENT_TITLE.hex(),
            "invocation_counter": 1000, "register": str(IMPORT), "register_class": 3, "with_list": False,
            "profile": str(LOAD_PROFILE), "start": NOW.isoformat(), "end": NOW.isoformat(), "newest": None,
            "release": True,
        }  # fmt: skip
    finally:
        await listener.close()


async def changed(
    peer: str, *steps: str, max_pdu_octets: int = 200, general: bool = False, how: How = PLAIN,
    tap: Tap | None = None, **order: Any,
) -> dict[str, Any]:  # fmt: skip
    """What the peer printed of each step."""
    ledger.ran(
        peer,
        framing=how.framing,
        auth=how.auth.value,
        ciphering=str(how),
        services=", ".join(steps) if len(steps) <= STEPS_SHOWN else f"{steps[0]} and {len(steps) - 1} other types",
    )
    changes = {"names": OBJECT_NAMES, "steps": steps, "general": general}
    tap = tap or Tap()
    async with changeable_meter(max_pdu_octets, how) as reached, tap.before(reached["port"]) as port:
        reached["port"] = port
        finished = await asyncio.to_thread(_run, peer, {**reached, **order, "changes": changes})
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


@pytest.mark.parametrize("how", CIPHERED, ids=repr)
async def test_gurux_writes_and_acts_ciphered(how: How):
    write = "set octets" if how.ciphering.general else "set long octets"
    answer = await changed("gurux-dlms", write, "action short", "compact array", "entries", how=how)
    assert answer[write] == (SHORT if how.ciphering.general else LONG).hex()
    assert answer["action short"] == SHORT.hex()
    assert answer["compact array"] == [[0, 0], [1, 1000], [2, 2000]]
    assert [row[0][11:16] for row in answer["entries"]] == ["00:30", "00:45", "01:00"]


async def test_gurux_forgets_its_title_when_it_cuts_blocks():
    """In general-glo each block comes to more than the 200 octets that the meter takes."""
    how = How(auth=Authentication.HLS_GMAC, ciphering=Ciphering.GENERAL_GLO)
    tap = Tap()
    answer = await changed("gurux-dlms", "set long octets", how=how, tap=tap)
    assert "too long" in answer["set long octets"]
    assert max(len(frame.payload) for frame in Reader().feed(b"".join(tap.sent))) > 200
    ledger.defect("its blocks in general-glo are longer than the meter takes, by the system title")


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


@pytest.mark.parametrize(
    "how",
    [How("hdlc"), *(one for one in CIPHERED if one.ciphering.general and not one.dedicated and one.auth in KNOWN)],
)
async def test_dlms_cosem_writes_and_acts_ciphered_and_over_hdlc(how: How):
    answer = await changed("dlms-cosem", "set octets", "action short", how=how)
    assert answer == {"set octets": ["SUCCESS", "0914" + SHORT.hex()], "action short": "0914" + SHORT.hex()}


async def test_dlms_cosem_writes_what_fits_one_apdu():
    answer = await changed("dlms-cosem", "set long octets", max_pdu_octets=1024, max_pdu=1024)
    assert answer["set long octets"] == ["SUCCESS", "098202bc" + LONG.hex()]


async def test_dlms_cosem_has_no_blocks_for_set():
    answer = await changed("dlms-cosem", "set long octets")
    assert answer["set long octets"].startswith("LocalDlmsProtocolError: PDU size too big")
    ledger.defect("it cannot SET in blocks")


async def test_dlms_cosem_knows_no_compact_array():
    answer = await changed("dlms-cosem", "compact array")
    assert answer["compact array"].startswith("NotImplementedError: CompactArrayData")
    ledger.defect("it has no compact-array (NotImplementedError)")
