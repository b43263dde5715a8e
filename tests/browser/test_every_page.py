"""Everybody can read every page: axe in each language and theme, and 320 px wide."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page

from tests.browser.axe import violations
from tests.browser.conftest import LIVE, Ward, context_of, fits
from tests.browser.told import begin

pytestmark = [pytest.mark.browser]

#: An address that is none: a page without script.
STILL = "/nowhere"
PATHS = (
    "/",
    "/p/p1",
    "/p/p5",
    "/p/nobody",
    STILL,
    "/p/p1/limits",
    "/limits",
    "/wall",
    "/alarms",
    "/alarms/held",
    "/metrics/alarms",
    "/devices",
    "/devices/watch-1",
    "/quarantine",
)
#: Words of one language that must not stand on a page of the other.
FOREIGN = {
    "fr": r"ago|stale|late|current|Live|about|Waiting|Ward|rate|has it|taken|paused|passed|since"
    r"|alarm|limit|missing|Take|no data|Journal is",
    "en": r"il y a|périmé|en retard|En direct|Service|Fréquence|alarme|Prendre|pas encore",
}
WIDE, NARROW = {"width": 1280, "height": 900}, {"width": 320, "height": 640}
SMALL = """() => [...document.querySelectorAll(
    "button, input, select, summary, nav a, .back, .display a")]
  .filter((e) => e.offsetParent && e.type !== "checkbox")
  .map((e) => [e.outerHTML, e.getBoundingClientRect()])
  .filter(([, box]) => box.height < 24 && !box.width < 24).map(([html]) => html)"""
OPEN = """() => {
  for (const box of document.querySelectorAll("details")) box.open = true;
  document.getElementById("smooth")?.click();
}"""


@pytest.fixture(scope="module")
def told_ward(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ward]:
    """The tests of this module change nothing of it."""
    ward = Ward(tmp_path_factory.mktemp("told"), mode="remote_monitoring")
    begin(ward)
    yield ward
    ward.process.stop()


@pytest.fixture(scope="module")
def calm(browser: Browser) -> Iterator[Page]:
    """One page for all: nothing flashes, or axe may look between a symbol's two states."""
    context = context_of(browser, viewport=WIDE, reduced_motion="reduce", color_scheme="light")
    page = context.new_page()
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    yield page
    context.close()
    assert errors == []


@pytest.mark.parametrize("path", PATHS)
def test_a_page_can_be_read_in_each_language_theme_and_width(
    told_ward: Ward, calm: Page, path: str
) -> None:
    for language in ("fr", "en"):
        calm.set_viewport_size(WIDE)
        calm.goto(f"{told_ward.url}{path}?lang={language}&theme=light")
        if path != STILL:
            calm.wait_for_function(LIVE)
        calm.evaluate(OPEN)
        assert violations(calm) == [], language
        for theme in ("dark", "contrast"):
            calm.evaluate(f"() => {{ document.documentElement.dataset.theme = '{theme}'; }}")
            assert violations(calm, colours_only=True) == [], (language, theme)
        calm.set_viewport_size(NARROW)
        fits(calm)
        assert calm.evaluate(SMALL) == [], language
        foreign = re.findall(rf"\b({FOREIGN[language]})\b", calm.inner_text("body"))
        assert not foreign, language
