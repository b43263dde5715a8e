"""How the kernel is compiled: cached on disk, no fastmath, no threads, no reference counts."""

from __future__ import annotations

from hashlib import blake2b
from pathlib import Path
from typing import Any

import numba
from platformdirs import user_cache_path

# _nrt=False: no array is made inside, so none needs to be counted.
_OPTIONS: dict[str, Any] = {"cache": True, "nogil": True, "error_model": "numpy", "_nrt": False}
_SOURCES = (
    "estimation/compiled.py",
    "estimation/kalman.py",
    "estimation/robust.py",
    "estimation/devices.py",
    "estimation/members.py",
    "estimation/group.py",
    "estimation/ring.py",
    "estimation/tracker.py",
    "estimation/consistency.py",
    "estimation/usual.py",
    "estimation/models.py",
    "estimation/status.py",
    "assessment/kernel.py",
    "assessment/score_kernel.py",
    "assessment/response_kernel.py",
    "estimation/scenario.py",  # its lags
)


def _keep_apart() -> None:
    """Cache compiled code under the hash of its sources, in the user's cache folder.

    The compiler itself looks only at the file of the function that is called: a constant changed in
    another file would go on acting with its old value.
    """
    digest = blake2b(digest_size=8)
    for name in _SOURCES:
        digest.update((Path(__file__).parents[1] / name).read_bytes())
    folder = user_cache_path("wearable-twin") / "kernel" / digest.hexdigest()
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        return  # nowhere to keep it: beside the source, if that is possible, else in memory
    numba.config.CACHE_DIR = str(folder)  # type: ignore[attr-defined]


_keep_apart()

#: Decorator; the plain function stays at `.py_func`, which unit tests step through.
compiled: Any = numba.njit(**_OPTIONS)

#: The same, put in at each place where it is called: for what every event goes through. Between
#: compiled functions an array is a dozen arguments, which costs as much as a short function does.
inlined: Any = numba.njit(forceinline=True, **_OPTIONS)
