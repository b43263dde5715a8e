"""The devices' pages: one dead gateway is a banner that comes and goes by itself; a fleet is found
through filters; with TWIN_SCREENSHOTS=1 the pictures in docs/."""

from __future__ import annotations

import os
import re
import time

import pytest
from playwright.sync_api import Page, expect

from ingest.instant import MINUTE, SECOND
from tests.browser.conftest import LIVE, TOP, Ward, fits
from tests.support.device_reports import reported
from twin.device_report import DeviceReports, Silence

pytestmark = [pytest.mark.browser]

BANNER = "#silences .banner"
RINGS = {f"gw-1/ring-{n:02}": f"p{n % 2 + 1}" for n in range(30)}


def rings(silence: Silence) -> list[DeviceReports]:
    """Thirty devices of two patients behind one gateway."""
    now = time.time_ns()
    said = {"last_received": now - 3 * MINUTE, "silence": silence, "accepted": 60}
    said |= {"since": now - 2 * MINUTE} if silence else {}
    return [reported(now, device, patient, **said) for device, patient in RINGS.items()]


def fleet() -> list[DeviceReports]:
    """What a device can be, and 120 that are heard."""
    now = time.time_ns()
    silent = {
        "watch-1": (Silence.LATE, {"battery": 0.61, "offset": -0.3, "offset_std": 0.1}),
        "watch-4": (Silence.BATTERY, {"battery": 0.03, "contact": 1}),
        "ring-2": (Silence.BODY_OFF, {"battery": 0.8, "contact": 0}),
        "ring-5": (Silence.RADIO, {"battery": 0.44, "online": 0}),
        "cuff-3": (Silence.NEVER_SEEN, {}),
        "strap-6": (Silence.UNUSABLE, {"battery": 0.7}),
        "phone-8": (Silence.CLOCK, {"offset": 2.0, "offset_std": 0.4}),
    }
    told = [
        reported(
            now,
            device,
            f"p{n % 5 + 1}",
            {"over_rate": 3} if device == "watch-4" else None,
            silence=silence,
            since=now - (n + 1) * MINUTE,
            last_received=0 if silence == Silence.NEVER_SEEN else now - (n + 2) * MINUTE,
            **{"accepted": 120, "belated": 1, "duplicate": 4, **said},
        )
        for n, (device, (silence, said)) in enumerate(silent.items())
    ]
    said = {"last_received": now - SECOND, "battery": 0.9}
    heard = [reported(now, f"patch-{n:03}", "p4", accepted=n, **said) for n in range(120)]
    return told + heard


def picture(page: Page, name: str) -> None:
    if os.environ.get("TWIN_SCREENSHOTS") == "1":
        page.screenshot(path=TOP / f"docs/screenshots/{name}.png")


@pytest.mark.parametrize("path", ["/", "/devices", "/wall"])
def test_a_dead_gateway_is_one_banner_that_comes_and_goes_by_itself(
    ward: Ward, page: Page, path: str
) -> None:
    ward.judge(*rings(Silence.NONE))
    page.goto(f"{ward.url}{path}")
    page.wait_for_function(LIVE)
    expect(page.locator(BANNER)).to_have_count(0)
    ward.judge(*rings(Silence.GATEWAY))
    line = page.locator(BANNER)
    expect(line).to_have_count(1)
    since = r"(\d{4}-\d\d-\d\d )?\d\d:\d\d:\d\d"  # with the date, as midnight passes
    said = rf"^Gateway gw-1 is silent since {since}: 30 devices, 2 patients behind it$"
    expect(line).to_have_text(re.compile(said))
    ward.judge(*rings(Silence.NONE))
    expect(line).to_have_count(0)


def test_a_fleet_is_counted_filtered_searched_and_turned_by_the_page(
    ward: Ward, page: Page
) -> None:
    ward.judge(*fleet())
    page.goto(f"{ward.url}/devices")
    rows = page.locator(".stacked tr[data-id]")
    groups = page.get_by_role("navigation", name="By state")
    expect(groups).to_contain_text("late 1")
    expect(page.locator("tr.group th").first).to_have_text(re.compile("^clock wrong"))
    expect(groups).to_contain_text("nothing usable 1")
    groups.get_by_role("link", name=re.compile("^battery empty")).click()
    expect(rows).to_have_count(1)
    expect(rows).to_have_attribute("data-id", "watch-4")
    groups.get_by_role("link", name=re.compile("^all")).click()
    expect(rows.nth(1)).to_be_attached()
    seen = set()
    while True:
        seen |= set(rows.evaluate_all("rows => rows.map((row) => row.dataset.id)"))
        following = page.get_by_role("link", name="next")
        if not following.count():
            break
        last = page.url
        following.click()
        expect(page).not_to_have_url(last)
        page.wait_for_load_state()
    assert {f"patch-{n:03}" for n in range(120)} < seen
    page.get_by_role("searchbox").fill("patch-07")
    page.keyboard.press("Enter")
    expect(rows).to_have_count(10)
    page.get_by_role("link", name="ledger").click()
    expect(page.locator(".ledger thead")).to_contain_text("Difference")
    expect(page.locator("[data-id='patch-071'] .n").first).to_have_text("71")


def test_the_pages_fit_a_telephone_and_a_wide_screen(ward: Ward, page: Page) -> None:
    ward.judge(*rings(Silence.GATEWAY), *fleet())
    page.goto(f"{ward.url}/devices")
    expect(page.locator("[data-id=watch-1]")).to_be_visible()
    for path in ("/devices", "/devices?view=ledger", "/devices/watch-1"):
        page.set_viewport_size({"width": 320, "height": 640})
        page.goto(f"{ward.url}{path}")
        fits(page)
        hidden = page.locator("td[data-nil]").first
        assert not hidden.is_visible(), path
    page.set_viewport_size({"width": 1280, "height": 860})
    page.goto(f"{ward.url}/devices?theme=light")
    page.wait_for_function(LIVE)
    picture(page, "devices")
    page.goto(f"{ward.url}/devices/watch-4?theme=light")
    expect(page.locator("#fresh")).to_contain_text("All that was received is accounted for.")
    page.wait_for_function(LIVE)
    picture(page, "device")
