"""gurux-dlms reads a meter in each mode of protection, service-specific and general (IEC 62056-5-3, 5.3.4)."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from amity.devices.settings import Authentication, Ciphering, Protection
from amity.simulation.fleet import Fleet, FleetSettings, build_fleet
from amity.simulation.serving import serve_fleet
from tests.interop.fleets import SEED, Served
from tests.interop.foreign import check_reading

NAMES = {
    Protection.AUTHENTICATED: "auth",
    Protection.ENCRYPTED: "enc",
    Protection.AUTHENTICATED_ENCRYPTED: "auth+enc",
}


class SystemClock:
    """The clock of this machine."""

    def now(self) -> datetime:
        return datetime.now(UTC)


def demanding(protection: Protection, ciphering: Ciphering) -> Fleet:
    """One plain meter whose reader must protect its messages so."""
    fleet = build_fleet(FleetSettings(1, SEED, datetime.now(UTC), auth=Authentication.HLS_GMAC))
    (meter,) = fleet.meters
    association = replace(meter.profile.association, protection=protection, ciphering=ciphering)
    return replace(fleet, meters=(replace(meter, profile=replace(meter.profile, association=association)),))


@pytest.mark.parametrize("ciphering", [Ciphering.GLO, Ciphering.GENERAL_GLO], ids=str)
@pytest.mark.parametrize("protection", NAMES, ids=str)
async def test_gurux_reads_with(protection: Protection, ciphering: Ciphering):
    fleet = demanding(protection, ciphering)
    general = "general:" if ciphering is Ciphering.GENERAL_GLO else ""
    async with serve_fleet(fleet, clock=SystemClock()) as document:
        served = Served(document[0], fleet.meters[0])
        await asyncio.to_thread(check_reading, served, "gurux-dlms", general + NAMES[protection])
