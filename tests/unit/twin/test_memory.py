"""Freed memory is kept by the process."""

import platform
import subprocess
import sys

import pytest

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
