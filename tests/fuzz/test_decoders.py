"""No payload makes a decoder raise, say what cannot be said, or take long.

Each decoder gets 20 000 inputs here; `make fuzz` gives it a million (tests/support/fuzzing.py).
"""

from __future__ import annotations

from functools import partial

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.fuzzing import DECODERS, LONGEST, check, fuzz, slowest
from tests.support.payloads import cpu_seconds

INPUTS = 20_000
#: How much slower than a core of its own a shared one may be.
BUSY = 5


@pytest.mark.fuzz
@pytest.mark.parametrize("form", DECODERS)
def test_no_mutation_of_a_payload_makes_a_decoder_raise(form: str) -> None:
    seen, failed = fuzz(form, INPUTS, seed=20_261_126)
    print(f"{form}: {dict(seen.most_common())}")
    assert not failed, failed[0]
    # The mutation reaches what it is for: much is used, much is refused, for many reasons.
    assert seen["used"] > INPUTS // 20
    assert seen["refused"] > INPUTS // 20
    assert len(seen) > 8


@pytest.mark.fuzz
@pytest.mark.parametrize("form", DECODERS)
@settings(max_examples=500, deadline=None, database=None, suppress_health_check=list(HealthCheck))
@given(payload=st.binary(max_size=400))
def test_no_bytes_make_a_decoder_raise(form: str, payload: bytes) -> None:
    check(DECODERS[form].decode(payload))


@pytest.mark.fuzz
@pytest.mark.parametrize("form", DECODERS)
def test_no_hundred_kilobytes_keep_a_decoder_busy(form: str) -> None:
    took, name = slowest(form)
    print(f"{form}: {name} takes {1000 * took:.0f} ms for 100 kB")
    assert took < LONGEST * BUSY, name


#: Records of each format, of which a payload may hold any number: begin, each, end.
MANY = {
    "native": (b'{"time":1,"values":{"spo2":97', b',"s":[]', b"}}"),
    "senml": (b'[{"bn":"a:","bt":1795000000}', b',{"n":"temp","v":1}', b"]"),
    "senml-cbor": (b"\x9f", b"\xa1\x02\x07", b"\xff"),
    "ieee1752": (b'[{"heart_rate":1}', b',{"heart_rate":1}', b"]"),
    "fhir": (b'{"resourceType":"Bundle","entry":[{}', b',{"resource":{"a":1}}', b"]}"),
    "sparkplug": (b"", b"\x12\x06\x0a\x04name", b""),
    "mapped": (b'{"a":[{"t":1,"b":[{}', b',{"v":"x"}', b"]}]}"),
}


@pytest.mark.fuzz
@pytest.mark.parametrize("form", DECODERS)
def test_the_time_of_a_payload_grows_with_its_size_and_no_faster(form: str) -> None:
    begin, each, end = MANY[form]
    small, large = (
        cpu_seconds(partial(DECODERS[form].decode, begin + count * each + end), 0.0)
        for count in (1_500, 12_000)
    )
    assert large < 8 * 3 * max(small, 0.0005)
