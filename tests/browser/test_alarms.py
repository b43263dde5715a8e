"""Alarms on the page: who first, why, is it true, who has it; on scripted judgements.

With TWIN_SCREENSHOTS=1 the pictures in docs/.
"""

from __future__ import annotations

import gzip
import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.conftest import LIVE, LOST, Ward, context_of
from tests.browser.told import begin, look
from tests.support.judged import alarm
from twin.judgement import AlarmEvent, AlarmState, Judgements

pytestmark = [pytest.mark.browser]
TOP = Path(__file__).parents[2]
PICTURES = TOP / "docs/screenshots"
ORDER = "() => [...document.querySelectorAll('#rows .row')].map((row) => row.dataset.id).join()"
EXPECTED = "p1,p6,p3,p2,p4,p5"
CLOSED = {"state": AlarmState.CLOSED, "event": AlarmEvent.CLOSED, "outcome": "cleared"}


@pytest.fixture(scope="module")
def told_ward(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ward]:
    """Every state of an alarm stands in it; the tests of this module change nothing."""
    ward = Ward(tmp_path_factory.mktemp("told"), mode="remote_monitoring")
    begin(ward)
    yield ward
    ward.process.stop()


@pytest.fixture
def changing_ward(tmp_path: Path) -> Iterator[Ward]:
    """The same, for one test that changes it."""
    ward = Ward(tmp_path, mode="remote_monitoring")
    begin(ward)
    yield ward
    ward.process.stop()


def picture(page: Page, name: str) -> None:
    if os.environ.get("TWIN_SCREENSHOTS") == "1":
        PICTURES.mkdir(parents=True, exist_ok=True)
        page.mouse.move(0, 0)
        page.wait_for_timeout(700)
        page.screenshot(path=PICTURES / f"{name}.png")


def test_the_ward_shows_who_first_why_is_it_true_and_who_has_it(
    told_ward: Ward, page: Page
) -> None:
    look(page, told_ward)
    page.wait_for_function(f"() => ({ORDER})() === '{EXPECTED}'")
    told = {
        row.get_attribute("data-id"): re.sub(r"\s+", " ", row.locator(".alarm").inner_text())
        for row in page.locator("#rows .row").all()
    }
    assert re.match(r"\*\*\* SpO₂ 82 < 85 not taken · for the team · \d+ \w+ Take$", told["p1"])
    assert re.match(r"\*\*\* SpO₂ 82 < 85 \+1 passed, not seen Take$", told["p6"])
    assert re.match(r"\*\* RR 27 > 25 not taken · unverified · \d+ \w+ Take$", told["p3"])
    assert re.match(r"\*\* HR 141 > 131 I. Roux has it · \d+ \w+$", told["p2"])
    assert re.match(r"\*\* HR 37 < 40 paused until \d\d:\d\d · \d+ \w+$", told["p4"])
    assert re.match(r"\* No data not taken · \d+ \w+ Take$", told["p5"])
    chips = {row: page.locator(f"[data-id={row}] .chip [aria-hidden]").inner_text() for row in told}
    assert chips == {"p1": "5", "p2": "5+", "p3": "7", "p4": "3+", "p5": "—", "p6": "0"}
    assert page.locator("#counts [aria-hidden]").all_inner_texts() == ["*** 2", "** 1", "* 1"]
    expect(page.locator("#strip")).to_contain_text("Bed 1")
    expect(page.locator("#strip")).to_contain_text("and 3 more")
    assert "No alarms: do not rely" not in page.inner_text("body")
    assert "Not a medical device" in page.inner_text("body")
    picture(page, "ward-alarms")
    page.set_viewport_size({"width": 320, "height": 640})
    picture(page, "ward-alarms-phone")


#: Contrasts (WCAG 2.2, relative luminance) of a chip's frame with its ground, by its level.
FRAMES = """() => {
  const light = (colour) => {
    const [r, g, b] = colour.match(/[\\d.]+/g).slice(0, 3).map((n) => n / 255)
      .map((n) => (n <= 0.04045 ? n / 12.92 : ((n + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const chip = document.querySelector("[data-id=p2] .chip[data-missing]");
  return ["low", "single", "medium", "high"].map((level) => {
    chip.dataset.level = level;
    const { borderTopStyle, borderTopColor, backgroundColor } = getComputedStyle(chip);
    const [a, b] = [borderTopColor, backgroundColor].map(light).sort((x, y) => y - x);
    return [level, borderTopStyle, (a + 0.05) / (b + 0.05)];
  });
}"""


@pytest.mark.parametrize("theme", ["light", "dark", "contrast"])
@pytest.mark.parametrize("path", ["/", "/wall"])
def test_the_frame_of_a_score_that_lacks_values_is_seen_on_every_ground(
    told_ward: Ward, page: Page, path: str, theme: str
) -> None:
    look(page, told_ward, f"{path}?theme={theme}", "[data-id=p2] .chip[data-missing]")
    for level, style, contrast in page.evaluate(FRAMES):
        assert (style, contrast >= 3) == ("dashed", True), (level, contrast)


