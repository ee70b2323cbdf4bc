from dataclasses import replace
from datetime import date
from html.parser import HTMLParser
from zoneinfo import ZoneInfo

import pytest

from amity.domain.registry import UsagePoint
from amity.kernel.errors import StorageError
from amity.messaging.codec import ProtobufCodec
from amity.usecases.collection import collection_overview
from amity.usecases.condition import Condition
from amity.usecases.data_tree import OctetRange
from amity.usecases.meters import MeterQuery, list_meters, meter_detail
from amity.usecases.services import Services
from amity.usecases.town import town_overview
from amity.usecases.why import why
from amity.web.markup import join
from amity.web.pages import collection, meter, meters, parts, town
from amity.web.pages import why as why_page
from amity.web.town_map import fit
from tests.unit.usecases.memory_database import FixedClock, MemoryDatabase, MemoryLogins
from tests.web.plausible_town import IMPORT, NOW, build_town, fill, meter_name

VIENNA = ZoneInfo("Europe/Vienna")
EVIL = '<img src=x onerror="alert(1)">&\''


class Balance(HTMLParser):
    """Fails on a tag that closes what is not open."""

    def __init__(self) -> None:
        super().__init__()
        self.open, self.ids, self.tags = [], [], set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]):
        self.tags.add(tag)
        self.ids += [value for name, value in attrs if name == "id"]
        if tag not in {"input", "br"}:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, _attrs: list[tuple[str, str | None]]):
        self.tags.add(tag)

    def handle_endtag(self, tag: str):
        assert self.open.pop() == tag


def check(markup: str) -> Balance:
    balance = Balance()
    balance.feed(markup)
    balance.close()
    assert balance.open == []
    assert len(balance.ids) == len(set(balance.ids))
    assert "img" not in balance.tags
    return balance


@pytest.fixture(scope="module")
def services() -> Services:
    database = MemoryDatabase()
    fill(database, ProtobufCodec())
    return Services(database, MemoryLogins(), ProtobufCodec(), FixedClock(NOW), bytes)


def test_the_town_page_is_whole_and_names_the_outage_in_its_first_line(services: Services):
    regions = town.content(town_overview(services))
    check(parts.frame("/", town.layout(regions)))
    assert 'Suspected outage at transformer <span class="whole">T-07</span> and 8 other things' in regions["headline"]
    assert regions["map"].count("data-meter=") == 200
    assert 'class="halo"' in regions["map"]


def test_an_empty_town_page_says_what_will_come(services: Services):
    database = MemoryDatabase()
    database.registry.provision(build_town(3))
    regions = town.content(town_overview(replace(services, database=database)))
    check(parts.frame("/", town.layout(regions)))
    assert "first readings arrive within seconds" in regions["headline"]
    check(parts.frame("/", town.layout(town.waiting("a", "b"))))


def test_a_town_where_all_is_well_says_so(services: Services):
    overview = town_overview(services)
    healthy = [replace(m, condition=Condition.ANSWERED) for m in overview.meters]
    fine = replace(overview, issues=(), gaps=(), meters=tuple(healthy), conditions={Condition.ANSWERED: 200})
    regions = town.content(fine)
    assert "All is well: 200 of 200 meters answered" in regions["headline"]
    assert "halo" not in regions["map"]


def test_the_same_town_gives_the_same_markup_so_that_nothing_flickers(services: Services):
    assert town.content(town_overview(services)) == town.content(town_overview(services))


@pytest.mark.parametrize("number", [0, 4, 6, 12, 54, 92])
def test_the_page_of_a_meter_in_any_condition_is_whole(services: Services, number: int):
    detail = meter_detail(services, meter_name(number))
    view = meter.View(str(IMPORT.obis), date(2026, 3, 18))
    regions = meter.about(detail, NOW, VIENNA) | {"chart": meter.chart(detail, None, view, NOW, VIENNA)}
    check(parts.frame("/meters", meter.layout(regions)))
    assert meter_name(number) in regions["head"]


def test_a_view_is_its_own_address():
    view = meter.View("1.0.1.29.0.255", date(2026, 3, 18), 7)
    assert view.query() == "?channel=1.0.1.29.0.255&day=2026-03-18&days=7"
    assert view.first_day == date(2026, 3, 12)


@pytest.mark.parametrize(
    ("number", "hour", "minute", "expected"),
    [(12, 9, 0, "Delivery from the meter"), (4, 6, 15, "leans on"), (92, 0, 0, "never had a value")],
)
def test_the_drawer_tells_the_chain(services: Services, number: int, hour: int, minute: int, expected: str):
    found = why(services, meter_name(number), IMPORT.obis, NOW.replace(hour=hour, minute=minute))
    markup = why_page.explanation(found, NOW, VIENNA)
    check(markup)
    assert expected in markup


def test_the_drawer_marks_exactly_the_octets_of_the_cell(services: Services):
    found = why(services, meter_name(12), IMPORT.obis, NOW.replace(hour=9, minute=0))
    markup = why_page.explanation(found, NOW, VIENNA)
    octets = bytes.fromhex("".join(part.split("</mark>")[0] for part in markup.split("<mark>")[1:]))
    assert int.from_bytes(octets[1:]) == found.final.value


