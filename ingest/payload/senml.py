"""SenML in JSON and in CBOR (RFC 8428, sections 5 and 6): bytes → records, read by `senml_pack`.

A pack is parsed without types, at once; then the quotes of a JSON payload are counted as in
`native`: one more than its keys and texts have means a key twice (or an escaped quote), and the
patient parser tells which.
"""

from __future__ import annotations

import io
from math import isfinite, nan

import cbor2
import msgspec

from ingest.payload.decoded import Decoded, Reason, Rejection, refused
from ingest.payload.json_text import JsonObject, parse_patiently
from ingest.payload.senml_pack import read_pack
from ingest.stamping import Unit

#: CBOR label → SenML name (RFC 8428, table 4).
LABELS = {
    -6: "bs",
    -5: "bv",
    -4: "bu",
    -3: "bt",
    -2: "bn",
    -1: "bver",
    0: "n",
    1: "u",
    2: "v",
    3: "vs",
    4: "vb",
    5: "s",
    6: "t",
    7: "ut",
    8: "vd",
}
#: Powers of ten, and whole numbers, that a float holds exactly.
_EXACT, _WHOLE = 23, 1 << 53
_TENS = [10.0**power for power in range(_EXACT)]
_DEPTH = 8  # of nesting; a pack needs 2, an extension perhaps a few more

_read = msgspec.json.Decoder().decode


def decode_json(payload: bytes, unit: Unit = "s") -> Decoded:
    """What a SenML JSON payload holds; unit: in which its times are known to be. Never raises;
    pure."""
    try:
        records = _read(payload)
    except (msgspec.DecodeError, ValueError, RecursionError):
        return _decode_patiently(payload, unit)
    if payload.count(b'"') != 2 * _texts(records):
        return _decode_patiently(payload, unit)
    return read_pack(records, unit=unit)


def _texts(records: object) -> int:
    """How many keys and texts a flat pack holds; −1 if it is none."""
    if not isinstance(records, list):
        return -1
    count = 0
    for record in records:
        if record.__class__ is not dict:
            return -1
        count += len(record)
        for value in record.values():
            kind = value.__class__
            if kind is str:
                count += 1
            elif kind is dict or kind is list:
                return -1
    return count


def _decode_patiently(payload: bytes, unit: Unit) -> Decoded:
    records = parse_patiently(payload, "a SenML pack: a JSON array of records")
    if isinstance(records, Rejection):
        return refused(records)
    if not isinstance(records, list):
        return read_pack(records)
    twice = {
        i: tuple(sorted(each.twice))
        for i, each in enumerate(records)
        if isinstance(each, JsonObject) and each.twice
    }
    return read_pack(records, twice, unit)


def decode_cbor(payload: bytes, unit: Unit = "s") -> Decoded:
    """What a SenML CBOR payload holds; unit: in which its times are known to be. Never raises;
    pure."""
    expected = "a SenML pack: a CBOR array of maps"
    stream = io.BytesIO(payload)
    try:
        records = cbor2.CBORDecoder(
            stream, max_depth=_DEPTH, allow_duplicate_keys=False, semantic_decoders=_TAGS
        ).decode()
    except (cbor2.CBORError, ValueError, TypeError, RecursionError, MemoryError) as error:
        got = str(error)[:60].partition(" (")[0] if payload else "nothing"
        return refused(Rejection(Reason.UNDECODABLE, "", expected, got))
    rest = len(payload) - stream.tell()
    if rest:
        return refused(Rejection(Reason.UNDECODABLE, "", expected, f"{rest} bytes behind it"))
    if isinstance(records, list):
        records = _named(records)
    return read_pack(records, unit=unit)


def _named(records: list[object]) -> list[object]:
    """The records with SenML's names in place of CBOR's labels."""
    found: list[object] = []
    for record in records:
        if isinstance(record, dict):
            named: dict[str, object] = {}  # a comprehension for each costs twice as much
            for key, value in record.items():
                known = key.__class__ is int and key in LABELS
                named[LABELS[key] if known else str(key)] = value
            record = named
        found.append(record)
    return found


def _decimal_fraction(content: object, _: bool) -> float:
    """Tag 4, the only one that RFC 8428 allows: exponent and mantissa of ten."""
    if not isinstance(content, list | tuple) or len(content) != 2:
        return nan
    exponent, mantissa = content
    if exponent.__class__ is not int or mantissa.__class__ is not int:
        return nan
    if -_EXACT < exponent < _EXACT and -_WHOLE < mantissa < _WHOLE:
        # Two exact numbers: rounded once, to the same as the text below, at a third of its cost.
        return float(mantissa * _TENS[exponent] if exponent >= 0 else mantissa / _TENS[-exponent])
    if not -400 <= exponent <= 400:
        return nan
    value = float(f"{mantissa}e{exponent}")
    return value if isfinite(value) else nan


def _no_tag(content: object, _: bool) -> object:
    raise ValueError("a tag that SenML does not have")


#: Tags that cbor2 would make something of: no dates, bignums, regular expressions, shared values.
_TAGS = dict.fromkeys((*range(110), 256, 258, 260, 261, 1004, 43000), _no_tag) | {
    4: _decimal_fraction
}
