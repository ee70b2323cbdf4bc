"""Foreign clients read a meter under every protection, wrapping, key and framing (IEC 62056-5-3, 5.3.4).

gurux-dlms can do all of it; what dlms-cosem does instead is a row of its own, with the symptom.
"""

import asyncio
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import product
from typing import Any

import pytest

from amity.devices.settings import Authentication, Ciphering, Protection
from amity.protocols.dlms import apdu
from amity.protocols.dlms.acse import AARQ_TAG, RLRQ_TAG
from amity.protocols.dlms.apdu import Ciphered, CipherTag
from amity.protocols.wrapper.frame import Reader
from amity.simulation.carriers import Carried, Framing
from amity.simulation.fleet import Fleet, FleetSettings, build_fleet
from amity.simulation.serving import serve_fleet
from tests.interop import ledger
from tests.interop.fleets import SEED, Served
from tests.interop.foreign import check_reading, order_for, run, yesterday
from tests.services.tap import Tap

NAMES = {
    Protection.AUTHENTICATED: "auth",
    Protection.ENCRYPTED: "enc",
    Protection.AUTHENTICATED_ENCRYPTED: "auth+enc",
}
WRAPPINGS = {
    "glo": (Ciphering.GLO, False), "ded": (Ciphering.GLO, True),
    "general-glo": (Ciphering.GENERAL_GLO, False), "general-ded": (Ciphering.GENERAL_GLO, True),
}  # fmt: skip
GET_TAGS = {
    "glo": CipherTag.GLO_GET_REQUEST, "ded": CipherTag.DED_GET_REQUEST,
    "general-glo": CipherTag.GENERAL_GLO, "general-ded": CipherTag.GENERAL_DED,
}  # fmt: skip
AUTHENTICATED, ENCRYPTED, BOTH = NAMES
GMAC = Authentication.HLS_GMAC
OTHER_MECHANISMS = [Authentication.LLS, Authentication.HLS_SHA256]
UNANSWERED = [Authentication.HLS2, Authentication.HLS_MD5, Authentication.HLS_SHA1, Authentication.HLS_SHA256]
"""Mechanisms that dlms-cosem has names for."""


class SystemClock:
    """The clock of this machine."""

    def now(self) -> datetime:
        return datetime.now(UTC)


def demanding(auth: Authentication, protection: Protection, ciphering: Ciphering) -> Fleet:
    """One plain meter whose reader must protect its messages so."""
    fleet = build_fleet(FleetSettings(1, SEED, datetime.now(UTC), auth=auth))
    (meter,) = fleet.meters
    association = replace(meter.profile.association, protection=protection, ciphering=ciphering)
    return replace(fleet, meters=(replace(meter, profile=replace(meter.profile, association=association)),))


@dataclass(frozen=True, slots=True)
class Tapped:
    """A meter behind a tap; `options` is what an order for it needs besides its `protection`."""

    meter: Served
    protection: str
    options: dict[str, Any]
    tap: Tap

    def order(self) -> dict[str, Any]:
        return order_for(self.meter, self.protection, yesterday(), **self.options)

    def wrappings(self) -> set[tuple[int, int]]:
        """Tag and security control of every ciphered APDU that the peer sent behind its AARQ, over the wrapper."""
        sent = [
            apdu.decode(frame.payload)
            for frame in Reader().feed(b"".join(self.tap.sent))
            if frame.payload[0] not in {AARQ_TAG, RLRQ_TAG}
        ]
        assert all(isinstance(one, Ciphered) for one in sent)
        return {(one.tag, one.security_control) for one in sent if isinstance(one, Ciphered)}


@asynccontextmanager
async def served(
    auth: Authentication, protection: Protection, wrapping: str, framing: Framing = Framing.WRAPPER
) -> AsyncIterator[Tapped]:
    """A meter that demands such protection of its reader."""
    ciphering, dedicated = WRAPPINGS[wrapping]
    fleet, tap = demanding(auth, protection, ciphering), Tap()
    general = "general:" if ciphering is Ciphering.GENERAL_GLO else ""
    async with serve_fleet(fleet, clock=SystemClock(), carried=Carried(framing)) as document:
        (entry,) = document
        async with tap.before(entry["port"]) as port:
            seen = Served({**entry, "port": port}, fleet.meters[0])
            key = {"dedicated_key": secrets.token_hex(16)} if dedicated else {}
            yield Tapped(seen, general + NAMES[protection], {"password": entry["password"], **key}, tap)


