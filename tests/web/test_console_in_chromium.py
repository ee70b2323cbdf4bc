from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from amity.domain.collection import Delivery, Outcome
from tests.web.browser import CHROMIUM, Page, chromium
from tests.web.conftest import RunningConsole
from tests.web.plausible_town import NOW, meter_name

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium here (Debian: apt-get install chromium)"),
]


@pytest.fixture(scope="module")
def page(console: RunningConsole, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    """A signed-in browser."""
    with chromium(Path(tmp_path_factory.mktemp("profile"))) as page:
        page.open(console.link())
        page.click("button")
        page.wait("document.getElementById('amity') !== null")
        yield page


def live(page: Page) -> None:
    page.wait("typeof emitEvent === 'function' && window.socket?.connected")


def test_the_login_link_leads_to_the_town(page: Page):
    assert page.look("location.pathname + location.search") == "/"
    assert page.look("document.querySelector('h1').textContent") == "Ravensbrook"


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("width", [390, 1280])
@pytest.mark.parametrize("path", ["/", "/meters", "/collection", f"/meters/{meter_name(12)}"])
def test_every_page_fits_the_screen_and_complains_of_nothing(
    console: RunningConsole, page: Page, path: str, width: int, dark: bool
):
    page.problems.clear()
    page.requests.clear()
    page.open(console.address + path, width=width, dark=dark)
    live(page)
    assert page.look("document.documentElement.scrollWidth - innerWidth") <= 0
    red, green, blue = eval(page.look("getComputedStyle(document.body).backgroundColor")[3:])  # noqa: S307 - rgb(…)
    assert (red + green + blue < 200) is dark
    assert page.problems == []
    assert [url for url in page.requests if not url.startswith((console.address, "ws://127.0.0.1", "data:"))] == []


def test_a_click_on_an_interval_opens_the_chain_down_to_marked_octets(console: RunningConsole, page: Page):
    page.open(f"{console.address}/meters/{meter_name(12)}?day=2026-03-18")
    live(page)
    page.click(".field", 0.39)
    page.wait("!document.getElementById('drawer').hidden && document.querySelector('#drawer mark') !== null")
    octets = page.look("[...document.querySelectorAll('#drawer mark')].map(mark => mark.textContent).join('')")
    shown = page.look("document.querySelector('#drawer .amount').textContent")
    assert shown == f"{int.from_bytes(bytes.fromhex(octets)[1:])} Wh"
    assert "why=" in page.look("location.search")
    page.look("document.dispatchEvent(new KeyboardEvent('keydown', {key: 'Escape', bubbles: true}))")
    assert page.look("document.getElementById('drawer').hidden")


def test_an_address_with_why_opens_the_drawer_by_itself(console: RunningConsole, page: Page):
    start = int(datetime(2026, 3, 18, 3, 30, tzinfo=UTC).timestamp())
    page.open(f"{console.address}/meters/{meter_name(12)}?why={start}")
    page.wait("document.querySelector('#drawer .amount')?.textContent === '98,000 Wh'")


def test_the_list_narrows_as_one_types(console: RunningConsole, page: Page):
    page.open(f"{console.address}/meters")
    live(page)
    page.look(
        "(field => { field.value = 'T-07'; field.dispatchEvent(new Event('input', {bubbles: true})) })"
        "(document.querySelector('input.search'))"
    )
    page.wait("document.querySelectorAll('tbody tr').length === 10")
    assert page.look("location.search") == "?text=T-07"


def test_news_arrive_without_a_reload_and_what_is_open_stays_open(console: RunningConsole, page: Page):
    page.open(console.address)
    live(page)
    page.look("window.sameDocument = true")
    page.click(".issue:nth-of-type(3) summary")
    assert page.look("document.querySelector('.issue:nth-of-type(3)').open")
    bad_news = Delivery("news", meter_name(0), "S-9", NOW, Outcome.WRONG_KEY, ("the tag does not verify",))
    console.services.database.deliveries.record(bad_news, b"", received_at=NOW)
    console.services.clock.time = NOW.replace(second=30)
    page.wait("document.querySelector('#r-issues').textContent.includes('3 meters refuse our keys')")
    assert page.look("window.sameDocument")
    assert page.look(
        "[...document.querySelectorAll('.issue')].find(i => i.textContent.includes('refuse our keys')).open"
    )


def test_the_theme_button_wins_over_the_system(console: RunningConsole, page: Page):
    page.open(console.address, dark=False)
    for _ in range(2):
        page.click("#theme")
    assert page.look("document.documentElement.dataset.theme") == "dark"
    page.open(f"{console.address}/collection", dark=False)
    assert page.look("document.documentElement.dataset.theme") == "dark"
    page.click("#theme")
    assert page.look("document.documentElement.dataset.theme") == "auto"
