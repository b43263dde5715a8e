"""What becomes of one message: decode → screen → bind, pure but for the bindings asked.

`read` needs the bytes, the topic and the catalogue; `bind` adds whose they are. Together they
decide all that ingest decides, and keep nothing: a second process, or a replay, decides the same.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import nan
from types import MappingProxyType
from typing import Protocol

from ingest.catalogue import SIGNALS
from ingest.instant import format_instant
from ingest.observation import DeviceId, Observation, PatientId, SignalCode
from ingest.payload import fhir, ieee1752, mapped, native, senml, sparkplug
from ingest.payload.decoded import (
    Decoded,
    Kept,
    Reason,
    Rejection,
    Sample,
    shortened,
    value_path,
)
from ingest.payload.sparkplug_births import NO_TABLE, NO_TABLES, Spoken, Tables
from ingest.reading import Reading, nothing_in, read_announcement, read_status, screened
from ingest.routes import NATIVE, Routes
from ingest.settings import IngestSettings, ScreenSettings
from ingest.stamping import AS_SAID, Stamping, Unit
from ingest.topic import EXPECTED, Address, Kind, is_declared, is_name

#: Format name → decoder.
FORMATS: Mapping[str, Callable[[bytes], Decoded]] = MappingProxyType(
    {
        "native": native.decode,
        "senml": senml.decode_json,
        "senml-cbor": senml.decode_cbor,
        "ieee1752": ieee1752.decode,
        "fhir": fhir.decode,
    }
)


#: Those of them in which times may be numbers, and the unit that the format says.
_NUMBERED: Mapping[str, tuple[Callable[[bytes, Unit], Decoded], Unit]] = MappingProxyType(
    {
        "native": (native.decode, "ms"),
        "senml": (senml.decode_json, "s"),
        "senml-cbor": (senml.decode_cbor, "s"),
    }
)
#: What is declared of a device's stamps, by its id.
Stampings = Callable[[str], Stamping]


class Bindings(Protocol):
    """Whose a device is, what may be kept of its patient, what its model says; the registry."""

    def patient_at(self, device: str, stamp: int) -> PatientId | Reason: ...
    def refusal(self, patient: str, signal: str, stamp: int) -> Reason | None: ...
    def noise_std(self, device: str) -> Mapping[str, float]: ...


def read(
    topic: str,
    payload: bytes,
    received_at: int,
    settings: IngestSettings,
    tables: Tables = NO_TABLES,
    stampings: Stampings = lambda _: AS_SAID,
) -> Reading:
    """Decode and screen one message, by the births that `tables` knows and what `stampings` says of
    its device's stamps; one that holds nothing is refused for that. Never raises."""
    reading = _read(topic, payload, received_at, settings, tables, stampings)
    data = reading.spoken is None or reading.spoken.part == "DATA"
    if reading.telemetry and data and (nothing := nothing_in(reading)):
        reading.rejections.append(nothing)
    return reading


def _read(
    topic: str,
    payload: bytes,
    received_at: int,
    settings: IngestSettings,
    tables: Tables,
    stampings: Stampings,
) -> Reading:
    address = settings.routes.address(topic)
    if address is None:
        fault = Rejection(Reason.TOPIC_UNKNOWN, "topic", EXPECTED, shortened(topic))
        return Reading(DeviceId(""), True, [fault])
    if address.kind in (Kind.REFUSED, Kind.COMMAND):
        return Reading(address.device, False)
    fault_or_none = _address_fault(address, payload, settings)
    if fault_or_none is not None:
        return Reading(address.device, True, [fault_or_none])
    if address.kind is Kind.STATUS:
        return read_status(address.device, payload)
    if address.kind is Kind.ANNOUNCE:
        return read_announcement(address.device, payload)
    if address.form == "mapped":
        return _read_mapped(address, payload, received_at, settings, stampings)
    stamping = stampings(address.device)
    if address.form == "sparkplug":
        return _read_sparkplug(address, payload, received_at, settings.screen, tables, stamping)
    decoded, unit = decoded_by(address.form, payload, stamping)
    return screened(address.device, decoded, received_at, settings.screen, stamping, unit)


def decoded_by(form: str, payload: bytes, stamping: Stamping) -> tuple[Decoded, Unit | None]:
    """What a payload holds, and the unit that its format (of FORMATS) has for times that are
    numbers, if any. Raises KeyError."""
    if form not in _NUMBERED:
        return FORMATS[form](payload), None
    decode, unit = _NUMBERED[form]
    return decode(payload, stamping.unit or unit), unit


