"""How the kernel is compiled: cached on disk, no fastmath, no threads, no reference counts."""

from __future__ import annotations

from typing import Any

from numba import njit

# _nrt=False: no array is made inside, so none is counted. With counting, every call that takes
# arrays costs atomic increments that are dearer than a whole Kalman update (a factor of two).
_OPTIONS: dict[str, Any] = {"cache": True, "nogil": True, "error_model": "numpy", "_nrt": False}

#: Decorator; the plain function stays at `.py_func`, which unit tests step through.
compiled: Any = njit(**_OPTIONS)
