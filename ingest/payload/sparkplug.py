"""Sparkplug B (Eclipse Sparkplug 3.0): births, data and deaths of edge nodes and their devices.

Pure: bytes, what the topic says they are, and the table of the device's last birth → samples,
rejections, and of a birth the new table. Each metric stands alone: a bad one does not take its
neighbours with it. The sequence number (0–255) counts an edge node's messages, all its devices
together, so it is none of the device's own numbers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from math import isfinite
from typing import Any, NamedTuple

from ingest.payload.decoded import Decoded, Paths, Reason, Rejection, Sample, refused, shortened
from ingest.payload.fields import MAX_STAMP, stamp_of_number
from ingest.payload.names import BATTERY, CONTACT, meaning_of_name
from ingest.payload.sparkplug_births import NO_TABLE, Metric, Table
from ingest.payload.sparkplug_values import (
    Unusable,
    fraction_of,
    number_of,
    properties_of,
    truth_of,
)
from ingest.payload.sparkplug_wire import (
    DATASET,
    DOUBLE,
    FLOAT,
    TEMPLATE,
    DecodeError,
    Payload,
)
from ingest.stamping import NAMES, UNITS, Unit

LARGEST_SEQ = 255
#: Metrics of one message, and of a birth: a bound on what anybody's bytes may cost.
LARGEST_DATA, LARGEST_BIRTH = 10_000, 2_500
#: Refusals of one message that are told one by one; nobody reads on.
_TOLD = 500
_COMPRESSED = b"SPBV1.0_COMPRESSED"
#: Names that the protocol itself uses; they carry no measurement.
_OWN = ("Node Control/", "Device Control/", "Properties/", "Node Info/", "Device Info/")


class Understood(NamedTuple):
    """What a message holds. declared: the metrics that it names; session: bdSeq, seq: −1 if not
    said."""

    decoded: Decoded
    declared: Sequence[Metric] = ()
    session: int = -1
    seq: int = -1


def decode(payload: bytes, kind: str, table: Table = NO_TABLE, unit: Unit = "ms") -> Understood:
    """kind: BIRTH, DATA or DEATH; table: of the last birth of the same node or device; unit: in
    which its timestamps are known to be.

    Never raises.
    """
    try:
        message = Payload.FromString(payload)
    except DecodeError:
        expected, got = (
            "a Sparkplug B payload (protobuf)",
            f"{len(payload)} bytes of something else",
        )
        return Understood(refused(Rejection(Reason.UNDECODABLE, "", expected, got)))
    reading = _Reading(message, table, kind == "BIRTH", unit)
    if kind == "DEATH":
        return Understood(Decoded(()), (), _session(message), reading.seq())
    if message.uuid == _COMPRESSED:
        expected = "metrics that are not compressed"
        fault = Rejection(Reason.NOT_SUPPORTED, "uuid", expected, _COMPRESSED.decode())
        return Understood(refused(fault))
    seq = reading.seq()
    if not message.metrics and not message.HasField("seq"):
        what = "metrics, or at least a sequence number"
        reading.refuse(Reason.FIELD_MISSING, "metrics", what, "neither")
    lost, largest = len(message.metrics), LARGEST_BIRTH if reading.is_birth else LARGEST_DATA
    if lost > largest:
        expected, got = f"at most {largest} metrics", str(lost)
        fault = Rejection(Reason.PAYLOAD_TOO_LARGE, "metrics", expected, got, samples=lost)
        return Understood(refused(fault), (), -1, seq)
    for index, metric in enumerate(message.metrics):
        if not reading.read_plain(index, metric):
            reading.read(index, metric)
    untold = (Rejection(r, "metrics", "as above", "", "", n) for r, n in reading.untold.items())
    decoded = Decoded(
        reading.samples,
        [*reading.rejections, *untold],
        reading.surplus,
        battery=reading.battery,
        contact=reading.contact,
    )
    return Understood(decoded, reading.declared, _session(message), seq)


def _session(message: Any) -> int:
    for metric in message.metrics:
        if metric.name == b"bdSeq" and metric.WhichOneof("value") in ("int_value", "long_value"):
            return int(metric.long_value or metric.int_value)
    return -1


@lru_cache(maxsize=1 << 14)
def _paths(index: int, own_unit: bool, own_time: bool) -> Paths:
    where = f"metrics[{index}]"
    unit = f"{where}.properties.engUnit" if own_unit else f"{where} (unit of its birth)"
    return Paths(f"{where}.value", unit, f"{where}.timestamp" if own_time else "timestamp")


@dataclass(slots=True)
class _Reading:
    """Takes in metric by metric."""

    message: Any
    table: Table
    is_birth: bool
    unit: Unit
    samples: list[Sample] = field(default_factory=list)
    rejections: list[Rejection] = field(default_factory=list)
    declared: list[Metric] = field(default_factory=list)
    aliases: dict[int, str] = field(default_factory=dict)
    untold: dict[Reason, int] = field(default_factory=dict)
    surplus: int = 0
    battery: float | None = None
    contact: bool | None = None

    def seq(self) -> int:
        """The sequence number; one that cannot be is refused and costs no sample."""
        if not self.message.HasField("seq"):
            return -1
        seq = int(self.message.seq)
        if seq <= LARGEST_SEQ:
            return seq
        self.refuse(Reason.FIELD_TYPE, "seq", "a whole number from 0 to 255", str(seq))
        return -1

    def refuse(
        self, reason: Reason, path: str, expected: str, got: str = "", signal: str = ""
    ) -> None:
        if len(self.rejections) < _TOLD:
            rejection = Rejection(reason, path, expected, shortened(got), shortened(signal))
            self.rejections.append(rejection)
        else:
            self.untold[reason] = self.untold.get(reason, 0) + 1

    def read_plain(self, index: int, metric: Any) -> bool:
        """Take in what data mostly is, alias, number and time; whether it was that, and is done."""
        plain = self.table.plain.get(metric.alias)
        if plain is None or self.is_birth or metric.name:
            return False
        if metric.is_null or metric.is_transient or metric.HasField("properties"):
            return False
        own_time = metric.HasField("timestamp")
        if not own_time and not self.message.HasField("timestamp"):
            return False
        stamp = (metric.timestamp if own_time else self.message.timestamp) * UNITS[self.unit]
        which = metric.WhichOneof("value")
        if which == "double_value":
            value = metric.double_value
        elif which == "float_value":
            value = metric.float_value
        else:
            return False
        if not isfinite(value) or stamp > MAX_STAMP:
            return False
        if metric.datatype not in (0, FLOAT, DOUBLE):
            return False
        signal, unit = plain
        paths = _paths(index, False, own_time)
        self.samples.append(Sample(signal, value, unit, stamp, at=paths))
        return True

    def read(self, index: int, metric: Any) -> None:
        """Take in any metric."""
        known = self._known(index, metric)
        if known is None:
            return
        unit, quality = properties_of(metric)
        own_unit = unit is not None
        unit = known.unit if unit is None else unit
        if metric.name:
            alias = metric.alias if metric.HasField("alias") else None
            self._declare(index, Metric(known.name, alias, known.datatype, unit))
        if known.datatype in (TEMPLATE, DATASET):
            what = "template" if known.datatype == TEMPLATE else "data set"
            path = f"metrics[{index}].value"
            expected = "one value: a number or a boolean"
            self.refuse(Reason.NOT_SUPPORTED, path, expected, f"a {what}", known.name)
        elif metric.is_null or known.name == "bdSeq" or known.name.startswith(_OWN):
            pass  # no value, or none that is measured
        elif metric.is_transient:
            self.surplus += 1  # the device asks that it be not stored
        else:
            self._read_value(index, metric, known, unit, quality, own_unit)

    def _known(self, index: int, metric: Any) -> Metric | None:
        """Name, type and unit: what the metric says itself, and what its birth said."""
        try:
            name = metric.name.decode("utf-8")
        except UnicodeDecodeError:
            self.refuse(Reason.UNDECODABLE, f"metrics[{index}].name", "UTF-8", "other bytes")
            return None
        if not name and metric.HasField("alias") and not self.is_birth:
            known = self.table.by_alias.get(metric.alias)
            if known is None:
                expected = "an alias that the last birth named"
                path = f"metrics[{index}].alias"
                self.refuse(Reason.ALIAS_UNKNOWN, path, expected, str(metric.alias))
                return None
        elif not name:
            expected = "a name" if self.is_birth else "a name or an alias"
            self.refuse(Reason.FIELD_MISSING, f"metrics[{index}].name", expected, "none")
            return None
        else:
            known = None if self.is_birth else self.table.by_name.get(name)
            known = known or Metric(name, None, 0, None)
        datatype = metric.datatype or known.datatype
        return known if datatype == known.datatype else known._replace(datatype=datatype)

    def _declare(self, index: int, metric: Metric) -> None:
        self.declared.append(metric)
        alias = metric.alias
        if alias is not None and self.aliases.setdefault(alias, metric.name) != metric.name:
            path, expected = f"metrics[{index}].alias", "an alias of one metric"
            self.refuse(Reason.FIELD_DUPLICATE, path, expected, str(alias), metric.name)

    def _read_value(
        self,
        index: int,
        metric: Any,
        known: Metric,
        unit: str | None,
        quality: float,
        own_unit: bool,
    ) -> None:
        meaning = meaning_of_name(known.name)
        if meaning in (BATTERY, CONTACT):
            self._read_state(index, metric, known, unit, meaning)
            return
        value = number_of(metric, known.datatype)
        if isinstance(value, Unusable):
            if meaning is None and value.is_other:
                self.surplus += 1  # a text, a boolean, a date: no measurement, not stored
            else:
                path = f"metrics[{index}].{value.field}"
                self.refuse(value.reason, path, value.expected, value.got, meaning or known.name)
            return
        own_time = metric.HasField("timestamp")
        stamp = self._stamp(index, metric, own_time, meaning or known.name)
        if stamp is None:
            return
        if quality != quality or 0 <= quality <= 1:
            paths = _paths(index, own_unit, own_time)
            self.samples.append(
                Sample(meaning or known.name, value, unit, stamp, quality, at=paths)
            )
        else:
            path = f"metrics[{index}].properties.Quality"
            expected = "192 (good), 500 (stale), 0 (bad), or a number from 0 to 1"
            self.refuse(Reason.QUALITY_OUT_OF_RANGE, path, expected, f"{quality:g}", known.name)

    def _stamp(self, index: int, metric: Any, own_time: bool, signal: str) -> int | None:
        if not own_time and not self.message.HasField("timestamp"):
            expected = f"a timestamp of the metric or of the payload, epoch {NAMES[self.unit]}"
            path = f"metrics[{index}].timestamp"
            self.refuse(Reason.TIME_MISSING, path, expected, "neither", signal)
            return None
        number = metric.timestamp if own_time else self.message.timestamp
        try:
            return stamp_of_number(number, self.unit)
        except ValueError as error:
            path = f"metrics[{index}].timestamp" if own_time else "timestamp"
            why = str(error).removeprefix("expected ")
            self.refuse(Reason.TIME_UNREADABLE, path, why, str(number), signal)
            return None

    def _read_state(
        self, index: int, metric: Any, known: Metric, unit: str | None, meaning: str
    ) -> None:
        if metric.is_historical:
            return  # what was so, not what is
        path, which = f"metrics[{index}].value", metric.WhichOneof("value")
        got = f"{which} of type {known.datatype}"
        if meaning == BATTERY:
            battery = fraction_of(metric, known.datatype, unit)
            if battery is None:
                self.refuse(Reason.FIELD_TYPE, path, "0 to 100 %, or a fraction", got, known.name)
            self.battery = battery
        else:
            contact = truth_of(metric, known.datatype)
            if contact is None:
                self.refuse(Reason.FIELD_TYPE, path, "true or false", got, known.name)
            self.contact = contact
