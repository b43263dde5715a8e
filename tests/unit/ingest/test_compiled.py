"""Kernels are read from their cache without the compiler, and compiled where there is no cache."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from ingest.compiled import kernels

MADE = """
from pathlib import Path
from ingest.compiled import kernels

compiled, inlined = kernels([Path(__file__)])

@inlined
def twice(x):
    return x + x

@compiled
def sum_of(array):
    total = 0
    for n in range(array.shape[0]):
        total += twice(array[n])
    return total
"""
RUN = """
import sys
import numpy as np
from made import sum_of

said = sum_of(np.arange(5)), sum_of(np.arange(5.0))
hits = sum(sum_of.stats.cache_hits.values())
print(said, hits, "scipy.linalg" in sys.modules, "numba.np.arraymath" in sys.modules)
"""


def said(folder: Path, source: str = MADE) -> str:
    """What a new process says that has its kernels in this folder's cache."""
    (folder / "made.py").write_text(source)
    env = os.environ | {
        "PYTHONPATH": os.pathsep.join([str(folder), str(Path(__file__).parents[3])]),
        "XDG_CACHE_HOME": str(folder / "cache"),
    }
    command = [sys.executable, "-c", RUN]
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=300, check=True)
    return done.stdout.strip()


def test_what_was_compiled_once_is_read_without_the_compiler(tmp_path: Path) -> None:
    assert said(tmp_path).startswith("(20, 20.0) 0 ")
    assert said(tmp_path) == "(20, 20.0) 2 False False"


def test_a_changed_source_is_compiled_anew(tmp_path: Path) -> None:
    said(tmp_path)
    assert said(tmp_path, MADE.replace("x + x", "x + x + x")).startswith("(30, 30.0) 0 ")


def test_a_function_without_a_place_for_its_cache_is_compiled_in_memory() -> None:
    compiled, _ = kernels([])
    of: dict[str, Any] = {}
    exec("def three_times(x):\n    return 3 * x\n", of)
    made = compiled(of["three_times"])
    assert made(2) == 6
    assert made.stats.cache_path is None
