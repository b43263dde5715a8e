"""The link: live values, loss seen within seconds, recovery without reload."""

from __future__ import annotations

import re
import time

import pytest
from playwright.sync_api import Page, Route, expect

from tests.browser.conftest import LIVE, LOST, NOT_LIVE, Ward, comes

pytestmark = [pytest.mark.browser, pytest.mark.timeout(180)]


def seconds_until(page: Page, script: str, limit: float) -> float:
    """How long until a script's value is true."""
    began = time.monotonic()
    page.wait_for_function(script, timeout=limit * 1000)
    return time.monotonic() - began


def cell(page: Page, patient: str, code: str) -> str:
    return f"[data-id={patient}] [data-code={code}]"


def test_rows_live_and_age_and_a_label_given_meanwhile_shows(ward: Ward, page: Page) -> None:
    page.goto(ward.url)
    expect(page.locator("#pill")).to_have_text(re.compile("Live"))
    value = page.locator(f"{cell(page, 'p1', 'heart_rate')} .value")
    first = value.inner_text()
    expect(value).not_to_have_text(first)
    names = page.locator(".row:visible .label").all_inner_texts()
    assert names == ["Bed 1", "Bed 2", "Bed 10", "Bed 12 by the window", "Bed 20", "p4"]
    ward.label(p4="Bed 3")
    expect(page.locator("[data-id=p4] .label")).to_have_text("Bed 3")
    names = page.locator(".row:visible .label").all_inner_texts()
    assert names[2] == "Bed 3"


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
    assert seconds_until(page, NOT_LIVE, 6) < 6
    seconds_until(page, LOST, 12)
    expect(page.locator("#banner")).to_be_visible()
    expect(page.locator("#banner")).to_have_text(re.compile("Connection lost – values of"))
    assert page.evaluate("document.body.classList.contains('dim')")
    shown = page.locator(f"{cell(page, 'p1', 'heart_rate')} .sub")
    expect(shown).to_have_text(re.compile(r"\d+\ss$"))  # said from an age of 10 s
    expect(shown).not_to_have_text(shown.inner_text())
    ward.process.start()
    assert seconds_until(page, LIVE, 10) < 10
    expect(page.locator("#banner")).to_be_hidden()
    assert page.evaluate("window.notReloaded")
    expect(page.locator(cell(page, "p1", "heart_rate"))).to_have_attribute("data-status", "fresh")


def test_a_server_that_hangs_is_noticed_by_its_missing_heartbeat(ward: Ward, page: Page) -> None:
    page.goto(ward.url)
    page.wait_for_function(LIVE)
    ward.process.pause()
    try:
        assert seconds_until(page, NOT_LIVE, 8) < 8
        seconds_until(page, LOST, 8)
    finally:
        ward.process.resume()
    assert seconds_until(page, LIVE, 10) < 10


def test_a_503_does_not_end_the_stream_for_good(ward: Ward, page: Page) -> None:
    refused = []

    def refuse(route: Route) -> None:
        refused.append(route.request.url)
        route.fulfill(status=503, body="")

    page.route("**/api/v1/stream**", refuse)
    page.goto(ward.url)
    comes(page, lambda: len(refused) >= 2)
    page.unroute("**/api/v1/stream**")
    assert seconds_until(page, LIVE, 10) < 10


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
    context = page.context.browser.new_context(timezone_id="Asia/Tokyo")
    wrong = context.new_page()
    wrong.add_init_script("const real = Date.now; Date.now = () => real() - 300000;")
    for each in (page, wrong):
        each.goto(ward.url)
        each.wait_for_function(LIVE)
    late = cell(page, "p5", "respiratory_rate") + " .sub"
    assert page.locator(late).inner_text() == wrong.locator(late).inner_text()
    clocks = [each.locator("#clock").inner_text() for each in (page, wrong)]
    assert clocks[0][:5] == clocks[1][:5]
    context.close()


def test_what_the_script_writes_is_what_the_server_wrote(ward: Ward, page: Page) -> None:
    ward.set("dead")
    read = """() => [...document.querySelectorAll("#rows .cell")].map((cell) =>
      [".value", ".arrow", ".sub"].map((part) => cell.querySelector(part).textContent).join(" "))"""
    for language in ("en", "fr"):
        page.goto(f"{ward.url}/?lang={language}")
        page.wait_for_function(LIVE)
        page.wait_for_timeout(500)
        live = page.evaluate(read)
        still = page.context.browser.new_context(java_script_enabled=False).new_page()
        still.goto(f"{ward.url}/?lang={language}")
        served = [
            " ".join(cell.locator(f".{part}").text_content() for part in ("value", "arrow", "sub"))
            for cell in still.locator("#rows .cell").all()
        ]
        still.context.close()
        ages = re.compile(r"\d+\s(s|min|h)$")
        assert [ages.sub("", text) for text in live] == [ages.sub("", text) for text in served]
        assert len(live) == 24
