"""The native format, version 1 (docs/wire-format.md): UTF-8 JSON, one object a message.

A plain, well-formed message takes one typed decode by msgspec. Whatever is not plain goes to
`native_explained`, which says what is wrong; both give the same for a well-formed message.

msgspec keeps the last of two equal keys and skips unknown ones, silently. So the quotes of the
payload are counted: if every one belongs to a key or text that was taken, then nothing was skipped.
"""

from __future__ import annotations

from itertools import repeat
from math import nan
from typing import cast

import msgspec

from ingest.instant import MILLISECOND
from ingest.payload.decoded import Decoded, Sample
from ingest.payload.fields import (
    MAX_SEQUENCE,
    MAX_STAMP,
    boot_number,
    stamp_of_number,
    stamp_of_text,
)
from ingest.payload.native_explained import decode_explained
from ingest.stamping import Unit

_Values = dict[str, float | list[float | None] | None]
_MAX_MS = MAX_STAMP // MILLISECOND


class _Message(msgspec.Struct, gc=False):
    """None: not said, or said as null; the count of quotes tells the two apart."""

    time: int | str | None = None
    values: dict[str, float | list[float | None] | None] | None = None
    times: list[int | str] | None = None
    units: dict[str, str] | None = None
    quality: dict[str, float | list[float | None] | None] | None = None
    sequence: int | None = None
    boot: str | int | float | None = None
    battery: float | None = None
    contact: bool | None = None
    device: str | None = None


_read = msgspec.json.Decoder(_Message).decode


class _NotPlain(Exception):
    """Correct or not, this message is for the patient decoder."""


#: battery 0–1, contact; None: not said.
Said = tuple[float | None, bool | None]
NOTHING_SAID: Said = (None, None)
#: stamp(s), ns UTC; value(s) by signal; sequence (−1: none); boot (0: none); state of the device.
Plain = tuple[int | list[int], _Values, int, int, Said]


def decode_plain(payload: bytes) -> Plain | None:
    """What a message without units and quality says, or None: then `decode` says what it holds.

    A third of the cost of `decode`, which makes an object of each sample. Left to the caller: are
    the stamps within int64 (of a plausible age they are), are the values numbers, or with a list of
    stamps lists of that length. Never raises; pure.
    """
    try:
        message = _read(payload)
        time, times, values = message.time, message.times, message.values
        if values is None or message.units is not None or message.quality is not None:
            return None
        tokens = 2 + len(values)
        stamps: int | list[int]
        if times is None:
            if time.__class__ is int:
                stamps = time * MILLISECOND
            elif time.__class__ is str:
                stamps = stamp_of_text(time)
                tokens += 1
            else:
                return None
        elif time is None:
            if set(map(type, times)) == {int}:
                stamps = [each * MILLISECOND for each in cast("list[int]", times)]
            else:
                stamps, texts = _stamps(times)
                tokens += texts
        else:
            return None
        if payload.count(b'"') == 2 * tokens:
            return stamps, values, -1, 0, NOTHING_SAID
        return _plain_with_state(message, stamps, values, tokens, payload)
    except (msgspec.DecodeError, ValueError, RecursionError, _NotPlain):
        return None


def _plain_with_state(
    message: _Message, stamps: int | list[int], values: _Values, tokens: int, payload: bytes
) -> Plain | None:
    sequence, boot, battery = message.sequence, message.boot, message.battery
    if sequence is None:
        sequence = -1
    elif 0 <= sequence <= MAX_SEQUENCE:
        tokens += 1
    else:
        return None
    mark = 0
    if boot is not None:
        tokens += 2 if boot.__class__ is str else 1
        mark = boot_number(boot)
    if battery is not None:
        if not 0 <= battery <= 1:
            return None
        tokens += 1
    if message.contact is not None:
        tokens += 1
    if payload.count(b'"') != 2 * tokens:
        return None
    silent = battery is message.contact is None
    said = NOTHING_SAID if silent else (battery, message.contact)
    return stamps, values, sequence, mark, said


def decode(payload: bytes, unit: Unit = "ms") -> Decoded:
    """Samples and rejections of any bytes. Never raises; pure.

    unit: in which the device is known to write times that are numbers.
    """
    if unit != "ms":
        return decode_explained(payload, unit)
    try:
        message = _read(payload)
        if message.times is None:
            return _single(message, payload)
        return _columns(message, message.times, payload)
    except (msgspec.DecodeError, ValueError, RecursionError, _NotPlain):
        return decode_explained(payload)


