"""Recorded trajectories through the true twin: exactly the expected transitions, on the page.

Checks 5 and 6 of the design of care: delay, latch, take, conflict, pause, spike, bad quality; NEWS2
that does not flicker, and its sub-scores.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import httpx2 as httpx
import pytest
from playwright.sync_api import Browser, Page, Route, expect

from ingest.instant import HOUR
from ingest.observation import Bound, Refused
from tests.browser.conftest import LIVE, comes, context_of
from tests.browser.test_alarms import picture
from tests.support.twin_ward import WELL, TwinWard
from twin.care.purpose import Purpose

pytestmark = [pytest.mark.browser]


@pytest.fixture
def ward(tmp_path: Path) -> Iterator[TwinWard]:
    ward = TwinWard(tmp_path, {"p1": "Bed 1", "p2": "Bed 2"})
    ward.run(60, {"p1": WELL, "p2": WELL})
    yield ward
    ward.stop()


def ask(ward: TwinWard, path: str) -> Any:
    answer = httpx.get(f"{ward.page.address}{path}", timeout=60)
    assert answer.status_code == 200, answer.text
    return answer.json()


def events(ward: TwinWard, signal: str = "spo2", kind: str = "physiological") -> list[list[str]]:
    """The transitions of each alarm of a signal, oldest alarm first."""
    found = [
        ask(ward, f"/api/v1/alarms/{row['id']}")["story"]
        for row in ask(ward, "/api/v1/alarms")["alarms"]
        if row["signal"] == signal and row["kind"] == kind
    ]
    return [[step["event"] for step in story] for story in sorted(found, key=lambda s: s[0]["at"])]


def low(value: float) -> dict[str, dict[str, float]]:
    return {"p1": WELL | {"spo2": value}, "p2": WELL}


def named(browser: Browser, ward: TwinWard, name: str) -> Page:
    context = context_of(browser, viewport={"width": 1280, "height": 800}, locale="en-GB")
    context.request.post(f"{ward.page.address}/name", form={"name": name})
    page = context.new_page()
    page.goto(ward.page.address)
    page.wait_for_function(LIVE)
    return page


def test_an_alarm_from_its_delay_to_its_end_with_two_people_who_want_it(
    ward: TwinWard, browser: Browser
) -> None:
    roux, lind = named(browser, ward, "I. Roux"), named(browser, ward, "B. Lind")
    ward.run(4, low(82.0))
    assert events(ward) == []
    ward.run(60, low(82.0))
    row = "[data-id=p1] .alarm"
    for page in (roux, lind):
        expect(page.locator(row)).to_contain_text("*** SpO₂ 82 < 85")
        expect(page.locator("#rows .row").first).to_have_attribute("data-id", "p1")
    with roux.expect_response("**/acknowledge"):  # or the other might be the first
        roux.locator(f"{row} .take").click()
    lind.locator(f"{row} .take").dispatch_event("click")
    expect(lind.locator(row)).to_contain_text("I. Roux has it")
    expect(roux.locator(row)).to_contain_text("I. Roux has it")
    expect(lind.locator("#toast")).to_contain_text("already taken by I. Roux")
    assert events(ward)[-1][-1] == "acknowledged"
    ward.run(240, {"p1": WELL, "p2": WELL})  # 10 s clear it, 3 min it rests with who has it
    expect(roux.locator(row)).to_be_hidden()
    story = events(ward)
    assert [step for step in story[0] if step != "alarmed_again"][:2] == ["pending", "raised"]
    assert all(steps[-1] == "closed" for steps in story), story
    (first, *_rest) = ask(ward, "/api/v1/alarms?state=closed&priority=high")["alarms"]
    roux.goto(f"{ward.page.address}/alarms/{first['id']}")
    roux.wait_for_function(LIVE)
    expect(roux.locator(".story")).to_contain_text("I. Roux")
    picture(roux, "alarm-story")
    roux.context.close()
    lind.context.close()


def test_a_trajectory_gives_exactly_its_transitions_and_the_page_says_each(
    ward: TwinWard, page: Page
) -> None:
    """Delay, escalation, hysteresis, latch, the same alarm again, taken, closed; then a pause that
    a worse value breaks."""
    page.request.post(f"{ward.page.address}/name", form={"name": "I. Roux"})
    page.goto(ward.page.address)
    page.wait_for_function(LIVE)
    row = page.locator("[data-id=p1] .alarm")
    expect(row).to_be_hidden()
    for seconds, spo2, says in (
        (30, 82.0, "*** SpO₂ 82 < 85"),
        (60, 82.0, "not taken · team called"),
        (60, 86.0, "team called"),  # inside the high limit, but not by the hysteresis
        (60, 97.0, "passed, not seen"),
        (30, 82.0, "not taken"),
    ):
        ward.run(seconds, low(spo2))
        expect(row).to_contain_text(says)
    row.locator(".take").click()
    expect(row).to_contain_text("I. Roux has it")
    ward.run(240, low(97.0))
    expect(row).to_be_hidden()
    # What came again is the same alarm, not another one.
    assert events(ward) == [
        ["pending", "raised", "escalated", "latched", "alarmed_again", "acknowledged", "closed"]
    ]

    fast = {"p1": WELL | {"heart_rate": 142.0}, "p2": WELL}
    ward.run(60, fast)
    expect(row).to_contain_text(re.compile(r"\*\* HR 1[34]\d > 130"))
    page.keyboard.press("p")
    page.locator("#act [name=reason]").select_option("care")
    page.locator("#act [name=minutes]").select_option("5")
    page.locator("#act .do").click()
    expect(row).to_contain_text("paused until")
    ward.run(40, {"p1": WELL | {"heart_rate": 171.0}, "p2": WELL})
    expect(row).to_contain_text(re.compile(r"\*\*\* HR 1[567]\d > 150"))
    expect(page.locator("#strip")).to_contain_text("Bed 1")
    assert events(ward, "heart_rate") == [["pending", "raised", "paused", "alarmed_again"]]


def test_a_second_vital_of_the_same_event_joins_and_both_stories_say_so(
    ward: TwinWard, page: Page
) -> None:
    """Breathing goes wrong with the oxygen: one call, taken once, each story names the other."""
    ill = {"p1": WELL | {"spo2": 82.0, "respiratory_rate": 29.0}, "p2": WELL}
    ward.run(40, low(82.0))
    ward.run(100, ill)
    (head,) = [row for row in ask(ward, "/api/v1/alarms")["alarms"] if row["signal"] == "spo2"]
    (joined,) = [
        row for row in ask(ward, "/api/v1/alarms")["alarms"] if row["signal"] == "respiratory_rate"
    ]
    assert joined["joined"] == head["id"]
    assert "escalated" in events(ward)[0]
    assert events(ward, "respiratory_rate") == [["pending", "raised"]]  # lists, calls nobody
    page.request.post(f"{ward.page.address}/name", form={"name": "I. Roux"})
    page.goto(f"{ward.page.address}/alarms/{head['id']}")
    page.wait_for_function(LIVE)
    step = page.locator(".story [data-event=joined]")
    expect(step).to_contain_text("joined by ** RR 29 > 24")
    picture(page, "alarm-joined")
    page.locator("#fresh [data-act=acknowledge]").click()
    expect(page.locator(".story [data-event=acknowledged]")).to_contain_text("I. Roux")
    step.locator("a").click()
    page.wait_for_url(f"**/alarms/{joined['id']}")
    story = page.locator(".story")
    expect(story.locator("[data-event=raised] a")).to_have_text(re.compile("calls for both"))
    expect(story.locator("[data-event=acknowledged]")).to_contain_text("I. Roux")
    page.goto(f"{ward.page.address}/alarms/{joined['id']}?lang=fr")
    expect(story.locator("[data-event=raised]")).to_contain_text("appelle pour les deux")
    story.locator("[data-event=raised] a").click()
    expect(page.locator(".story [data-event=joined]")).to_contain_text("rejointe par")


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


def test_a_refused_sample_comes_to_the_rail_of_an_open_page_and_its_list_stays_open(
    ward: TwinWard, page: Page
) -> None:
    ward.people.bound.append(Bound("watch-p1", "p1"))
    page.goto(f"{ward.page.address}/p/p1")
    page.wait_for_function(LIVE)
    refused = page.locator("#journal [data-kind=refused]")
    expect(refused).to_have_count(0)

    def refuse(value: str) -> None:
        item = Refused(
            f"r{value}", "value_out_of_range", "values.spo2", "30 to 100", value, "watch-p1",
            ward.at, 40, 1,
        )  # fmt: skip
        ward.quarantine.refused.insert(0, item)

    refuse("131")
    expect(refused).to_have_count(1, timeout=20_000)
    page.locator("#journal summary").click()
    page.mouse.click(2, 2)  # nobody is in it any more
    page.evaluate("document.activeElement.blur()")
    refuse("132")
    expect(refused).to_have_count(2, timeout=20_000)
    expect(refused.first).to_be_visible()


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


def test_one_spike_and_minutes_of_bad_quality_raise_nothing(ward: TwinWard) -> None:
    ward.run(120, lambda i: low(70.0 if i == 60 else 97.0))
    assert events(ward) == []
    ward.run(100, low(75.0), quality=0.05)
    assert events(ward) == []


def test_noise_of_one_at_a_boundary_changes_the_chip_at_most_twice(
    ward: TwinWard, page: Page
) -> None:
    page.goto(ward.page.address)
    page.wait_for_function(LIVE)
    chip = page.locator("[data-id=p1] .chip [aria-hidden]")
    seen = [chip.inner_text()]
    for _ in range(20):
        ward.run(
            30,
            lambda i: {"p1": WELL | {"heart_rate": 90.5 + (1 if i % 2 else -1)}, "p2": WELL},
        )
        page.wait_for_timeout(60)
        seen.append(chip.inner_text())
    changes = sum(before != after for before, after in pairwise(seen[1:]))
    assert changes <= 2, seen


def test_people_complete_the_score_and_its_parts_sum_to_it(ward: TwinWard, page: Page) -> None:
    ill = {"heart_rate": 112.0, "respiratory_rate": 23.0, "spo2": 93.0}
    ward.run(150, {"p1": ill, "p2": WELL})
    page.request.post(f"{ward.page.address}/name", form={"name": "I. Roux"})
    page.goto(f"{ward.page.address}/p/p1")
    page.wait_for_function(LIVE)
    total = page.locator(".score .chip [aria-hidden]")
    expect(total).to_have_text(re.compile(r"^\d+\+$"))
    page.locator("#entry summary").click()
    entry = page.locator("#entry")
    entry.locator("[name=consciousness]").select_option("V")
    entry.locator("[name=oxygen]").select_option("oxygen")
    entry.locator("[name=cuff]").fill("104")
    entry.locator("[name=temperature]").fill("38.4")
    entry.locator("button").first.click()
    expect(entry.locator("[name=temperature]")).to_have_value("")
    ward.run(5, {"p1": ill, "p2": WELL})
    expect(total).to_have_text("13")
    expect(page.locator(".parts b")).to_have_text(["2", "2", "2", "1", "2", "3", "1"])
    expect(page.locator(".parts")).to_contain_text("I. Roux")
    patient = ask(ward, "/api/v1/patients/p1")["news2"]
    assert (patient["score"], patient["complete"]) == (13, True)


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
    held: list[Route] = []
    page.route("**/note.js*", lambda route: held.append(route))
    page.keyboard.press("n")
    page.keyboard.type("Turned to the left side")
    page.keyboard.press("Control+Enter")
    comes(page, lambda: held)
    held[0].continue_()
    note = page.locator("#journal [data-kind=note]")
    expect(note).to_contain_text("I. Roux Turned to the left side")
    expect(page.locator("#note-words")).to_have_value("")
    page.locator("#note-words").fill("Asleep")
    page.locator("#note button").click()
    expect(note.filter(has_text="Asleep")).to_have_count(1)


def test_limits_tried_on_the_past_are_told_with_a_plot_and_set_nothing(
    ward: TwinWard, page: Page
) -> None:
    page.goto(f"{ward.page.address}/limits")
    page.wait_for_function(LIVE)
    page.locator("tr[data-signal=spo2][data-priority=medium] .change").click()
    page.locator("#limits [name=low]").fill("95")
    page.locator("#try").click()
    said = page.locator("#trial-said")
    expect(said).to_contain_text(re.compile("2 of 2 patients|No estimate"))
    page.locator("#limits [name=high]").fill("94")
    page.locator("#try").click()
    expect(said).to_contain_text("low < high")
    row = page.locator("tr[data-signal=spo2][data-priority=medium]")
    expect(row).to_have_attribute("data-low", "90")


def test_limits_of_a_patient_are_set_by_name_with_a_reason_and_drawn(
    ward: TwinWard, page: Page
) -> None:
    page.request.post(f"{ward.page.address}/name", form={"name": "I. Roux"})
    page.goto(f"{ward.page.address}/p/p1/limits")
    page.wait_for_function(LIVE)
    row = "tr[data-signal=spo2][data-priority=medium]"
    page.locator(f"{row} .change").click()
    form = page.locator("#limits")
    form.locator("[name=low]").fill("96")
    form.locator("[name=high]").fill("95")
    form.locator("[name=reason]").fill("known low values")
    form.locator("button").first.click()
    expect(page.locator("#toast")).to_contain_text("expected low < high")
    form.locator("[name=low]").fill("88")
    form.locator("[name=high]").fill("")
    form.locator("button").first.click()
    expect(page.locator(row)).to_contain_text("I. Roux · known low values")
    expect(page.locator(row)).to_have_attribute("data-low", "88.0")
    answer = page.request.put(
        f"{ward.page.address}/api/v1/patients/p1/limits",
        data={"signal": "spo2", "priority": "medium", "low": 88},
    )
    assert answer.status == 422
    assert answer.json()["detail"].startswith("expected reason")


def test_in_wellness_mode_there_is_no_alarm_and_no_limit_can_be_set(
    tmp_path: Path, page: Page
) -> None:
    ward = TwinWard(tmp_path, {"p1": "Bed 1"}, "wellness")
    try:
        ward.run(90, {"p1": WELL | {"spo2": 80.0}})
        page.goto(ward.page.address)
        page.wait_for_function(LIVE)
        assert "No alarms: do not rely on this page to be called" in page.inner_text("body")
        said = ask(ward, "/api/v1/alarms")
        assert (said["enabled"], said["alarms"]) == (False, [])
        answer = page.request.put(
            f"{ward.page.address}/api/v1/limits",
            data={"signal": "spo2", "priority": "medium", "low": 88, "actor": "I. Roux"},
        )
        assert answer.status == 409
        page.goto(f"{ward.page.address}/limits")
        page.wait_for_function(LIVE)
        assert "no clinical alarms" in page.inner_text(".intro")
        assert page.locator("form#limits, #trial, .change").count() == 0
    finally:
        ward.stop()


@pytest.mark.parametrize(
    ("language", "said"),
    [("en", "nobody is watching. In an emergency call 15 / 112"), ("fr", "appelez le 15 / 112")],
)
def test_outside_the_hours_an_open_page_says_that_nobody_watches_and_whom_to_call(
    tmp_path: Path, page: Page, language: str, said: str
) -> None:
    """T0 is a Wednesday, 08:00: the service ends two minutes later and begins again on Thursday."""
    hours = Purpose("remote_monitoring", "Dr A", frozenset({2, 3}), 7 * 60, 8 * 60 + 2)
    ward = TwinWard(tmp_path, {"p1": "Bed 1"}, "remote_monitoring", hours)
    try:
        ward.run(30, {"p1": WELL})
        pages = [page, page.context.new_page()]
        for each, path in zip(pages, ("/", "/p/p1"), strict=True):
            each.goto(f"{ward.page.address}{path}?lang={language}")
            each.wait_for_function(LIVE)
            expect(each.locator("#uncovered")).to_be_hidden()
        assert "07:00–08:02" in page.inner_text("footer")
        ward.run(120, {"p1": WELL})
        for each in pages:
            expect(each.locator("#uncovered")).to_be_visible()
            expect(each.locator("#uncovered")).to_contain_text(said)
        assert ask(ward, "/api/v1/purpose")["covered"] is False
        ward.at += 23 * HOUR
        ward.run(5, {"p1": WELL})
        expect(page.locator("#uncovered")).to_be_hidden()
    finally:
        ward.stop()


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
