"""The console in a real browser: what a person does at night, by mouse, keys and ears."""

import time
from pathlib import Path

import pytest

from holdfast.conductor.client import Client
from holdfast.conductor.daemon import start_daemon, stop_daemon

playwright = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed")
CHROMIUM = Path("/usr/bin/chromium")
FLAGS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
    "--disable-background-networking", "--disable-component-update",
]  # fmt: skip
pytestmark = [
    pytest.mark.live,
    pytest.mark.skipif(not CHROMIUM.exists(), reason="there is no /usr/bin/chromium"),
]
JUDGED = (
    "{ strategy: canary, steps: [{ weight: 20, max: 600s }, 100],"
    " analysis: { warm_up: 100ms, error_rate_max: 0.0001 } }"
)
HOSTILE = (
    "<img src=x onerror=document.title='owned'> \u202egnp.exe \x1b[31mred\x1b[0m \u200b<script>"
)
LOOKS = [{}, {"color_scheme": "dark"}, {"viewport": {"width": 375, "height": 740}}]


@pytest.fixture(scope="module")
def chromium():
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=str(CHROMIUM), args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def troubles():
    """What the browser complained of: errors of scripts, and what the policy refused."""
    return []


@pytest.fixture
def new_page(chromium, troubles):
    opened = []

    def make(**options):
        context = chromium.new_context(**options)
        opened.append(context)
        page = context.new_page()
        page.set_default_timeout(20_000)
        page.on("pageerror", lambda error: troubles.append(str(error)))
        page.on(
            "console", lambda said: troubles.append(said.text) if "Policy" in said.text else None
        )
        return page

    yield make
    for context in opened:
        context.close()


@pytest.fixture
def page(new_page, client, troubles):
    made = new_page()
    made.goto(client.console_link()["url"])
    made.wait_for_selector("#link.up")
    yield made
    assert troubles == []


def at(page, place):
    page.goto(page.url.partition("#")[0] + f"#/{place}")


def violations(page):
    from axe_playwright_python.sync_playwright import Axe

    return [
        (each["id"], [node["html"][:120] for node in each["nodes"]])
        for each in Axe().run(page).response["violations"]
    ]


@pytest.mark.req("T45")
def test_a_person_sees_a_canary_reads_why_it_waits_aborts_it_and_checks_the_ledger(page, service):
    service.deploy("v1")
    service.ask("v2", rollout=JUDGED)
    page.locator("a.name", has_text=service.name).click()
    page.wait_for_selector("text=v2 carries 20 %")
    assert page.locator(".ladder .now-step").inner_text().startswith("▶")
    waits = page.locator("[data-hold=needs-samples]")
    waits.wait_for()
    assert "more clean requests" in waits.inner_text()
    page.wait_for_selector("text=/Needs [0-9,]+ more requests/")

    page.keyboard.press("x")
    page.locator("#reason").fill("the walk is over")
    page.keyboard.press("Enter")
    page.wait_for_selector("#toast.on")
    page.wait_for_selector("text=v1 is live and carries 100 % of the traffic")
    assert "the walk is over" in page.locator(".now").inner_text()
    assert page.locator(".bar.big").get_attribute("aria-label") == "v1 100 %"
    assert "taken back from here" in page.locator(".ladder .back").inner_text()

    page.keyboard.press("3")
    entry = page.locator(".entries > li", has_text="RevertOrdered").first
    entry.locator("button").click()
    entry.locator(".verdict").wait_for()
    assert entry.locator(".verdict").inner_text() == "proven"
    assert "Ed25519 key signed" in entry.inner_text()
    second = page.locator(".entries > li", has_text="Started").first
    second.locator("button").click()
    second.locator("text=It continues the ledger of").wait_for()


def test_a_ledger_that_was_rewritten_is_not_proven(page, client, service):
    service.deploy("v1")
    at(page, f"s/{service.name}")
    page.keyboard.press("3")
    entry = page.locator(".entries > li").first

    def verdict():
        entry.locator("button").click()
        page.wait_for_selector(".entries > li:first-child .check:enabled")
        entry.locator(".verdict").wait_for()
        return entry.locator(".proof").inner_text()

    assert "not proven" not in verdict()
    forget = "Object.keys(localStorage).filter((key) => key.includes(' head '))"
    page.evaluate(
        f"{forget}.forEach((key) => localStorage.setItem(key, JSON.stringify("
        "{ ...JSON.parse(localStorage.getItem(key)), root: btoa('\\0'.repeat(32)) })))"
    )
    assert "not proven" in verdict()  # another history than this browser saw before

    def forge(route):
        lines = client.proof(int(route.request.url.rpartition("=")[2])).split("\n")
        lines[3] = "A" * 43 + "="
        route.fulfill(body="\n".join(lines))

    page.route("**/v1/ledger/proof*", forge)
    assert "the path leads to root" in verdict()


