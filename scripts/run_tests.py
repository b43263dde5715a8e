"""Runs the tests; what fails is run once more, alone, and named on the last lines (ADR 19).

Usage: python scripts/run_tests.py [pytest's arguments]
Exit code: pytest's; 0 only if each test has passed.
"""

from __future__ import annotations

import json
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path

#: More than these is not a busy machine: nothing is tried again.
MOST = 5
FAILED = Path(".pytest_cache/v/cache/lastfailed")
REPORT = Path("build/tests.xml")
SOME_FAILED = 1


def main(arguments: list[str]) -> int:
    """Run pytest with these arguments and say last how many tests passed, failed, were skipped."""
    REPORT.unlink(missing_ok=True)
    FAILED.unlink(missing_ok=True)
    code = run(*arguments, f"--junitxml={REPORT}")
    failed = list(json.loads(FAILED.read_text())) if FAILED.exists() else []
    if code != SOME_FAILED or not 0 < len(failed) <= MOST:
        return code
    tests, skipped = counts(REPORT)
    print(f"\n{len(failed)} failed beside other tests; once more, alone:", flush=True)
    again = {test: run("--numprocesses=0", test) for test in failed}
    lost = [test for test, result in again.items() if result]
    for test in failed:
        told = "failed twice" if test in lost else "passed only alone, at the second try"
        print(f"{told}: {test}")
    print(f"{tests - skipped - len(lost)} passed, {len(lost)} failed, {skipped} skipped")
    return SOME_FAILED if lost else 0


def run(*arguments: str) -> int:
    """pytest's exit code."""
    return subprocess.run([sys.executable, "-m", "pytest", *arguments], check=False).returncode


def counts(report: Path) -> tuple[int, int]:
    """(tests, skipped) of a JUnit report."""
    suites = ElementTree.parse(report).getroot().iter("testsuite")
    totals = [(int(suite.get("tests", 0)), int(suite.get("skipped", 0))) for suite in suites]
    return sum(tests for tests, _ in totals), sum(skipped for _, skipped in totals)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
