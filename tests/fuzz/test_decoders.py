"""No payload makes a decoder raise, say what cannot be said, or take long.

TWIN_FUZZ_INPUTS is how many inputs each decoder gets: 20 000 here, a million by `make fuzz`.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from functools import partial
from math import isfinite
from random import Random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ingest.judge import FORMATS, judge
from ingest.payload.decoded import Decoded, Reason
from ingest.payload.fields import MAX_STAMP
from tests.support.payloads import DOCUMENTS, cpu_seconds, mutated

INPUTS = int(os.environ.get("TWIN_FUZZ_INPUTS", "20000"))
_IN_A_ROW = 250  # inputs for each example that hypothesis draws
#: s of CPU for 100 kB on a core of its own, and how much slower a shared one may be.
LONGEST = 0.05
BUSY = 5
_SIZE = 100_000


def check(payload: bytes, form: str) -> Decoded:
    """What every decoder promises of every payload; fails with the payload in hex."""
    decoded = FORMATS[form](payload)
    assert isinstance(decoded, Decoded)
    for sample in decoded.samples:
        assert isfinite(sample.value)
        assert -MAX_STAMP <= sample.stamp <= MAX_STAMP
        assert sample.path
    for kept in decoded.kept:
        assert isfinite(kept.value)
        assert kept.measured_at
    for rejection in decoded.rejections:
        assert rejection.reason in Reason
        assert rejection.expected
        assert len(rejection.got) <= 64
        assert rejection.samples >= 1
        # What is printed, journalled and shown can be encoded.
        f"{rejection.path}{rejection.got}{rejection.expected}".encode()
    return decoded


@pytest.mark.fuzz
@pytest.mark.parametrize("form", DOCUMENTS)
def test_no_mutation_of_a_payload_makes_a_decoder_raise(form: str) -> None:
    seen: Counter[str] = Counter()

    @settings(
        max_examples=max(1, INPUTS // _IN_A_ROW),
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(st.integers(0, 2**64 - 1))
    def run(seed: int) -> None:
        random = Random(seed)
        for _ in range(_IN_A_ROW):
            payload = mutated(form, random)
            try:
                decoded = check(payload, form)
                if random.random() < 0.1:  # and what the screen makes of it can be printed
                    json.dumps(judge(payload, form), allow_nan=False)
            except Exception as error:
                raise AssertionError(f"{form}: {payload.hex()}") from error
            seen["inputs"] += 1
            seen["used"] += bool(decoded.samples or decoded.kept)
            seen.update({str(r.reason) for r in decoded.rejections})

    run()
    print(f"{form}: {dict(seen.most_common())}")
    # The mutation reaches what it is for: much is used, much is refused, for many reasons.
    assert seen["used"] > seen["inputs"] // 20
    assert len(seen) > 8


@pytest.mark.fuzz
@pytest.mark.parametrize("form", DOCUMENTS)
@settings(
    max_examples=max(1, INPUTS // 40),
    deadline=None,
    database=None,
    suppress_health_check=list(HealthCheck),
)
@given(payload=st.binary(max_size=400))
def test_no_bytes_make_a_decoder_raise(form: str, payload: bytes) -> None:
    check(payload, form)


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
}


@pytest.mark.fuzz
@pytest.mark.parametrize("form", DOCUMENTS)
def test_no_hundred_kilobytes_keep_a_decoder_busy(form: str) -> None:
    binary = form == "senml-cbor"
    took = {
        name: cpu_seconds(partial(check, payload, form), LONGEST)
        for name, payload in LARGE.items()
        if name.startswith("CBOR") == binary
    }

    print(f"{form}: { ({name: round(1000 * each) for name, each in took.items()}) } ms")
    assert max(took.values()) < LONGEST * BUSY, max(took, key=took.__getitem__)