def test_hostile_lines_are_text_and_cannot_turn_or_hide_anything(page, service, running_home):
    service.deploy("v1")
    place = running_home.logs(service.name) / "v1-hostile"
    place.mkdir(parents=True, exist_ok=True)
    (place / "r1.log").write_text(HOSTILE + "\n")
    at(page, f"s/{service.name}")
    page.keyboard.press("2")
    line = page.locator(".logs bdi", has_text="img src").first
    line.wait_for()
    assert "<img src=x" in line.inner_text() and "<script>" in line.inner_text()
    assert "U+202E" in line.inner_text() and "U+200B" in line.inner_text()
    assert "\u202e" not in line.inner_text() and "[31m" not in line.inner_text()
    assert page.locator(".logs img").count() == 0 and "owned" not in page.title()


def test_a_viewer_sees_everything_and_every_order_is_disabled(new_page, client, service):
    service.deploy("v1")
    service.standing("v2")
    page = new_page()
    page.goto(client.console_link("viewer")["url"])
    at(page, f"s/{service.name}")
    page.wait_for_selector("[data-hold=needs-approval]")
    orders = page.locator(".actions button")
    assert all(orders.nth(n).is_disabled() for n in range(orders.count()))
    assert "needs the role" in page.locator("[data-verb=abort]").get_attribute("title")
    page.keyboard.press("x")
    assert not page.locator("#dialog[open]").count()


@pytest.mark.parametrize("options", LOOKS, ids=["light", "dark", "phone"])
def test_nothing_on_any_page_shuts_anybody_out(new_page, client, service, options):
    service.deploy("v1")
    service.standing("v2")
    page = new_page(**options)
    page.goto(client.console_link()["url"])
    page.wait_for_selector(".board li")
    assert violations(page) == []
    for place, ready in (
        ("drills", "text=holdfast drill"),
        ("ledger", ".entries > li"),
        (f"s/{service.name}", ".ladder .now-step"),
    ):
        at(page, place)
        page.wait_for_selector(ready)
        assert violations(page) == [], place
        wide = page.evaluate("document.documentElement.scrollWidth - innerWidth")
        assert wide <= 0, (place, wide)
    for key, ready in (("2", ".logs"), ("4", ".regions li"), ("?", "#dialog[open]")):
        page.keyboard.press(key)
        page.wait_for_selector(ready)
        assert violations(page) == [], key


def test_nothing_jumps_while_numbers_change(page, service):
    service.deploy("v1")
    service.standing("v2")
    at(page, f"s/{service.name}")
    page.wait_for_selector(".u-wrap canvas")
    page.evaluate(
        "window.moved = 0; new PerformanceObserver((list) => list.getEntries()"
        ".forEach((each) => window.moved += each.value)).observe({ type: 'layout-shift' })"
    )
    time.sleep(2.5)
    assert page.evaluate("window.moved") < 0.01


def test_a_page_survives_the_conductor_and_says_when_it_is_alone(new_page, home):
    start_daemon(home)
    page = new_page()
    page.goto(Client(home).console_link()["url"])
    page.wait_for_selector("text=No service is deployed on this conductor yet.")
    stop_daemon(home)
    page.wait_for_selector("#link.down")
    assert "not connected" in page.locator("#link").inner_text()
    start_daemon(home)
    page.wait_for_selector("#link.up")


def test_a_page_whose_session_ends_shows_nothing_more(new_page, client, running_home):
    from holdfast.conductor.auth import Role, create_token, revoke_token

    token = create_token(running_home, "wall-display", Role.VIEWER, time.time())
    port = client.console_link()["url"].split(":")[2].partition("/")[0]
    page = new_page()
    page.goto(Client(f"127.0.0.1:{port}", token).console_link()["url"])
    page.wait_for_selector("#link.up")
    assert page.locator("#who").inner_text() == "wall-display, viewer"
    revoke_token(running_home, "wall-display")
    page.wait_for_selector("text=Your session has ended.")
    assert page.locator(".board").count() == 0


def test_who_is_not_signed_in_is_told_how(new_page, client, page):
    stranger = new_page()
    stranger.goto(page.url.partition("#")[0])
    stranger.wait_for_selector("text=holdfast console")
    page.locator("#out").click()
    page.wait_for_selector("text=You have signed out.")
    assert violations(page) == []
