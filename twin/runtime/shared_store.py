"""History of an embedded store that another process writes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from twin.estimate import Series
from twin.store.embedded import EmbeddedStore


@dataclass(slots=True)
class SharedStore:
    """`twin.estimate.History`; before the writer has made the file it is empty."""

    path: Path
    _store: EmbeddedStore | None = None

    def _opened(self) -> EmbeddedStore | None:
        if self._store is None and self.path.exists():
            self._store = EmbeddedStore(self.path, readonly=True)
        return self._store

    def series(
        self,
        patient: str,
        signal: str,
        start: int,
        end: int,
        points: int | None = None,
        after: str | None = None,
        limit: int = 20_000,
    ) -> Series:
        """See `twin.estimate.History`. Raises StoreDamaged."""
        store = self._opened()
        if store is None:
            return _nothing("raw" if points is None else "bucket")
        return store.series(patient, signal, start, end, points, after, limit)

    def stored(self) -> Mapping[str, int]:
        """See `twin.estimate.History`."""
        store = self._opened()
        return {} if store is None else store.stored()

    def close(self) -> None:
        """Close the file if it was opened."""
        if self._store is not None:
            self._store.close()


def _nothing(resolution: str) -> Series:
    none, never = np.empty(0), np.empty(0, np.int64)
    return Series(
        resolution, never, none, none, none, none, none, none, none, never, none, (), None
    )
