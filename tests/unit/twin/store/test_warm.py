"""What is compiled when a store is opened is all that writing uses: nobody's rows wait for it."""

import subprocess
import sys
from pathlib import Path

SCRIPT = """
import gc, sys
from dataclasses import replace
from pathlib import Path

import numpy as np
from numba.core.dispatcher import Dispatcher

from bench.store import batches
from twin.estimate import Kind, Verdict
from twin.store.embedded import EmbeddedStore

def compiled():
    return {d.py_func.__qualname__: len(d.signatures)
            for d in gc.get_objects() if isinstance(d, Dispatcher)}

with EmbeddedStore(Path(sys.argv[1])) as store:
    before = compiled()
    for batch in [*batches(1, 1, 1), *batches(2, 1300, 300), *batches(300, 3, 1)]:
        store.write_all([batch], None)
        store.write_all([replace(batch, rows=batch.rows[:1]), batch], None)
    for kind, verdict in ((Kind.VERDICT, Verdict.CONFLICT), (Kind.VERDICT, Verdict.BELATED),
                          (Kind.STATUS, Verdict.NONE), (Kind.REVISION, Verdict.NONE)):
        rows = batch.rows.copy()
        rows["kind"], rows["verdict"] = kind, verdict
        store.write_all([replace(batch, rows=rows)], None)
after = compiled()
print({name: (before[name], n) for name, n in after.items() if before.get(name, n) != n})
"""


def test_nothing_is_compiled_after_the_store_is_opened(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(tmp_path / "store.db")],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2_000:]
    assert done.stdout.strip() == "{}"


def test_who_only_reads_loads_no_compiler() -> None:
    script = "import sys, twin.store.embedded; print('numba' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "False"
