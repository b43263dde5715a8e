"""What a Sparkplug birth declares of its metrics: the table by which later data is understood."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple, Protocol

from ingest.catalogue import SIGNALS
from ingest.payload.names import meaning_of_name
from ingest.payload.sparkplug_wire import DOUBLE, FLOAT


class Metric(NamedTuple):
    """A metric as its birth declared it; alias and unit None, datatype 0: not said."""

    name: str
    alias: int | None
    datatype: int
    unit: str | None


class Table(NamedTuple):
    """A birth, ready to be asked. plain: alias → (signal, unit) of what is read at once: the
    measured ones of type Float or Double."""

    by_alias: Mapping[int, Metric]
    by_name: Mapping[str, Metric]
    plain: Mapping[int, tuple[str, str | None]]


NO_TABLE = Table(MappingProxyType({}), MappingProxyType({}), MappingProxyType({}))


class Tables(Protocol):
    """What Sparkplug's births declared; `ingest.births`."""

    def table(self, device: str, at: int) -> Table: ...
    def next_table(self, device: str, at: int) -> Table | None: ...


class _NoTables:
    """Nobody was ever born."""

    def table(self, device: str, at: int) -> Table:
        return NO_TABLE

    def next_table(self, device: str, at: int) -> Table | None:
        return None


NO_TABLES: Tables = _NoTables()


class Spoken(NamedTuple):
    """What a Sparkplug message is besides its samples.

    part: BIRTH, DATA or DEATH. session: bdSeq; seq: number in its edge node's count; −1 if not
    said. born: a birth of this device was known. declared: the metrics that a birth names.
    """

    part: str
    declared: Sequence[Metric]
    session: int
    seq: int
    born: bool


def table_of(metrics: Sequence[Metric]) -> Table:
    """An alias that was given to two names means neither."""
    by_alias: dict[int, Metric] = {}
    twice = set()
    for metric in metrics:
        if metric.alias is None:
            continue
        known = by_alias.setdefault(metric.alias, metric)
        if known.name != metric.name:
            twice.add(metric.alias)
    for alias in twice:
        del by_alias[alias]
    plain: dict[int, tuple[str, str | None]] = {}
    for alias, metric in by_alias.items():
        signal = meaning_of_name(metric.name)
        if signal is not None and signal in SIGNALS and metric.datatype in (FLOAT, DOUBLE):
            plain[alias] = (signal, metric.unit)
    return Table(by_alias, {metric.name: metric for metric in metrics}, plain)
