"""The patient page: what is drawn, and above all what is not."""

from __future__ import annotations

import re
import time

import pytest
from playwright.sync_api import Locator, Page, Route, expect

from tests.browser.conftest import LIVE, Ward, comes
from tests.support.estimates import batch, observed
from tests.support.ward_program import GAP_MIN

pytestmark = [pytest.mark.browser]

#: Columns of the canvas of one vital, from left to right: has any pixel of estimate or band (blue
#: clearly over red) in it? With its plotting area, and the time that each column stands for.
PROBE = """(code) => {
  const canvas = document.querySelector(`.vital[data-code=${code}] canvas`);
  const over = document.querySelector(`.vital[data-code=${code}] .u-over`).getBoundingClientRect();
  const box = canvas.getBoundingClientRect();
  const scale = canvas.width / box.width;
  const [left, top] = [(over.left - box.left) * scale, (over.top - box.top) * scale];
  const [width, height] = [over.width * scale, over.height * scale].map(Math.floor);
  const { data } = canvas.getContext("2d").getImageData(left, top, width, height);
  const blue = [];
  for (let x = 0; x < width; x++) {
    let found = false;
    for (let y = 0; y < height && !found; y++) {
      const i = 4 * (y * width + x);
      found = data[i + 3] > 8 && data[i + 2] - data[i] > 12;
    }
    blue.push(found);
  }
  return blue;
}"""
#: A figure's sentence is said when it is drawn first.
DRAWN = """() => [...document.querySelectorAll(".vital .figure")]
  .every((figure) => figure.getAttribute("aria-label") !== "Loading…")"""
#: A second of yesterday, as midnight passes, with its date.
MOMENT = r"(\d{4}-\d\d-\d\d )?\d\d:\d\d:\d\d"
#: Over 7 days 45 min are two pixels, less than the buckets that a history of that length comes in.
HOURS = {"4h": 4, "12h": 12, "24h": 24}


def open_patient(page: Page, ward: Ward, query: str = "") -> None:
    page.goto(f"{ward.url}/p/p1?{query}")
    page.wait_for_function(DRAWN)
    page.wait_for_function(LIVE)
    page.evaluate("() => new Promise((seen) => requestAnimationFrame(() => setTimeout(seen, 100)))")


@pytest.mark.parametrize("span", list(HOURS))
@pytest.mark.parametrize("code", ["heart_rate", "spo2"])
def test_a_gap_of_45_min_holds_no_pixel_of_estimate_or_band(
    still_ward: Ward, page: Page, span: str, code: str
) -> None:
    open_patient(page, still_ward, f"r={span}")
    margin = 2

    def probed() -> tuple[list[bool], list[bool], list[bool]]:
        """Columns in the gap, and those beside it on either side."""
        # The ward may have been started some minutes ago; the gap lies by its start.
        age = page.evaluate(f"Date.now() - {still_ward.started_ms}") / 60_000
        blue = page.evaluate(PROBE, code)
        first, last = (round((1 - (at + age) / (HOURS[span] * 60)) * len(blue)) for at in GAP_MIN)
        before, after = blue[max(0, first - 12) : first - margin], blue[last + margin : last + 12]
        return blue[first + margin : last - margin], before, after

    comes(page, lambda: all(any(side) for side in probed()[1:]))
    inside, *_ = probed()
    assert inside
    assert not any(inside)


def test_the_gap_is_drawn_through_by_nothing_in_a_zoomed_period(
    still_ward: Ward, page: Page
) -> None:
    start = still_ward.started_ms
    open_patient(page, still_ward, f"from={start - 95 * 60_000}&to={start - 60 * 60_000}")
    assert not any(page.evaluate(PROBE, "heart_rate"))
    expect(page.locator(".vital[data-code=heart_rate] .note")).to_have_text(
        "No estimate in this period"
    )


def test_live_values_append_at_the_right_edge(still_ward: Ward, page: Page) -> None:
    open_patient(page, still_ward, "r=15m")
    comes(page, lambda: any(page.evaluate(PROBE, "heart_rate")[-8:]))


