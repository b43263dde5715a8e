"""The link: live values, loss seen within seconds, recovery without reload."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, Route, expect

from tests.browser.conftest import LIVE, LOST, NOT_LIVE, Ward, comes, context_of
from tests.support.stopwatch import Stopwatch

pytestmark = [pytest.mark.browser]


#: The longest wait between two attempts of a page to come back, in s.
LAST_ATTEMPT_S = 15 * 1.25


def seconds_until(page: Page, script: str) -> float:
    """How long until a script's value is true, in seconds that this machine had to spare."""
    watch = Stopwatch()
    page.wait_for_function(script)
    return watch.unhindered


def cell(page: Page, patient: str, code: str) -> str:
    return f"[data-id={patient}] [data-code={code}]"


def test_rows_live_and_age_and_a_label_given_meanwhile_shows(ward: Ward, page: Page) -> None:
    page.goto(ward.url)
    expect(page.locator("#pill")).to_have_text(re.compile("Live"))
    value = page.locator(f"{cell(page, 'p1', 'heart_rate')} .value")
    first = value.inner_text()
    expect(value).not_to_have_text(first)
    names = page.locator(".row:visible .label")
    expect(names).to_have_text(["Bed 1", "Bed 2", "Bed 10", "Bed 12 by the window", "Bed 20", "p4"])
    ward.label(p4="Bed 3")
    expect(page.locator("[data-id=p4] .label")).to_have_text("Bed 3")
    expect(names.nth(2)).to_have_text("Bed 3")


def test_a_silent_device_turns_late_then_stale_struck_through_without_arrow(
    ward: Ward, page: Page
) -> None:
    page.goto(ward.url)
    heart = page.locator(cell(page, "p2", "heart_rate"))
    expect(heart).to_have_attribute("data-status", "fresh")
    ward.set("silent", "20")
    expect(heart).to_have_attribute("data-status", "late")
    ward.set("silent", "200")
    expect(heart).to_have_attribute("data-status", "stale")
    line = heart.locator(".value").evaluate("e => getComputedStyle(e).textDecorationLine")
    assert line == "line-through"
    expect(heart.locator(".arrow")).to_have_text("")
    expect(heart.locator(".sub")).to_have_text(re.compile("^stale · "))
    before = heart.locator(".sub").inner_text()
    expect(heart.locator(".sub")).not_to_have_text(before)
    ward.unset("silent")
    expect(heart).to_have_attribute("data-status", "fresh")


def test_a_killed_server_is_noticed_in_6_s_and_back_in_10_s_without_reload(
    ward: Ward, page: Page
) -> None:
    page.goto(ward.url)
    page.wait_for_function(LIVE)
    page.evaluate("window.notReloaded = true")
    ward.process.kill()
    away = Stopwatch()
    assert seconds_until(page, NOT_LIVE) < 6
    page.wait_for_function(LOST)
    expect(page.locator("#banner")).to_be_visible()
    expect(page.locator("#banner")).to_have_text(re.compile("Connection lost – values of"))
    assert page.evaluate("document.body.classList.contains('dim')")
    shown = page.locator(f"{cell(page, 'p1', 'heart_rate')} .sub")
    expect(shown).to_have_text(re.compile(r"\d+\ss$"))  # said from an age of 10 s
    expect(shown).not_to_have_text(shown.inner_text())
    ward.process.start()
    # It tries again in 1, 2, 4, 8 s: who was away for longer, as his start took long, waits longer.
    within = 10 if away.seconds < 16 else LAST_ATTEMPT_S + 2
    assert seconds_until(page, LIVE) < within
    expect(page.locator("#banner")).to_be_hidden()
    assert page.evaluate("window.notReloaded")
    expect(page.locator(cell(page, "p1", "heart_rate"))).to_have_attribute("data-status", "fresh")


def test_a_server_that_hangs_is_noticed_by_its_missing_heartbeat(ward: Ward, page: Page) -> None:
    page.goto(ward.url)
    page.wait_for_function(LIVE)
    ward.process.pause()
    try:
        assert seconds_until(page, NOT_LIVE) < 8
        assert seconds_until(page, LOST) < 8
    finally:
        ward.process.resume()
    assert seconds_until(page, LIVE) < 10


