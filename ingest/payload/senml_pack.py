"""SenML (RFC 8428): what the records of a pack mean, however they were encoded.

Base fields are resolved as section 4.6 says: base name + name, base time + time, base unit unless
the record has one, base value + value. A record becomes a sample if its name means a signal of the
catalogue (`ingest.payload.names`), its value is a number and its time absolute. Every other one is
refused with its reason, alone; the whole pack only for what makes all of it doubtful: another
version, a field that must be understood, a base field that nobody can read.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from math import nan
from types import MappingProxyType

from ingest.instant import SECOND
from ingest.payload.decoded import (
    Decoded,
    Paths,
    Reason,
    Rejection,
    Sample,
    Unusable,
    no_objects,
    refused,
    shown,
)
from ingest.payload.fields import MAX_STAMP, is_number, stamp_of_number
from ingest.payload.names import BATTERY, CONTACT, meaning_of_name
from ingest.stamping import UNITS as TIMES
from ingest.stamping import Unit

#: The version of SenML that RFC 8428 defines; packs of a higher one must not be processed.
VERSION = 10
#: s. A smaller time is relative to the moment of receipt (RFC 8428, 4.5.3).
ABSOLUTE = 1 << 28

Record = Mapping[str, object]

_BASES = frozenset({"bver", "bn", "bt", "bu", "bv", "bs"})
_VALUES = ("v", "vs", "vb", "vd")
_LONGEST = 512  # characters of a name
_TOLD = 1000  # refusals that are told one by one
_READ = frozenset({*_BASES, *_VALUES, "n", "u", "t", "s"})
_NUMBERS = (float, int)
_STATES = (BATTERY, CONTACT)
_LAST = MAX_STAMP // SECOND
_HUGE = 1e300  # two of them have a finite sum; no NaN is less
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9:./_-]*", re.ASCII)
_URN = re.compile(r"urn:dev:[a-z]+:[^:/]+", re.ASCII)

#: SenML unit names (RFC 8428 and 8798) of which UCUM has another word. Others are taken as UCUM.
UNITS: Mapping[str, str] = MappingProxyType(
    {"beat/min": "/min", "1/min": "/min", "1/s": "/s", "/": "1", "count": "1", "/100": "%"}
)
_PERCENT = ("%EL", "%", "/100")


@dataclass(frozen=True, slots=True)
class Meaning:
    """What a resolved name says.

    fault: it is no name. device: the part before the last one, of a `urn:dev:` the URN without
    subparts. plain: it means a signal. last: where the last part begins.
    """

    signal: str | None
    fault: bool = False
    device: str | None = None
    plain: bool = False
    last: int = 0


@lru_cache(maxsize=1 << 14)
def meaning(name: str) -> Meaning:
    """What a resolved SenML name means."""
    if len(name) > _LONGEST or _NAME.fullmatch(name) is None:
        return Meaning(None, True)
    prefix = name[: max(name.rfind(each) for each in "/:.") + 1]
    signal = meaning_of_name(name)
    plain = signal is not None and signal not in _STATES
    device = prefix.rstrip("/:.") or None
    urn = _URN.match(device or "")
    if urn is not None:
        device = urn[0]
    return Meaning(signal, False, device, plain, len(prefix))


@lru_cache(maxsize=1 << 14)
def _paths(i: int, timed: bool, device: str | None, based: int) -> Paths:
    """based: the place of the base name that names the device, −1: the record's own name does."""
    where = f"[{i}]"
    named = where + ".n" if based < 0 else f"[{based}].bn"
    return Paths(where + ".v", where + ".u", where + ".t" if timed else where, device, named)


