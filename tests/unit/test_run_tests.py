"""scripts/run_tests.py: a second try for what failed, and what it says of it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

SCRIPT = Path(__file__).parents[2] / "scripts/run_tests.py"


def ran(folder: Path, tests: str) -> tuple[int, list[str]]:
    """Exit code and lines of a run of these tests alone."""
    (folder / "test_it.py").write_text(tests)
    (folder / "build").mkdir()
    done = subprocess.run(
        [sys.executable, SCRIPT, "test_it.py"],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout.splitlines()


def test_what_passes_at_the_second_try_is_named(tmp_path: Path) -> None:
    code, lines = ran(
        tmp_path,
        "from pathlib import Path\n"
        "def test_good(): pass\n"
        "def test_late():\n"
        "    seen = Path('seen').exists()\n"
        "    Path('seen').touch()\n"
        "    assert seen\n",
    )
    assert code == 0
    assert lines[-2:] == [
        "passed only alone, at the second try: test_it.py::test_late",
        "2 passed, 0 failed, 0 skipped",
    ]


def test_what_fails_twice_fails_the_run(tmp_path: Path) -> None:
    code, lines = ran(tmp_path, "def test_good(): pass\ndef test_bad(): assert False\n")
    assert code == 1
    assert lines[-2:] == ["failed twice: test_it.py::test_bad", "1 passed, 1 failed, 0 skipped"]


def test_many_failures_are_not_tried_again(tmp_path: Path) -> None:
    code, lines = ran(tmp_path, "".join(f"def test_{i}(): assert False\n" for i in range(6)))
    assert code == 1
    assert not any("once more" in line for line in lines)
