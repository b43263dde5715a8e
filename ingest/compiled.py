"""How kernels are compiled: cached on disk, no fastmath, no threads, no reference counts."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import cached_property
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numba
from numba.core.caching import FunctionCache, NullCache
from platformdirs import user_cache_path

# _nrt=False: no array is made inside, so none needs to be counted.
_OPTIONS: dict[str, Any] = {"nogil": True, "error_model": "numpy", "_nrt": False}
_FunctionCache: Any = FunctionCache


class _Read(_FunctionCache):  # type: ignore[misc]
    """The cache of one function, which is read without what only compiling needs.

    The compiler's own way first imports all that it can compile (two hundred modules, scipy's
    linear algebra among them), which took twice as long as to read all kernels of a worker. Who
    has to compile after all is made ready by the compiler itself.
    """

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        """What was compiled of this signature, None if nothing was."""
        with self._guard_against_spurious_io_errors():
            return self._load_overload(sig, target_context)


class _Cache:
    """The cache of one function, opened when it is first asked: of most functions it never is,
    because they are compiled into others."""

    def __init__(self, function: Any, folder: Path | None) -> None:
        self._function, self._folder = function, folder

    @cached_property
    def _opened(self) -> Any:
        with _cached_in(self._folder):
            try:
                return _Read(self._function)
            except RuntimeError:  # nowhere at all
                return NullCache()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._opened, name)


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
            made = numba.njit(**{**_OPTIONS, **more})(function)
            if hasattr(made, "enable_caching"):  # not where NUMBA_DISABLE_JIT leaves functions
                made._cache = _Cache(function, folder)
            return made

        return decorate

    return decorator(), decorator(forceinline=True)


@contextmanager
def _cached_in(folder: Path | None) -> Iterator[None]:
    """Caches that are opened inside are in this folder; None: where the compiler has them."""
    before = numba.config.CACHE_DIR  # type: ignore[attr-defined]
    numba.config.CACHE_DIR = str(folder or before)  # type: ignore[attr-defined]
    try:
        yield
    finally:
        numba.config.CACHE_DIR = before  # type: ignore[attr-defined]
