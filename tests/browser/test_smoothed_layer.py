"""The layer "seen from afterwards" on the patient page: asked for, shown, said, taken away."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, Route, expect

from tests.browser.conftest import LIVE, Ward, comes

pytestmark = [pytest.mark.browser]

FIGURE = ".vital[data-code=heart_rate] .figure"


def answered(route: Route) -> None:
    """A heart rate of 71 to 75 in the last 20 minutes; nothing of the other signals."""
    if "/heart_rate/" not in route.request.url:
        route.fulfill(status=422, content_type="application/problem+json", body="{}")
        return
    (end,) = re.findall(r"to=(\d+)", route.request.url)
    time = [int(end) - 1000 * s for s in range(1200, 0, -10)]
    mean = [71 + i * 4 / (len(time) - 1) for i in range(len(time))]
    body = {"unit": "/min", "time": time, "mean": mean, "std": [1] * len(time)}
    body |= {"lo95": [m - 2 for m in mean], "hi95": [m + 2 for m in mean]}
    route.fulfill(json=body)


def test_it_is_asked_for_by_the_keyboard_said_and_taken_away(ward: Ward, page: Page) -> None:
    page.route("**/smoothed?*", answered)
    page.goto(f"{ward.url}/p/p1?r=1h")
    page.wait_for_function(LIVE)
    plain = page.locator(FIGURE)
    expect(plain).not_to_have_attribute("aria-label", re.compile("Seen from afterwards"))
    page.locator("#smooth").focus()
    page.keyboard.press("Space")
    expect(page.locator("#smooth-said")).to_contain_text("Not for Respiratory rate")
    expect(plain).to_have_attribute("aria-label", re.compile("Seen from afterwards: 71 to 75 /min"))
    page.keyboard.press("Space")
    expect(page.locator("#smooth-said")).to_have_text("")
    expect(plain).not_to_have_attribute("aria-label", re.compile("Seen from afterwards"))


def test_an_answer_that_comes_after_it_was_taken_away_is_not_shown(ward: Ward, page: Page) -> None:
    def late(route: Route) -> None:
        held.append(route)

    held: list[Route] = []
    page.route("**/smoothed?*", answered)
    page.route("**/heart_rate/smoothed?*", late)
    page.goto(f"{ward.url}/p/p1?r=1h")
    page.wait_for_function(LIVE)
    page.locator("#smooth").check()
    comes(page, lambda: held)
    page.locator("#smooth").uncheck()
    expect(page.locator("#smooth-said")).to_have_text("")
    with page.expect_response("**/heart_rate/smoothed?*"):
        answered(held[0])
    page.wait_for_timeout(500)  # for the answer to be read, and for what it would draw
    expect(page.locator("#smooth-said")).to_have_text("")
    expect(page.locator(FIGURE)).not_to_have_attribute(
        "aria-label", re.compile("Seen from afterwards")
    )


def test_without_a_record_it_says_so_in_the_pages_order(ward: Ward, page: Page) -> None:
    def late(route: Route) -> None:
        """The first of the page is answered last."""
        held.append(route)

    held: list[Route] = []
    page.route("**/heart_rate/smoothed?*", late)
    page.goto(f"{ward.url}/p/p1?r=1h")
    page.wait_for_function(LIVE)
    with page.expect_response("**/body_temperature/smoothed?*"):
        page.locator("#smooth").check()
    comes(page, lambda: held)
    held[0].continue_()
    names = "Heart rate, Respiratory rate, Oxygen saturation, Body temperature"
    expect(page.locator("#smooth-said")).to_contain_text(f"Not for {names}: ")
