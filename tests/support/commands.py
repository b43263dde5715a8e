"""`twin` commands run to their end, and waiting until something holds."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

TWIN = (sys.executable, "-m", "twin")
SHARED = Path(__file__).parents[2] / "../shared"


def shared_recording(name: str) -> Path:
    """A recording of the `shared` folder beside the checkout; skips the test where it is absent."""
    path = (SHARED / "data" / name).resolve()
    if not path.exists():
        pytest.skip(f"the recording shared/data/{name} is not beside this checkout")
    return path


def twin(*arguments: str | Path, timeout: float = 240.0) -> subprocess.CompletedProcess[str]:
    """One `twin` command, run to its end."""
    command = [*TWIN, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=timeout, check=False)


def succeeded(done: subprocess.CompletedProcess[str]) -> str:
    """Its stdout; fails the test with its words if the command failed."""
    assert done.returncode == 0, f"{done.args[2:4]} ended with {done.returncode}: {done.stderr}"
    return done.stdout


def twin_json(*arguments: str | Path) -> Any:
    """What one command reports with --json."""
    return json.loads(succeeded(twin(*arguments, "--json")))


def eventually(holds: Callable[[], object], what: str, timeout: float = 90.0) -> float:
    """Wait until it holds and return how long that took, in s; fails the test after `timeout`."""
    begun = time.monotonic()
    while not holds():
        if time.monotonic() - begun > timeout:
            pytest.fail(f"not {what} after {timeout} s")
        time.sleep(0.02)
    return time.monotonic() - begun


def wait_for(count: Callable[[], int], expected: int, patience: float = 90.0) -> None:
    """Until there are so many, or none came for `patience` s; comparing says what is missing."""
    last, since = -1, time.monotonic()
    while (found := count()) < expected and time.monotonic() - since < patience:
        if found > last:
            last, since = found, time.monotonic()
        time.sleep(0.05)
