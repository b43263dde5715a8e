"""The journals that keep what is written here."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ingest.journal.protocol import (
    Journal,
)
from tests.support.journals import (
    KINDS,
    Open,
    open_journal,
)


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def opened(kind: str, tmp_path: Path) -> Iterator[Open]:
    """Opens the test's journal, as often as asked; all are closed at the end."""
    journals: list[Journal] = []

    def open_again(max_bytes: int = 1 << 30, now: Callable[[], int] = lambda: 0) -> Journal:
        journals.append(open_journal(kind, tmp_path, max_bytes, now))
        return journals[-1]

    yield open_again
    for journal in journals:
        journal.close()


@pytest.fixture
def journal(opened: Open) -> Journal:
    return opened()