def test_a_503_does_not_end_the_stream_for_good(ward: Ward, page: Page) -> None:
    refused = []

    def refuse(route: Route) -> None:
        refused.append(route.request.url)
        route.fulfill(status=503, body="")

    page.route("**/api/v1/stream**", refuse)
    page.goto(ward.url)
    comes(page, lambda: len(refused) >= 2)
    page.unroute("**/api/v1/stream**")
    within = 10 if len(refused) <= 3 else LAST_ATTEMPT_S + 2  # so often, if we looked late
    assert seconds_until(page, LIVE) < within


def test_it_is_live_once_the_values_came_and_not_before(ward: Ward, page: Page) -> None:
    asked = []

    def greet(route: Route) -> None:
        asked.append(route.request.url)
        hello = f'{{"time": {ward.started_ms}, "speed": 1, "build": "test", "statuses": []}}'
        said = f"retry: 300\n\nevent: hello\ndata: {hello}\n\n"
        route.fulfill(content_type="text/event-stream", body=said)

    page.route("**/api/v1/stream**", greet)
    page.goto(ward.url)
    comes(page, lambda: len(asked) >= 2)  # the first greeting was heard, and its stream is over
    assert page.locator("#pill .text").inner_text() == "Connecting…"
    page.unroute("**/api/v1/stream**")
    page.wait_for_function(LIVE)


def test_ingest_that_is_down_is_said_though_the_link_is_live(ward: Ward, page: Page) -> None:
    page.goto(ward.url)
    page.wait_for_function(LIVE)
    ward.set("dead")
    ward.set("ingest-dead")
    expect(page.locator("#banner")).to_have_text(re.compile("ingest is down"))
    assert page.evaluate("document.body.classList.contains('dim')")
    ward.unset("ingest-dead")
    ward.unset("dead")
    expect(page.locator("#banner")).to_be_hidden()


def test_the_browsers_clock_and_zone_change_no_age_and_no_time(ward: Ward, page: Page) -> None:
    context = context_of(page.context.browser, timezone_id="Asia/Tokyo")
    wrong = context.new_page()
    wrong.add_init_script("const real = Date.now; Date.now = () => real() - 300000;")
    for each in (page, wrong):
        each.goto(ward.url)
        each.wait_for_function(LIVE)
    late = cell(page, "p5", "respiratory_rate") + " .sub"

    def alike(place: str, part: slice = slice(None)) -> bool:
        """Asked one after the other, so that a minute may end between."""
        first, second = (each.locator(place).inner_text()[part] for each in (page, wrong))
        return first == second

    comes(page, lambda: alike(late))
    comes(page, lambda: alike("#clock", slice(5)))
    context.close()


#: What the cells of a ward's page say, in its order.
READ = """() => [...document.querySelectorAll("#rows .cell")].map((cell) =>
  [".value", ".arrow", ".sub"].map((part) => cell.querySelector(part).textContent).join(" "))"""
AGES = re.compile(r"\d+\s(s|min|h)$")


@pytest.mark.parametrize("language", ["en", "fr"])
def test_what_the_script_writes_is_what_the_server_wrote(
    ward: Ward, page: Page, language: str
) -> None:
    ward.set("dead")
    page.goto(f"{ward.url}/?lang={language}")
    page.wait_for_function(LIVE)
    context = context_of(page.context.browser, java_script_enabled=False)
    still = context.new_page()

    def both() -> tuple[list[str], list[str]]:
        """Without ages: what the script has written, and what the server writes."""
        still.goto(f"{ward.url}/?lang={language}")
        said = (each.evaluate(READ) for each in (page, still))
        live, served = ([AGES.sub("", text) for text in texts] for texts in said)
        return live, served

    def settled() -> bool:
        """The last values of the devices that fell silent are on both."""
        live, served = both()
        return live == served

    comes(page, settled)
    live, served = both()
    assert live == served
    assert len(live) == 24
    context.close()