def _read_mapped(
    address: Address,
    payload: bytes,
    received_at: int,
    settings: IngestSettings,
    stampings: Stampings,
) -> Reading:
    device, rule = address.device, settings.routes.mappings[address.part]
    stamping = stampings(device)
    decoded = mapped.decode(payload, rule, stamping.unit)
    if not device:  # behind a gateway of which only the payload says which one it is
        named = decoded.device
        if named is None or not is_name(named):
            expected = "the device's id: 1–64 of A–Z a–z 0–9 . _ -, not . or .."
            got = "none" if named is None else shortened(named)
            lost = max(1, len(decoded.samples))
            fault = Rejection(Reason.DEVICE_UNNAMED, "device", expected, got, samples=lost)
            return Reading(DeviceId(""), True, [fault], surplus=decoded.surplus)
        device = DeviceId(f"{address.gateway}/{named}")
        stamping = stampings(device)
        if stamping.unit is not None:
            decoded = mapped.decode(payload, rule, stamping.unit)
    return screened(device, decoded, received_at, settings.screen, stamping, rule.time.number)


def _read_sparkplug(
    address: Address,
    payload: bytes,
    received_at: int,
    settings: ScreenSettings,
    tables: Tables,
    stamping: Stamping,
) -> Reading:
    device, part, unit = address.device, address.part, stamping.unit or "ms"
    table = tables.table(device, received_at)
    understood = sparkplug.decode(payload, part, table, unit)
    if any(each.reason is Reason.ALIAS_UNKNOWN for each in understood.decoded.rejections):
        later = tables.next_table(device, received_at)
        if later is not None:
            understood = sparkplug.decode(payload, part, later, unit)
    reading = screened(device, understood.decoded, received_at, settings, stamping, unit)
    reading.telemetry = part != "DEATH" or bool(reading.rejections)
    reading.spoken = Spoken(
        part, understood.declared, understood.session, understood.seq, table is not NO_TABLE
    )
    return reading


def bind(
    reading: Reading, bindings: Bindings, received_at: int, unknown: Reason
) -> tuple[list[Observation], list[Rejection]]:
    """The reading's observations, and everything in the message that is refused.

    unknown: what to say of a device that nobody registered.
    """
    observations: list[Observation] = []
    rejections = [*reading.rejections, *map(_no_instant, reading.kept)]
    nobody: dict[Reason, list[Sample]] = {}
    unkept: dict[tuple[Reason, str], int] = {}
    device = reading.device
    noise_std = bindings.noise_std(device)
    for sample, value, measured_at in reading.measured:
        patient = bindings.patient_at(device, measured_at)
        if isinstance(patient, Reason):
            nobody.setdefault(patient, []).append(sample)
        elif why := bindings.refusal(patient, sample.signal, measured_at):
            unkept[why, sample.signal] = unkept.get((why, sample.signal), 0) + 1
        else:
            observations.append(
                Observation(
                    patient,
                    device,
                    SignalCode(sample.signal),
                    value,
                    measured_at,
                    received_at,
                    sample.stamp,
                    noise_std.get(sample.signal, nan),
                    sample.quality,
                    device_sequence=reading.sequence,
                    boot=reading.boot,
                )
            )
    for reason, samples in nobody.items():
        rejections.append(_unbound(reason, unknown, samples, device))
    for (reason, signal), count in unkept.items():
        # No value and no stamp: what may not be kept leaves no trace but its count.
        path, expected = value_path(signal), _UNBOUND[reason]
        rejections.append(Rejection(reason, path, expected, "", signal, count))
    return observations, rejections


def judge(
    payload: bytes,
    form: str = "native",
    topic: str | None = None,
    now: int | None = None,
    decode: Callable[[bytes], Decoded] | None = None,
    routes: Routes = NATIVE,
    stamping: Stamping = AS_SAID,
    unit: Unit | None = None,
) -> list[dict[str, object]]:
    """What the decoder makes of a payload: a line for each observation or refusal.

    Judges format, unit, range and the stamp's syntax; with `now` (ns UTC) the stamp's age too.
    Never device or consent. decode: instead of the form's own (FORMATS), with the unit that it has
    for times that are numbers; stamping: what is declared of the stamps. Raises KeyError for a form
    that is not there.
    """
    device = None
    if topic is not None:
        address = routes.address(topic)
        if address is None:
            fault = Rejection(Reason.TOPIC_UNKNOWN, "topic", EXPECTED, shortened(topic))
            return [_refusal_line(fault)]
        if address.kind in (Kind.STATUS, Kind.ANNOUNCE):
            announced = address.kind is Kind.ANNOUNCE
            said = (read_announcement if announced else read_status)(address.device, payload)
            return [_refusal_line(each) for each in said.rejections]
        if address.kind is not Kind.TELEMETRY:
            return []
        device = address.device or None
    if decode is None:
        decoded, unit = decoded_by(form, payload, stamping)
    else:
        decoded = decode(payload)
    reading = screened(device, decoded, now, ScreenSettings(), stamping, unit)
    nothing = None if form == "sparkplug" else nothing_in(reading)  # a birth may hold nothing
    return [
        *(_observation_line(*measured) for measured in reading.measured),
        *(_kept_line(kept, value) for kept, value in reading.kept),
        *(_refusal_line(each) for each in (*reading.rejections, nothing) if each is not None),
    ]


