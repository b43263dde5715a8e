"""Scores are written without objects: the bytes are those that the encoder makes of the objects."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.assessed import CALM, Ward
from twin.assessment import score_bytes
from twin.estimate import decode_output, encode_output
from twin.judgement import Judgements, PackedScores


def written(put: Callable[..., Any], room: int, *what: Any) -> bytes:
    out = np.zeros(room + 1, np.uint8)
    return out[1 : put(out, 1, *what)].tobytes()


@given(st.integers(-(2**63), 2**63 - 1) | st.integers(-300, 70_000))
def test_a_number_is_as_short_as_the_encoder_writes_it(whole: int) -> None:
    expected = msgspec.msgpack.encode(whole)
    assert written(score_bytes.put_number, 9, whole) == expected
    assert written(score_bytes.put_number.py_func, 9, whole) == expected


@pytest.mark.parametrize("size", [0, 1, 31, 32, 255, 256, 65_535, 65_536])
def test_a_text_has_the_head_that_the_encoder_gives_it(size: int) -> None:
    text = np.frombuffer(b"--" + b"n" * size, np.uint8)
    made = written(score_bytes.put_text.py_func, size + 5, text, 2, 2 + size)
    assert made == msgspec.msgpack.encode("n" * size)


@pytest.mark.parametrize("value", [0.1, -0.0, float("inf"), float("nan"), 5e-324])
def test_a_float_is_its_bits(value: float) -> None:
    bits = int(np.array(value).view(np.int64))
    assert written(score_bytes.put_bits.py_func, 9, bits) == msgspec.msgpack.encode(value)


def test_what_a_tick_says_is_what_the_encoder_makes_of_the_scores_read_from_it() -> None:
    ward = Ward()
    names = [f"p{n}" for n in range(20)] + ["élodie", "a-name-of-more-than-thirty-one-bytes-é"]
    one = {"heart_rate": 72.0}
    sent: dict[str, Any] = {name: CALM if n % 2 else one for n, name in enumerate(names)}
    ward.run_all(20, lambda _: sent)
    for name, actor in (("p1", "I. Roux"), ("élodie", "Ö. Äkäslompolo"), ("p2", "")):
        for kind, value in (("consciousness", "V"), ("oxygen", "oxygen"), ("systolic_bp", 91.5)):
            ward.give("entry", {"kind": kind, "value": value}, name, actor)
    ward.run_all(70, lambda _: sent)
    said = [each for each in ward.said if each.scores]
    assert all(isinstance(each.scores, PackedScores) for each in said)
    assert max(len(each.scores) for each in said) > 15
    sources = set()
    for each in said:
        record = encode_output(each)
        read = decode_output(record)
        assert isinstance(read, Judgements)
        assert len(read.scores) == len(each.scores)
        assert read.scores[0].patient == each.scores[0].patient
        assert encode_output(read) == record
        assert list(read.scores) == sorted(read.scores, key=lambda row: row.patient)
        for row in read.scores:
            sources |= {(part.parameter, part.source, part.actor) for part in row.components}
    assert ("systolic_bp", "entry", "Ö. Äkäslompolo") in sources
    assert ("systolic_bp", "device", "") in sources
    assert ("oxygen", "", "") in sources


def test_many_scores_have_the_head_of_a_long_array() -> None:
    for n in (0, 15, 16, 65_535, 65_536):
        assert PackedScores(n, b"\0" * n).packed() == msgspec.msgpack.encode([0] * n)
