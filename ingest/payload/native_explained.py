"""The native format read with patience: says what is wrong and where, saves the good neighbours.

Much slower than the typed decode of `native`, and the definition of what that one means. A single
message is read as a batch of one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import isfinite, nan

from ingest.instant import ZoneMissing
from ingest.payload.decoded import Decoded, Reason, Rejection, Sample, refused, shown, value_path
from ingest.payload.fields import (
    MAX_SEQUENCE,
    SHORTEST_INSTANT,
    boot_number,
    stamp_of_number,
    stamp_of_text,
)
from ingest.payload.json_text import JsonObject, parse_patiently
from ingest.stamping import NAMES, Unit

FIELDS = frozenset(
    {"time", "times", "values", "units", "quality", "sequence", "boot", "battery", "contact"}
)
#: Every sample hangs on these: said twice, nobody knows which one is meant.
_ESSENTIAL = ("time", "times", "values", "units", "quality")
_TOLD = 1_000  # times that cannot be read, told one by one
_ISO = "an ISO-8601 date and time with zone, e.g. 2026-11-25T08:00:00Z"
_FRACTION = "a number from 0 to 1"


_EMPTY = JsonObject()


def decode_explained(payload: bytes, unit: Unit = "ms") -> Decoded:
    """Samples and rejections of any bytes. Never raises.

    unit: of times that are numbers; of one that is not the format's, fractions are read too.
    """
    message = _parsed(payload)
    if isinstance(message, Rejection):
        return refused(message)
    state = _State()
    state.read(message)
    values, fault = _frame(message)
    stamps = _stamps(message, values, unit)
    if fault is None and isinstance(stamps, Rejection):
        fault = stamps
    reading = _Reading([] if isinstance(stamps, Rejection) else stamps, "times" not in message)
    if fault is None:
        reading.read(message, values)
    device = message.get("device")
    return Decoded(
        reading.samples,
        [*([fault] if fault else reading.rejections), *state.rejections],
        _surplus(message, values),
        state.sequence,
        state.boot,
        state.battery,
        state.contact,
        device if isinstance(device, str) else None,
    )


def _parsed(payload: bytes) -> JsonObject | Rejection:
    message = parse_patiently(payload, "one JSON object")
    if not isinstance(message, JsonObject | Rejection):
        return Rejection(Reason.UNDECODABLE, "", "one JSON object", shown(message))
    return message


def _frame(message: JsonObject) -> tuple[JsonObject, Rejection | None]:
    """The values (empty if there are none), and what makes the whole message unusable."""
    values = message.get("values")
    if values is None:
        return _EMPTY, Rejection(Reason.FIELD_MISSING, "values", "an object: signal → value")
    if not isinstance(values, JsonObject):
        expected = "an object: signal → value"
        return _EMPTY, Rejection(Reason.FIELD_TYPE, "values", expected, shown(values))
    for key in _ESSENTIAL:
        if key in message.twice:
            lost = _count(values)
            return values, Rejection(
                Reason.FIELD_DUPLICATE, key, "the key once", "twice", samples=lost
            )
    for key in ("units", "quality"):
        by_signal = message.get(key)
        if by_signal is not None and not isinstance(by_signal, JsonObject):
            expected, got = "an object with the signals of values", shown(by_signal)
            return values, Rejection(Reason.FIELD_TYPE, key, expected, got, samples=_count(values))
    return values, None


def _count(values: JsonObject) -> int:
    """How many values a message holds, at least 1."""
    each = (
        sum(v is not None for v in value) if isinstance(value, list) else int(value is not None)
        for value in values.values()
    )
    return max(1, sum(each))


def _stamps(
    message: JsonObject, values: JsonObject, unit: Unit
) -> list[int | Rejection] | Rejection:
    """A stamp or a rejection for each place of the batch, or one rejection of the whole."""
    time, times = message.get("time"), message.get("times")
    if time is None and times is None:
        return Rejection(Reason.TIME_MISSING, "time", _time(unit), samples=_count(values))
    if time is not None and times is not None:
        expected = "time or times, not both"
        return Rejection(Reason.FIELD_TYPE, "time", expected, "both", samples=_count(values))
    if times is None:
        stamp = _stamp(time, "time", _count(values), unit)
        return stamp if isinstance(stamp, Rejection) else [stamp]
    if not isinstance(times, list):
        expected = "a list of times"
        got = shown(times)
        return Rejection(Reason.FIELD_TYPE, "times", expected, got, samples=_count(values))
    return _stamps_of(times, unit)


def _stamps_of(times: list[object], unit: Unit) -> list[int | Rejection]:
    """After very many refusals all others are one and the same, so that a list of thousands of tiny
    bad times takes no longer than a good one."""
    found: list[int | Rejection] = []
    told = 0
    rest: Rejection | None = None
    for i, each in enumerate(times):
        stamp: int | Rejection
        if told < _TOLD:
            stamp = _stamp(each, f"times[{i}]", 0, unit)
            told += isinstance(stamp, Rejection)
        else:
            try:
                stamp = _instant(each, unit)
            except ValueError:
                expected = f"no more than {_TOLD} times that cannot be read: here and behind"
                rest = rest or Rejection(Reason.TIME_UNREADABLE, f"times[{i}]", expected, "more")
                stamp = rest
        found.append(stamp)
    return found


def _time(unit: Unit) -> str:
    number = "a whole number of epoch milliseconds" if unit == "ms" else f"epoch {NAMES[unit]}"
    return f"an ISO-8601 date and time with zone, or {number}"


def _instant(time: object, unit: Unit) -> int:
    """ns UTC. Raises ZoneMissing, ValueError."""
    if isinstance(time, str):
        if len(time) < SHORTEST_INSTANT:
            raise ValueError(f"expected {_ISO}")
        return stamp_of_text(time)
    whole = isinstance(time, int) and not isinstance(time, bool)
    if whole or (isinstance(time, float) and unit != "ms"):
        return stamp_of_number(time, unit)  # type: ignore[arg-type]  # a number, as said above
    raise ValueError(f"expected {_time(unit)}")


def _stamp(time: object, path: str, samples: int, unit: Unit) -> int | Rejection:
    try:
        return _instant(time, unit)
    except ZoneMissing as error:
        why = str(error).removeprefix("expected ")
        return Rejection(Reason.TIME_WITHOUT_ZONE, path, why, shown(time), samples=samples)
    except ValueError as error:
        why = str(error).removeprefix("expected ")
        if not str(error).startswith("expected"):  # e.g. month 13: the form is right
            why = f"a date and time of the calendar ({error})"
        return Rejection(Reason.TIME_UNREADABLE, path, why, shown(time), samples=samples)


def _surplus(message: JsonObject, values: JsonObject) -> int:
    """Fields that nothing reads: they are not stored."""
    inner = (message.get(key) for key in ("units", "quality"))
    return sum(key not in FIELDS for key in message) + sum(
        key not in values for each in inner if isinstance(each, JsonObject) for key in each
    )


@dataclass(slots=True)
class _Reading:
    """Takes in signal by signal against the stamps of the message."""

    stamps: Sequence[int | Rejection]
    single: bool
    samples: list[Sample] = field(default_factory=list)
    rejections: list[Rejection] = field(default_factory=list)
    lost: dict[int, int] = field(default_factory=dict)  # place of a bad stamp → values lost by it

    def read(self, message: JsonObject, values: JsonObject) -> None:
        units, quality = message.get("units"), message.get("quality")
        units = units if isinstance(units, JsonObject) else _EMPTY
        quality = quality if isinstance(quality, JsonObject) else _EMPTY
        for signal in values:
            before = len(self.rejections)
            for each, name in ((values, "values"), (units, "units"), (quality, "quality")):
                if signal in each.twice:
                    self._refuse(Reason.FIELD_DUPLICATE, name, signal, "the key once", "twice")
            unit = units.get(signal)
            if unit is not None and not isinstance(unit, str):
                self._refuse(Reason.FIELD_TYPE, "units", signal, "a UCUM unit", unit)
            column = self._column("values", signal, values[signal], "a number")
            worth = self._column("quality", signal, quality.get(signal), _FRACTION)
            if len(self.rejections) == before and column:
                self._read_column(signal, column, worth, unit if isinstance(unit, str) else None)
        untold: dict[int, tuple[Rejection, int]] = {}  # what is one refusal of several places
        for i, stamp in enumerate(self.stamps):
            if isinstance(stamp, Rejection):
                _, lost = untold.get(id(stamp), (stamp, 0))
                untold[id(stamp)] = stamp, lost + max(1, self.lost.get(i, 0))
        self.rejections += [
            Rejection(stamp.reason, stamp.path, stamp.expected, stamp.got, samples=lost)
            for stamp, lost in untold.values()
        ]

    def _column(self, name: str, signal: str, column: object, what: str) -> list[object]:
        """The values by place; refused if their shape is not that of the times."""
        n = len(self.stamps)
        if self.single:
            if not isinstance(column, list | dict):
                return [column]
            self._refuse(Reason.FIELD_TYPE, name, signal, f"{what} (lists need times)", column)
        elif isinstance(column, list):
            if len(column) == n:
                return column
            self._refuse(Reason.LENGTH_MISMATCH, name, signal, f"{n} values, as times has", column)
        elif column is not None:
            self._refuse(Reason.FIELD_TYPE, name, signal, f"a list of {n}, as times has", column)
        return []

    def _refuse(self, reason: Reason, name: str, signal: str, expected: str, got: object) -> None:
        path = value_path(signal, field=name)
        lost = sum(v is not None for v in got) if name == "values" and isinstance(got, list) else 1
        seen = got if got == "twice" else shown(got)
        self.rejections.append(
            Rejection(reason, path, expected, str(seen), signal, samples=max(1, lost))
        )

    def _read_column(
        self, signal: str, column: list[object], worth: list[object], unit: str | None
    ) -> None:
        for i, (value, stamp) in enumerate(zip(column, self.stamps, strict=True)):
            if value is None:
                continue
            if isinstance(stamp, Rejection):
                self.lost[i] = self.lost.get(i, 0) + 1
                continue
            index = -1 if self.single else i
            number, quality = _number(value), _quality(worth[i] if worth else None)
            if number is None:
                path = value_path(signal, index)
                self._add(Reason.VALUE_NOT_A_NUMBER, path, "a finite number", value, signal)
            elif isinstance(quality, Reason):
                path = value_path(signal, index, "quality")
                self._add(quality, path, _FRACTION, worth[i], signal)
            else:
                self.samples.append(Sample(signal, number, unit, stamp, quality, index))

    def _add(self, reason: Reason, path: str, expected: str, got: object, signal: str) -> None:
        self.rejections.append(Rejection(reason, path, expected, shown(got), signal))


def _number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not isfinite(value):
        return None
    return float(value)


def _quality(value: object) -> float | Reason:
    if value is None:
        return nan
    number = _number(value)
    if number is None:
        return Reason.FIELD_TYPE
    return number if 0 <= number <= 1 else Reason.QUALITY_OUT_OF_RANGE


@dataclass(slots=True)
class _State:
    """What a message says about the device itself; a bad field here costs no sample."""

    sequence: int = -1
    boot: int = 0
    battery: float | None = None
    contact: bool | None = None
    rejections: list[Rejection] = field(default_factory=list)

    def read(self, message: JsonObject) -> None:
        for key in ("sequence", "boot", "battery", "contact"):
            value = message.get(key)
            if key in message.twice:
                self.rejections.append(
                    Rejection(Reason.FIELD_DUPLICATE, key, "the key once", "twice")
                )
            elif value is not None:
                expected = getattr(self, f"_read_{key}")(value)
                if expected:
                    self.rejections.append(
                        Rejection(Reason.FIELD_TYPE, key, expected, shown(value))
                    )

    def _read_sequence(self, value: object) -> str:
        if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= MAX_SEQUENCE:
            return "a whole number from 0"
        self.sequence = value
        return ""

    def _read_boot(self, value: object) -> str:
        if not isinstance(value, str) and _number(value) is None:
            return "a text or a number"
        self.boot = boot_number(value)  # type: ignore[arg-type]  # a text or a finite number
        return ""

    def _read_battery(self, value: object) -> str:
        number = _number(value)
        if number is None or not 0 <= number <= 1:
            return _FRACTION
        self.battery = number
        return ""

    def _read_contact(self, value: object) -> str:
        if not isinstance(value, bool):
            return "true or false"
        self.contact = value
        return ""
