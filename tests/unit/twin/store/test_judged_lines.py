"""Alarms, scores and change indexes as line protocol."""

from __future__ import annotations

from msgspec.structs import replace

from tests.support.judged import alarm, score, technical
from tests.support.ward import T0
from twin.judgement import Judgements
from twin.personal import Change, Departure
from twin.store.judged_lines import judged_lines


def test_a_transition_has_all_fields_and_no_name_of_anybody() -> None:
    row = alarm(taken_by="I. Roux", actor="I. Roux", reason="seen", limit_by="Dr. Petit")
    (line,) = judged_lines([Judgements(alarms=(row,))])
    assert line == (
        "alarm,patient=p1,signal=spo2,kind=physiological,rule=spo2/high/low,event=raised "
        'id="a1",state="active",priority="high",cause="below_limit",outcome="",model="test",'
        "value=83.0,value_known=1.0,std=0.7,worst=82.0,worst_known=1.0,limit=85.0,limit_known=1.0,"
        f"probability=0.97,since={T0 // 1_000_000}.0,taken=1.0,paused_until=0.0,unverified=0.0,"
        f"escalation=0.0,count=1.0 {T0}"
    )


def test_what_is_unknown_is_a_flag_and_an_empty_tag_is_left_out() -> None:
    (known,) = judged_lines([Judgements(alarms=(alarm(),))])
    (bare,) = judged_lines([Judgements(alarms=(technical(patient=""),))])
    assert bare.startswith("alarm,kind=technical,rule=no_data,event=raised ")
    assert ",value=0.0,value_known=0.0,std=-1.0," in bare
    assert fields_of(bare).keys() == fields_of(known).keys()


def test_scores_and_changes() -> None:
    whole = score(pulse=1, spo2=3)
    part = Departure("heart_rate", 2.5, 6.1, 62.0, 3.0)
    nan = float("nan")
    unknown = Change("p 1", T0, False, nan, nan, nan, 0.0, 12.0, False, ())
    known = Change("p 1", T0, True, 0.97, 0.9, 0.99, 11.2, 40.0, True, (part,))
    said = Judgements(
        scores=(whole, replace(whole, validated_by="I. Roux")), changes=(unknown, known)
    )
    auto, validated, first, second = judged_lines([said])
    assert auto.startswith("score,patient=p1,set=auto score=4.0,complete=0.0,any3=1.0,")
    assert validated.startswith("score,patient=p1,set=validated score=4.0,")
    assert fields_of(auto)["pulse"] == "1.0"
    assert fields_of(auto)["temperature"] == "-1.0"
    assert fields_of(auto)["p7_1h"] == "0.1"
    assert first.startswith("change,patient=p\\ 1 known=0.0,index=-1.0,low=-1.0,high=-1.0,")
    assert fields_of(second)["most"] == '"heart_rate"'
    assert fields_of(first).keys() == fields_of(second).keys()


def test_an_id_that_cannot_be_a_tag_is_rejected_alone() -> None:
    made = judged_lines([Judgements(alarms=(alarm(patient="p\n1"), alarm('a"\\2\n')))])
    assert made.rejected == [(0, "an id that cannot be a tag")]
    assert len(made) == len(made.rows) == 1
    assert ' id="a\\"\\\\2",' in made.line(0)


def fields_of(line: str) -> dict[str, str]:
    at = line.rindex(" ")
    begin = line.index(" score=") if line.startswith("score") else -1
    if begin < 0:
        begin = line.index(" known=") if line.startswith("change") else line.index(" id=")
    pairs = (tuple(pair.split("=")) for pair in line[begin + 1 : at].split(","))
    return dict(pairs)  # name → text
