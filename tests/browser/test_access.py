"""Everybody can read it: axe, small screens, keyboard, colours, languages, sign-in."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.conftest import LIVE, LOST, Ward

pytestmark = [pytest.mark.browser, pytest.mark.timeout(240)]

AXE = (Path(__file__).parent / "vendor" / "axe.min.js").read_text()
TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]
PATHS = ("/", "/p/p1", "/p/p5", "/devices", "/devices/watch-1", "/quarantine")
TOKEN = "a-token-of-sixteen-characters"


def violations(page: Page) -> list[dict[str, Any]]:
    page.evaluate(AXE)
    return page.evaluate(
        """async (values) => {
          const { violations } = await axe.run(document, { runOnly: { type: "tag", values } });
          const told = (node) => `${node.html} ${node.failureSummary}`;
          return violations.map(({ id, nodes }) => ({ id, nodes: nodes.map(told) }));
        }""",
        TAGS,
    )


@pytest.mark.parametrize("theme", ["light", "dark", "contrast"])
@pytest.mark.parametrize("language", ["en", "fr"])
def test_no_violation_on_any_page(still_ward: Ward, page: Page, language: str, theme: str) -> None:
    for path in PATHS:
        page.goto(f"{still_ward.url}{path}?lang={language}&theme={theme}")
        page.wait_for_function(LIVE)
        if path.startswith("/p/"):
            page.locator("summary").first.click()
            page.wait_for_timeout(500)
        assert violations(page) == [], path


def test_no_violation_in_the_dialog_in_history_and_without_link(ward: Ward, page: Page) -> None:
    page.goto(f"{ward.url}/p/p1")
    page.wait_for_function(LIVE)
    page.locator("#earlier").click()
    page.keyboard.press("?")
    expect(page.locator("dialog")).to_be_visible()
    assert violations(page) == []
    page.keyboard.press("Escape")
    ward.process.kill()
    page.wait_for_function(LOST)
    assert violations(page) == []
    ward.process.start()


@pytest.mark.parametrize("language", ["en", "fr"])
@pytest.mark.parametrize("path", PATHS)
def test_320_px_need_no_sideways_scroll(
    still_ward: Ward, browser: Browser, path: str, language: str
) -> None:
    context = browser.new_context(viewport={"width": 320, "height": 640})
    page = context.new_page()
    page.goto(f"{still_ward.url}{path}?lang={language}")
    page.wait_for_function(LIVE)
    assert page.evaluate("document.documentElement.scrollWidth") <= 320
    small = page.evaluate(
        """() => [...document.querySelectorAll("button, input, summary, nav a, .back, .display a")]
          .filter((e) => e.offsetParent).map((e) => [e.outerHTML, e.getBoundingClientRect()])
          .filter(([, box]) => box.height < 24 && !box.width < 24).map(([html]) => html)"""
    )
    assert [html for html in small if "checkbox" not in html] == []
    context.close()


def test_the_keyboard_alone_finds_a_patient_reads_and_returns(still_ward: Ward, page: Page) -> None:
    page.goto(still_ward.url)
    page.wait_for_function(LIVE)
    focused = "document.activeElement.closest('.row')?.dataset.id"
    page.keyboard.press("j")
    page.keyboard.press("j")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("k")
    assert page.evaluate(focused) == "p2"
    page.wait_for_timeout(1_500)
    assert page.evaluate(focused) == "p2"
    outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
    assert outline == "solid"
    page.keyboard.press("Enter")
    expect(page.locator("h1")).to_have_text("Bed 2")
    expect(page.locator(".times")).to_be_visible()
    page.keyboard.press("1")
    expect(page.locator("[data-range='15m']")).to_have_attribute("aria-pressed", "true")
    page.keyboard.press("?")
    expect(page.locator("dialog")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.locator("dialog")).to_be_hidden()
    page.keyboard.press("Escape")
    expect(page).to_have_url(re.compile(r"/$"))
    page.wait_for_function(LIVE)
    page.keyboard.press("/")
    page.keyboard.type("bed 1")
    expect(page.locator(".row:visible")).to_have_count(3)
    page.keyboard.type("99")
    expect(page.locator("#no-match")).to_contain_text("No result for “bed 199”")
    page.locator("#no-match button").click()
    expect(page.locator(".row:visible")).to_have_count(6)


def test_single_keys_can_be_turned_off(still_ward: Ward, page: Page) -> None:
    page.goto(still_ward.url)
    page.locator("#keys-open").click()
    page.locator("#keys-enabled").uncheck()
    page.locator("dialog button").click()
    page.keyboard.press("j")
    assert page.evaluate("document.activeElement.closest('.row')") is None
    page.reload()
    page.wait_for_function(LIVE)
    page.keyboard.press("j")
    assert page.evaluate("document.activeElement.closest('.row')") is None


def test_no_english_in_french_and_the_reverse(still_ward: Ward, page: Page) -> None:
    english = re.compile(r"\b(ago|stale|late|current|Live|about|Waiting|Ward|rate)\b")
    french = re.compile(r"\b(il y a|périmé|en retard|En direct|Service|Fréquence)\b")
    for path in PATHS[:3]:
        page.goto(f"{still_ward.url}{path}?lang=fr")
        page.wait_for_function(LIVE)
        assert not english.findall(page.inner_text("body")), path
        page.goto(f"{still_ward.url}{path}?lang=en")
        page.wait_for_function(LIVE)
        assert not french.findall(page.inner_text("body")), path


def test_without_script_the_last_values_stand_and_the_page_says_not_live(
    still_ward: Ward, browser: Browser
) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(still_ward.url)
    expect(page.locator("#pill")).to_contain_text("Not live – values of")
    expect(page.locator("[data-id=p1] [data-code=heart_rate] .value")).to_have_text(
        re.compile(r"\d+")
    )
    context.close()


def test_signing_in_opens_the_page_and_its_stream_and_signing_out_ends_it(
    tmp_path: Path, page: Page
) -> None:
    ward = Ward(tmp_path, TOKEN)
    ward.process.start()
    page.goto(f"{ward.url}/p/p1")
    expect(page.locator("h1")).to_have_text("Sign in")
    assert violations(page) == []
    page.fill("#token", "wrong")
    page.keyboard.press("Enter")
    expect(page.locator("#error")).to_have_text("This token is not the right one.")
    assert violations(page) == []
    page.fill("#token", TOKEN)
    page.keyboard.press("Enter")
    expect(page.locator("h1")).to_have_text("Bed 1")
    page.wait_for_function(LIVE)
    assert page.evaluate("document.cookie") == ""
    page.locator("footer form button").click()
    expect(page.locator("h1")).to_have_text("Sign in")
    ward.process.stop()


def test_a_session_that_a_restart_ended_leads_back_to_signing_in(
    tmp_path: Path, page: Page
) -> None:
    ward = Ward(tmp_path, TOKEN)
    ward.process.start()
    page.goto(f"{ward.url}/sign-in?next=/p/p2")
    page.fill("#token", TOKEN)
    page.keyboard.press("Enter")
    page.wait_for_function(LIVE)
    ward.process.kill()
    ward.process.start()
    expect(page.locator("h1")).to_have_text("Sign in", timeout=15_000)
    assert page.url.endswith("next=%2Fp%2Fp2")
    ward.process.stop()
