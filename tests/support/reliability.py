"""The table of docs/reliability.md, made of what a run of the fault campaign wrote about itself.

`make fault` writes `build/faults.jsonl` and calls `python -m tests.support.reliability`. `make
soak` does so with `build/soak.jsonl soak`; of that the document has the kills alone.
"""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DOCUMENT = ROOT / "docs" / "reliability.md"
REPORT = ROOT / "build" / "faults.jsonl"
#: What the document has between marks: the whole campaign, or of the long form the kills.
_CAMPAIGN, _SOAK = "campaign", "soak"
_KILLS = ("test_kill_nine", "test_worker_killed", "test_store_kill")


@dataclass(frozen=True, slots=True)
class Row:
    """One fault: what its file says of it, and what its tests did. stall_s: the longest."""

    fault: str
    budget: str
    runs: int
    passed: int
    failed: int
    skipped: int
    stall_s: float | None


@dataclass(slots=True)
class Campaign:
    """Makes a test's line of what pytest reports of it, in this order: set-up, call, end."""

    _setups: dict[str, float] = field(default_factory=dict)

    def line(
        self, report: pytest.TestReport, at: float, load: float
    ) -> Mapping[str, object] | None:
        """What the campaign is to be told; None: nothing. at: s UTC, now.

        Of set-up and end only what went wrong there, which is no less a failure; but the set-up
        takes its time, with the servers that the first test of a run waits for.
        """
        if report.when == "setup":
            self._setups[report.nodeid] = report.duration
        if report.when != "call" and report.outcome == "passed":
            return None
        before = self._setups.pop(report.nodeid, 0.0) if report.when == "call" else 0.0
        return {
            "test": report.nodeid,
            "outcome": report.outcome,
            "seconds": report.duration,
            "setup_s": before,
            "at": at,
            "load": load,
            **dict(report.user_properties),
        }


def rows(lines: Sequence[str]) -> list[Row]:
    """A row for each file of tests/fault that a report tells of; of a test told twice the last."""
    told = {each["test"]: each for each in map(json.loads, lines)}
    by_file: dict[str, list[Mapping[str, object]]] = {}
    for test, each in told.items():
        by_file.setdefault(test.partition("::")[0], []).append(each)
    return [_row(file, tests) for file, tests in sorted(by_file.items())]


def _row(file: str, tests: list[Mapping[str, object]]) -> Row:
    said = " ".join((ast.get_docstring(ast.parse((ROOT / file).read_text("utf-8"))) or "").split())
    fault, _, budget = (
        said.removeprefix("Fault: ").replace("Loss budget", "Budget").partition(" Budget: ")
    )
    stalls = [float(str(each["stall_s"])) for each in tests if "stall_s" in each]
    outcomes = [str(each["outcome"]) for each in tests]
    return Row(
        fault.rstrip("."),
        budget.partition(".")[0].partition(";")[0] or "0 lost, 0 double",
        sum(int(float(str(each.get("runs", 1)))) for each in tests),
        outcomes.count("passed"),
        outcomes.count("failed"),
        outcomes.count("skipped"),
        max(stalls, default=None),
    )


def table(found: Sequence[Row], head: str) -> Iterator[str]:
    """Markdown lines."""
    yield head
    yield ""
    yield "| fault | runs | budget | kept by | longest stall |"
    yield "|---|---|---|---|---|"
    for row in found:
        count = f"{row.passed} of {row.passed + row.failed} tests"
        count += f", {row.skipped} skipped" if row.skipped else ""
        stall = "" if row.stall_s is None else f"{row.stall_s:.1f} s"
        yield f"| {row.fault} | {row.runs} | {row.budget} | {count} | {stall} |"


def marks_of(name: str) -> tuple[str, str]:
    """Between which the table of this name stands."""
    return f"<!-- {name} -->\n", f"<!-- end of {name} -->\n"


def renewed(
    document: str, lines: Sequence[str], marks: tuple[str, str] = marks_of(_CAMPAIGN)
) -> str:
    """The document with the table between its marks. Raises ValueError without them."""
    first, last = marks
    start, end = document.index(first) + len(first), document.index(last)
    return document[:start] + "".join(f"{line}\n" for line in lines) + document[end:]


def commit() -> str:
    """The checkout's, short."""
    done = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"],
        capture_output=True, text=True, check=False, cwd=ROOT,
    )  # fmt: skip
    return done.stdout.strip() or "unknown"


def head_of(told: Sequence[Mapping[str, float]], found: Sequence[Row]) -> str:
    """When, of which commit, how much, how long, and how busy the machine was meanwhile."""
    begun = min(each["at"] - each["seconds"] - each.get("setup_s", 0.0) for each in told)
    minutes = (max(each["at"] for each in told) - begun) / 60
    loads = sorted(each["load"] for each in told)
    day = datetime.fromtimestamp(begun, UTC).date().isoformat()
    return (
        f"{day}, commit {commit()}: {len(found)} faults, {sum(row.runs for row in found)} runs in "
        f"{minutes:.0f} minutes, {sum(row.failed for row in found)} failed. Load {loads[0]:.0f} to "
        f"{loads[-1]:.0f} on {os.cpu_count()} cores."
    )


def main() -> None:
    """Renew the document from the report."""
    report = Path(sys.argv[1]) if len(sys.argv) > 1 else REPORT
    name = sys.argv[2] if len(sys.argv) > 2 else _CAMPAIGN
    lines = report.read_text("utf-8").splitlines()
    head = head_of([json.loads(line) for line in lines], rows(lines))
    if name == _SOAK:
        lines = [line for line in lines if any(kind in line for kind in _KILLS)]
    said = list(table(rows(lines), head))
    DOCUMENT.write_text(renewed(DOCUMENT.read_text("utf-8"), said, marks_of(name)), "utf-8")


if __name__ == "__main__":
    main()
