"""The forecast on the patient page: a cone from now on, the same in words, in the table and read
aloud; and none where nothing is forecast, or where the past is shown."""

from __future__ import annotations

import re
import time

import pytest
from playwright.sync_api import Page, expect

from ingest.instant import SECOND
from tests.browser.conftest import LIVE, Ward, comes, fits
from tests.support.estimates import batch, forecast
from twin.judgement import Judgements, Switched

pytestmark = [pytest.mark.browser]

HEAD = ".vital[data-code=heart_rate]"
#: Share of the plotting area's columns, from the right, that hold a violet pixel (red and blue both
#: clearly over green).
VIOLET = """() => {
  const vital = document.querySelector(".vital[data-code=heart_rate]");
  const over = vital.querySelector(".u-over").getBoundingClientRect();
  const canvas = vital.querySelector("canvas");
  const box = canvas.getBoundingClientRect();
  const scale = canvas.width / box.width;
  const [left, top] = [(over.left - box.left) * scale, (over.top - box.top) * scale];
  const [width, height] = [over.width * scale, over.height * scale].map(Math.floor);
  const { data } = canvas.getContext("2d").getImageData(left, top, width, height);
  const found = [];
  for (let x = 0; x < width; x++) {
    for (let y = 0; y < height; y++) {
      const i = 4 * (y * width + x);
      if (data[i + 3] > 60 && data[i] - data[i + 1] > 50 && data[i + 2] - data[i + 1] > 90) {
        found.push(x / width);
        break;
      }
    }
  }
  return found;
}"""


def alarmed(ward: Ward, page: Page) -> Ward:
    """With alarms on, so that limits are in force (a page that is open then loads itself anew)."""
    ward.judge(Judgements(switched=(Switched(True, "research", "test", time.time_ns()),)))
    limits = f"{ward.url}/api/v1/patients/p1/limits"
    comes(page, lambda: page.request.get(limits).json()["enabled"])
    return ward


def say(ward: Ward, mean: float) -> None:
    """Forecast p1's heart rate from now on."""
    at = time.time_ns() // SECOND * SECOND
    rows = [
        forecast(at, seconds, mean, std=std, scale90=1.0)
        for seconds, std in ((60, 3.0), (900, 6.0), (1800, 8.0), (3600, 9.0))
    ]
    ward.judge(batch(*rows))


def opened(page: Page, ward: Ward, query: str = "r=1h") -> None:
    page.goto(f"{ward.url}/p/p1?{query}")
    page.wait_for_function(LIVE)


def test_without_a_forecast_nothing_is_drawn_and_nothing_is_said(
    still_ward: Ward, page: Page
) -> None:
    opened(page, still_ward)
    page.wait_for_timeout(2_000)
    expect(page.locator(f"{HEAD} .ahead")).to_have_text("")
    assert page.evaluate(VIOLET) == []


def test_a_forecast_is_a_cone_of_half_an_hour_and_the_same_in_words(ward: Ward, page: Page) -> None:
    opened(page, alarmed(ward, page))
    say(ward, 128.0)
    words = page.locator(f"{HEAD} .ahead")
    expect(words).to_have_text("In 30 min: 128 (95 %: 112–144); 40 % above 130")
    # An hour behind now and half an hour ahead of it: the cone has the last third.
    comes(page, lambda: max(page.evaluate(VIOLET), default=0) > 0.97)
    columns = page.evaluate(VIOLET)
    assert len(columns) > 50
    assert min(columns) == pytest.approx(2 / 3, abs=0.02)
    figure = page.locator(f"{HEAD} .figure")
    expect(figure).to_have_attribute("aria-label", re.compile(r"In 30\smin: 128.*Arrow"))
    page.locator(f"{HEAD} summary").click()
    first = page.locator(f"{HEAD} tbody tr").first
    expect(first).to_contain_text("(forecast)")
    expect(first.locator("td").nth(1)).to_have_text("128")
    expect(first.locator("td").nth(3)).to_have_text("112–144")


def test_the_past_shows_no_forecast(ward: Ward, page: Page) -> None:
    opened(page, alarmed(ward, page))
    say(ward, 40.0)
    words = page.locator(f"{HEAD} .ahead")
    expect(words).to_contain_text("% below 41")
    page.locator("#earlier").click()
    expect(words).to_have_text("")
    comes(page, lambda: page.evaluate(VIOLET) == [])


def test_in_french_on_a_narrow_page(ward: Ward, page: Page) -> None:
    page.context.add_cookies([{"name": "twin_lang", "value": "fr", "url": ward.url}])
    page.set_viewport_size({"width": 320, "height": 800})
    opened(page, ward)
    say(ward, 72.0)
    expect(page.locator(f"{HEAD} .ahead")).to_have_text("Dans 30 min : 72 (95 % : 56–88)")
    fits(page)
