"""A scenario on the patient page: declared by form, drawn beside the forecast, kept nowhere."""

from __future__ import annotations

import json
import re
import time
from typing import Any

import pytest
from playwright.sync_api import Page, Request, Route, expect

from ingest.instant import MILLISECOND
from tests.browser.axe import violations
from tests.browser.conftest import LIVE, Ward, comes, fits
from twin.forecast import WATERMARK

pytestmark = [pytest.mark.browser, pytest.mark.timeout(180)]

HEART = ".vital[data-code=heart_rate]"
SPO2 = ".vital[data-code=spo2]"
#: How many of the canvas's pixels have the scenario's colour (brown: red over green over blue).
BROWN = """(selector) => {
  const canvas = document.querySelector(`${selector} canvas`);
  const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
  let n = 0;
  for (let i = 0; i < data.length; i += 4) {
    const [r, g, b, a] = data.slice(i, i + 4);
    if (a > 200 && r - g > 40 && g - b > 40 && r > 100) n++;
  }
  return n;
}"""


class Twin:
    """Answers scenarios: each effect adds what it declares, a lost device widens what is known."""

    def __init__(self, page: Page) -> None:
        self.asked: list[dict[str, Any]] = []
        self.others: list[str] = []
        page.route("**/scenario", self.answer)
        page.on("request", self.seen)

    def seen(self, request: Request) -> None:
        if request.method != "GET" and not request.url.endswith("/scenario"):
            self.others.append(request.url)

    def answer(self, route: Route, request: Request) -> None:
        body = json.loads(request.post_data or "")
        self.asked.append(body)
        now = time.time_ns() // MILLISECOND
        steps = [s * body["step_s"] for s in range(int(body["horizon_s"] / body["step_s"]) + 1)]
        lift = sum(each["level"] * 120 for each in body["activity"])
        lift += sum(each["amount"] for each in body["drug"])
        signals = {}
        for code, mean, std, add in (("heart_rate", 76, 2, lift), ("spo2", 97, 0.5, 0)):
            means = [mean + (add if s > 0 else 0) for s in steps]
            known = 0.5 + (2.0 if body["lost"] and code == "spo2" else 0.0)
            curve = {"unit": "", "time": [now + int(s * 1000) for s in steps], "mean": means}
            curve |= {f"lo{b}": [m - z * std for m in means] for b, z in ((50, 0.7), (95, 2))}
            curve |= {f"hi{b}": [m + z * std for m in means] for b, z in ((50, 0.7), (95, 2))}
            curve |= {"std": [std] * len(steps), "known_std": [known] * len(steps)}
            signals[code] = curve
        route.fulfill(
            json={"watermark": WATERMARK, "time": "", "patient": "p1", "signals": signals}
        )


def opened(page: Page, ward: Ward, query: str = "r=1h") -> Twin:
    twin = Twin(page)
    page.goto(f"{ward.url}/p/p1?{query}")
    page.wait_for_function(LIVE)
    expect(page.locator(".worn a")).to_have_text("watch-1")
    page.locator("#whatif summary").focus()
    page.keyboard.press("Enter")
    expect(page.locator("#whatif [name=signal] option")).not_to_have_count(0)
    return twin


def test_by_keyboard_it_is_declared_shown_watermarked_and_taken_away(
    still_ward: Ward, page: Page
) -> None:
    twin = opened(page, still_ward)
    page.keyboard.press("Tab")
    page.keyboard.type("0.25")
    page.keyboard.press("Enter")
    told = page.locator(f"{HEART} .whatif")
    expect(told).to_have_text(
        re.compile(r"SCENARIO – not a measurement: at [\d:]+ 106 \(102–110\) /min, without it 76")
    )
    expect(page.locator("#whatif [role=status]")).to_contain_text("Vitals that change: 1")
    expect(page.locator("#whatif caption")).to_have_text("SCENARIO – not a measurement")
    expect(page.locator(f"{SPO2} .whatif")).to_have_count(0)
    comes(page, lambda: page.evaluate(BROWN, HEART) > 100)
    assert page.evaluate(BROWN, SPO2) == 0
    asked, plain = twin.asked
    assert asked == {
        "horizon_s": 3600, "step_s": 30, "drug": [], "lost": [],
        "activity": [{"level": 0.25, "measured": "activity", "begins_s": 0, "ends_s": 1200}],
    }  # fmt: skip
    assert plain == asked | {"activity": []}
    assert twin.others == []

    page.locator("#whatif .away").focus()
    page.keyboard.press("Enter")
    expect(told).to_have_count(0)
    comes(page, lambda: page.evaluate(BROWN, HEART) == 0)
    expect(page.locator("#whatif .scroll")).to_be_hidden()


