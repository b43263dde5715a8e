"""A ward of two beds through the true twin, what it tells, and who looks at it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2 as httpx
from playwright.sync_api import Browser, Page

from tests.browser.conftest import LIVE, context_of
from tests.support.twin_ward import WELL, TwinWard


def true_ward(folder: Path) -> Iterator[TwinWard]:
    """Both are well for a minute; it is stopped at the end."""
    ward = TwinWard(folder, {"p1": "Bed 1", "p2": "Bed 2"})
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
