"""Limits and purpose of the true twin on the page: tried, set, and where there are none."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from ingest.instant import HOUR
from tests.browser.conftest import LIVE
from tests.browser.true_ward import ask, true_ward
from tests.support.twin_ward import WELL, TwinWard
from twin.care.purpose import Purpose

pytestmark = [pytest.mark.browser]


@pytest.fixture
def ward(tmp_path: Path) -> Iterator[TwinWard]:
    yield from true_ward(tmp_path)


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
