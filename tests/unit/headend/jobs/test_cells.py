"""Meters of one cell share its medium: what the fleet document says of cells reaches the gates."""

from collections import Counter
from collections.abc import Callable
from dataclasses import replace

from amity.domain.jobs import JobKind
from amity.headend.jobs.ports import LeaseTerms, place_of
from amity.headend.jobs.throttle import Limit, ThrottleRules
from amity.headend.sla.groups import GroupBy, groups_by, whole_fleet
from tests.unit.headend.jobs.requests import NOW, request

ONE_A_CELL = LeaseTerms("w", throttle=ThrottleRules(cell=Limit(sessions=1)))


def cells_of(bench: object) -> dict[str, str]:
    return {one.meter_id: one.usage_point.transformer_id for one in bench.simulated.meters}


def test_a_simulated_meter_is_in_the_cell_of_its_transformer_on_every_way_to_a_job(make_bench: Callable) -> None:
    bench = make_bench(40)
    cells = cells_of(bench)
    assert 1 < len(set(cells.values())) < len(cells), "some share one"
    by_schedule = {one.meter_id: one.place.cell for one in whole_fleet(bench.database.fleet_pages)}
    by_hand = {one.meter_id: place_of(one).cell for one in bench.database.endpoints.all()}
    assert by_schedule == by_hand == cells


def test_of_each_cell_one_meter_is_read_at_a_time(make_bench: Callable) -> None:
    bench = make_bench(40)
    cells, jobs = cells_of(bench), bench.database.jobs
    members = whole_fleet(bench.database.fleet_pages)
    jobs.enqueue([request(one.meter_id, JobKind.PING, place=one.place) for one in members], NOW)
    leased = Counter(cells[one.meter_id] for one in jobs.lease(ONE_A_CELL, 50, NOW))
    assert leased == dict.fromkeys(cells.values(), 1)


def test_a_meter_that_moves_to_another_cell_is_behind_its_gate_alone(make_bench: Callable) -> None:
    """Also one that is moved out of every cell: a request that knows where the meter is knows all of it."""
    bench = make_bench(3)
    endpoints, jobs = bench.database.endpoints, bench.database.jobs
    for number, cell in enumerate(["old", ""]):
        endpoints.put([replace(one, route=replace(one.route, cell=cell)) for one in endpoints.all()])
        members = list(whole_fleet(bench.database.fleet_pages))
        jobs.enqueue([request(one.meter_id, key=f"{number}/{one.meter_id}", place=one.place) for one in members], NOW)
    assert len(jobs.lease(ONE_A_CELL, 50, NOW)) == 3


def test_a_report_may_be_by_cell(make_bench: Callable) -> None:
    bench = make_bench(5)
    groups = groups_by(whole_fleet(bench.database.fleet_pages), [GroupBy.CELL], {})
    assert groups == {meter: (f"cell={cell}",) for meter, cell in cells_of(bench).items()}
