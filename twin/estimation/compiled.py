"""The decorators of the twin's kernels (`ingest.compiled` says how they are compiled)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ingest.compiled import kernels

_SOURCES = (
    "estimation/compiled.py",
    "estimation/kalman.py",
    "estimation/robust.py",
    "estimation/devices.py",
    "estimation/members.py",
    "estimation/group.py",
    "estimation/machine.py",
    "estimation/ordinary.py",
    "estimation/ring.py",
    "estimation/tracker.py",
    "estimation/consistency.py",
    "estimation/usual.py",
    "estimation/models.py",
    "estimation/slots.py",
    "estimation/status.py",
    "assessment/kernel.py",
    "assessment/rest_kernel.py",
    "assessment/score_kernel.py",
    "assessment/score_row_kernel.py",
    "score_row.py",
    "assessment/response_kernel.py",
    "estimation/scenario.py",  # its lags
)


compiled: Any
inlined: Any

#: compiled: the plain function stays at `.py_func`. inlined: the same, put in at each place where
#: it is called, for what every event goes through. Between compiled functions an array is a dozen
#: arguments, which costs as much as a short function does.
compiled, inlined = kernels(Path(__file__).parents[1] / name for name in _SOURCES)
