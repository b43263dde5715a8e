"""Fault: the store's process is killed while it writes. Budget: 0 lost, 0 double.

After each kill the file's position says how far it came, its rows are exactly those up to there,
and the next process goes on from it.
"""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.support.estimates import SECOND, T0
from twin.store.embedded import EmbeddedStore

KILLS = 8
TRANSACTIONS = 400
ROWS = 16

PROGRAM = f"""
import sys
from pathlib import Path
from tests.support.estimates import SECOND, T0, batch, observed
from twin.store import hot, sealing
from twin.store.embedded import EmbeddedStore
hot.SEAL_MINIMUM = sealing.SEAL_MINIMUM = 40
sealing.STAY_HOT, hot.SEAL_AT, hot.RECENT_ROWS = 8, 64, 100
with EmbeddedStore(Path(sys.argv[1])) as store:
    print("open", flush=True)
    for position in range(store.position + 1, {TRANSACTIONS} + 1):
        first = (position - 1) * {ROWS}
        rows = [observed(T0 + i * SECOND, 50 + i % 70) for i in range(first, first + {ROWS})]
        store.write_all([batch(*rows)], position)
"""


@pytest.mark.fault
def test_position_and_rows_are_one_after_every_kill(tmp_path: Path) -> None:
    path, chance, killed = tmp_path / "store.db", random.Random(7), 0
    while killed < KILLS:
        child = subprocess.Popen(
            [sys.executable, "-c", PROGRAM, path], stdout=subprocess.PIPE, text=True
        )
        assert child.stdout is not None
        assert child.stdout.readline() == "open\n"
        time.sleep(chance.uniform(0, 0.15))
        child.send_signal(signal.SIGKILL)
        child.stdout.close()
        if child.wait() == 0:
            break
        killed += 1
        check(path)
    assert killed >= 2
    subprocess.run([sys.executable, "-c", PROGRAM, path], check=True, stdout=subprocess.DEVNULL)
    assert check(path) == TRANSACTIONS


def check(path: Path) -> int:
    """The file's position, after looking whether its rows are those up to there."""
    with EmbeddedStore(path) as store:
        expected = [T0 + i * SECOND for i in range(store.position * ROWS)]
        for rows in (list(store.observations()), list(store.estimates())):
            assert [int(t) for part in rows for t in part.rows["time"]] == expected
        assert store.stored().get("watch-1", 0) == len(expected)
        return store.position
