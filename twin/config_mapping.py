"""Declared topics and mappings in the configuration: how a fleet's own topics and JSON are read."""

from __future__ import annotations

from datetime import tzinfo
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BaseModel, Field, model_validator

from ingest.catalogue import SIGNALS
from ingest.payload.mapped import FieldRule, MappingRule, When
from ingest.payload.mapped_time import TimeRule, Written
from ingest.payload.paths import Path, parse_path
from ingest.routes import Template, pattern_of
from ingest.stamping import zone_of
from twin.config_table import STRICT
from twin.config_values import Name, refusal

_SECOND = 1_000_000_000


class _Table(BaseModel):
    model_config = STRICT


def _path(text: str) -> str:
    try:
        parse_path(text)
    except ValueError as error:
        raise refusal(str(error)) from None
    return text


def _signal(code: str) -> str:
    if code not in SIGNALS:
        raise refusal("a signal: " + ", ".join(SIGNALS))
    return code


def _template(text: str) -> str:
    try:
        pattern_of(text)
    except ValueError as error:
        raise refusal(str(error)) from None
    return text


def _zone(text: str) -> str:
    try:
        zone_of(text)
    except ValueError as error:
        raise refusal(str(error)) from None
    return text


PathText = Annotated[str, AfterValidator(_path)]
SignalCode = Annotated[str, AfterValidator(_signal)]
TopicTemplate = Annotated[str, AfterValidator(_template)]
ZoneText = Annotated[str, AfterValidator(_zone)]
Scalar = str | int | float | bool


class TopicTable(_Table):
    """A topic of the fleet's own on which devices speak a known format."""

    topic: Annotated[TopicTemplate, Field(examples=["ward-3/{device}/vitals"])]
    """Template: {device} (or {gateway}/{device}) stands for the name, + for any one level."""
    format: Annotated[
        Literal["native", "senml", "senml-cbor", "ieee1752", "fhir"], Field(examples=["senml"])
    ]
    """Format that is spoken there."""

    @model_validator(mode="after")
    def _of_a_device(self) -> Self:
        if "{device}" not in self.topic:
            raise refusal("{device} in the topic", "topic", f'"{self.topic}"')
        return self

    def template(self) -> Template:
        """As ingest takes it."""
        return Template(self.topic, self.format)


class WhenTable(_Table):
    """A condition on the record."""

    path: Annotated[PathText, Field(examples=["type"])]
    """Where a value stands."""
    equals: Annotated[Scalar, Field(examples=["live"])]
    """The value that it must be."""

    def rule(self) -> When:
        """As the decoder takes it."""
        return When(parse_path(self.path), self.equals)


class TimeTable(_Table):
    """Where a record's time stands, and how it is written."""

    path: Annotated[PathText, Field(examples=["ts"])]
    """Where the time stands."""
    unit: Written = "iso"
    """ISO-8601 text, or a number: epoch seconds, milliseconds, microseconds, nanoseconds."""
    zone: Annotated[ZoneText | None, Field(examples=["Europe/Paris"])] = None
    """Zone of a time that names none: an offset like +02:00, or a name."""
    zone_path: Annotated[PathText | None, Field(examples=["tz"])] = None
    """Where the payload says that zone."""
    date_path: Annotated[PathText | None, Field(examples=["$.day"])] = None
    """Where the date stands, if `path` leads to a time of day."""
    local: bool = False
    """Numbers count the wall clock of the zone, not UTC."""
    step_s: Annotated[float, Field(ge=0)] = 0.0
    """Seconds between the values of a list that has one time, that of the first."""

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if self.local and self.zone is None and self.zone_path is None:
            raise refusal("zone or zone_path, as local is true", "zone", "neither")
        if self.unit != "iso" and self.date_path is not None:
            raise refusal('unit "iso", as date_path is given', "unit", f'"{self.unit}"')
        return self

    def rule(self) -> TimeRule:
        """As the decoder takes it."""
        zone: tzinfo | None = None if self.zone is None else zone_of(self.zone)
        return TimeRule(
            parse_path(self.path),
            self.unit,
            zone,
            _parsed(self.zone_path),
            _parsed(self.date_path),
            self.local,
            round(self.step_s * _SECOND),
        )


