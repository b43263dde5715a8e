"""IEEE 1752.1 and Open mHealth: data points (header and body), data series, lists of both.

The header says by which schema and version the body is read (`ingest.payload.ieee1752_schemas`);
a body alone is read by the newest version that allows it. Whatever the schema forbids is refused,
so that a point is what its sender meant. A point with a descriptive statistic, an interval or a
date with a part of the day is kept, and is no sample.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from ingest.payload.decoded import (
    Decoded,
    Kept,
    Paths,
    Reason,
    Rejection,
    Sample,
    Unusable,
    no_objects,
    refused,
    shortened,
    shown,
)
from ingest.payload.fields import is_number
from ingest.payload.ieee1752_header import check_header, schema_of
from ingest.payload.ieee1752_schemas import NAME_OF, SCHEMAS, Measure, Schema
from ingest.payload.ieee1752_time import time_frame
from ingest.payload.json_text import JsonObject, keys_twice, parse
from ingest.payload.moments import When, place

_EXPECTED = "an IEEE 1752 or Open mHealth data point, or a list of them, in JSON"
_READ = frozenset({"header", "body", *NAME_OF})
_TOLD = 1_000  # refusals that are told one by one
_ALWAYS = frozenset({"effective_time_frame", "descriptive_statistic"})

Body = Mapping[str, object]


def decode(payload: bytes) -> Decoded:
    """Samples, kept values and rejections of any bytes. Never raises; pure."""
    points = parse(payload, _EXPECTED)
    if isinstance(points, Rejection):
        return refused(points)
    reading = _Reading()
    if isinstance(points, list):
        reading.rejections += no_objects(points, "", _EXPECTED)
        reading.read_all(points)
    else:
        reading.read(points, "")
    return Decoded(reading.samples, reading.rejections, reading.surplus, kept=reading.kept)


@dataclass(slots=True)
class _Reading:
    """Takes in data point by data point."""

    samples: list[Sample] = field(default_factory=list)
    kept: list[Kept] = field(default_factory=list)
    rejections: list[Rejection] = field(default_factory=list)
    surplus: int = 0

    def read_all(self, points: list[object]) -> None:
        """Take in a list. After very many refusals, of points that have nothing which is read one
        more is told for all, so that thousands of tiny ones take no longer than good ones."""
        untold, first = 0, ""
        for i, point in enumerate(points):
            if not point or not isinstance(point, dict):
                continue
            if len(self.rejections) >= _TOLD and _READ.isdisjoint(point):
                untold, first = untold + 1, first or f"[{i}].header"
            else:
                self.read(point, f"[{i}].")
        if untold:
            expected = f"no more than {_TOLD} refusals in a message: here and behind"
            fault = Rejection(Reason.FIELD_MISSING, first, expected, "more", samples=untold)
            self.rejections.append(fault)

    def read(self, point: object, path: str) -> None:
        """Take in a point, a series or a body alone; path ends in a dot or is empty."""
        try:
            self._read(point, path)
        except Unusable as error:
            self.rejections.append(error.rejection)

    def _read(self, point: object, path: str) -> None:
        if not isinstance(point, dict):
            raise Unusable(Reason.UNDECODABLE, path.rstrip("."), _EXPECTED, shown(point))
        if isinstance(point, JsonObject):
            for key in keys_twice(point, path.rstrip(".")):
                raise Unusable(Reason.FIELD_DUPLICATE, shortened(key), "the key once", "twice")
        if "header" not in point and "body" not in point:
            self._read_body_alone(point, path)
            return
        header = check_header(point.get("header"), path + "header")
        if "body" not in point:
            raise Unusable(Reason.FIELD_MISSING, path + "body", "an object")
        name, version = schema_of(header, path + "header.schema_id")
        body = point["body"]
        if isinstance(body, list):
            schema = SCHEMAS[name][version]
            self.rejections += no_objects(body, path + "body", "an object with fields")
            for i, each in enumerate(body):
                if not each or not isinstance(each, dict):  # told of already
                    continue
                try:
                    self._take(each, schema, f"{path}body[{i}]")
                except Unusable as error:
                    self.rejections.append(error.rejection)
        else:
            self._take(body, SCHEMAS[name][version], path + "body")

    def _read_body_alone(self, body: Body, path: str) -> None:
        name = next((NAME_OF[key] for key in body if key in NAME_OF), None)
        if name is None:
            expected = "a header, with the schema of the body"
            raise Unusable(Reason.FIELD_MISSING, path + "header", expected)
        _check_timed(body, path)  # else each version would say so
        newest: Unusable | None = None
        for version, schema in reversed(SCHEMAS[name].items()):  # type: ignore[call-overload]
            if (name, version) == ("step-count", "1.0"):  # allows a count without a duration
                continue
            try:
                self._take(body, schema, path.rstrip("."))
                return
            except Unusable as error:
                newest = newest or error
        if newest is not None:
            raise newest

    def _take(self, body: object, schema: Schema, path: str) -> None:
        if not isinstance(body, dict):
            raise Unusable(Reason.FIELD_TYPE, path, "an object", shown(body))
        dot = f"{path}." if path else ""
        found = [
            (measure.signal_of(body), *_quantity(body, key, measure, dot))
            for key, measure in schema.measures.items()
            if measure.required or key in body
        ]
        _check_fields(body, schema, dot)
        if not found:
            expected = "a count of steps: base_movement_quantity"
            raise Unusable(Reason.SIGNAL_UNKNOWN, path, expected, "no measure of a signal")
        when = _when(body, schema, dot)
        statistic = body.get("descriptive_statistic")
        denominator = body.get("descriptive_statistic_denominator", "")
        for signal, value, unit, at in found:
            placed = place(
                signal,
                value,
                unit,
                Paths(at + ("value" if at.endswith(".") else ""), at + "unit", when.path),
                when,
                statistic if isinstance(statistic, str) else None,
                shortened(denominator) if isinstance(denominator, str) else "",
            )
            if isinstance(placed, Sample):
                self.samples.append(placed)
            else:
                self.kept.append(placed)
        known = _ALWAYS.union(schema.measures, schema.words, schema.quantities, schema.texts)
        self.surplus += len(body.keys() - known) if "" not in schema.measures else 0


def _quantity(body: Body, key: str, measure: Measure, dot: str) -> tuple[float, str | None, str]:
    """The value, its UCUM unit and the path of the two (ends in a dot if there is a unit)."""
    said = body if key == "" else body.get(key)
    path = dot + key
    if key and key not in body:
        raise Unusable(Reason.FIELD_MISSING, path, "the measure of its schema", "", measure.signal)
    if not measure.units:
        return _number(said, path, measure.signal), None, path
    at = f"{path}." if key else dot
    if not isinstance(said, dict):
        expected = "an object with value and unit"
        raise Unusable(Reason.FIELD_TYPE, path, expected, shown(said), measure.signal)
    for each in ("value", "unit"):
        if each not in said:
            raise Unusable(Reason.FIELD_MISSING, at + each, f"a {each}", "", measure.signal)
    value = _number(said["value"], at + "value", measure.signal)
    unit = said["unit"]
    if not isinstance(unit, str) or unit not in measure.units:
        expected = " or ".join(measure.units)
        raise Unusable(Reason.UNIT_UNKNOWN, at + "unit", expected, shown(unit), measure.signal)
    return value, measure.units[unit], at


def _number(said: object, path: str, signal: str = "") -> float:
    if not is_number(said):
        raise Unusable(Reason.VALUE_NOT_A_NUMBER, path, "a finite number", shown(said), signal)
    return float(said)  # type: ignore[arg-type]  # a number, as said above


def _check_fields(body: Body, schema: Schema, dot: str) -> None:
    for key, words in schema.words.items():
        if key in body and (not isinstance(body[key], str) or body[key] not in words):
            expected = shortened(", ".join(sorted(words)))
            raise Unusable(Reason.FIELD_VALUE, dot + key, expected, shown(body[key]))
    for key, units in schema.quantities.items():
        if key in body:
            _quantity(body, key, Measure("", {unit: unit for unit in units}), dot)
    for key in schema.texts:
        if key in body and not isinstance(body[key], str):
            raise Unusable(Reason.FIELD_TYPE, dot + key, "a text", shown(body[key]))


def _check_timed(body: Body, dot: str) -> None:
    if "effective_time_frame" not in body:
        path = dot + "effective_time_frame"
        raise Unusable(Reason.TIME_MISSING, path, "date_time or time_interval")


def _when(body: Body, schema: Schema, dot: str) -> When:
    _check_timed(body, dot)
    path = dot + "effective_time_frame"
    when = time_frame(body["effective_time_frame"], path, schema.part_of_day)
    if schema.interval and when.at is not None and not when.part_of_day:
        expected = "time_interval: it is counted over a time"
        raise Unusable(Reason.FIELD_MISSING, path + ".time_interval", expected, when.at.text)
    return when
