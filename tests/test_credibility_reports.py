"""The reports in docs/credibility are whole, small, and were judged by the limits beside them."""

from __future__ import annotations

import json
from hashlib import sha256
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[1] / "docs" / "credibility"
LIMITS = sorted(FOLDER.glob("*.toml"))


@pytest.mark.parametrize("limits", LIMITS, ids=lambda path: path.stem)
def test_report_was_judged_by_the_limits_beside_it(limits: Path) -> None:
    report = json.loads(limits.with_suffix(".json").read_text("utf-8"))
    (judged_by,) = [each for each in report["files"] if each["role"] == "thresholds"]

    assert judged_by["sha256"] == sha256(limits.read_bytes()).hexdigest(), "make credibility"
    assert report["passed"] == all(each["passed"] for each in report["thresholds"])
    assert all(check["passed"] is not False for check in report["checks"])


@pytest.mark.parametrize("limits", LIMITS, ids=lambda path: path.stem)
def test_page_is_of_the_same_run_and_below_400_kb(limits: Path) -> None:
    page = limits.with_suffix(".html").read_text("utf-8")
    report = json.loads(limits.with_suffix(".json").read_text("utf-8"))

    assert len(page.encode()) < 400_000
    assert f"made {report['made_at']}" in page
    assert report["models"]["model"] in page


def test_every_report_is_in_the_table_of_the_readme() -> None:
    readme = (FOLDER / "README.md").read_text("utf-8")
    assert [path.stem for path in LIMITS if f"]({path.stem}.html)" not in readme] == []
    assert sorted(FOLDER.glob("*.html")) == [path.with_suffix(".html") for path in LIMITS]
