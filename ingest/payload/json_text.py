"""JSON for decoders: parsed at once, and a key that an object holds twice is never lost silently.

msgspec keeps the last of two equal keys. So the quotes of the text are counted against the keys and
texts of what was parsed; where they differ (a key twice, an escape) or where msgspec
refuses, the patient parser of the standard library reads it again and remembers the keys.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import msgspec

from ingest.payload.decoded import Reason, Rejection

_read = msgspec.json.Decoder().decode


class JsonObject(dict[str, object]):
    """A JSON object that remembers which keys it held more than once."""

    twice: frozenset[str] = frozenset()


def _object(pairs: list[tuple[str, object]]) -> JsonObject:
    made = JsonObject(pairs)
    if len(made) < len(pairs):
        seen: set[str] = set()
        twice: set[str] = set()
        for key, _ in pairs:  # a Counter costs several times as much
            (twice if key in seen else seen).add(key)
        made.twice = frozenset(twice)
    return made


def _integer(digits: str) -> int | float:
    # Longer ones fit no field, and thousands of digits are refused by int().
    return int(digits) if len(digits) <= 20 else float(digits)


_json = json.JSONDecoder(object_pairs_hook=_object, parse_int=_integer, parse_constant=float)


def parse_patiently(payload: bytes, expected: str) -> object | Rejection:
    """What a payload says, with JsonObjects; or why it is no JSON. NaN and infinity are floats."""
    try:
        parsed: object = _json.decode(payload.decode("utf-8"))
        return parsed
    except UnicodeDecodeError as error:
        got = f"byte 0x{payload[error.start]:02x} at {error.start}"
        return Rejection(Reason.UNDECODABLE, "", "UTF-8", got)
    except json.JSONDecodeError as error:
        got = f"{error.msg[:40]} at character {error.pos}" if payload else "nothing"
        return Rejection(Reason.UNDECODABLE, "", expected, got)
    except RecursionError:
        return Rejection(Reason.UNDECODABLE, "", expected, "nested too deeply")


def parse(payload: bytes, expected: str) -> object | Rejection:
    """The same, several times as fast; plain dicts where no object holds a key twice."""
    try:
        parsed: object = _read(payload)
        if 2 * texts_of(parsed) == _quotes(payload):
            return parsed
    except (msgspec.DecodeError, ValueError, RecursionError):
        pass
    return parse_patiently(payload, expected)


def _quotes(payload: bytes) -> int:
    """How many quotes begin or end a text; −1 where counting cannot tell."""
    if b"\\" not in payload:
        return payload.count(b'"')
    if b"\\\\" in payload:  # the second may escape a quote, or not
        return -1
    return payload.count(b'"') - payload.count(b'\\"')


def texts_of(value: object) -> int:
    """How many keys and texts a parsed value holds."""
    count = 0
    left: list[Any] = [value]
    for each in left:  # grows
        kind = each.__class__
        if kind is dict:
            count += len(each)
            left += each.values()
        elif kind is list:
            left += each
        elif kind is str:
            count += 1
    return count


def keys_twice(value: object, path: str = "") -> Iterator[str]:
    """Paths of the keys that objects within a parsed value hold twice."""
    left = [(value, path)]
    for each, where in left:  # grows
        if isinstance(each, JsonObject):
            begin = f"{where}." if where else ""
            yield from (f"{begin}{key}" for key in each.twice)
            left += [
                (inner, f"{begin}{key}")
                for key, inner in each.items()
                if isinstance(inner, dict | list)
            ]
        elif isinstance(each, list):
            left += [
                (inner, f"{where}[{i}]")
                for i, inner in enumerate(each)
                if isinstance(inner, dict | list)
            ]