def read_pack(
    records: object, twice: Mapping[int, Sequence[str]] = MappingProxyType({}), unit: Unit = "s"
) -> Decoded:
    """What a pack holds. twice: for the place of a record the keys that it holds twice; unit: in
    which its times are known to be."""
    if not isinstance(records, list):
        expected = "a SenML pack: an array of records"
        return refused(Rejection(Reason.UNDECODABLE, "", expected, shown(records)))
    no_records = no_objects(records, "", "a SenML record: an object with fields")
    reading = _Reading(twice, unit_of_time=unit, rejections=no_records)
    i = 0
    while i < len(records):
        refusals = len(reading.rejections)
        fault = reading.read(i, records[i])
        i += 1
        if fault is not None:
            lost = sum(isinstance(each, dict) and "v" in each for each in records)
            return refused(
                Rejection(fault.reason, fault.path, fault.expected, fault.got, samples=max(1, lost))
            )
        if len(reading.rejections) == refusals and not twice:
            i = reading.read_plain(records, i)
        elif refusals > _TOLD:
            i = reading.pass_over(records, i)
    return Decoded(
        reading.samples,
        reading.rejections,
        reading.surplus,
        battery=reading.battery,
        contact=reading.contact,
    )


def _unusable(reason: Reason, path: str, expected: str, got: object, signal: str = "") -> Unusable:
    return Unusable(reason, path, expected, shown(got), signal)