IN_THE_CLEAR = [(AUTHENTICATED, "ded"), (AUTHENTICATED, "general-ded")]
"""Where gurux-dlms shows everybody the dedicated key that it proposes."""


@pytest.mark.parametrize(("protection", "wrapping"), IN_THE_CLEAR, ids=str)
async def test_a_dedicated_key_that_gurux_shows_everybody_is_refused(protection: Protection, wrapping: str):
    ledger.ran("gurux-dlms", auth=GMAC.value, ciphering=f"{wrapping} {NAMES[protection]}", services="AARQ")
    async with served(GMAC, protection, wrapping) as tapped:
        finished = await asyncio.to_thread(run, "gurux-dlms", tapped.order())
        assert finished.returncode != 0
        assert bytes.fromhex(tapped.options["dedicated_key"]) in b"".join(tapped.tap.sent)
    ledger.defect("it sends a dedicated key in the clear where messages are authenticated only; our meter refuses it")


@pytest.mark.parametrize("framing", Framing, ids=str)
@pytest.mark.parametrize(
    ("auth", "protection", "wrapping"),
    [
        *((GMAC, *case) for case in product(NAMES, WRAPPINGS) if case not in IN_THE_CLEAR),
        *product(OTHER_MECHANISMS, [BOTH], WRAPPINGS),
    ],
    ids=str,
)
async def test_gurux_reads_under(auth: Authentication, protection: Protection, wrapping: str, framing: Framing):
    async with served(auth, protection, wrapping, framing) as tapped:
        await asyncio.to_thread(check_reading, tapped.meter, "gurux-dlms", tapped.protection, **tapped.options)
        if framing is Framing.WRAPPER:
            passes = {(CipherTag.GLO_ACTION_REQUEST, protection.control)} if auth.hls else set()
            assert tapped.wrappings() == {(GET_TAGS[wrapping], protection.control)} | passes


# ------------------------------------------------------------------ dlms-cosem
@pytest.mark.parametrize("framing", Framing, ids=str)
@pytest.mark.parametrize("auth", [GMAC, Authentication.LLS], ids=str)
async def test_dlms_cosem_reads_under_general_glo(auth: Authentication, framing: Framing):
    async with served(auth, BOTH, "general-glo", framing) as tapped:
        await asyncio.to_thread(check_reading, tapped.meter, "dlms-cosem", tapped.protection, **tapped.options)


@pytest.mark.parametrize(
    ("protection", "wrapping"),
    [(BOTH, "glo"), (BOTH, "ded"), (BOTH, "general-ded"), (AUTHENTICATED, "general-glo"), (ENCRYPTED, "general-glo")],
    ids=str,
)
async def test_dlms_cosem_knows_no_other_ciphering(protection: Protection, wrapping: str):
    """It reads all the same: the meter answers in kind, and what comes is protected enough."""
    ledger.ran("dlms-cosem", auth=GMAC.value, ciphering=f"{wrapping} {NAMES[protection]}", services="GET, blocks")
    async with served(GMAC, protection, wrapping) as tapped:
        finished = await asyncio.to_thread(run, "dlms-cosem", tapped.order())
        assert finished.returncode == 0, finished.stderr[-3000:]
        assert tapped.wrappings() == {(CipherTag.GENERAL_GLO, BOTH.control)}
    ledger.defect("it sends general-glo auth+enc whatever it is told, and is answered in kind")


@pytest.mark.parametrize("auth", UNANSWERED, ids=str)
async def test_dlms_cosem_leaves_a_challenge_unanswered(auth: Authentication):
    """It asks for the clock at once, is told service-not-allowed, and ends with an IndexError of its own."""
    ledger.ran("dlms-cosem", auth=auth.value, ciphering="general-glo auth+enc", services="passes 3 and 4")
    async with served(auth, BOTH, "general-glo") as tapped:
        finished = await asyncio.to_thread(run, "dlms-cosem", tapped.order())
        assert "IndexError" in finished.stderr
    ledger.defect("it leaves the challenge unanswered, and raises IndexError at the refusal (D8 01 01) of its GET")