def test_an_answer_that_comes_after_it_was_asked_anew_is_not_shown(
    still_ward: Ward, page: Page
) -> None:
    def late(route: Route) -> None:
        held.append(route)

    held: list[Route] = []
    twin = opened(page, still_ward)
    page.route("**/scenario", late, times=1)
    level = page.locator("#whatif [name=level]").first
    level.fill("0.5")
    level.press("Enter")
    comes(page, lambda: held)
    level.fill("0.25")
    level.press("Enter")
    told = page.locator(f"{HEART} .whatif")
    expect(told).to_contain_text("106 (102–110)")
    asked = len(twin.asked)
    twin.answer(held[0], held[0].request)
    comes(page, lambda: len(twin.asked) == asked + 2)  # the late one goes on to what is plain
    page.wait_for_load_state("networkidle")
    expect(told).to_contain_text("106 (102–110)")


def test_a_profile_a_drug_and_a_lost_device_are_asked_together(
    still_ward: Ward, page: Page
) -> None:
    twin = opened(page, still_ward)
    form = page.locator("#whatif form")
    form.locator("[name=level]").fill("0.1")
    form.get_by_role("button", name="Another").first.click()
    second = form.locator("[data-kind=activity]").nth(1)
    expect(second.locator("[name=level]")).to_be_focused()
    second.locator("[name=level]").fill("0.4")
    second.locator("[name=begins_s]").fill("20")
    second.locator("[name=ends_s]").fill("30")
    second.locator("[name=gain]").fill("100")
    second.locator("[name=gain_std]").fill("20")
    drug = form.locator("[data-kind=drug]")
    drug.locator("[name=amount]").fill("-12")
    drug.locator("[name=std]").fill("4")
    form.get_by_role("button", name="Show").click()
    expect(page.locator(f"{HEART} .whatif")).to_be_visible()
    asked = twin.asked[0]
    assert [each["level"] for each in asked["activity"]] == [0.1, 0.4]
    assert (
        asked["activity"][1] | {"gain": 100, "gain_std": 20, "begins_s": 1200}
        == (asked["activity"][1])
    )
    assert asked["drug"] == [
        {"amount": -12, "std": 4, "signal": "heart_rate", "begins_s": 0, "onset_s": 600,
         "decay_s": 7200}
    ]  # fmt: skip
    second.get_by_role("button", name="Remove").click()
    expect(form.locator("[data-kind=activity]")).to_have_count(1)


def test_what_cannot_be_is_said_at_its_field_and_nothing_is_asked(
    still_ward: Ward, page: Page
) -> None:
    twin = opened(page, still_ward)
    said = page.locator("#whatif [role=status]")
    show = page.locator("#whatif").get_by_role("button", name="Show")
    show.click()
    expect(said).to_have_text("Declare an activity, a drug or a lost device first")
    page.locator("#whatif [name=amount]").fill("5")
    show.click()
    expect(page.locator("#whatif [data-kind=drug] [name=std]")).to_be_focused()
    page.locator("#whatif [name=std]").fill("1")
    page.locator("#whatif [name=onset_s]").fill("200")
    show.click()
    expect(page.locator("#whatif [name=decay_s]")).to_be_focused()
    assert twin.asked == []


def test_a_lost_device_is_ticked_and_says_what_would_be_known(still_ward: Ward, page: Page) -> None:
    twin = opened(page, still_ward)
    page.get_by_label("watch-1").check()
    page.locator("#whatif").get_by_role("button", name="Show").click()
    row = page.locator("#whatif tbody tr")
    expect(row).to_have_count(1)
    expect(row).to_contain_text("± 4.9 / ± 1.0")
    assert [each["lost"] for each in twin.asked] == [["watch-1"], []]


def test_in_french_on_a_narrow_telephone(still_ward: Ward, page: Page) -> None:
    page.set_viewport_size({"width": 320, "height": 640})
    opened(page, still_ward, "r=1h&lang=fr")
    page.locator("#whatif [name=level]").fill("0.2")
    page.get_by_role("button", name="Afficher").click()
    expect(page.locator(f"{HEART} .whatif")).to_contain_text("SCÉNARIO – pas une mesure")
    fits(page)
    assert violations(page) == []


def test_of_a_twin_without_snapshots_it_says_why_not(still_ward: Ward, page: Page) -> None:
    page.goto(f"{still_ward.url}/p/p1?r=1h")
    page.wait_for_function(LIVE)
    page.locator("#whatif summary").click()
    expect(page.locator("#whatif [name=signal] option")).not_to_have_count(0)
    page.locator("#whatif [name=level]").fill("0.2")
    page.locator("#whatif").get_by_role("button", name="Show").click()
    said = page.locator("#whatif [role=status]")
    expect(said).to_have_text("Not done: this process has no snapshots of the twin")
    expect(page.locator(".vital .whatif")).to_have_count(0)