def test_a_hex_dump_shows_lines_near_marks_and_counts_the_others():
    dump = why_page.hex_dump(bytes(range(256)) * 4, [OctetRange(500, 505)])
    assert dump.count("<mark>") == 5
    assert "more lines not shown" in dump
    assert "not shown" not in why_page.hex_dump(b"abc", ())


def test_collection_and_list_are_whole(services: Services):
    overview = collection_overview(services)
    check(collection.table(overview, VIENNA) + collection.filters(overview, None))
    query = MeterQuery(limit=50)
    page = list_meters(services, query)
    check(join([meters.search(query), meters.filters(page, query), meters.table(page, query, NOW, VIENNA)]))
    nothing = list_meters(services, MeterQuery(text="zzz"))
    assert "No meter matches" in meters.table(nothing, query, NOW, VIENNA)


def test_markup_in_a_name_stays_a_name(services: Services):
    database = MemoryDatabase()
    plain = build_town(4)
    points = tuple(replace(p, address=EVIL) for p in plain.usage_points)
    database.registry.provision(
        replace(plain, name=EVIL, usage_points=points, meters=tuple(replace(m, serial=EVIL) for m in plain.meters))
    )
    evil = replace(services, database=database)
    check(parts.frame("/", town.layout(town.content(town_overview(evil)))))
    check(collection.table(collection_overview(evil), VIENNA))
    check(
        meters.table(list_meters(evil, MeterQuery()), MeterQuery(text=EVIL), NOW, VIENNA)
        + meters.search(MeterQuery(text=EVIL))
    )
    assert isinstance(points[0], UsagePoint)


def test_a_problem_shows_what_was_tried_and_the_next_step():
    markup = parts.problem(
        StorageError("the disk is full", tried="write a block", answer="ENOSPC", next_step="free some space")
    )
    for text in ("The disk is full", "write a block", "ENOSPC", "free some space"):
        assert text in markup


def test_the_map_shows_all_places_at_one_scale():
    places = [(47.0, 15.0), (47.01, 15.03), (47.02, 15.01)]
    points = [fit(places).point(*place) for place in places]
    assert all(0 <= x <= 720 and 0 <= y <= 500 for x, y in points)
    assert points[0][1] > points[2][1]
    assert fit([]).point(0.0, 0.0)
    assert fit([(1.0, 1.0)]).point(1.0, 1.0)


def test_times_in_a_finding_are_local_words_with_utc_in_the_title():
    said = parts.told("from 2026-03-17T23:00:00Z to 2026-03-18T13:00:00Z at T-07", VIENNA, NOW)
    assert '<time datetime="2026-03-17T23:00:00Z" title="2026-03-17T23:00:00Z (UTC)">today 00:00</time>' in said
    assert ">today 14:00</time>" in said
    assert '<span class="whole">T-07</span>' in said
    assert parts.told("2012-10-12T10:00:00Z", VIENNA, NOW).count("Fri 12 Oct 2012 12:00") == 1


@pytest.mark.parametrize("text", ["2026-02-30T00:00:00Z", "9999-12-31T23:59:59Z", "0001-01-01T00:00:00Z", EVIL])
def test_what_is_no_time_stays_as_it_was_said(text: str):
    said = parts.told(text, VIENNA, NOW)
    assert "<time" not in said
    check(said)


def test_a_finding_of_a_whole_day_is_named_in_words_and_linked_to_its_day(services: Services):
    number = 12
    detail = meter_detail(services, meter_name(number))
    (peak,) = detail.findings
    sums = replace(peak, rule="register-sum-check", message="from 2026-03-16T23:00:00Z to 2026-03-17T23:00:00Z")
    markup = meter.about(replace(detail, findings=(sums,)), NOW, VIENNA)["findings"]
    assert "Intervals and register disagree" in markup
    assert "register-sum-check v1" in markup
    assert "yesterday 00:00" in markup
    issues = town.content(town_overview(services))["issues"]
    assert f'href="/meters/{meter_name(number)}?day=2026-03-18"' in issues


@pytest.mark.parametrize(
    ("values", "exponent", "shown"),
    [
        ((104_066_120, 20), -1, ("10,406,612", "2")),
        ((104_066_125, 20), -1, ("10,406,612.5", "2.0")),
        ((5,), 2, ("500",)),
    ],
)
def test_registers_show_decimals_only_where_they_matter(
    services: Services, values: tuple[int, ...], exponent: int, shown: tuple[str, ...]
):
    detail = meter_detail(services, meter_name(1))
    kind = replace(detail.registers[0].reading_type, exponent=exponent)
    registers = tuple(replace(detail.registers[0], reading_type=kind, value=value) for value in values)
    markup = meter.about(replace(detail, registers=registers), NOW, VIENNA)["registers"]
    assert [part.split("</b>")[0] for part in markup.split("<b>")[1:]] == list(shown)


def test_a_meter_that_never_answered_is_not_praised(services: Services):
    regions = meter.about(meter_detail(services, meter_name(54)), NOW, VIENNA)
    assert "has not answered so far" in regions["registers"]
    assert "content with this meter" not in regions["findings"]


def test_meters_that_fail_alike_are_one_entry_that_opens(services: Services):
    overview = collection_overview(services)
    table = collection.table(overview, VIENNA)
    check(table)
    assert '10 meters at <span class="whole">T-07</span>' in table
    assert table.count("<tr>") < 50
    assert table.count('class="meter-id"') == 200
