"""A real browser on a page that a program of its own serves."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

from tests.support.processes import ServerProcess, free_port
from twin.estimate import Output, encode_output

# Functions, since the page's content security policy forbids to evaluate bare expressions.
#: The first picture came and is drawn, and what was heard last is not old.
LIVE = "() => document.getElementById('pill')?.dataset.link === 'live'"
NOT_LIVE = "() => document.getElementById('pill').dataset.link !== 'live'"
LOST = "() => document.getElementById('pill').dataset.link === 'lost'"
TOP = Path(__file__).parents[2]
PATIENCE_S = 60.0
# What must come, comes at once on a free machine; a loaded one may take its time.
expect.set_options(timeout=PATIENCE_S * 1000)


def comes(page: Page, ask: Callable[[], object]) -> None:
    """Wait, the page living on, until what is asked for is true; what is drawn has no locator."""
    until = time.monotonic() + PATIENCE_S
    while not ask():
        assert time.monotonic() < until, "it did not come"
        page.wait_for_timeout(50)


def fits(page: Page) -> None:
    """Wait until nothing is wider than the window; charts follow a new width in a later frame."""
    page.wait_for_function("() => document.documentElement.scrollWidth <= innerWidth")


class Ward:
    """The scripted ward (tests/support/ward_program.py) as a process, and what a test changes."""

    def __init__(self, folder: Path, token: str | None = None, mode: str = "wellness") -> None:
        self.folder = folder
        self._told = 0
        self.set("purpose", mode)
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        program = "import runpy, sys; sys.path.insert(0, sys.argv.pop(1)); "
        program += "runpy.run_module('tests.support.ward_program', run_name='__main__')"
        arguments = [str(TOP), str(folder), str(port), *([token] if token else [])]
        command = [sys.executable, "-c", program, *arguments]
        self.process = ServerProcess(command, port=port, directory=folder)

    @property
    def started_ms(self) -> int:
        """When the program began, which the gap in its history lies by; epoch ms."""
        return int((self.folder / "started").read_text())

    def label(self, **labels: str) -> None:
        fresh = self.folder / "labels.new"
        fresh.write_text(json.dumps(labels))
        fresh.replace(self.folder / "labels.json")

    def judge(self, *judgements: Output) -> None:
        """Alarms, scores or forecasts that the twin says next."""
        for each in judgements:
            self._told += 1
            draft = self.folder / "draft"
            draft.write_bytes(encode_output(each))
            draft.rename(self.folder / f"judged-{self._told:06d}")

    def set(self, name: str, text: str = "") -> None:
        (self.folder / name).write_text(text)

    def unset(self, name: str) -> None:
        (self.folder / name).unlink()


@pytest.fixture
def ward(tmp_path: Path) -> Iterator[Ward]:
    """A running ward of this test's own."""
    ward = Ward(tmp_path)
    ward.process.start()
    yield ward
    ward.process.stop()


@pytest.fixture(scope="module")
def still_ward(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ward]:
    """A running ward that the tests of a module share: they change nothing of it."""
    ward = Ward(tmp_path_factory.mktemp("ward"))
    ward.process.start()
    yield ward
    ward.process.stop()


@pytest.fixture(scope="module")
def browser(chromium_path: str) -> Iterator[Browser]:
    """Closed with its module: while it is open, no other test can run an event loop."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=chromium_path, args=["--no-sandbox", "--force-color-profile=srgb"]
        )
        yield browser
        browser.close()


def context_of(browser: Browser, **options: Any) -> BrowserContext:
    """A new context whose pages are as patient as the tests."""
    context = browser.new_context(**options)
    context.set_default_timeout(PATIENCE_S * 1000)
    return context


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A page in a context of its own. An error in its script fails the test."""
    context = context_of(browser, viewport={"width": 1280, "height": 900}, locale="en-GB")
    page = context.new_page()
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    yield page
    context.close()
    assert errors == []