def test_without_alarms_being_on_the_page_still_says_that_it_calls_nobody(
    still_ward: Ward, page: Page
) -> None:
    for path in ("/", "/alarms", "/p/p1"):
        look(page, still_ward, path, "body")
        assert "No alarms: do not rely on this page to be called" in page.inner_text("body")
    assert page.locator("#entry").count() == 0


@pytest.mark.parametrize("language", ["en", "fr"])
def test_what_the_script_says_of_alarms_is_what_the_server_said(
    told_ward: Ward, page: Page, language: str
) -> None:
    read = """() => [...document.querySelectorAll("#rows .row")].map((row) =>
      [".symbol", ".what", ".more", ".how", ".chip"].map((part) =>
        row.querySelector(part).textContent.trim()).join(" ")
          + row.querySelector(".alarm").dataset.shown)"""
    look(page, told_ward, f"/?lang={language}")
    page.wait_for_function(f"() => ({ORDER})() === '{EXPECTED}'")
    live = page.evaluate(read)
    context = context_of(page.context.browser, java_script_enabled=False)
    still = context.new_page()
    still.goto(f"{told_ward.url}/?lang={language}")
    served = [
        " ".join(
            row.locator(part).first.text_content().strip()
            for part in (".symbol", ".what", ".more", ".how", ".chip")
        )
        + row.locator(".alarm").get_attribute("data-shown")
        for row in still.locator("#rows .row").all()
    ]
    context.close()
    ages = re.compile(r"\d+\s(s|min|h)")
    assert [ages.sub("", text) for text in live] == [ages.sub("", text) for text in served]


def test_high_flashes_at_2_hz_medium_at_0_6_hz_and_nothing_with_reduced_motion(
    told_ward: Ward, browser: Browser
) -> None:
    read = """(id) => getComputedStyle(document.querySelector(`[data-id=${id}] .symbol`))"""
    for motion, expected in (("no-preference", (0.5, 1.6667, 0)), ("reduce", (0, 0, 0))):
        context = context_of(browser, reduced_motion=motion)
        page = context.new_page()
        look(page, told_ward)
        page.wait_for_selector("[data-id=p2] .symbol")
        for row, period in zip(("p1", "p3", "p2"), expected, strict=True):  # p2's has been taken
            style = f"({read})('{row}')"
            name = page.evaluate(f"() => {style}.animationName")
            assert (name == "none") == (period == 0), (motion, row)
            if period:
                assert float(page.evaluate(f"() => {style}.animationDuration")[:-1]) == period
        context.close()


def test_rows_do_not_move_under_a_hand_and_a_button_offers_it(
    changing_ward: Ward, page: Page
) -> None:
    look(page, changing_ward)
    page.wait_for_function(f"() => ({ORDER})() === '{EXPECTED}'")
    page.keyboard.press("j")
    changing_ward.judge(Judgements((alarm("high", patient="p1", **CLOSED),)))
    expect(page.locator("#moved")).to_be_visible()
    assert page.evaluate(ORDER) == EXPECTED
    page.locator("#moved button").click()
    page.wait_for_function(f"() => ({ORDER})() !== '{EXPECTED}'")
    assert page.evaluate(ORDER).startswith("p6,p3")
    expect(page.locator("#moved")).to_be_hidden()
    assert page.evaluate("document.activeElement !== document.body")


def test_filters_show_those_with_alarms_and_those_without_data(told_ward: Ward, page: Page) -> None:
    look(page, told_ward)
    page.get_by_role("button", name="No data", exact=True).click()
    expect(page.locator(".row:visible")).to_have_count(1)
    expect(page).to_have_url(re.compile(r"\?f=silent$"))
    page.get_by_role("button", name="Mine").click()
    expect(page.locator("#no-match")).to_be_visible()
    page.keyboard.press("m")
    expect(page.locator(".row:visible")).to_have_count(6)


def test_a_wall_screen_masks_names_pins_alarms_and_can_be_read_from_afar(
    told_ward: Ward, browser: Browser
) -> None:
    context = context_of(browser, viewport={"width": 1920, "height": 1080}, locale="en-GB")
    page = context.new_page()
    look(page, told_ward, "/wall", ".wall tbody tr[data-unanswered]")
    names = page.locator(".wall tbody th").all_inner_texts()
    assert names[:2] == ["Bed 1", "Bed 20"]
    assert "Bed 12 b… t… w…" in names
    assert page.locator(".wall .called").first.inner_text().startswith("***SpO₂ 82 < 85")
    sizes = page.evaluate(
        "() => [...document.querySelectorAll('.digits > span, .wall .chip')]"
        ".map((one) => parseFloat(getComputedStyle(one).fontSize))"
    )
    assert min(sizes) >= 51
    page.wait_for_function("() => document.documentElement.scrollHeight <= 1080")
    assert page.locator("main button, main a, nav:visible, footer:visible").count() == 0
    picture(page, "wall")
    context.close()


