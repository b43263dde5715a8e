"""Payloads of 100 kB that are good at taking long, by what they are made of."""

from __future__ import annotations

import json

from tests.support.payloads import DOCUMENTS

_SIZE = 100_000


def _filled(begin: str, each: str, end: str) -> bytes:
    count = (_SIZE - len(begin) - len(end)) // (len(each) + 1)
    return (begin + ",".join([each] * count) + end).encode()


_OBSERVATION = json.dumps(DOCUMENTS["fhir"][0])
_SAMPLED = json.dumps(DOCUMENTS["fhir"][2]).partition("70 E")
#: Payloads of 100 kB that are good at taking long.
LARGE: dict[str, bytes] = {
    "numbers": _filled("[", "7", "]"),
    "empty objects": _filled("[", "{}", "]"),
    "nested lists": b"[" * _SIZE,
    "nested objects": b'{"a":' * (_SIZE // 5),
    "a key again and again": _filled("{", '"a":1', "}"),
    "records with a key twice": _filled("[", '{"n":"spo2","n":1}', "]"),
    "a long number": b"[" + b"1" * _SIZE + b"]",
    "escapes": b'["' + b'\\"' * (_SIZE // 2) + b'"]',
    "surrogates": b'["' + b"\\ud800" * (_SIZE // 6) + b'"]',
    "no text": b"\xff" * _SIZE,
    "spaces": b" " * _SIZE,
    "good records": _filled('[{"bn":"a:","bt":1795000000},', '{"n":"spo2","v":97}', "]"),
    "bad names": _filled("[", '{"n":"temp","v":1}', "]"),
    "no names": _filled("[", '{"v":1}', "]"),
    "base names": _filled("[", '{"bn":""}', "]"),
    "a long base name": b'[{"bn":"%s"}' % (b"a/" * 20_000) + b',{"n":"x","v":1}' * 4_000 + b"]",
    "times that are none": _filled('{"values":{"spo2":[]},"times":[', '"x"', "]}"),
    "times without zone": _filled('{"values":{"spo2":[]},"times":[', '"2026-11-25T08:00:00"', "]}"),
    "times of no calendar": _filled(
        '{"values":{"spo2":[]},"times":[', '"2026-02-30T08:00:00Z"', "]}"
    ),
    "times of no epoch": _filled('{"values":{"spo2":[]},"times":[', "9" * 16, "]}"),
    "signals without values": _filled('{"time":1,"values":{', '"s":[]', "}}"),
    "entries": _filled('{"resourceType":"Bundle","entry":[', "{}", "]}"),
    "observations": _filled(
        '{"resourceType":"Bundle","entry":[', f'{{"resource":{_OBSERVATION}}}', "]}"
    ),
    "components": _filled(
        '{"resourceType":"Observation","status":"final","component":[', '{"a":1}', "]}"
    ),
    "sampled values": (_SAMPLED[0] + "7 " * (_SIZE // 2) + _SAMPLED[2]).encode(),
    "sampled errors": (_SAMPLED[0] + "E " * (_SIZE // 2) + _SAMPLED[2]).encode(),
    "sampled spaces": (_SAMPLED[0] + " " * _SIZE + _SAMPLED[2]).encode(),
    "data points": _filled("[", json.dumps(DOCUMENTS["ieee1752"][0]), "]"),
    "bodies": _filled("[", '{"heart_rate":1}', "]"),
    "CBOR maps": b"\x9f" + b"\xa1\x02\x07" * (_SIZE // 3) + b"\xff",
    "CBOR numbers": b"\x9f" + b"\x07" * _SIZE + b"\xff",
    "CBOR nested": b"\x81" * _SIZE,
    "CBOR tags": b"\xc1" * _SIZE,
    "CBOR decimals": b"\x9f" + b"\xc4\x82\x00\x01" * (_SIZE // 4) + b"\xff",
    "CBOR records": b"\x9f" + b"\xa2\x00\x64spo2\x02\x07" * (_SIZE // 9) + b"\xff",
    "SenML times of no epoch": _filled("[", '{"n":"spo2","v":97,"t":1795608000000}', "]"),
    "mapped records": b'{"a":[' + b'{"b":[{}]},' * 9_000 + b"{}]}",
    "mapped values": b'{"a":[{"t":1,"b":[' + b'{"v":"x"},' * 10_000 + b"{}]}]}",
    "a mapped column": b'{"a":[{"t":1,"b":[{"w":[' + b"9," * 50_000 + b"9]}]}]}",
    "Sparkplug empty": b"\x12\x00" * 50_000,
    "Sparkplug aliases": b"\x12\x02\x10\x63" * 9_999,
    "Sparkplug names": b"\x12\x06\x0a\x04name" * 12_500,
}
