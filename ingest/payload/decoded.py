"""What every decoder returns: samples, and rejections that say what is wrong and where.

Bad input is a value here, never an exception: a bad sample does not take its neighbours with it.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from enum import StrEnum

import msgspec

_SHOWN = 64  # characters of an offending value or path that are kept


class Reason(StrEnum):
    """Why something was refused. Codes are stable: counters, pages and scripts use them."""

    UNDECODABLE = "undecodable"
    FIELD_MISSING = "field_missing"
    FIELD_TYPE = "field_type"
    FIELD_DUPLICATE = "field_duplicate"
    TIME_MISSING = "time_missing"
    TIME_UNREADABLE = "time_unreadable"
    TIME_WITHOUT_ZONE = "time_without_zone"
    VALUE_NOT_A_NUMBER = "value_not_a_number"
    LENGTH_MISMATCH = "length_mismatch"
    QUALITY_OUT_OF_RANGE = "quality_out_of_range"
    FIELD_VALUE = "field_value"
    FIELD_NOT_UNDERSTOOD = "field_not_understood"
    VERSION_UNSUPPORTED = "version_unsupported"
    SCHEMA_UNKNOWN = "schema_unknown"
    NAME_INVALID = "name_invalid"
    TIME_RELATIVE = "time_relative"
    TIME_IMPRECISE = "time_imprecise"
    STATISTIC = "statistic"
    VALUE_ABSENT = "value_absent"
    VALUE_BOUND_ONLY = "value_bound_only"
    RESULT_NOT_VALID = "result_not_valid"
    SIGNAL_UNKNOWN = "signal_unknown"
    UNIT_UNKNOWN = "unit_unknown"
    VALUE_OUT_OF_RANGE = "value_out_of_range"
    FUTURE = "future"
    ANCIENT = "ancient"
    TOPIC_UNKNOWN = "topic_unknown"
    GATEWAY_UNKNOWN = "gateway_unknown"
    IDENTITY_MISMATCH = "identity_mismatch"
    DEVICE_UNKNOWN = "device_unknown"
    DEVICE_UNBOUND = "device_unbound"
    BINDING_AMBIGUOUS = "binding_ambiguous"
    NO_BASIS = "no_basis"
    NOT_ALLOWED = "not_allowed"
    DEMO_FULL = "demo_full"
    PAYLOAD_TOO_LARGE = "payload_too_large"
    STATUS_UNREADABLE = "status_unreadable"
    ANNOUNCEMENT_UNREADABLE = "announcement_unreadable"
    ALIAS_UNKNOWN = "alias_unknown"
    DEVICE_UNNAMED = "device_unnamed"
    NOT_SUPPORTED = "not_supported"
    EMPTY = "empty"


class Paths(msgspec.Struct, frozen=True, gc=False):
    """Where in the payload a value, its unit and its time stand.

    device: the one that the payload names for this value, None if none. named: where, "" if that
    is not known.
    """

    value: str
    unit: str
    time: str
    device: str | None = None
    named: str = ""


class Unusable(Exception):
    """Inside a decoder: this part of the payload cannot be used; says why, as a Rejection does."""

    def __init__(
        self, reason: Reason, path: str, expected: str, got: str = "", signal: str = ""
    ) -> None:
        super().__init__(reason, path, expected, got)
        self.rejection = Rejection(reason, path, expected, got, signal)


class Sample(msgspec.Struct, frozen=True, gc=False):
    """One value as the device said it, not yet judged by the catalogue.

    unit: what the payload named, None if nothing (then the canonical one is meant). stamp: the
    device's own, int64 ns UTC. quality 0–1, NaN where the device said nothing. index: place in a
    columnar batch or list, −1 in a single message. at: None in the native format, where signal and
    index say it.
    """

    signal: str
    value: float
    unit: str | None
    stamp: int
    quality: float = float("nan")
    index: int = -1
    at: Paths | None = None

    @property
    def path(self) -> str:
        """Where in the payload the value stands, e.g. ``values.spo2[3]``."""
        if self.at is None:
            return value_path(self.signal, self.index)
        return self.at.value if self.index < 0 else f"{self.at.value}[{self.index}]"

    @property
    def unit_path(self) -> str:
        """Where its unit stands, or would stand."""
        return value_path(self.signal, field="units") if self.at is None else self.at.unit

    @property
    def time_path(self) -> str:
        """Where its time stands."""
        if self.at is not None:
            return self.at.time
        return "time" if self.index < 0 else f"times[{self.index}]"


class Kept(msgspec.Struct, frozen=True, gc=False):
    """A value that belongs to no instant: it is kept in the record, and never filtered.

    Either a value of a date (precision `day`, `month`, `year` or `part_of_day`; measured_at is the
    date as said), or one over an interval from `start` to `end` (ISO-8601; "" where not said), of
    which `statistic` is what the payload names (None: it names none) and `denominator` per what
    (`d`, `session`, …). stamp: the end of the interval, ns UTC, if it is an instant.
    """

    signal: str
    value: float
    unit: str | None
    at: Paths
    measured_at: str
    precision: str = ""
    start: str = ""
    end: str = ""
    statistic: str | None = None
    denominator: str = ""
    part_of_day: str = ""
    stamp: int | None = None


class Rejection(msgspec.Struct, frozen=True):
    """Something that cannot be used: why, where, what was expected, what was there instead.

    got is at most 64 characters of the offending value. samples: how many values are lost by it.
    """

    reason: Reason
    path: str
    expected: str
    got: str = ""
    signal: str = ""
    samples: int = 1


class Decoded(msgspec.Struct, frozen=True, gc=False):
    """What a payload holds. A payload that holds nothing usable has only rejections.

    surplus: fields that are not stored. sequence −1 and boot 0: not said. device: the device that
    the payload itself names, None if it names none. battery 0–1 and contact None: not said. kept:
    values of dates and intervals, which are no samples.
    """

    samples: Sequence[Sample]
    rejections: Sequence[Rejection] = ()
    surplus: int = 0
    sequence: int = -1
    boot: int = 0
    battery: float | None = None
    contact: bool | None = None
    device: str | None = None
    kept: Sequence[Kept] = ()


def refused(rejection: Rejection) -> Decoded:
    """A payload of which nothing can be used."""
    return Decoded((), (rejection,))


def value_path(signal: str, index: int = -1, field: str = "values") -> str:
    """``values.spo2`` or, for an element of a list, ``values.spo2[3]``; printable, bounded."""
    path = f"{field}.{signal}" if index < 0 else f"{field}.{signal}[{index}]"
    return path if len(path) <= _SHOWN and path.isprintable() else shortened(path)


def shortened(text: str) -> str:
    """At most 64 printable characters of text; never one that UTF-8 or a terminal cannot take."""
    if len(text) <= _SHOWN and text.isprintable():
        return text
    plain = "".join(c if c.isprintable() else f"\\u{ord(c):04x}" for c in text[: _SHOWN + 1])
    return plain if len(plain) <= _SHOWN else plain[: _SHOWN - 1] + "…"


_as_json = json.JSONEncoder(ensure_ascii=False).encode


def shown(value: object) -> str:
    """An offending value as its author would recognise it; of a container only its kind."""
    if isinstance(value, str):
        return shortened(_as_json(value[: _SHOWN + 1]))
    if isinstance(value, dict):
        return "an object"
    if isinstance(value, list):
        return f"a list of {len(value)}"
    if isinstance(value, bytes):
        return f"{len(value)} bytes"
    if isinstance(value, int) and abs(value) >= 1 << 64:  # thousands of digits cannot be shown
        return f"a whole number of {value.bit_length()} bits"
    if value is None or isinstance(value, bool | int | float):
        return shortened(_as_json(value))
    return f"a {type(value).__name__}"


def no_objects(items: Sequence[object], path: str, expected: str) -> list[Rejection]:
    """One rejection, at the first, of all that should be an object with fields and is none."""
    places = [i for i, each in enumerate(items) if not (each and isinstance(each, dict))]
    if not places:
        return []
    where, got = f"{path}[{places[0]}]", shown(items[places[0]])
    return [Rejection(Reason.FIELD_TYPE, where, expected, got, samples=len(places))]