def test_what_the_ward_shows_stands_in_its_address(told_ward: Ward, page: Page) -> None:
    look(page, told_ward)
    page.locator("#sort").select_option("label")
    page.wait_for_function(f"() => ({ORDER})().startsWith('p1,p2,p3')")
    page.locator("#filter").fill("bed 1")
    expect(page).to_have_url(re.compile(r"\?sort=label&q=bed\+1$"))
    page.reload()
    page.wait_for_function(LIVE)
    expect(page.locator(".row:visible")).to_have_count(3)
    assert page.locator("#sort").input_value() == "label"


def test_sub_scores_sum_to_the_total_on_screen_with_their_ages(told_ward: Ward, page: Page) -> None:
    for patient in ("p1", "p2", "p3", "p4"):
        look(page, told_ward, f"/p/{patient}", ".parts")
        points = page.locator(".parts b").all_inner_texts()
        assert len(points) == 7
        total = page.locator(".score .chip [aria-hidden]").inner_text()
        missing = "—" in points
        assert total == f"{sum(int(p) for p in points if p != '—')}{'+' if missing else ''}"
        ages = page.locator(".parts li:not([data-missing]) .scored").all_inner_texts()
        assert all(re.search(r"\d+\s(s|min)", age) for age in ages)
    look(page, told_ward, "/p/p1", ".parts")
    picture(page, "patient-score")


def test_an_alarms_story_says_what_was_known_who_and_when(told_ward: Ward, page: Page) -> None:
    look(page, told_ward, "/alarms/held")
    steps = page.locator(".story li").all_inner_texts()
    assert len(steps) == 2
    assert re.search(r"(?s)raised.*137\s± 1\.4 /min", steps[0])
    assert re.search(r"(?s)taken.*I\. Roux.*136", steps[1])
    words = page.inner_text("main")
    for said in ("HR 141 > 131", "I. Roux has it", "heart_rate/medium/high", "97%", "medium"):
        assert said in words


def test_without_link_nothing_can_be_done_and_every_button_says_why(
    changing_ward: Ward, page: Page
) -> None:
    look(page, changing_ward)
    changing_ward.process.kill()
    page.wait_for_function(LOST)
    button = page.locator("[data-id=p1] .take")
    expect(button).to_have_attribute("aria-disabled", "true")
    assert button.get_attribute("title") == "Not possible: the connection is lost"
    button.dispatch_event("click")
    expect(page.locator("#toast")).to_have_text("Not possible: the connection is lost")
    picture(page, "ward-link-lost")
    changing_ward.process.start()
    page.wait_for_function(LIVE)
    expect(button).to_have_attribute("aria-disabled", "false")


def test_a_transition_while_the_link_was_lost_is_there_after_it(
    changing_ward: Ward, page: Page
) -> None:
    look(page, changing_ward)
    changing_ward.process.kill()
    changing_ward.judge(Judgements((alarm("high", patient="p1", **CLOSED),)))
    page.wait_for_function(LOST)
    changing_ward.process.start()
    page.wait_for_function(LIVE)
    expect(page.locator("[data-id=p1] .alarm")).to_be_hidden()
    expect(page.locator("#counts [aria-hidden]").first).to_have_text("*** 1")


def test_what_a_page_loads_of_our_own_script_stays_under_its_budget(
    told_ward: Ward, page: Page
) -> None:
    for path in ("/", "/p/p1"):
        look(page, told_ward, path)
        loaded = page.evaluate(
            """() => performance.getEntriesByType("resource").map(({ name }) => new URL(name))
              .filter(({ pathname }) => pathname.endsWith(".js") && !pathname.includes("vendor"))
              .map(({ pathname }) => pathname)"""
        )
        files = [TOP / "twin/care" / name.removeprefix("/") for name in loaded]
        assert len(files) >= 10
        size = sum(len(gzip.compress(file.read_bytes())) for file in files)
        assert size <= 25_000, f"{path}: {size} bytes gzipped"


def test_the_preview_of_limits_says_what_they_would_have_raised(
    told_ward: Ward, page: Page
) -> None:
    look(page, told_ward, "/p/p1/limits")
    form = page.locator("form#limits")
    form.locator("[name=signal]").select_option("heart_rate")
    form.locator("[name=high]").fill("84")
    form.locator("#try").click()
    expect(page.locator("#trial-said")).to_contain_text("these limits would have raised")
    expect(page.locator("#trial-plot svg")).to_be_visible()
    page.locator("#trial").scroll_into_view_if_needed()
    picture(page, "limits-preview")
