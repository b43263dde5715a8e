"""A model file that declares a signal of its own, and a catalogue that forgets it again."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from ingest import catalogue

LACTATE = """\
name = "ward-7"
version = "1"
extends = "base"

[signal.lactate]
mean = 1.2
spread = 0.8
level_time = 20000.0
deviation_time = 1800.0
deviation_noise = 0.0002
noise = 0.2
expected_interval = 60.0
source = "a test"

[signal.lactate.catalogue]
unit = "mmol/L"
loinc = "2524-7"
lower = 0.1
upper = 30.0
resolution = 0.1
expected_interval = 60.0
name_en = "Lactate"
name_fr = "Lactate sanguin"
"""


@contextmanager
def own_catalogue() -> Iterator[None]:
    """The catalogue that ships, before and after; what is declared inside is gone again."""
    kept = dict(catalogue._signals)
    _put({code: kept[code] for code in kept if code in catalogue.BUILT_IN})
    try:
        yield
    finally:
        _put(kept)


def _put(signals: dict[str, catalogue.Signal]) -> None:
    for view in (catalogue._signals, catalogue._rows, catalogue._codes):
        view.clear()
    catalogue._signals.update(signals)
    catalogue._codes.extend(signals)
    catalogue._rows.update({code: row for row, code in enumerate(signals)})
