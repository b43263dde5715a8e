"""The native format of many messages at once: what ingest does with nearly every one of them.

Only what is usual is read here, by one typed decode that lets nothing else pass: stamps and values
that are numbers, lists without a null. The lists of many messages become two flat arrays, so that a
sample of a list costs no object and no step of a Python loop. The rest is for `decode_plain`, and
what that leaves, for `decode`; a property test compares the three.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import chain
from typing import Annotated, Any, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from ingest.instant import MILLISECOND
from ingest.payload.fields import MAX_SEQUENCE, MAX_STAMP, boot_number, stamp_of_text
from ingest.payload.native import NOTHING_SAID, Plain, Said, decode_plain

_MAX_MS = MAX_STAMP // MILLISECOND
_Milliseconds = Annotated[int, msgspec.Meta(ge=-_MAX_MS, le=_MAX_MS)]
#: Messages with lists that become arrays at once: more do not fit a processor's caches.
_AT_ONCE = 256


class _Usual(msgspec.Struct, gc=False):
    """A null is no default: it fails, and `decode_plain` reads it."""

    values: dict[str, float | list[float]]
    time: _Milliseconds | str | None = None
    times: list[_Milliseconds] = []
    sequence: Annotated[int, msgspec.Meta(ge=0, le=MAX_SEQUENCE)] = -1
    boot: str | int | float | None = None
    battery: Annotated[float, msgspec.Meta(ge=0, le=1)] | None = None
    contact: bool | None = None


_read = msgspec.json.Decoder(_Usual).decode

#: A message of one stamp: the stamp (ns UTC), values by signal, sequence (−1: none), boot (0:
#: none), state of the device. Left to the caller to refuse: values that are no floats, a stamp
#: beyond int64 (none of a plausible age is).
Single = tuple[int, dict[str, Any], int, int, Said]
#: A signal of a message's lists: its name, its n stamps (ns UTC) and values, the least and the
#: greatest value.
Column = tuple[str, NDArray[np.int64], NDArray[np.float64], float, float]


class Wide(NamedTuple):
    """A message with lists, whose place among the payloads is `place`; a null is in no column."""

    place: int
    oldest: int
    newest: int
    columns: list[Column]
    sequence: int
    boot: int
    said: Said


_Lists = tuple[int, _Usual, int, Said]  # place, message, boot, state


def decode_bulk(payloads: Iterable[bytes]) -> tuple[list[Single | None], list[Wide]]:
    """What each payload says: in its place if it has one stamp, else among the wide ones.

    One that is in neither is for `decode`, which says what it holds. Never raises; pure.
    """
    # One loop, no calls for a usual message: it is run for every one of every device.
    singles: list[Single | None] = []
    wide: list[Wide] = []
    lists: list[_Lists] = []
    for payload in payloads:
        single = None
        try:
            message = _read(payload)
            time, values, sequence = message.time, message.values, message.sequence
            quotes = 4 + 2 * len(values)
            if sequence >= 0:
                quotes += 2
            if time.__class__ is int:
                stamp = time * MILLISECOND
            elif time.__class__ is str:
                stamp = stamp_of_text(time)
                quotes += 2
            boot, said = 0, NOTHING_SAID
            if payload.count(b'"') != quotes:
                boot, said = _more(message, payload, quotes)
            if time is not None:
                single = stamp, values, sequence, boot, said
            else:
                lists.append((len(singles), message, boot, said))
        except (msgspec.DecodeError, ValueError, RecursionError):
            single = _less_usual(payload, len(singles), wide)
        singles.append(single)
        if len(lists) == _AT_ONCE:
            wide += _widened(lists)
            lists.clear()
    wide += _widened(lists)
    return singles, wide


def _more(message: _Usual, payload: bytes, quotes: int) -> tuple[int, Said]:
    """Boot and state. Raises ValueError if they are not all that the payload says besides."""
    boot, battery, contact = message.boot, message.battery, message.contact
    mark = 0
    if boot is not None:
        quotes += 4 if boot.__class__ is str else 2
        mark = boot_number(boot)
    if battery is not None:
        quotes += 2
    if contact is not None:
        quotes += 2
    if payload.count(b'"') != quotes:
        raise ValueError
    return mark, NOTHING_SAID if battery is contact is None else (battery, contact)


def _less_usual(payload: bytes, place: int, wide: list[Wide]) -> Single | None:
    """By the patient one of the two short ways; a message with lists is added to `wide`."""
    plain = decode_plain(payload)
    if plain is None:
        return None
    if isinstance(plain[0], int):
        return plain  # type: ignore[return-value]  # its first is one stamp
    columns = _without_nulls(plain)
    if columns:
        wide.append(Wide(place, min(plain[0]), max(plain[0]), columns, *plain[2:]))
    return None


def _without_nulls(plain: Plain) -> list[Column] | None:
    stamps = plain[0]
    columns: list[Column] = []
    if not isinstance(stamps, list) or max(map(abs, stamps)) > MAX_STAMP:
        return None
    for signal, said in plain[1].items():
        if not isinstance(said, list) or len(said) != len(stamps):
            return None
        pairs = [
            (stamp, value) for stamp, value in zip(stamps, said, strict=True) if value is not None
        ]
        if pairs:
            at = np.array([stamp for stamp, _ in pairs], np.int64)
            values = np.array([value for _, value in pairs], np.float64)
            columns.append((signal, at, values, float(values.min()), float(values.max())))
    return columns


def _widened(lists: list[_Lists]) -> list[Wide]:
    """The messages with lists, but those whose lists are of several lengths or are none."""
    even: list[_Lists] = []
    times: list[list[int]] = []
    columns: list[list[float]] = []
    for each in lists:
        message = each[1]
        count, said = len(message.times), message.values.values()
        for column in said:  # a generator in all() would cost three times as much
            if column.__class__ is not list or len(column) != count:
                break
        else:
            if count and said:
                even.append(each)
                times.append(message.times)
                columns += said  # type: ignore[arg-type]
    if not even:
        return []
    try:
        stamps, ends, oldest, newest = _flat(times, np.int64)
    except OverflowError:  # msgspec lets numbers of more than 64 bits pass its bounds
        return _widened([each for each in even if max(map(abs, each[1].times)) <= _MAX_MS])
    values, value_ends, least, most = _flat(columns, np.float64)
    stamps *= MILLISECOND
    made: list[Wide] = []
    make = tuple.__new__  # a third of what a call of the class costs
    of = begin = value_begin = 0
    for end, first, last, (place, message, boot, state) in zip(
        ends, oldest, newest, even, strict=True
    ):
        stamps_of, held = stamps[begin:end], []
        for signal in message.values:
            value_end = value_ends[of]
            held.append((signal, stamps_of, values[value_begin:value_end], least[of], most[of]))
            value_begin, of = value_end, of + 1
        first, last = first * MILLISECOND, last * MILLISECOND
        made.append(make(Wide, (place, first, last, held, message.sequence, boot, state)))
        begin = end
    return made


def _flat(
    lists: list[Any], kind: type[np.generic]
) -> tuple[NDArray[Any], list[int], list[Any], list[Any]]:
    """All lists one after the other, where each ends, its least and its greatest; none is empty."""
    ends = np.cumsum([*map(len, lists)])
    flat = np.fromiter(chain.from_iterable(lists), kind, int(ends[-1]))
    begins = np.concatenate(([0], ends[:-1]))
    least, most = np.minimum.reduceat(flat, begins), np.maximum.reduceat(flat, begins)
    return flat, ends.tolist(), least.tolist(), most.tolist()