class FieldTable(_Table):
    """Where a signal's value stands: value = said × 10^exponent × scale + offset, in the unit."""

    signal: Annotated[SignalCode, Field(examples=["heart_rate"])]
    """Code of the signal."""
    path: Annotated[PathText, Field(examples=["vitals.hr"])]
    """Where the value stands."""
    unit: Annotated[str | None, Field(examples=["/min"])] = None
    """UCUM unit of the value; without it the signal's canonical one."""
    unit_path: Annotated[PathText | None, Field(examples=["$.unit"])] = None
    """Where the payload says the unit."""
    units: dict[str, str] = {}
    """What its words for units mean in UCUM: { "0" = "mg/dL", "1" = "mmol/L" }."""
    scale: float = 1.0
    """Factor."""
    offset: float = 0.0
    """Added after the factor."""
    exponent_path: Annotated[PathText | None, Field(examples=["exponent"])] = None
    """Where a power of ten stands that the value is to be multiplied by."""
    quality_path: Annotated[PathText | None, Field(examples=["confidence"])] = None
    """Where the quality stands."""
    quality_scale: float = 1.0
    """Factor that makes it a number from 0 to 1."""
    when: WhenTable | None = None
    """The field counts only in records where this holds."""
    missing: list[float] = []
    """Values that mean that there is none."""

    def rule(self) -> FieldRule:
        """As the decoder takes it."""
        return FieldRule(
            self.signal,
            parse_path(self.path),
            self.unit,
            _parsed(self.unit_path),
            self.units,
            self.scale,
            self.offset,
            _parsed(self.exponent_path),
            _parsed(self.quality_path),
            self.quality_scale,
            None if self.when is None else self.when.rule(),
            tuple(self.missing),
        )


class MappingTable(_Table):
    """How the JSON of a vendor's devices is read (docs/devices.md)."""

    name: Annotated[Name, Field(examples=["acme-watch"])]
    """What this mapping is called."""
    topic: Annotated[TopicTemplate, Field(examples=["acme/{device}/data"])]
    """Template of the topics: {device} (or {gateway}/{device}) stands for the name, + for any one
    level."""
    each: Annotated[PathText | None, Field(examples=["samples[*]"])] = None
    """Where the records of a batch are, like data.items[*]; without it the payload is one."""
    time: TimeTable
    """Where a record's time stands."""
    fields: Annotated[list[FieldTable], Field(min_length=1)]
    """The signals."""
    device_path: Annotated[PathText | None, Field(examples=["serial"])] = None
    """Where the payload says the device, if the topic has only its {gateway}; that must be
    declared."""
    sequence_path: Annotated[PathText | None, Field(examples=["count"])] = None
    """Where the device's own count of messages stands."""
    battery_path: Annotated[PathText | None, Field(examples=["battery"])] = None
    """Where the charge of its battery stands."""
    battery_scale: float = 1.0
    """Factor that makes it a number from 0 to 1."""
    contact_path: Annotated[PathText | None, Field(examples=["worn"])] = None
    """Where it says whether the sensor touches the body."""
    contact_equals: Scalar = True
    """What it says then."""

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if "{device}" not in self.topic and self.device_path is None:
            raise refusal("{device} in the topic, or device_path", "topic", f'"{self.topic}"')
        if self.each is not None and not parse_path(self.each).stars:
            raise refusal("a path with [*], like data.items[*]", "each", f'"{self.each}"')
        columns = parse_path(self.time.path).stars
        for index, field in enumerate(self.fields):
            if parse_path(field.path).stars < columns:
                expected = "a path with [*], as the time's has one"
                raise refusal(expected, f"fields.{index}.path", f'"{field.path}"')
        return self

    def rule(self) -> MappingRule:
        """As the decoder takes it."""
        return MappingRule(
            self.name,
            self.topic,
            self.time.rule(),
            tuple(field.rule() for field in self.fields),
            _parsed(self.each),
            _parsed(self.device_path),
            _parsed(self.battery_path),
            self.battery_scale,
            _parsed(self.contact_path),
            self.contact_equals,
            _parsed(self.sequence_path),
        )


class MappingFile(_Table):
    """A file of mappings."""

    mapping: Annotated[list[MappingTable], Field(min_length=1)]
    """Its mappings."""


def _parsed(text: str | None) -> Path | None:
    return None if text is None else parse_path(text)
