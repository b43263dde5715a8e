"""Recorded trajectories through the true twin: exactly the expected transitions, on the page.

Checks 5 and 6 of the design of care: delay, latch, take, conflict, pause, spike, bad quality; NEWS2
that does not flicker, and its sub-scores.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from ingest.observation import Bound, Refused
from tests.browser.conftest import LIVE
from tests.browser.test_alarms import picture
from tests.browser.true_ward import ask, events, low, named, true_ward
from tests.support.twin_ward import WELL, TwinWard

pytestmark = [pytest.mark.browser]


@pytest.fixture
def ward(tmp_path: Path) -> Iterator[TwinWard]:
    yield from true_ward(tmp_path)


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
        (60, 82.0, "not taken · for the team"),
        (60, 86.0, "for the team"),  # inside the high limit, but not by the hysteresis
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
