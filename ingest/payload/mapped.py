"""Devices that speak their own JSON: decoded as a declared mapping says.

Pure: bytes and the mapping → samples and rejections, each with its place in the document. A record
that is bad does not take its neighbours with it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from math import isfinite, nan

from ingest.payload.decoded import (
    Decoded,
    Paths,
    Reason,
    Rejection,
    Sample,
    refused,
    shortened,
    shown,
)
from ingest.payload.fields import MAX_SEQUENCE
from ingest.payload.json_text import keys_twice, parse
from ingest.payload.mapped_time import TimeRule
from ingest.payload.paths import NOTHING, Node, Path
from ingest.stamping import Unit

_LARGEST_EXPONENT = 12
#: Of one message, and of one list: a bound on what anybody's bytes may cost.
LARGEST_RECORDS = 4_000
#: Refusals of one message of which the offending value is shown; nobody reads on.
_SHOWN = 500


@dataclass(frozen=True, slots=True)
class When:
    """A record or field counts only where this path leads to this value."""

    path: Path
    equals: object

    def holds(self, node: Node) -> bool:
        said = self.path.value(node)
        return said == self.equals and isinstance(said, bool) == isinstance(self.equals, bool)


@dataclass(frozen=True, slots=True)
class FieldRule:
    """Where a signal's value stands: canonical = (said · 10^exponent) · scale + offset.

    unit: UCUM, None is the signal's canonical one; unit_path: where the document says it, in words
    that `units` translates. missing: values that mean none.
    """

    signal: str
    path: Path
    unit: str | None = None
    unit_path: Path | None = None
    units: Mapping[str, str] = field(default_factory=dict)
    scale: float = 1.0
    offset: float = 0.0
    exponent: Path | None = None
    quality: Path | None = None
    quality_scale: float = 1.0
    when: When | None = None
    missing: Sequence[float] = ()


@dataclass(frozen=True, slots=True)
class MappingRule:
    """A vendor's payload. each: where its records are, None if it is one itself.

    topic: template of the topics that it is spoken on. device: where the payload says the device,
    behind a gateway. battery, contact, sequence: of the device; contact is true where it equals
    `worn`.
    """

    name: str
    topic: str
    time: TimeRule
    fields: tuple[FieldRule, ...]
    each: Path | None = None
    device: Path | None = None
    battery: Path | None = None
    battery_scale: float = 1.0
    contact: Path | None = None
    worn: object = True
    sequence: Path | None = None

    @property
    def paths(self) -> tuple[Path, ...]:
        """Every path that something reads."""
        found = [self.each, self.time.path, self.time.date, self.time.zone_path]
        found += [self.device, self.battery, self.contact, self.sequence]
        for rule in self.fields:
            found += [rule.path, rule.unit_path, rule.exponent, rule.quality]
            found.append(rule.when.path if rule.when is not None else None)
        return tuple(path for path in found if path is not None)

    @property
    def names(self) -> frozenset[object]:
        """Every name in a path."""
        return frozenset(step for path in self.paths for step in path.steps)

    @property
    def named(self) -> frozenset[object]:
        """First names in a record that something reads."""
        each = self.each.first if self.each is not None else None
        return frozenset(path.first for path in self.paths) - {each}


def decode(payload: bytes, rule: MappingRule, unit: Unit | None = None) -> Decoded:
    """unit: in which the device is known to write times that the rule takes for numbers.

    Never raises.
    """
    if unit is not None and rule.time.unit not in ("iso", unit):
        rule = replace(rule, time=replace(rule.time, unit=unit))
    document = parse(payload, "one JSON document")
    if isinstance(document, Rejection):
        return refused(document)
    if not isinstance(document, dict | list):
        expected = "an object or a list"
        return refused(Rejection(Reason.UNDECODABLE, "", expected, shown(document)))
    root = Node(document, "")
    reading = _Reading(rule)
    for number, record in enumerate(_records(root, rule, reading)):
        if number == LARGEST_RECORDS:
            expected = f"at most {LARGEST_RECORDS} records"
            reading.refuse(Reason.PAYLOAD_TOO_LARGE, record.where, expected, "more")
            break
        reading.read(record)
    names = rule.names
    for where in keys_twice(document):
        if where.rpartition(".")[2] in names:
            reading.refuse(Reason.FIELD_DUPLICATE, where, "the key once", "twice")
    state = _State(rule, root)
    state.read()
    return Decoded(
        reading.samples,
        [*reading.rejections, *state.rejections],
        reading.surplus,
        state.sequence,
        battery=state.battery,
        contact=state.contact,
        device=state.device,
    )


def _records(root: Node, rule: MappingRule, reading: _Reading) -> Iterator[Node]:
    if rule.each is None:
        yield root
        return
    found = False
    for node in rule.each.nodes(root):
        found = True
        yield node
    if not found and _list_is_missing(root, rule.each):
        reading.refuse(Reason.FIELD_MISSING, rule.each.text, "a list of records", "nothing")


def _list_is_missing(root: Node, each: Path) -> bool:
    """Whether there is not even an empty list where the first records should be."""
    place = next(i for i, step in enumerate(each.steps) if not isinstance(step, str | int))
    return not isinstance(Path(each.text, each.climbs, each.steps[:place]).value(root), list)


@dataclass(slots=True)
class _Reading:
    """Takes in record by record."""

    rule: MappingRule
    named: frozenset[object] = frozenset()
    expected: str = ""
    samples: list[Sample] = field(default_factory=list)
    rejections: list[Rejection] = field(default_factory=list)
    surplus: int = 0

    def __post_init__(self) -> None:
        self.named = self.rule.named
        paths = ", ".join(rule.path.text for rule in self.rule.fields)
        self.expected = f"one of {paths}"[:200]

    def refuse(self, reason: Reason, path: str, expected: str, got: str, signal: str = "") -> None:
        self.rejections.append(Rejection(reason, shortened(path), expected, got, signal))

    def read(self, node: Node) -> None:
        if isinstance(node.value, dict):
            self.surplus += len(node.value.keys() - self.named)
        stamp: int | Rejection | None = None
        found = False
        for rule in self.rule.fields:
            if rule.when is not None and not rule.when.holds(node):
                found = True  # it is another field's record
                continue
            if rule.path.stars:
                found |= self._read_column(rule, node)
                continue
            said = rule.path.value(node)
            if said is NOTHING:
                continue
            found = True
            if said is None or self._is_missing(rule, said):
                continue
            if stamp is None:
                stamp = self.rule.time.stamp(node)
                if isinstance(stamp, Rejection):
                    self.rejections.append(stamp)
            if not isinstance(stamp, Rejection):
                place = self.rule.time.path.place(node)
                self._take(rule, node, said, rule.path.place(node), stamp, place)
        if not found:
            self.refuse(Reason.FIELD_MISSING, node.where, self.expected, "none of them")

    def _read_column(self, rule: FieldRule, node: Node) -> bool:
        """Values in a list of their own, beside a list of times or after one time."""
        values = list(islice(rule.path.nodes(node), LARGEST_RECORDS + 1))
        if len(values) > LARGEST_RECORDS:
            expected, path = f"at most {LARGEST_RECORDS} values", rule.path.place(node)
            self.refuse(Reason.PAYLOAD_TOO_LARGE, path, expected, "more", rule.signal)
            return True
        if not values:
            return False
        time = self.rule.time
        if time.path.stars:
            times = list(islice(time.path.nodes(node), LARGEST_RECORDS + 1))
            if len(times) != len(values):
                expected = f"{len(times)} values, as {time.path.text} has"
                path, got = rule.path.place(node), f"{len(values)}"
                self.refuse(Reason.LENGTH_MISMATCH, path, expected, got, rule.signal)
                return True
            stamps = [(time.stamp_of(t.value, node, t.where), t.where) for t in times]
        else:
            first, place = time.stamp(node), time.path.place(node)
            steps = range(len(values))
            stamps = [
                (first if isinstance(first, Rejection) else first + i * time.step, place)
                for i in steps
            ]
        for value, (stamp, place) in zip(values, stamps, strict=True):
            if value.value is None or self._is_missing(rule, value.value):
                continue
            if isinstance(stamp, Rejection):
                self.rejections.append(stamp)
            else:
                self._take(rule, node, value.value, value.where, stamp, place)
        return True

    def _is_missing(self, rule: FieldRule, said: object) -> bool:
        return bool(rule.missing) and not isinstance(said, bool) and said in rule.missing

    def _take(
        self, rule: FieldRule, node: Node, said: object, place: str, stamp: int, time: str
    ) -> None:
        value = _number(said)
        if value is None:
            got = shown(said) if len(self.rejections) < _SHOWN else ""
            self.refuse(Reason.VALUE_NOT_A_NUMBER, place, "a finite number", got, rule.signal)
            return
        if rule.exponent is not None:
            power = rule.exponent.value(node)
            if not isinstance(power, int) or abs(power) > _LARGEST_EXPONENT:
                path, expected = rule.exponent.place(node), "a whole number from -12 to 12"
                got = "nothing" if power is NOTHING else shown(power)
                self.refuse(Reason.FIELD_TYPE, path, expected, got, rule.signal)
                return
            value = value / 10**-power if power < 0 else value * 10**power
        value = _scaled(value, rule.scale) + rule.offset
        if not isfinite(value):
            got = shown(said)
            self.refuse(Reason.VALUE_NOT_A_NUMBER, place, "a number, once scaled", got, rule.signal)
            return
        unit, unit_place = rule.unit, place
        if rule.unit_path is not None:
            unit_place = rule.unit_path.place(node)
            word = rule.unit_path.value(node)
            if word is not NOTHING and word is not None:
                key = str(word) if isinstance(word, str | int) else shown(word)
                unit = rule.units.get(key, key)
        quality = self._quality(rule, node)
        if quality is not None:
            paths = Paths(place, unit_place, time)
            self.samples.append(Sample(rule.signal, value, unit, stamp, quality, at=paths))

    def _quality(self, rule: FieldRule, node: Node) -> float | None:
        """NaN where none is said, None where what is said cannot be."""
        if rule.quality is None:
            return nan
        said = rule.quality.value(node)
        if said is NOTHING or said is None:
            return nan
        number = _number(said)
        worth = -1.0 if number is None else _scaled(number, rule.quality_scale)
        if 0 <= worth <= 1:
            return worth
        place, expected = rule.quality.place(node), "a number from 0 to 1, once scaled"
        self.refuse(Reason.QUALITY_OUT_OF_RANGE, place, expected, shown(said), rule.signal)
        return None


@dataclass(slots=True)
class _State:
    """What the document says about the device; a bad field here costs no sample."""

    rule: MappingRule
    root: Node
    sequence: int = -1
    battery: float | None = None
    contact: bool | None = None
    device: str | None = None
    rejections: list[Rejection] = field(default_factory=list)

    def read(self) -> None:
        rule = self.rule
        said = self._said(rule.sequence)
        if isinstance(said, int) and not isinstance(said, bool) and 0 <= said <= MAX_SEQUENCE:
            self.sequence = said
        elif said is not None:
            self._refuse(rule.sequence, "a whole number from 0", said)
        said = self._said(rule.battery)
        if said is not None:
            number = _number(said)
            battery = -1.0 if number is None else _scaled(number, rule.battery_scale)
            if 0 <= battery <= 1:
                self.battery = battery
            else:
                self._refuse(rule.battery, "a number from 0 to 1, once scaled", said)
        said = self._said(rule.contact)
        if said is not None:
            self.contact = said == rule.worn
        said = self._said(rule.device)
        if isinstance(said, str | int) and not isinstance(said, bool):
            self.device = str(said)
        elif rule.device is not None:
            self._refuse(rule.device, "the device's id", said)

    def _said(self, path: Path | None) -> object:
        said = None if path is None else path.value(self.root)
        return None if said is NOTHING else said

    def _refuse(self, path: Path | None, expected: str, said: object) -> None:
        place = "" if path is None else shortened(path.place(self.root))
        reason = Reason.FIELD_MISSING if said is None else Reason.FIELD_TYPE
        self.rejections.append(Rejection(reason, place, expected, shown(said)))


def _number(said: object) -> float | None:
    if isinstance(said, str):
        try:
            said = float(said) if len(said) <= 40 and "_" not in said else None
        except ValueError:
            return None
    if isinstance(said, bool) or not isinstance(said, int | float):
        return None
    try:
        number = float(said)
    except OverflowError:
        return None
    return number if isfinite(number) else None


def _scaled(value: float, scale: float) -> float:
    """A tenth is divided by ten: 367 · 0.1 is 36.7 then, in every digit."""
    parts = round(1 / scale) if 0 < abs(scale) < 1 else 0
    return value / parts if parts and 1 / parts == scale else value * scale
