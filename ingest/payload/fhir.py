"""HL7 FHIR R4: an Observation, or a Bundle of them, in JSON.

What is read: the LOINC code of the Observation and of its components (`ingest.payload.loinc`),
`valueQuantity` with a UCUM code, `valueSampledData`, effective dateTime, instant and Period. A date
without time and a Period are kept, and are no samples. What the sender marks as not valid, absent,
a bound only, or changed by a modifier is refused. Who it is about is never read: that is the
topic's to say.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from ingest.catalogue import SIGNALS
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
from ingest.payload.fhir_sampled import sampled
from ingest.payload.fhir_value import Quantity, quantity
from ingest.payload.json_text import JsonObject, keys_twice, parse
from ingest.payload.loinc import SYSTEM, signal_of
from ingest.payload.moments import Moment, When, moment, place

Resource = Mapping[str, object]

_EXPECTED = "a FHIR R4 Observation or Bundle, in JSON"
_VALID = ("final", "amended", "corrected", "preliminary")
_INVALID = ("registered", "cancelled", "entered-in-error", "unknown")
_EFFECTIVE = frozenset(
    {"effectiveDateTime", "effectivePeriod", "effectiveInstant", "effectiveTiming"}
)
_VALUES = frozenset(
    {
        "valueQuantity",
        "valueSampledData",
        "valueInteger",
        "valueCodeableConcept",
        "valueString",
        "valueBoolean",
        "valueRange",
        "valueRatio",
        "valueTime",
        "valueDateTime",
        "valuePeriod",
    }
)
_DEVICE = "Device/"


def decode(payload: bytes) -> Decoded:
    """Samples, kept values and rejections of any bytes. Never raises; pure."""
    resource = parse(payload, _EXPECTED)
    if isinstance(resource, Rejection):
        return refused(resource)
    if not isinstance(resource, dict):
        return refused(Rejection(Reason.UNDECODABLE, "", _EXPECTED, shown(resource)))
    reading = _Reading()
    kind = resource.get("resourceType")
    if kind == "Observation":
        reading.read(resource, "")
        if not reading.found:
            expected = "a value, or components"
            reading.rejections.append(Rejection(Reason.VALUE_ABSENT, "value[x]", expected))
    elif kind == "Bundle":
        reading.read_bundle(resource)
    else:
        reading.rejections.append(
            Rejection(Reason.SCHEMA_UNKNOWN, "resourceType", "Observation or Bundle", shown(kind))
        )
    return Decoded(reading.samples, reading.rejections, reading.surplus, kept=reading.kept)


@dataclass(slots=True)
class _Reading:
    """Takes in Observation by Observation."""

    samples: list[Sample] = field(default_factory=list)
    kept: list[Kept] = field(default_factory=list)
    rejections: list[Rejection] = field(default_factory=list)
    surplus: int = 0

    @property
    def found(self) -> bool:
        """Whether anything was found, good or bad."""
        return bool(self.samples or self.kept or self.rejections)

    def read_bundle(self, bundle: Resource) -> None:
        """Each Observation of a Bundle; other resources are surplus."""
        entries = bundle.get("entry")
        if not isinstance(entries, list):
            reason = Reason.FIELD_MISSING if entries is None else Reason.FIELD_TYPE
            self.rejections.append(Rejection(reason, "entry", "a list", shown(entries)))
            return
        others: dict[str, None] = {}
        for i, entry in enumerate(entries):
            resource = entry.get("resource") if isinstance(entry, dict) else None
            if not isinstance(resource, dict):
                others["none"] = None
                self.surplus += 1
            elif resource.get("resourceType") != "Observation":
                others[shortened(str(resource.get("resourceType"))[:20])] = None
                self.surplus += 1
            elif _is_deletion(entry):
                expected = "an Observation to keep"
                path = f"entry[{i}].request.method"
                self.rejections.append(Rejection(Reason.NOT_SUPPORTED, path, expected, '"DELETE"'))
            else:
                self.read(resource, f"entry[{i}].resource.")
        if not self.found:
            got = shortened(", ".join(list(others)[:8]))
            expected = "an Observation with a value"
            self.rejections.append(Rejection(Reason.SCHEMA_UNKNOWN, "entry", expected, got))

    def read(self, observation: Resource, path: str) -> None:
        """Take in an Observation; path ends in a dot or is empty."""
        try:
            self._read(observation, path)
        except Unusable as error:
            self._refuse(error, _count(observation))

    def _refuse(self, error: Unusable, samples: int = 1) -> None:
        each = error.rejection
        self.rejections.append(
            Rejection(each.reason, each.path, each.expected, each.got, each.signal, samples)
        )

    def _read(self, observation: Resource, path: str) -> None:
        if isinstance(observation, JsonObject):
            for key in keys_twice(observation, path.rstrip(".")):
                expected = "the key once"
                raise Unusable(Reason.FIELD_DUPLICATE, shortened(key), expected, "twice")
        _check_understood(observation, path)
        _check_status(observation, path)
        components = observation.get("component")
        if components is not None and not isinstance(components, list):
            raise Unusable(Reason.FIELD_TYPE, path + "component", "a list", shown(components))
        members = "hasMember" in observation
        device = _device(observation)
        if _has_value(observation) or not (components or members):
            signal = _signal(observation, path)
            self._take(observation, path, signal, _when(observation, path), device)
        if components:
            self._read_components(observation, components, path, device)
        if members:
            self._read_contained(observation, path)

    def _read_components(
        self, observation: Resource, components: list[object], path: str, device: str | None
    ) -> None:
        self.rejections += no_objects(components, path + "component", "an object with fields")
        for i, component in enumerate(components):
            if not component or not isinstance(component, dict):  # told of already
                continue
            inner = f"{path}component[{i}]."
            try:
                _check_understood(component, inner)
                signal = _signal(component, inner)
                self._take(component, inner, signal, _when(observation, path), device)
            except Unusable as error:
                self._refuse(error)

    def _read_contained(self, observation: Resource, path: str) -> None:
        """Members that lie in the Observation itself; others come as resources of their own."""
        members, contained = observation.get("hasMember"), observation.get("contained")
        if not isinstance(members, list) or not isinstance(contained, list):
            return
        named = {
            member.get("reference")
            for member in members
            if isinstance(member, dict) and isinstance(member.get("reference"), str)
        }
        for i, resource in enumerate(contained):
            if (
                isinstance(resource, dict)
                and resource.get("resourceType") == "Observation"
                and f"#{resource.get('id')}" in named
                and "hasMember" not in resource
            ):
                self.read(resource, f"{path}contained[{i}].")

    def _take(
        self, holder: Resource, path: str, signal: str, when: When, device: str | None
    ) -> None:
        key = _value_key(holder, path, signal)
        if key == "valueSampledData":
            self._take_sampled(holder[key], path + key, signal, when, device)
        elif key == "valueQuantity":
            self._add(signal, quantity(holder[key], path + key, signal), when, device)
        elif key == "valueInteger" and SIGNALS[signal].unit == "{steps}":
            value = holder[key]
            if not isinstance(value, int) or isinstance(value, bool) or abs(value) > 1 << 31:
                raise Unusable(
                    Reason.VALUE_NOT_A_NUMBER, path + key, "a whole number", shown(value), signal
                )
            at = Quantity(float(value), None, path + key, path + key)
            self._add(signal, at, when, device)
        else:
            raise Unusable(
                Reason.VALUE_NOT_A_NUMBER,
                path + key,
                "valueQuantity or valueSampledData",
                shown(holder[key]),
                signal,
            )

    def _add(self, signal: str, quantity: Quantity, when: When, device: str | None) -> None:
        at = Paths(quantity.path, quantity.unit_path, when.path, device)
        placed = place(signal, quantity.value, quantity.unit, at, when)
        if isinstance(placed, Sample):
            self.samples.append(placed)
        else:
            self.kept.append(placed)

    def _take_sampled(
        self, said: object, path: str, signal: str, when: When, device: str | None
    ) -> None:
        first = when.at or when.start
        if first is None or first.stamp is None:
            raise Unusable(
                Reason.TIME_IMPRECISE,
                when.path,
                "the date and time of the first value",
                "" if first is None else first.text,
                signal,
            )
        samples, rejections = sampled(said, path, signal, first.stamp, when.path, device)
        self.samples += samples
        self.rejections += rejections


def _count(observation: Resource) -> int:
    """How many values an Observation holds, at least 1."""
    components = observation.get("component")
    return max(1, len(components)) if isinstance(components, list) else 1


def _is_deletion(entry: Resource) -> bool:
    request = entry.get("request")
    return isinstance(request, dict) and request.get("method") == "DELETE"


def _has_value(holder: Resource) -> bool:
    return "dataAbsentReason" in holder or not _VALUES.isdisjoint(holder)


def _check_understood(holder: Resource, path: str) -> None:
    for key in ("modifierExtension", "implicitRules"):
        if holder.get(key):
            expected = "no rule that changes the meaning"
            raise Unusable(Reason.FIELD_NOT_UNDERSTOOD, path + key, expected, shown(holder[key]))


def _check_status(observation: Resource, path: str) -> None:
    status = observation.get("status")
    if status in _VALID:
        return
    path += "status"
    expected = ", ".join(_VALID)
    if status is None:
        raise Unusable(Reason.FIELD_MISSING, path, expected)
    reason = Reason.RESULT_NOT_VALID if status in _INVALID else Reason.FIELD_VALUE
    raise Unusable(reason, path, expected, shown(status))


def _signal(holder: Resource, path: str) -> str:
    """The signal that the LOINC codings mean. Raises Unusable: none, or not the same one."""
    path += "code"
    if "code" not in holder:
        raise Unusable(Reason.FIELD_MISSING, path, "a LOINC code")
    codings = list(_codings(holder["code"], path))
    found = {
        signal: code
        for system, code in codings
        if system == SYSTEM and (signal := signal_of(code)) is not None
    }
    if len(found) == 1:
        return next(iter(found))
    if found:
        got = shortened(", ".join(found.values()))
        raise Unusable(Reason.SIGNAL_UNKNOWN, path, "codes of one signal", got)
    expected = f"a LOINC code ({SYSTEM}) of a signal"
    got = shortened("|".join(codings[0])) if codings else ""
    raise Unusable(Reason.SIGNAL_UNKNOWN, path, expected, got)


def _codings(code: object, path: str) -> Iterator[tuple[str, str]]:
    codings = code.get("coding", ()) if isinstance(code, dict) else None
    if not isinstance(codings, list | tuple):
        raise Unusable(Reason.FIELD_TYPE, path, "a CodeableConcept", shown(code))
    for coding in codings:
        if not isinstance(coding, dict):
            raise Unusable(Reason.FIELD_TYPE, path + ".coding", "Codings", shown(coding))
        system, code = coding.get("system"), coding.get("code")
        if isinstance(code, str) and (system is None or isinstance(system, str)):
            yield system or "", code


def _device(observation: Resource) -> str | None:
    """The device that a relative reference names."""
    device = observation.get("device")
    reference = device.get("reference") if isinstance(device, dict) else None
    if isinstance(reference, str) and reference.startswith(_DEVICE):
        return reference[len(_DEVICE) :].partition("/")[0][:64] or None
    return None


def _when(observation: Resource, path: str) -> When:
    said = _EFFECTIVE.intersection(observation)
    if not said:
        expected = "effectiveDateTime, effectiveInstant or effectivePeriod"
        raise Unusable(Reason.TIME_MISSING, path + "effective[x]", expected)
    if len(said) > 1:
        got = " and ".join(sorted(said))
        raise Unusable(Reason.FIELD_TYPE, path + "effective[x]", "one effective[x]", got)
    (key,) = said
    path += key
    value = observation[key]
    if key == "effectiveTiming":
        event = value.get("event") if isinstance(value, dict) and len(value) == 1 else None
        if isinstance(event, list) and len(event) == 1:  # it happened once, then
            at = path + ".event[0]"
            return When(at, moment(event[0], at, partial=True))
        expected = "effectiveDateTime, effectiveInstant, effectivePeriod, or a Timing of one event"
        raise Unusable(Reason.NOT_SUPPORTED, path, expected, shown(value))
    if key != "effectivePeriod":
        return When(path, moment(value, path, partial=key == "effectiveDateTime"))
    if not isinstance(value, dict):
        raise Unusable(Reason.TIME_UNREADABLE, path, "a Period", shown(value))
    start, end = (
        moment(value[name], f"{path}.{name}", partial=True) if name in value else None
        for name in ("start", "end")
    )
    if start is None and end is None:
        raise Unusable(Reason.TIME_MISSING, path, "a start or an end")
    if start is not None and end is not None and _after(start, end):
        raise Unusable(Reason.TIME_UNREADABLE, path, "a start before the end", start.text)
    return When(path, None, start, end)


def _after(start: Moment, end: Moment) -> bool:
    if start.stamp is not None and end.stamp is not None:
        return start.stamp > end.stamp
    shared = min(len(start.text), len(end.text), 10)
    return start.text[:shared] > end.text[:shared]


def _value_key(holder: Resource, path: str, signal: str) -> str:
    """Which value[x] there is. Raises Unusable unless it is one."""
    said = _VALUES.intersection(holder)
    if "dataAbsentReason" in holder:
        got = next((c for _, c in _codings_or_none(holder["dataAbsentReason"])), "")
        expected = "a value or the reason why there is none" if said else "a value"
        raise Unusable(
            Reason.VALUE_ABSENT, path + "dataAbsentReason", expected, shortened(got), signal
        )
    if len(said) == 1:
        return next(iter(said))
    expected = "one value"
    raise Unusable(
        Reason.FIELD_TYPE if said else Reason.FIELD_MISSING,
        path + "value[x]",
        expected,
        " and ".join(sorted(said)[:2]),
        signal,
    )


def _codings_or_none(concept: object) -> list[tuple[str, str]]:
    try:
        return list(_codings(concept, ""))
    except Unusable:
        return []