def test_history_is_framed_and_leads_back_to_live(still_ward: Ward, page: Page) -> None:
    open_patient(page, still_ward, "r=1h")
    expect(page.locator("#mode")).to_have_text("LIVE")
    page.locator("#earlier").click()
    expect(page.locator("#mode")).to_have_text("HISTORY – not live")
    expect(page).to_have_url(re.compile("from="))
    assert page.evaluate("document.body.classList.contains('history')")
    heart = page.locator(".vital[data-code=heart_rate]")
    expect(heart).to_have_attribute("data-status", "fresh")
    page.locator("#return").click()
    expect(page.locator("#mode")).to_have_text("LIVE")
    expect(page).to_have_url(re.compile("r=1h"))
    expect(heart).to_have_attribute("data-status", "fresh")


def test_dragging_over_a_chart_zooms_all_of_them(still_ward: Ward, page: Page) -> None:
    open_patient(page, still_ward, "r=1h")
    box = page.locator(".vital[data-code=spo2] .u-over").bounding_box()
    assert box
    page.mouse.move(box["x"] + 100, box["y"] + 50)
    page.mouse.down()
    page.mouse.move(box["x"] + 260, box["y"] + 60, steps=4)
    page.mouse.up()
    expect(page.locator("#mode")).to_have_text("HISTORY – not live")
    expect(page).to_have_url(re.compile("from="))
    bounds = re.findall(r"(?:from|to)=(\d+)", page.url)
    assert 60_000 < int(bounds[1]) - int(bounds[0]) < 40 * 60_000


def test_values_are_read_by_arrow_keys_and_in_a_table(still_ward: Ward, page: Page) -> None:
    open_patient(page, still_ward, "r=1h")
    vital = page.locator(".vital[data-code=heart_rate]")
    vital.locator(".figure").focus()
    page.keyboard.press("ArrowLeft")
    spoken = vital.locator(".spoken")
    expect(spoken).to_have_text(re.compile(rf"^{MOMENT}: \d+ /min, 95 %: \d+ to \d+$"))
    first = spoken.inner_text()
    page.keyboard.press("Shift+ArrowLeft")
    expect(spoken).not_to_have_text(first)
    page.keyboard.press("t")
    expect(vital.locator("tbody tr")).to_have_count(13)
    said = re.compile("^Heart rate, .*0 gaps without data")
    expect(vital.locator(".figure")).to_have_attribute("aria-label", said)


def test_a_signal_that_comes_new_opens_a_chart(still_ward: Ward, page: Page) -> None:
    def without_spo2(route: Route) -> None:
        answer = route.fetch()
        section = r'<section class="vital" data-code="spo2".*?</section>'
        route.fulfill(response=answer, body=re.sub(section, "", answer.text(), flags=re.S))

    page.route(re.compile(r"/p/p1"), without_spo2)
    page.goto(f"{still_ward.url}/p/p1")
    expect(page.locator(".vital[data-code=spo2] h2")).to_have_text("Oxygen saturation")
    codes = page.locator(".vital").evaluate_all("list => list.map((e) => e.dataset.code)")
    assert codes == ["heart_rate", "respiratory_rate", "spo2", "body_temperature"]


def test_a_curve_that_cannot_be_had_says_so_and_tries_again(still_ward: Ward, page: Page) -> None:
    path = re.compile("signals/spo2")
    refused: list[str] = []

    def refuse(route: Route) -> None:
        refused.append(route.request.url)
        route.fulfill(status=503, body="{}")

    page.route(path, refuse)
    page.goto(f"{still_ward.url}/p/p1")
    spo2 = page.locator(".vital[data-code=spo2]")
    expect(spo2.locator(".note")).to_have_text("Curve unavailable")
    expect(page.locator(".vital[data-code=heart_rate] .note")).to_have_text("")
    # At once, with the first picture, and when the store must have it.
    comes(page, lambda: len(refused) >= 3)
    expect(spo2.locator(".note")).to_have_text("Curve unavailable")
    page.unroute(path)
    spo2.locator(".retry").click()
    expect(spo2.locator(".note")).to_have_text("")


