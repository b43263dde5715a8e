"""Scores as rows of the journal and of the store: every number comes back as it was."""

from __future__ import annotations

from dataclasses import replace
from math import nan
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.observation import KIND_JUDGEMENTS, RecordDamaged, seal
from tests.support.assessed import CALM, Ward
from tests.support.judged import alarm, score
from tests.support.score_rows import rows_of
from twin.estimate import decode_output, encode_output
from twin.judgement import PARAMETERS, Chances, Component, Judgements, Score
from twin.score_row import RowsWire, ScoreRows, score_of, wire_of

NUMBERS = st.floats(width=64) | st.sampled_from([0.0, -0.0, 5e-324, 1.0])
STAMPS = st.integers(-(2**63), 2**63 - 1)
KNOWN = st.tuples(
    st.integers(-1, 3), NUMBERS, STAMPS,
    st.just(("device", "")) | st.tuples(st.just("entry"), st.sampled_from(["", "I. Roux", "É. Ö"])),
)  # fmt: skip
CHANCES = st.builds(Chances, NUMBERS, NUMBERS, NUMBERS, NUMBERS)


def component(parameter: str, known: tuple[int, float, int, tuple[str, str]] | None) -> Component:
    if known is None:
        return Component(parameter, -1, nan, 0)
    points, value, at, source = known
    return Component(parameter, points, value, at, *source)


@st.composite
def scores(draw: st.DrawFn) -> list[Score]:
    """Of one tick, some."""
    at, model = draw(STAMPS), draw(st.sampled_from(["", "base-1+ab12"]))

    def one(patient: str) -> Score:
        known = draw(st.lists(st.none() | KNOWN, min_size=7, max_size=7))
        components = tuple(map(component, PARAMETERS, known))
        marks = draw(st.booleans()), draw(st.booleans()), draw(st.sampled_from([1, 2]))
        both = draw(CHANCES), draw(CHANCES)
        return Score(patient, at, draw(st.integers(0, 20)), *marks, *both, components, model)

    return [one(f"p{n}é") for n in range(draw(st.integers(1, 6)))]


def written(of: Any) -> bytes:
    """NaN is not NaN, but it is written the same; so is −0.0, and no other number."""
    return msgspec.msgpack.encode(of)


def read(said: Judgements) -> Judgements:
    found = decode_output(encode_output(said))
    assert isinstance(found, Judgements)
    return found


@given(scores())
def test_scores_come_back_from_the_journal_as_they_were(made: list[Score]) -> None:
    found = read(Judgements((alarm(),), rows_of(made)))
    assert isinstance(found.scores, ScoreRows)
    assert written(list(found.scores)) == written(made)
    assert written(found.scores[-1]) == written(made[-1])
    assert len(found.scores) == len(made)
    assert found.alarms == (alarm(),)


@given(scores())
def test_each_score_comes_back_from_its_body_and_names_its_own_actors(made: list[Score]) -> None:
    rows = rows_of(made)
    for one, body in zip(made, rows.bodies(), strict=True):
        assert written(score_of(one.patient, one.at, body)) == written(one)
        own = {part.actor for part in one.components if part.source == "entry"}
        assert set(msgspec.msgpack.decode(body)[1]) == own


def test_a_journal_of_before_holds_objects_and_so_does_a_validated_score() -> None:
    made = (score("p1", spo2=2), score("p2", pulse=1, temperature=0))
    before = seal(KIND_JUDGEMENTS, msgspec.msgpack.encode([[alarm()], made]))
    found = decode_output(before)
    assert isinstance(found, Judgements)
    assert isinstance(found.scores, tuple)
    assert written(found.scores) == written(made)
    validated = msgspec.structs.replace(made[0], validated_by="I. Roux")
    assert written(read(Judgements(scores=(validated,))).scores) == written([validated])


def test_what_a_tick_says_are_the_rows_of_the_scores_read_from_it() -> None:
    ward = Ward()
    names = [f"p{n}" for n in range(20)] + ["élodie"]
    one = {"heart_rate": 72.0}
    sent: dict[str, Any] = {name: CALM if n % 2 else one for n, name in enumerate(names)}
    ward.run_all(20, lambda _: sent)
    for name, actor in (("p1", "I. Roux"), ("élodie", "Ö. Äkäslompolo"), ("p2", "")):
        for kind, value in (("consciousness", "V"), ("oxygen", "oxygen"), ("systolic_bp", 91.5)):
            ward.give("entry", {"kind": kind, "value": value}, name, actor)
    ward.run_all(70, lambda _: sent)
    said = [each.scores for each in ward.said if each.scores]
    assert max(map(len, said)) > 15
    sources = set()
    for each in said:
        assert isinstance(each, ScoreRows)
        assert wire_of(each) == wire_of(rows_of(list(each)))
        assert list(each.patients) == sorted(each.patients)
        for row in each:
            sources |= {(part.parameter, part.source, part.actor) for part in row.components}
    assert ("systolic_bp", "entry", "Ö. Äkäslompolo") in sources
    assert ("systolic_bp", "device", "") in sources
    assert ("oxygen", "", "") in sources


def test_a_score_of_one_vital_takes_less_than_ninety_bytes() -> None:
    ward = Ward()
    ward.run_all(20, lambda _: {f"patient-{n:06d}": {"heart_rate": 72.0} for n in range(100)})
    said = max((each for each in ward.said if each.scores), key=lambda each: len(each.scores))
    assert len(encode_output(said)) < 90 * len(said.scores)


@pytest.mark.parametrize(
    "changes",
    [
        {"patients": ("p1", "p2")},
        {"heads": b"123"},
        {"parts": b""},
        {"chances": bytes(8)},
        {"heads": bytes([2, 0, 0x80, 0])},
        {"actors": ()},
    ],
)
def test_rows_that_do_not_belong_together_are_damage(changes: dict[str, Any]) -> None:
    made = rows_of([score("p1", consciousness=0)])
    entered = made.parts.copy()
    entered["by"] = 0
    wire = wire_of(replace(made, parts=entered, actors=("I. Roux",)))
    fields = {name: getattr(wire, name) for name in RowsWire.__struct_fields__} | changes
    body = msgspec.msgpack.encode([[], [], [], [], [], [], [], [], RowsWire(**fields)])
    with pytest.raises(RecordDamaged, match="layout"):
        decode_output(seal(KIND_JUDGEMENTS, body))
