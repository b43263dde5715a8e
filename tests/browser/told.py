"""A ward in which every state of an alarm stands, for the modules that look at it."""

from __future__ import annotations

import httpx2 as httpx
from playwright.sync_api import Page

from tests.browser.conftest import LIVE, Ward
from tests.support.commands import eventually
from tests.support.states import every_state


def begin(ward: Ward) -> None:
    """Every state stands in it when this returns."""
    ward.judge(every_state())
    ward.process.start()
    alarms = f"{ward.url}/api/v1/alarms"
    eventually(lambda: bool(httpx.get(alarms, timeout=60).json()["enabled"]), "alarms are on")


def look(page: Page, ward: Ward, path: str = "/", ready: str = "[data-alarm]") -> None:
    """Open a page of it, live, and with what is `ready` on it."""
    page.goto(f"{ward.url}{path}")
    page.wait_for_function(LIVE)
    page.wait_for_selector(ready, state="attached")