def test_what_belated_measurements_changed_is_said_in_the_table(
    still_ward: Ward, page: Page
) -> None:
    def revised(route: Route) -> None:
        answer = route.fetch()
        body = answer.json()
        last = body["estimates"]["time"][-1]
        body["revised"] = [[last - 20 * 60_000, last - 10 * 60_000]]
        route.fulfill(response=answer, json=body)

    page.route(re.compile("signals/heart_rate"), revised)
    open_patient(page, still_ward, "r=1h")
    vital = page.locator(".vital[data-code=heart_rate]")
    vital.locator("summary").click()
    said = vital.locator("tbody td:nth-child(2)")
    expect(said).to_have_count(13)
    assert 1 <= sum("revised by late measurements" in text for text in said.all_inner_texts()) <= 3


def test_refused_samples_stand_in_the_journal_and_under_their_chart(
    still_ward: Ward, page: Page
) -> None:
    page.goto(f"{still_ward.url}/p/p2?r=1h")
    page.wait_for_function(LIVE)
    line = page.locator("#journal li[data-kind=refused]")
    page.locator("#journal summary").click()
    expect(line).to_contain_text("HR 900 · range · ring-2")
    at = int(line.get_attribute("data-at") or 0)
    for code, marked in (("heart_rate", True), ("spo2", False)):
        plot = page.locator(f".vital[data-code={code}] .u-over")
        expect(plot).to_be_visible()
        read = page.locator(f".vital[data-code={code}] .read")

        def pointed(plot: Locator = plot, read: Locator = read) -> str:
            """What is read where the refused sample was; the chart moves on under the mouse."""
            box = plot.bounding_box()
            assert box is not None
            now_ms = page.evaluate("() => Date.now()")
            place = box["x"] + box["width"] * (1 - (now_ms - at) / 3_600_000)
            page.mouse.move(place, box["y"] + 30)
            return read.inner_text()

        comes(page, lambda: "/min" in pointed() or "%" in pointed())  # its estimate, in any case
        if marked:
            comes(page, lambda: "range" in pointed())
        else:
            assert "range" not in pointed()


def test_a_gap_says_what_the_journal_says_of_its_sensor(still_ward: Ward, page: Page) -> None:
    page.goto(f"{still_ward.url}/p/p1?r=4h")
    page.wait_for_function(LIVE)
    told = page.evaluate(
        """async () => {
          const { causeOf } = await import("/static/ui/rails.js");
          const journal = document.getElementById("journal");
          const line = (at, kind, said) => `<li data-at="${at}" data-kind="${kind}">
            <span class="said">${said}</span></li>`;
          journal.innerHTML = line(90000, "sensor", "later") + line(61000, "alarm", "an alarm")
            + line(60000, "sensor", "watch-1 is off") + line(1000, "sensor", "before");
          return [causeOf(62000, 80000), causeOf(200000, 300000)];
        }"""
    )
    assert told == ["watch-1 is off", "no data"]


def test_a_vital_that_comes_later_gets_a_chart_at_its_place(ward: Ward, page: Page) -> None:
    page.goto(f"{ward.url}/p/p1")
    page.wait_for_function(LIVE)
    glucose = page.locator(".vital[data-code=glucose]")
    expect(glucose).to_have_count(0)
    ward.judge(batch(observed(time.time_ns(), 104.0, signal="glucose")))
    expect(glucose.locator("h2")).to_have_text("Glucose")
    expect(glucose.locator(".unit")).to_have_text("mg/dL")
    expect(glucose.locator("canvas")).to_be_visible()
    codes = page.locator(".vital").evaluate_all("all => all.map(({ dataset }) => dataset.code)")
    assert codes[-1] == "glucose"
    assert codes.count("glucose") == 1
