import re

import httpx
import pytest

from amity.api.gate import COOKIE
from tests.web.conftest import RunningConsole
from tests.web.plausible_town import meter_name


@pytest.fixture
def browser(console: RunningConsole) -> httpx.Client:
    with httpx.Client(base_url=console.address, cookies={COOKIE: console.session()}) as client:
        yield client


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/", 'Suspected outage at transformer <span class="whole">T-07</span>'),
        ("/meters", "of 200 meters"),
        ("/meters?condition=silent", "of 12 meters"),
        ("/collection", "does not verify"),
        ("/collection?outcome=broken", ">1 meter<"),
        (f"/meters/{meter_name(12)}", "What validation found"),
        (f"/meters/{meter_name(12)}?days=7&day=2026-03-17", "Wed 11 March"),
        (f"/meters/{meter_name(12)}?day=abc", "“abc” is not a day that can be shown; this is today."),
        (f"/meters/{meter_name(54)}", "No interval channel yet"),
    ],
)
def test_a_page_is_on_screen_before_any_script_runs(browser: httpx.Client, path: str, expected: str):
    page = browser.get(path)
    assert page.status_code == 200
    assert expected in page.text


@pytest.mark.parametrize("path", ["/nowhere", "/meters/NOBODY", "/meters/<script>"])
def test_an_address_that_leads_nowhere_is_a_page_with_a_way_out(browser: httpx.Client, path: str):
    page = browser.get(path)
    assert page.status_code == 404
    assert 'href="/meters"' in page.text
    assert "<script>" not in page.text


@pytest.mark.parametrize(
    "query", ["?day=9999-99-99", "?day=0001-01-01", "?days=x", "?channel=%00", "?why=abc", "?why=999"]
)
def test_whatever_stands_in_the_address_the_page_comes(browser: httpx.Client, query: str):
    assert browser.get(f"/meters/{meter_name(12)}{query}").status_code == 200


def test_everything_a_page_loads_comes_from_here_and_can_be_had(browser: httpx.Client):
    page = browser.get("/").text
    loaded = re.findall(r'(?:src|href)="([^"]+)"|url\("([^"]+)"\)', page)
    addresses = {first or second for first, second in loaded}
    assert not [address for address in addresses if address.startswith(("http:", "https:", "//"))]
    files = [address for address in addresses if re.search(r"\.(js|css|svg|ico)", address)]
    assert any("console.js" in address for address in files)
    assert {address: browser.get(address).status_code for address in files} == dict.fromkeys(files, 200)


def test_every_script_of_a_page_carries_the_nonce_of_its_policy(browser: httpx.Client):
    page = browser.get("/")
    nonce = re.search(r"'nonce-([^']+)'", page.headers["content-security-policy"])[1]
    scripts = re.findall(r"<script[^>]*>", page.text)
    assert len(scripts) > 3
    assert all(f'nonce="{nonce}"' in script for script in scripts)


def test_the_console_is_closed_to_strangers(console: RunningConsole):
    with httpx.Client(base_url=console.address) as stranger:
        for path in ("/", "/meters", "/collection", f"/meters/{meter_name(12)}"):
            answer = stranger.get(path, headers={"accept": "text/html"})
            assert (answer.status_code, answer.headers["location"]) == (303, "/login")
        for path in ("/console/console.js", "/_nicegui_ws/socket.io/?transport=polling"):
            assert stranger.get(path).status_code == 401


def test_api_and_console_live_on_one_app(browser: httpx.Client):
    assert browser.get("/api/v1/town").json()["name"] == "Ravensbrook"
    assert browser.get("/healthz").json() == {"status": "ok"}


@pytest.mark.parametrize(("method", "path", "status"), [("GET", "/api/v1/nope", 404), ("DELETE", "/api/v1/town", 405)])
def test_the_console_does_not_answer_for_the_api(browser: httpx.Client, method: str, path: str, status: int):
    answer = browser.request(method, path, headers={"accept": "text/html"})
    assert answer.status_code == status
    assert answer.json()["next"]
