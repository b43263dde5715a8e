"""What is compiled at installation is what is used: nobody's first message waits for a compiler."""

import subprocess
import sys

SCRIPT = """
import gc
from numba.core.dispatcher import Dispatcher

from ingest.instant import SECOND
from ingest.journal.protocol import ALL_PARTITIONS, partition_of
from ingest.observation import Observation, Tick, batch_of
from twin.step import Placed, new_state, step
from twin.warm_worker import warm_up

AT = 1_790_000_000 * SECOND

def compiled():
    return {d.py_func.__qualname__: len(d.signatures)
            for d in gc.get_objects() if isinstance(d, Dispatcher)}

def said(who, second, signal="heart_rate"):
    at = AT + second * SECOND
    return Observation(f"p-{who}", f"d-{who}", signal, 72.0, at, at, at)

warm_up()
before = compiled()
state, position = new_state(16), 0
steps = [[], [said(0, 0)], [said(0, 1), said(0, 1, "spo2")], [said(who, 2) for who in range(300)]]
steps += [[said(0, second)] for second in range(3, 70)]
for second, observations in enumerate(steps):
    placed = []
    for one in observations:  # each in a record of its own, as devices that speak alone
        position += 1
        placed.append(Placed(partition_of(one.patient, 16), position, batch_of([one])))
    position += 1
    placed.append(Placed(ALL_PARTITIONS, position, Tick(AT + second * SECOND, True)))
    step(state, placed)
print({name: (before[name], n) for name, n in compiled().items() if before.get(name, n) != n})
"""


def test_nothing_is_compiled_after_the_warm_up() -> None:
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr[-2_000:]
    assert done.stdout.strip() == "{}"