def _single(message: _Message, payload: bytes) -> Decoded:
    time, values = message.time, message.values
    if values is None:
        raise _NotPlain
    if time.__class__ is str:
        stamp, tokens = stamp_of_text(time), 3 + len(values)
    elif time.__class__ is int:
        stamp, tokens = stamp_of_number(time, "ms"), 2 + len(values)
    else:
        raise _NotPlain
    if payload.count(b'"') != 2 * tokens:
        return _single_with_more(message, values, stamp, tokens, payload)
    samples = []
    for signal, value in values.items():
        if value.__class__ is float:
            samples.append(Sample(signal, value, None, stamp))
        elif value is not None:
            raise _NotPlain
    return Decoded(samples)


def _single_with_more(
    message: _Message, values: _Values, stamp: int, tokens: int, payload: bytes
) -> Decoded:
    """The same with units, quality or what the device says of itself."""
    units, quality = message.units or {}, message.quality or {}
    _check_taken(message, values, tokens, payload)
    samples = []
    for signal, value in values.items():
        worth = quality.get(signal)
        if worth is None:
            worth = nan
        elif worth.__class__ is not float or not 0 <= worth <= 1:
            raise _NotPlain
        if value.__class__ is float:
            samples.append(Sample(signal, value, units.get(signal), stamp, worth))
        elif value is not None:
            raise _NotPlain
    return _with_state(message, samples)


def _columns(message: _Message, times: list[int | str], payload: bytes) -> Decoded:
    values = message.values
    if values is None or message.time is not None:
        raise _NotPlain
    stamps, texts = _stamps(times)
    tokens = 2 + len(values) + texts
    more = payload.count(b'"') != 2 * tokens
    if more:
        _check_taken(message, values, tokens, payload)
    units, quality = message.units or {}, message.quality or {}
    samples: list[Sample] = []
    for signal, column in values.items():
        if column is not None:
            worth = quality.get(signal)
            samples += _column(signal, column, units.get(signal), stamps, worth)
    return _with_state(message, samples) if more else Decoded(samples)


def _stamps(times: list[int | str]) -> tuple[list[int], int]:
    """The stamps, ns UTC, and how many of them are texts. Raises _NotPlain, ValueError."""
    kinds = set(map(type, times))
    if kinds == {int}:
        whole = cast("list[int]", times)
        if min(whole) < -_MAX_MS or max(whole) > _MAX_MS:
            raise _NotPlain
        return [time * MILLISECOND for time in whole], 0
    if kinds == {str}:
        return list(map(stamp_of_text, cast("list[str]", times))), len(times)
    raise _NotPlain


def _column(
    signal: str,
    column: float | list[float | None],
    unit: str | None,
    stamps: list[int],
    worth: float | list[float | None] | None,
) -> list[Sample]:
    n = len(stamps)
    if not isinstance(column, list) or len(column) != n:
        raise _NotPlain
    qualities: list[float] | repeat[float] = repeat(nan)
    if worth is not None:
        if not isinstance(worth, list) or len(worth) != n:
            raise _NotPlain
        if not all(each is None or 0 <= each <= 1 for each in worth):
            raise _NotPlain
        qualities = [nan if each is None else each for each in worth]
    signals, units = repeat(signal), repeat(unit)
    if None not in column:
        return list(map(Sample, signals, column, units, stamps, qualities, range(n)))
    rows = zip(signals, column, units, stamps, qualities, range(n), strict=False)
    return [Sample(*row) for row in rows if row[1] is not None]


def _check_taken(message: _Message, values: _Values, tokens: int, payload: bytes) -> None:
    """Whether all that the payload says was taken, once, and belongs to a value."""
    for by_signal, each in ((message.units, 2), (message.quality, 1)):
        if by_signal is not None:
            tokens += 1 + each * len(by_signal)
            if not by_signal.keys() <= values.keys():
                raise _NotPlain
    for said in (message.sequence, message.boot, message.battery, message.contact, message.device):
        if said is not None:
            tokens += 2 if said.__class__ is str else 1
    if payload.count(b'"') != 2 * tokens:
        raise _NotPlain


def _with_state(message: _Message, samples: list[Sample]) -> Decoded:
    sequence, battery, boot = message.sequence, message.battery, message.boot
    if sequence is None:
        sequence = -1
    elif not 0 <= sequence <= MAX_SEQUENCE:
        raise _NotPlain
    if battery is not None and not 0 <= battery <= 1:
        raise _NotPlain
    mark = 0 if boot is None else boot_number(boot)
    device = message.device
    surplus = 0 if device is None else 1
    return Decoded(samples, (), surplus, sequence, mark, battery, message.contact, device)
