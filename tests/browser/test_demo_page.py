"""`twin demo` in a browser, as its user sees it; with TWIN_SCREENSHOTS=1 the pictures in docs/."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from ingest.instant import format_instant
from tests.browser.conftest import LIVE
from tests.support.commands import eventually
from tests.support.demo import DemoRun
from tests.support.ingest_line import publish
from tests.support.stopwatch import Stopwatch

PICTURES = Path(__file__).parents[2] / "docs/screenshots"
#: Twenty minutes of simulated time for the pictures; a test needs a few seconds.
LONG = os.environ.get("TWIN_SCREENSHOTS") == "1"


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DemoRun]:
    speed = ("--speed", "20") if LONG else ()
    with DemoRun(tmp_path_factory.mktemp("demo"), "--patients", "12", *speed) as demo:
        yield demo


def picture(page: Page, name: str) -> None:
    if LONG:
        PICTURES.mkdir(parents=True, exist_ok=True)
        page.screenshot(path=PICTURES / f"{name}.png", full_page=name == "patient")


def test_the_ward_shows_everybody_live_with_ribbon_and_notice(page: Page, demo: DemoRun) -> None:
    eventually(lambda: len(demo.get("/api/v1/patients")["patients"]) == 12, "patients")
    time.sleep(90 if LONG else 0)
    page.goto(demo.announced["url"])
    page.wait_for_function(LIVE)
    # Until the twin has said that its alarms are on, the page says that it calls nobody.
    on = "() => document.body.innerText.includes('Research: not for the care of patients')"
    page.wait_for_function(on)
    words = page.inner_text("body")
    assert "SIMULATED DATA" in words.upper()
    assert "Not a medical device" in words
    assert all(f"Bed {n}" in words for n in range(1, 13))
    picture(page, "ward")


def test_a_patients_page_draws_estimates_of_every_vital(page: Page, demo: DemoRun) -> None:
    eventually(lambda: demo.get("/api/v1/patients")["patients"], "patients")
    patient = demo.get("/api/v1/patients")["patients"][0]["id"]
    page.goto(f"{demo.announced['url']}/p/{patient}")
    page.wait_for_function(LIVE)
    page.wait_for_selector("canvas")
    expect(page.locator("[role=figure]").nth(3)).to_be_attached()
    if LONG:
        page.get_by_role("button", name="1 h").click()
        page.wait_for_timeout(3_000)
    picture(page, "patient")


@pytest.mark.skipif(LONG, reason="stamps of the wall clock do not fit a faster demo")
def test_one_published_message_is_on_the_page_within_two_seconds(page: Page, demo: DemoRun) -> None:
    page.goto(demo.announced["url"])
    page.wait_for_function(LIVE)
    publish(
        demo.mqtt_port,
        "twin/v1/watch-of-mine/telemetry",
        f'{{"time":"{format_instant(time.time_ns())}","values":{{"heart_rate":187}}}}'.encode(),
    )
    watch = Stopwatch()
    page.wait_for_function("() => document.body.innerText.includes('187')")
    assert watch.unhindered < 2.0 + 1.0  # care.md: 2 s at most; 1 s for this test's own browser
