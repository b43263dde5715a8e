"""What people do about an alarm of the true twin: take, pause, note, look, by hand and by keys."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.conftest import LIVE, comes
from tests.browser.test_alarms import picture
from tests.browser.true_ward import ask, events, low, named, true_ward
from tests.support.held_file import HeldFile
from tests.support.twin_ward import TwinWard

pytestmark = [pytest.mark.browser]


@pytest.fixture
def ward(tmp_path: Path) -> Iterator[TwinWard]:
    yield from true_ward(tmp_path)


def test_a_name_is_asked_for_at_the_first_act_and_kept(ward: TwinWard, page: Page) -> None:
    ward.run(60, low(82.0))
    page.goto(ward.page.address)
    page.wait_for_function(LIVE)
    expect(page.locator("#name")).to_have_text("No name")
    expect(page.locator("#strip")).to_contain_text("Bed 1")
    page.keyboard.press("a")
    expect(page.locator("#act")).to_contain_text("Who are you?")
    page.keyboard.type("A. Benali")
    page.keyboard.press("Enter")
    expect(page.locator("[data-id=p1] .alarm")).to_contain_text("A. Benali has it")
    page.reload()
    expect(page.locator("#name")).to_have_text("A. Benali")
    assert (
        page.evaluate("[document.cookie, JSON.stringify(localStorage)].join()").find("Benali") < 0
    )


def test_a_pause_needs_a_reason_and_an_end_and_ends_by_itself(ward: TwinWard, page: Page) -> None:
    ward.run(60, low(82.0))
    page.request.post(f"{ward.page.address}/name", form={"name": "I. Roux"})
    page.goto(ward.page.address)
    page.wait_for_function(LIVE)
    expect(page.locator("#strip")).to_contain_text("Bed 1")
    page.keyboard.press("p")
    dialog = page.locator("#act")
    dialog.locator("[name=reason]").select_option("care")
    dialog.locator("[name=minutes]").select_option("2")
    dialog.locator(".do").click()
    expect(page.locator("[data-id=p1] .alarm")).to_contain_text("paused until")
    expect(page.locator("#strip")).to_be_hidden()
    ward.run(130, low(82.0))
    expect(page.locator("#strip")).to_contain_text("Bed 1")
    assert "resumed" in events(ward)[-1]


def test_a_key_acts_on_the_alarm_that_the_page_came_with(ward: TwinWard, page: Page) -> None:
    ward.run(60, low(82.0))
    page.request.post(f"{ward.page.address}/name", form={"name": "I. Roux"})
    page.route("**/api/v1/stream*", lambda _: None)  # the stream tells nothing yet
    page.goto(ward.page.address)
    page.wait_for_function("() => !document.getElementById('name').hidden")
    expect(page.locator("#strip")).to_contain_text("Bed 1")
    page.keyboard.press("p")
    expect(page.locator("#act [name=reason]")).to_be_visible()


def test_by_keys_alone_the_worst_is_found_taken_opened_and_noted(
    ward: TwinWard, page: Page
) -> None:
    ward.run(60, low(82.0))
    page.request.post(f"{ward.page.address}/name", form={"name": "I. Roux"})
    page.goto(ward.page.address)
    page.wait_for_function(LIVE)
    expect(page.locator("#rows .row").first).to_have_attribute("data-id", "p1")
    for key in ("j", "a"):
        page.keyboard.press(key)
    expect(page.locator("[data-id=p1] .alarm")).to_contain_text("I. Roux has it")
    page.keyboard.press("Enter")
    page.wait_for_url("**/p/p1*")
    page.wait_for_function(LIVE)
    page.keyboard.press("n")
    page.keyboard.type("Seen, <b>asleep</b>")
    page.keyboard.press("Control+Enter")
    note = page.locator("#journal [data-kind=note]")
    expect(note).to_contain_text("I. Roux Seen, <b>asleep</b>")
    expect(page.locator("#journal [data-kind=alarm]").first).to_be_visible()
    picture(page, "patient-journal")


def test_a_note_written_before_its_module_is_here_is_taken_all_the_same(
    ward: TwinWard, page: Page
) -> None:
    """Nurses are quicker than a slow link: keys pressed early are not lost."""
    page.request.post(f"{ward.page.address}/name", form={"name": "I. Roux"})
    page.goto(f"{ward.page.address}/p/p1")
    page.wait_for_function(LIVE)
    held = HeldFile(ward.app, "/note.js")
    page.keyboard.press("n")
    page.keyboard.type("Turned to the left side")
    page.keyboard.press("Control+Enter")
    comes(page, held.asked.is_set)
    held.go.set()
    note = page.locator("#journal [data-kind=note]")
    expect(note).to_contain_text("I. Roux Turned to the left side")
    expect(page.locator("#note-words")).to_have_value("")
    page.locator("#note-words").fill("Asleep")
    page.locator("#note button").click()
    expect(note.filter(has_text="Asleep")).to_have_count(1)


@pytest.mark.parametrize("lost", ["ui/note.js", "ui/name.js", "name"])
def test_a_note_says_that_it_cannot_be_used_now_and_is_taken_at_another_try(
    ward: TwinWard, page: Page, lost: str
) -> None:
    """What it needs and cannot load: its module, the question for a name, or where names go."""
    page.goto(f"{ward.page.address}/p/p1")
    page.wait_for_function(LIVE)
    page.route(f"**/{lost}", lambda route: route.abort())
    page.locator("#note-words").fill("Turned to the left side")
    page.locator("#note button").click()
    if lost == "name":
        page.locator("#act [name=name]").fill("I. Roux")
        page.keyboard.press("Enter")
    expect(page.locator("#toast")).to_contain_text("Not possible")
    expect(page.locator("#note-words")).to_have_value("Turned to the left side")
    page.unroute(f"**/{lost}")
    page.locator("#note button").click()
    page.locator("#act [name=name]").fill("I. Roux")
    page.keyboard.press("Enter")
    note = page.locator("#journal [data-kind=note]")
    expect(note).to_contain_text("I. Roux Turned to the left side")
    expect(page.locator("#note-words")).to_have_value("")


def test_an_alarm_says_that_its_question_cannot_be_asked_now(ward: TwinWard, page: Page) -> None:
    ward.run(60, low(82.0))
    page.request.post(f"{ward.page.address}/name", form={"name": "I. Roux"})
    page.goto(ward.page.address)
    page.wait_for_function(LIVE)
    expect(page.locator("#strip")).to_contain_text("Bed 1")
    page.route("**/ui/dialog.js", lambda route: route.abort())
    page.keyboard.press("p")
    expect(page.locator("#toast")).to_contain_text("could not be loaded")
    page.unroute("**/ui/dialog.js")
    page.keyboard.press("p")
    expect(page.locator("#act [name=reason]")).to_be_visible()


def test_whoever_opens_an_alarm_by_name_has_seen_it(ward: TwinWard, browser: Browser) -> None:
    ward.run(60, low(82.0))
    (alarm, *_rest) = ask(ward, "/api/v1/alarms?state=active")["alarms"]
    roux = named(browser, ward, "I. Roux")
    roux.goto(f"{ward.page.address}/alarms/{alarm['id']}")
    seen = roux.locator(".story [data-event=seen]")
    expect(seen).to_contain_text("I. Roux")
    roux.reload()
    roux.wait_for_function(LIVE)
    expect(seen).to_have_count(1)
    lind = named(browser, ward, "B. Lind")
    for each in (roux, lind):
        each.goto(f"{ward.page.address}/p/p1")
        each.wait_for_function(LIVE)
    ward.run(2, low(82.0))
    expect(roux.locator("#viewers")).to_have_text("Also looking: B. Lind")
    expect(lind.locator("#viewers")).to_have_text("Also looking: I. Roux")
    roux.context.close()
    lind.context.close()


def test_a_row_says_how_many_look_at_its_patient(ward: TwinWard, browser: Browser) -> None:
    roux, lind = named(browser, ward, "I. Roux"), named(browser, ward, "B. Lind")
    watching = lind.locator("[data-id=p1] .watching")
    expect(watching).to_be_hidden()
    roux.goto(f"{ward.page.address}/p/p1")
    expect(watching).to_have_text("1 watching")
    expect(watching).to_have_attribute("title", "I. Roux")
    lind.reload()
    lind.wait_for_function(LIVE)
    expect(watching).to_have_text("1 watching")  # the first picture says it too
    expect(lind.locator("[data-id=p2] .watching")).to_be_hidden()
    roux.context.close()
    expect(watching).to_be_hidden()
    lind.context.close()