def _address_fault(address: Address, payload: bytes, settings: IngestSettings) -> Rejection | None:
    if not is_declared(address, settings.devices.gateways):
        expected = "a gateway that the configuration declares"
        return Rejection(Reason.GATEWAY_UNKNOWN, "topic", expected, str(address.gateway))
    if address.form == "sparkplug" and address.device.split("/")[0] in settings.devices.gateways:
        # Or else an edge node could speak for a device of a gateway with its group's name.
        expected, got = "a group that is no declared gateway", str(address.device)
        return Rejection(Reason.IDENTITY_MISMATCH, "topic", expected, shortened(got))
    if len(payload) > settings.payload_max_bytes:
        expected = f"at most {settings.payload_max_bytes} bytes"
        return Rejection(Reason.PAYLOAD_TOO_LARGE, "", expected, f"{len(payload)} bytes")
    return None


def _no_instant(kept_value: tuple[Kept, float]) -> Rejection:
    """A live message's value that belongs to no instant: quarantine keeps it, no filter sees it."""
    kept, _ = kept_value
    if kept.precision:
        expected, got = "a date and time", shortened(kept.measured_at)
        return Rejection(Reason.TIME_IMPRECISE, kept.at.time, expected, got, kept.signal)
    expected = "a value at an instant"
    got = shortened(f"{kept.statistic or 'a value'} over {kept.start or '?'}/{kept.end or '?'}")
    return Rejection(Reason.STATISTIC, kept.at.time, expected, got, kept.signal)


_UNBOUND = {
    Reason.DEVICE_UNKNOWN: "a registered device",
    Reason.DEMO_FULL: "a known device: no more are registered by themselves",
    Reason.DEVICE_UNBOUND: "a stamp at which the device is bound to a patient",
    Reason.BINDING_AMBIGUOUS: "a stamp further from the device's change of patient",
    Reason.NO_BASIS: "a consent or another basis that holds at the stamp and now",
    Reason.NOT_ALLOWED: "a signal that the patient's consent allows",
}


def _unbound(reason: Reason, unknown: Reason, samples: list[Sample], device: str) -> Rejection:
    first = samples[0]
    if reason is Reason.DEVICE_UNKNOWN:
        return Rejection(unknown, "topic", _UNBOUND[unknown], device, samples=len(samples))
    stamp = format_instant(first.stamp)
    return Rejection(reason, first.time_path, _UNBOUND[reason], stamp, first.signal, len(samples))


def _observation_line(sample: Sample, value: float, measured_at: int) -> dict[str, object]:
    line: dict[str, object] = {
        "signal": sample.signal,
        "value": value,
        "unit": SIGNALS[sample.signal].unit,
        "measured_at": format_instant(measured_at),
    }
    if measured_at != sample.stamp:
        line["device_stamp"] = format_instant(sample.stamp)
    if sample.quality == sample.quality:
        line["quality"] = sample.quality
    return line | {"path": sample.path}


def _kept_line(kept: Kept, value: float) -> dict[str, object]:
    line: dict[str, object] = {
        "signal": kept.signal,
        "value": value,
        "unit": "1" if kept.statistic == "count" else SIGNALS[kept.signal].unit,
        "measured_at": kept.measured_at,
    }
    if kept.precision:
        line["precision"] = kept.precision
    if kept.part_of_day:
        line["part_of_day"] = kept.part_of_day
    if kept.start or kept.end or kept.statistic:
        line |= {
            "statistic": kept.statistic,
            "start": kept.start or None,
            "end": kept.end or None,
        }
    if kept.denominator:
        line["denominator"] = kept.denominator
    return line | {"path": kept.at.value}


def _refusal_line(rejection: Rejection) -> dict[str, object]:
    line: dict[str, object] = {
        "reason": str(rejection.reason),
        "path": rejection.path,
        "expected": rejection.expected,
        "got": rejection.got,
    }
    return line | ({"signal": rejection.signal} if rejection.signal else {})
