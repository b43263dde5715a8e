"""Everybody can use it: dialog, history and lost link by axe, keyboard, without script, sign-in."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.axe import violations
from tests.browser.conftest import LIVE, LOST, Ward, context_of

pytestmark = [pytest.mark.browser]

TOKEN = "a-token-of-sixteen-characters"


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


def test_without_script_the_last_values_stand_and_the_page_says_not_live(
    still_ward: Ward, browser: Browser
) -> None:
    context = context_of(browser, java_script_enabled=False)
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
    expect(page.locator("h1")).to_have_text("Sign in")
    expect(page).to_have_url(re.compile("next=%2Fp%2Fp2$"))
    ward.process.stop()