@dataclass(slots=True)
class _Reading:
    """Takes in record by record; keeps the base fields that are in force."""

    twice: Mapping[int, Sequence[str]]
    samples: list[Sample] = field(default_factory=list)
    rejections: list[Rejection] = field(default_factory=list)
    surplus: int = 0
    battery: float | None = None
    contact: bool | None = None
    name: str = ""
    named_at: int = -1  # the place of the base name
    time: int | float = 0
    unit: str | None = None
    value: int | float | None = None
    version: int | None = None
    unit_of_time: Unit = "s"

    def read_plain(self, records: Sequence[object], first: int) -> int:
        """Take in records from place `first` on while they are numbers of known signals.

        Returns the place of the first that is not. A third of the cost of `read`, which defines
        what a record means.
        """
        if self.unit_of_time != "s":
            return first
        base, base_time, base_unit, base_value = self.name, self.time, self.unit, self.value or 0
        base_ends, base_at = len(base), self.named_at
        add = self.samples.append
        for i in range(first, len(records)):
            record = records[i]
            if not record or not isinstance(record, dict):  # told of already
                continue
            get = record.get
            said, own, time, unit = get("v"), get("n", ""), get("t", 0), get("u", base_unit)
            if said.__class__ not in _NUMBERS or time.__class__ not in _NUMBERS:
                return i
            if own.__class__ is not str or len(record) != 1 + (
                ("n" in record) + ("u" in record) + ("t" in record)
            ):
                return i
            known = meaning(base + own)
            if not known.plain:
                return i
            if not (-_HUGE < time < _HUGE and -_HUGE < said < _HUGE):
                return i
            moment = base_time + time
            if not ABSOLUTE <= moment <= _LAST:
                return i
            if unit is not None:
                if unit.__class__ is not str:
                    return i
                unit = UNITS.get(unit, unit)
            stamp = moment * SECOND if moment.__class__ is int else round(moment * 1e6) * 1000
            value, by = float(said + base_value), base_at if known.last <= base_ends else -1
            at = _paths(i, "t" in record, known.device, by)
            add(Sample(known.signal, value, unit, stamp, nan, -1, at))  # type: ignore[arg-type]  # plain
        return len(records)

    def pass_over(self, records: Sequence[object], first: int) -> int:
        """After very many refusals: up to the next base field only numbers of signals are read.

        All others are one refusal, so that a pack of thousands of tiny bad records takes no longer
        than a good one. Returns the place of the base field.
        """
        i, count = first, 0
        while i < len(records):
            record = records[i]
            after = i
            if isinstance(record, dict):
                if not _BASES.isdisjoint(record):
                    break
                own = record.get("n", "")
                name = own if not self.name or own.__class__ is not str else self.name + own
                if name and name.__class__ is str and meaning(name).plain:
                    after = self.read_plain(records, i)
            if after == i:
                i, count = i + 1, count + 1
            else:
                i = after
        if count:
            path, last = f"[{first}]", self.rejections[-1]
            expected = f"no more than {_TOLD} refusals in a pack: here and behind"
            self.rejections.append(
                Rejection(last.reason, path, expected, f"{count} records", samples=count)
            )
        return i

    def read(self, i: int, record: object) -> Rejection | None:
        """Take in a record; returns what makes the whole pack unusable."""
        if not record or not isinstance(record, dict):  # told of already
            return None
        if not record.keys() <= _READ:
            for key in record:
                if key[-1:] == "_":
                    expected = "no extension that must be understood"
                    path = f"[{i}].{key[:40]}"
                    return Rejection(Reason.FIELD_NOT_UNDERSTOOD, path, expected, shown(key))
            self.surplus += len(record.keys() - _READ)
        try:
            if not _BASES.isdisjoint(record):
                fault = self._read_base(i, record)
                if fault is not None or record.keys() <= _BASES:
                    return fault
            if i in self.twice:
                expected = "each key once"
                path = f"[{i}].{self.twice[i][0][:40]}"
                raise Unusable(Reason.FIELD_DUPLICATE, path, expected, "twice")
            self._read_own(i, record)
        except Unusable as error:
            self.rejections.append(error.rejection)
        return None

    def _read_base(self, i: int, record: Record) -> Rejection | None:
        for key, said in record.items():
            if key not in _BASES:
                continue
            if key in self.twice.get(i, ()):
                return Rejection(Reason.FIELD_DUPLICATE, f"[{i}].{key}", "the key once", "twice")
            if key in ("bn", "bu"):
                if not isinstance(said, str) or len(said) > _LONGEST:
                    expected = f"a text of at most {_LONGEST} characters"
                    return Rejection(Reason.FIELD_TYPE, f"[{i}].{key}", expected, shown(said))
            elif not is_number(said):
                return Rejection(Reason.FIELD_TYPE, f"[{i}].{key}", "a finite number", shown(said))
            if key == "bver":
                fault = self._read_version(said, f"[{i}].bver")
                if fault is not None:
                    return fault
            elif key == "bn":
                self.name, self.named_at = said, i  # type: ignore[assignment]  # a text, see above
            elif key == "bu":
                self.unit = said  # type: ignore[assignment]
            elif key == "bt":
                self.time = said  # type: ignore[assignment]  # a number
            elif key == "bv":
                self.value = said  # type: ignore[assignment]
            else:
                expected = "measurements: a sum over time (an integral) is none"
                self.rejections.append(
                    Rejection(Reason.NOT_SUPPORTED, f"[{i}].bs", expected, shown(said))
                )
        return None

    def _read_version(self, said: object, path: str) -> Rejection | None:
        if not isinstance(said, int) or not 0 < said <= VERSION:
            expected = f"a whole number up to {VERSION}"
            return Rejection(Reason.VERSION_UNSUPPORTED, path, expected, shown(said))
        if self.version not in (None, said):
            expected = f"{self.version}, as in the pack's first record with a version"
            return Rejection(Reason.VERSION_UNSUPPORTED, path, expected, shown(said))
        self.version = said
        return None

    def _read_own(self, i: int, record: Record) -> None:
        """The record's own fields; raises Unusable."""
        own = record.get("n", "")
        if not isinstance(own, str):
            raise _unusable(Reason.FIELD_TYPE, f"[{i}].n", "a text", own)
        said = [key for key in _VALUES if key in record]
        if not said and "s" not in record and (self.value is None or "n" not in record):
            if "n" not in record:
                return  # sets base fields only
            raise Unusable(Reason.FIELD_MISSING, f"[{i}].v", "a value")
        if len(said) > 1:
            expected = "one value: v, vs, vb or vd"
            raise Unusable(Reason.FIELD_TYPE, f"[{i}]", expected, " and ".join(said))
        name = self.name + own
        known = meaning(name)
        path = f"[{i}].n" if own or not self.name else f"[{i}].bn"
        if known.fault:
            expected = "up to 512 of A–Z a–z 0–9 - : . / _, a letter or digit first"
            raise _unusable(Reason.NAME_INVALID, path, expected, name)
        if known.signal is None:
            raise _unusable(
                Reason.SIGNAL_UNKNOWN, path, "a name that ends in a signal of the catalogue", name
            )
        key = said[0] if said else "v"
        if known.signal in _STATES:
            self._read_state(i, known.signal, key, record)
        elif "s" in record:
            # The value beside it is good; the sum is refused, not dropped in silence.
            if said:
                self._add(i, known, key, record)
            expected = "a value: a sum over time (an integral) is no measurement"
            raise _unusable(Reason.NOT_SUPPORTED, f"[{i}].s", expected, record["s"], known.signal)
        else:
            self._add(i, known, key, record)

    def _number(self, i: int, key: str, record: Record, signal: str) -> float:
        said = record.get(key, 0)
        if key != "v" or not is_number(said):
            raise _unusable(
                Reason.VALUE_NOT_A_NUMBER, f"[{i}].{key}", "v: a finite number", said, signal
            )
        return float(said + (self.value or 0))  # type: ignore[operator]  # a number, as said above

    def _unit(self, i: int, record: Record) -> str | None:
        unit = record.get("u", self.unit)
        if unit is None or isinstance(unit, str):
            return unit
        raise _unusable(Reason.FIELD_TYPE, f"[{i}].u", "a text", unit)

    def _add(self, i: int, known: Meaning, key: str, record: Record) -> None:
        signal = known.signal or ""
        value, unit = self._number(i, key, record, signal), self._unit(i, record)
        time = record.get("t", 0)
        if not is_number(time):
            raise _unusable(
                Reason.TIME_UNREADABLE, f"[{i}].t", "a finite number of seconds", time, signal
            )
        moment = self.time + time  # type: ignore[operator]  # a number, as said above
        where = f"[{i}].t" if "t" in record else f"[{i}]"
        if moment * TIMES[self.unit_of_time] < ABSOLUTE * SECOND:
            expected = "an absolute time: bt + t of at least 2**28 s"
            raise _unusable(Reason.TIME_RELATIVE, where, expected, moment, signal)
        try:
            stamp = _stamp(moment, self.unit_of_time)
        except ValueError as error:
            expected = str(error).removeprefix("expected ")
            raise _unusable(Reason.TIME_UNREADABLE, where, expected, moment, signal) from None
        if unit is not None:
            unit = UNITS.get(unit, unit)
        based = self.named_at if known.last <= len(self.name) else -1
        at = _paths(i, "t" in record, known.device, based)
        self.samples.append(Sample(signal, value, unit, stamp, at=at))

    def _read_state(self, i: int, which: str, key: str, record: Record) -> None:
        if which == CONTACT:
            said = record.get(key)
            if key != "vb" or not isinstance(said, bool):
                raise _unusable(Reason.FIELD_TYPE, f"[{i}].{key}", "vb: true or false", said)
            self.contact = said
            return
        level, unit = self._number(i, key, record, ""), self._unit(i, record)
        if unit in _PERCENT:
            level /= 100
        elif unit not in (None, "/", "1"):
            raise _unusable(Reason.UNIT_UNKNOWN, f"[{i}].u", "%EL or /", unit)
        if not 0 <= level <= 1:
            raise _unusable(Reason.VALUE_OUT_OF_RANGE, f"[{i}].v", "0 to 100 %EL", record.get(key))
        self.battery = level


def _stamp(moment: int | float, unit: Unit) -> int:
    """ns UTC, a fraction of a second as `read_plain` reads it. Raises ValueError."""
    if unit == "s" and moment.__class__ is float and moment <= _LAST:
        return round(moment * 1e6) * 1000
    return stamp_of_number(moment, unit)
