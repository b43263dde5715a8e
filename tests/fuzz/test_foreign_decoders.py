"""Whatever the bytes: Sparkplug and mapped payloads are decoded to values, never to an exception.

TWIN_FUZZ_INPUTS is how many inputs each decoder gets: 20 000 here, a million by `make fuzz`.
"""

from __future__ import annotations

import json
import os
import random
from collections.abc import Callable, Iterator
from math import isfinite

import pytest

from ingest.payload import mapped, sparkplug
from ingest.payload.decoded import Decoded
from ingest.payload.sparkplug_births import NO_TABLE, table_of
from tests.support.payloads import cpu_seconds
from tests.support.sparkplug import by_alias, double, payload
from twin.config_mapping import MappingTable

INPUTS = int(os.environ.get("TWIN_FUZZ_INPUTS", "20000"))
#: Seconds of CPU for 100 kB, five times the bound for a machine that does other work.
SLOWEST = 0.25

_BIRTH = payload(double("heart_rate", 72, alias=1, unit="/min", quality=192), double("spo2", 97))
_TABLE = table_of(sparkplug.decode(_BIRTH, "BIRTH").declared)
_SPARKPLUG = [_BIRTH, payload(by_alias(1, 73), by_alias(9, 1), {"name": "bdSeq", "long_value": 1})]
_RULE = MappingTable.model_validate(
    {
        "name": "fuzz",
        "topic": "fuzz/{device}",
        "each": "a[*].b[*]",
        "time": {"path": "^.t", "unit": "s", "zone_path": "z", "local": True},
        "fields": [
            {"signal": "heart_rate", "path": "v", "exponent_path": "e", "quality_path": "q"},
            {"signal": "spo2", "path": "w[*]", "unit_path": "$.u", "missing": [0]},
        ],
        "battery_path": "bat",
        "contact_path": "on",
        "sequence_path": "n",
        "device_path": "id",
    }
).rule()
_RECORD = {"v": 72, "e": 0, "q": 0.5, "z": "+01:00", "w": [97, 0, None]}
_MAPPED = [
    json.dumps(
        {
            "a": [{"t": 1_795_608_000, "b": [_RECORD, {"v": "x"}]}, {"t": 1.5, "b": []}],
            "u": "%",
            "bat": 0.5,
            "on": True,
            "n": 7,
            "id": "d",
        }
    ).encode()
]
_WORDS = [b"null", b"[]", b"{}", b"1e999", b'"', b"-1", b"true", b"9" * 30, b"\xff", b"\x12\x00"]


def _sparkplug(message: bytes) -> Decoded:
    sparkplug.decode(message, "BIRTH")
    sparkplug.decode(message, "DEATH", NO_TABLE)
    return sparkplug.decode(message, "DATA", _TABLE).decoded


def _mapped(message: bytes) -> Decoded:
    return mapped.decode(message, _RULE)


def mutated(seeds: list[bytes], count: int) -> Iterator[bytes]:
    """Cut, repeated, flipped, spliced and random bytes, the same in every run."""
    source = random.Random(20_261_126)
    for _ in range(count):
        message = bytearray(source.choice(seeds))
        for _ in range(source.randrange(4)):
            at = source.randrange(len(message) + 1)
            match source.randrange(5):
                case 0:
                    del message[at : at + source.randrange(9)]
                case 1:
                    message[at:at] = source.randbytes(source.randrange(1, 9))
                case 2:
                    message[at:at] = source.choice(_WORDS)
                case 3:
                    message[at : at + 1] = source.randbytes(1)
                case 4:
                    message[at:at] = message[source.randrange(len(message) + 1) :][:40]
        yield bytes(message)


@pytest.mark.fuzz
@pytest.mark.parametrize(("decode", "seeds"), [(_sparkplug, _SPARKPLUG), (_mapped, _MAPPED)])
def test_any_bytes_are_samples_and_rejections(
    decode: Callable[[bytes], Decoded], seeds: list[bytes]
) -> None:
    usable = refused = 0
    for message in mutated(seeds, INPUTS):
        decoded = decode(message)
        usable += bool(decoded.samples)
        refused += bool(decoded.rejections)
        for sample in decoded.samples:
            assert isfinite(sample.value)
            assert sample.path
        for rejection in decoded.rejections:
            assert len(rejection.got) <= 64
            assert rejection.expected
            json.dumps([rejection.path, rejection.got]).encode("utf-8")

    assert usable > INPUTS // 20
    assert refused > INPUTS // 20


@pytest.mark.fuzz
@pytest.mark.parametrize(
    ("decode", "message"),
    [
        (_mapped, b'{"a":[' + b'{"b":[{}]},' * 9_000 + b"{}]}"),
        (_mapped, b'{"a":[{"t":1,"b":[' + b'{"v":"x"},' * 10_000 + b"{}]}]}"),
        (_mapped, b'{"a":[{"t":1,"b":[{"w":[' + b"9," * 50_000 + b"9]}]}]}"),
        (_mapped, b"[" * 100_000),
        (_sparkplug, b"\x12\x00" * 50_000),
        (_sparkplug, b"\x12\x02\x10\x63" * 9_999),
        (_sparkplug, b"\x12\x06\x0a\x04name" * 12_500),
    ],
    ids=["records", "values", "column", "nesting", "empty", "aliases", "names"],
)
def test_no_bytes_take_longer_than_their_length_allows(
    decode: Callable[[bytes], Decoded], message: bytes
) -> None:
    allowed = SLOWEST * max(1.0, len(message) / 100_000)

    assert decode(message).rejections
    assert cpu_seconds(lambda: decode(message), allowed) < allowed
