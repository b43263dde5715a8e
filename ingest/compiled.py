"""How kernels are compiled: cached on disk, no fastmath, no threads, no reference counts."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numba
from platformdirs import user_cache_path

# _nrt=False: no array is made inside, so none needs to be counted.
_OPTIONS: dict[str, Any] = {"cache": True, "nogil": True, "error_model": "numpy", "_nrt": False}


def kernels(sources: Iterable[Path]) -> tuple[Any, Any]:
    """Two decorators for the functions of these files: compiled; compiled and put in at each place
    where it is called. The plain function stays at `.py_func`, which unit tests step through.

    Compiled code is cached under the hash of the sources, in the user's cache folder: the compiler
    itself looks only at the file of the function that is called, and a constant changed in another
    file would go on acting with its old value.
    """
    digest = blake2b(digest_size=8)
    for source in sources:
        digest.update(source.read_bytes())
    folder: Path | None = user_cache_path("wearable-twin") / "kernel" / digest.hexdigest()
    try:
        folder.mkdir(parents=True, exist_ok=True)  # type: ignore[union-attr]
    except OSError:
        folder = None  # nowhere to keep it: beside the source, if that is possible, else in memory

    def decorator(**more: bool) -> Callable[[Any], Any]:
        def decorate(function: Any) -> Any:
            before = numba.config.CACHE_DIR  # type: ignore[attr-defined]
            numba.config.CACHE_DIR = str(folder or before)  # type: ignore[attr-defined]
            try:
                return numba.njit(**{**_OPTIONS, **more})(function)
            finally:
                numba.config.CACHE_DIR = before  # type: ignore[attr-defined]

        return decorate

    return decorator(), decorator(forceinline=True)
