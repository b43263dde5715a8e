"""The bench of the line, in small: the shipped broker configuration loses nothing of a flood."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.programs import mosquitto_path

pytestmark = pytest.mark.integration


@pytest.mark.parametrize("load", ["flood", "line"])
def test_nothing_of_a_flood_is_lost_with_the_shipped_configuration(load: str) -> None:
    mosquitto_path()  # skips the test where it is not installed
    command = [sys.executable, "-m", "bench.line", "--messages", "6000", "--only", load]
    done = subprocess.run(
        [*command, "--connections", "20"],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)[load]
    assert report["acked"] == 6_000
    assert report["journalled_unique"] == 6_000
    assert report["lost"] == 0
    if load == "line":
        assert report["estimated"] == 6_000
