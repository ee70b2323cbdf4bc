"""What `amity simulate --link` and `--collector` do: meters behind a link of the field, a meter that is a collector."""

import random
from pathlib import Path

import pytest

from amity.devices.profiles import Framing
from amity.domain.collection import Outcome
from amity.runtime.folder import Folder
from amity.runtime.settings import CollectorSettings, Settings
from amity.simulation.fleet import Fleet, FleetSettings, build_fleet
from amity.simulation.network.carried import CarriedOverLink
from amity.simulation.network.collecting import collecting
from amity.simulation.network.meter_collector import SELF
from amity.simulation.network.presets import preset
from amity.simulation.serving import serve_fleet
from tests.integration.collector.bench import ANCHOR, Headend, StandingClock
from tests.relay_certificates import Authority, collector_uri

pytestmark = pytest.mark.slow


def fleet_of(meters: int) -> Fleet:
    return build_fleet(FleetSettings(meters=meters, seed=5, anchor=ANCHOR, auth="hls-gmac"))


@pytest.mark.parametrize(("framing", "udp"), [(Framing.WRAPPER, False), (Framing.WRAPPER, True), (Framing.HDLC, False)])
async def test_meters_behind_a_link_of_the_field_are_read(tmp_path: Path, framing: Framing, udp: bool) -> None:
    headend = Headend(tmp_path, Authority())
    carried = CarriedOverLink(framing, udp=udp, link=preset("lte"), random=random.Random(1))
    async with serve_fleet(fleet_of(2), clock=StandingClock(), carried=carried) as document:
        headend.provision(document, "")
        await headend.read()
    assert [(one.outcome, one.detail) for one in headend.deliveries] == [(Outcome.COMPLETE, ())] * 2
    headend.database.close()


async def test_a_meter_that_is_a_collector_is_read_and_carries_for_its_neighbours(tmp_path: Path) -> None:
    authority = Authority()
    headend = Headend(tmp_path / "headend", authority)
    await headend.start()
    folder = Folder(tmp_path / "mesh")
    folder.create()
    authority.issue(folder.certificates, collector_uri("M7"))
    headend.accept_beforehand("M7", folder.certificates)
    settings = CollectorSettings(headends=(f"127.0.0.1:{headend.port}",), meters=("127.0.0.0/8",), push_port=0)  # type: ignore[arg-type]
    mesh = collecting(folder, Settings(collector=settings), StandingClock())
    async with serve_fleet(fleet_of(4), clock=StandingClock(), collecting=mesh, behind_gateway=1) as document:
        assert [entry["host"] for entry in document] == [SELF, SELF, "127.0.0.1", "127.0.0.1"]
        headend.provision(document, "M7")
        await headend.linked("M7")
        await headend.read()
        assert sorted(one.outcome for one in headend.deliveries) == [Outcome.COMPLETE] * 4
    await headend.stop()
    headend.database.close()
