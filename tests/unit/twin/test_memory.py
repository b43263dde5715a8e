"""Freed memory is kept by the process; cycles are not looked for while it starts."""

import gc
import platform
import subprocess
import sys
from contextlib import suppress

import pytest

from twin.memory import collector_held

_COUNTED = """
import resource
import numpy as np
from twin.memory import keep_freed_memory

def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(100):
        arrays = [np.ones(30_000) for _ in range(6)]
        del arrays
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

before = faults()
assert keep_freed_memory()
faults()
print(before, faults())
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="another C library than glibc")
def test_memory_freed_by_a_batch_serves_the_next_one() -> None:
    ran = subprocess.run([sys.executable, "-c", _COUNTED], capture_output=True, check=True)
    before, after = map(int, ran.stdout.split())
    assert after < 100 <= before


def test_no_cycles_are_looked_for_while_a_process_starts_and_afterwards_they_are() -> None:
    with suppress(RuntimeError), collector_held():
        assert not gc.isenabled()
        raise RuntimeError("it does not start")
    assert gc.isenabled()
