"""The native format, version 1 (docs/wire-format.md): UTF-8 JSON, one object a message.

A plain, well-formed message takes one typed decode by msgspec. Whatever is not plain goes to
`native_explained`, which says what is wrong; both give the same for a well-formed message.
"""

from __future__ import annotations

from math import nan

import msgspec
from msgspec import UNSET, UnsetType

from ingest.payload.decoded import Decoded, Sample
from ingest.payload.fields import MAX_SEQUENCE, boot_number, stamp_of_milliseconds, stamp_of_text
from ingest.payload.native_explained import decode_explained


class _Message(msgspec.Struct, gc=False):
    time: int | str | UnsetType = UNSET
    times: list[int | str] | UnsetType = UNSET
    values: dict[str, float | list[float | None] | None] | UnsetType = UNSET
    units: dict[str, str] | UnsetType = UNSET
    quality: dict[str, float | list[float | None] | None] | UnsetType = UNSET
    sequence: int | UnsetType = UNSET
    boot: str | int | float | UnsetType = UNSET
    battery: float | UnsetType = UNSET
    contact: bool | UnsetType = UNSET
    device: str | UnsetType = UNSET


_message = msgspec.json.Decoder(_Message)
_NONE: dict[str, float | list[float | None] | None] = {}
_NO_UNITS: dict[str, str] = {}


class _NotPlain(Exception):
    """Correct or not, this message is for the patient decoder."""


def decode(payload: bytes) -> Decoded:
    """Samples and rejections of any bytes. Never raises; pure."""
    try:
        return _plain(_message.decode(payload), payload)
    except (msgspec.DecodeError, ValueError, RecursionError, _NotPlain):
        return decode_explained(payload)


def _plain(message: _Message, payload: bytes) -> Decoded:
    values, time, times = message.values, message.time, message.times
    if values is UNSET or (time is UNSET) is (times is UNSET):
        raise _NotPlain
    units = _NO_UNITS if message.units is UNSET else message.units
    quality = _NONE if message.quality is UNSET else message.quality
    # Every quote of the payload must belong to a key or text that was taken: then no key was said
    # twice (msgspec keeps the last silently) and none is surplus.
    tokens = len(values) + 2 * len(units) + len(quality) + 2
    if time is not UNSET:
        tokens += time.__class__ is str
        samples = _single(time, values, units, quality)
    else:
        tokens += sum(each.__class__ is str for each in times)  # type: ignore[union-attr]
        samples = _columns(times, values, units, quality)  # type: ignore[arg-type]
    tokens += (message.units is not UNSET) + (message.quality is not UNSET)
    if (
        message.sequence is message.boot is UNSET
        and message.battery is message.contact is message.device is UNSET
        and 2 * tokens == payload.count(b'"')
    ):
        return Decoded(samples)
    return _with_state(message, samples, tokens, payload)


def _with_state(message: _Message, samples: list[Sample], tokens: int, payload: bytes) -> Decoded:
    """The same, of a message that says something about its device."""
    sequence, boot, battery, contact = -1, 0, None, None
    if message.sequence is not UNSET:
        sequence, tokens = message.sequence, tokens + 1
        if not 0 <= sequence <= MAX_SEQUENCE:
            raise _NotPlain
    if message.boot is not UNSET:
        boot = boot_number(message.boot)
        tokens += 2 if message.boot.__class__ is str else 1
    if message.battery is not UNSET:
        battery, tokens = message.battery, tokens + 1
        if not 0 <= battery <= 1:
            raise _NotPlain
    if message.contact is not UNSET:
        contact, tokens = message.contact, tokens + 1
    device = None
    if message.device is not UNSET:
        device, tokens = message.device, tokens + 2
    if 2 * tokens != payload.count(b'"'):
        raise _NotPlain
    surplus = int(device is not None)
    return Decoded(samples, [], surplus, sequence, boot, battery, contact, device)


def _stamp(time: int | str) -> int:
    return stamp_of_text(time) if time.__class__ is str else stamp_of_milliseconds(time)  # type: ignore[arg-type]


def _single(
    time: int | str,
    values: dict[str, float | list[float | None] | None],
    units: dict[str, str],
    quality: dict[str, float | list[float | None] | None],
) -> list[Sample]:
    stamp = _stamp(time)
    if not units.keys() <= values.keys() or not quality.keys() <= values.keys():
        raise _NotPlain
    samples = []
    for signal, value in values.items():
        if value.__class__ is float:
            worth = quality.get(signal) if quality else None
            if worth is None:
                worth = nan
            elif worth.__class__ is not float or not 0 <= worth <= 1:
                raise _NotPlain
            samples.append(Sample(signal, value, units.get(signal), stamp, worth))
        elif value is not None:
            raise _NotPlain
    return samples


def _columns(
    times: list[int | str],
    values: dict[str, float | list[float | None] | None],
    units: dict[str, str],
    quality: dict[str, float | list[float | None] | None],
) -> list[Sample]:
    stamps = [_stamp(time) for time in times]
    n = len(stamps)
    if not units.keys() <= values.keys() or not quality.keys() <= values.keys():
        raise _NotPlain
    samples: list[Sample] = []
    for signal, column in values.items():
        if column is None:
            continue
        if column.__class__ is not list or len(column) != n:
            raise _NotPlain
        unit, worth = units.get(signal), quality.get(signal)
        if worth is None:
            samples += [
                Sample(signal, value, unit, stamps[i], nan, i)
                for i, value in enumerate(column)
                if value is not None
            ]
        else:
            samples += _with_quality(signal, column, unit, stamps, worth)
    return samples


def _with_quality(
    signal: str,
    column: list[float | None],
    unit: str | None,
    stamps: list[int],
    worth: float | list[float | None],
) -> list[Sample]:
    if not isinstance(worth, list) or len(worth) != len(stamps):
        raise _NotPlain
    if not all(each is None or 0 <= each <= 1 for each in worth):
        raise _NotPlain
    return [
        Sample(signal, value, unit, stamp, nan if each is None else each, i)
        for i, (value, stamp, each) in enumerate(zip(column, stamps, worth, strict=True))
        if value is not None
    ]
