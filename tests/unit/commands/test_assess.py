"""`twin assess`: NEWS2 and alarms of a recording; what is wrong in its files is said in place."""

from __future__ import annotations

import csv
import random
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import pytest

from tests.support.assessed import CALM
from tests.support.command import Ended, twin
from tests.support.news2_vectors import VECTORS

BEGIN = datetime(2026, 11, 25, 8, 0, 0, tzinfo=UTC)
SIGNALS = ("respiratory_rate", "spo2", "systolic_bp", "heart_rate", "body_temperature")
SUB_SCORES = ("respiratory_rate", "spo2", "systolic_bp", "pulse", "temperature")
NEWS2_COLUMNS = (
    "patient,at,score,complete,expected,p5,p7,p_any3,respiratory_rate,spo2,oxygen,systolic_bp,"
    "pulse,consciousness,temperature"
)
ALARM_COLUMNS = "patient,alarm,signal,kind,priority,state,at,value,limit,cause"
#: (patient, second, signal, value, quality)
Row = tuple[str, int, str, float, float]


def stamp(second: int) -> str:
    return (BEGIN + timedelta(seconds=second)).strftime("%Y-%m-%dT%H:%M:%SZ")


def recording(folder: Path, rows: Iterable[Row]) -> Path:
    file = folder / "ward.csv"
    lines = [f"{p},w-{p},{s},{v},{stamp(at)},{q}" for p, at, s, v, q in rows]
    file.write_text("\n".join(["patient,device,signal,value,measured_at,quality", *lines]) + "\n")
    return file


def steady(patient: str, seconds: int, values: Mapping[str, float] = CALM) -> list[Row]:
    return [(patient, at, s, v, 1.0) for at in range(seconds) for s, v in values.items()]


def assessed(folder: Path, file: Path, *options: object) -> Ended:
    outs = ("--news2", folder / "news2.csv", "--alarms", folder / "alarms.csv")
    return twin("assess", file, *outs, *options)


def table(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as lines:
        return list(csv.DictReader(lines))


def told(folder: Path, name: str, *lines: str) -> Path:
    file = folder / f"{name}.csv"
    file.write_text("\n".join(lines) + "\n")
    return file


def test_every_boundary_on_both_scales_has_its_points(tmp_path: Path) -> None:
    rows, lines = [], ["patient,at,kind,value"]
    for n, (vital, value, _, scale, oxygen) in enumerate(VECTORS):
        patient = f"{n:03d}"
        rows += [
            (patient, at, s, v, 1.0)
            for at in range(0, 60, 10)
            for s, v in (CALM | {SIGNALS[vital]: float(value)}).items()
        ]
        air = "oxygen" if oxygen else "air"
        for kind, said in (("spo2_scale", scale), ("oxygen", air), ("consciousness", "A")):
            lines.append(f"{patient},{stamp(0)},{kind},{said}")
    ended = assessed(
        tmp_path, recording(tmp_path, rows), "--entries", told(tmp_path, "entries", *lines)
    )

    assert ended.code == 0, ended.err
    found = table(tmp_path / "news2.csv")
    assert ",".join(found[0]) == NEWS2_COLUMNS
    assert [row["at"] for row in found] == ["2026-11-25T08:01:00.000000000Z"] * len(VECTORS)
    for row, (vital, value, points, scale, oxygen) in zip(found, VECTORS, strict=True):
        assert row[SUB_SCORES[vital]] == str(points), (vital, value, scale, oxygen)
        assert row["complete"] == "true"
        parts = [int(row[name]) for name in (*SUB_SCORES, "oxygen", "consciousness")]
        assert int(row["score"]) == sum(parts)


def test_a_score_without_entries_is_a_lower_bound(tmp_path: Path) -> None:
    assessed(tmp_path, recording(tmp_path, steady("p1", 61, {"spo2": 90.0, "heart_rate": 135.0})))

    (row,) = (row for row in table(tmp_path / "news2.csv") if "08:01" in row["at"])
    assert (row["score"], row["complete"], row["spo2"], row["pulse"]) == ("6", "false", "3", "3")
    assert (row["oxygen"], row["consciousness"], row["temperature"]) == ("", "", "")


@pytest.mark.parametrize(("signal", "edge"), [("heart_rate", 90), ("spo2", 95)])
def test_noise_of_one_at_an_edge_for_ten_minutes_changes_a_score_twice_at_most(
    tmp_path: Path, signal: str, edge: int
) -> None:
    rng = random.Random(signal)
    rows = [("p1", at, signal, edge + rng.choice((-1, 0, 1)), 1.0) for at in range(601)]
    assessed(tmp_path, recording(tmp_path, rows))

    scores = [row["score"] for row in table(tmp_path / "news2.csv")]
    assert len(scores) >= 10
    assert sum(a != b for a, b in pairwise(scores)) <= 2


def test_a_single_spike_and_data_of_bad_quality_raise_nothing_that_the_same_values_raise(
    tmp_path: Path,
) -> None:
    spike = {100: 60.0, 200: 40.0}
    rows: list[Row] = [("spike", at, "spo2", spike.get(at, 97.0), 1.0) for at in range(400)]
    low = [(at, 97.0 if at < 100 else 75.0) for at in range(400)]
    rows += [("doubtful", at, "spo2", value, 1.0 if at < 100 else 0.2) for at, value in low]
    rows += [("true", at, "spo2", value, 1.0) for at, value in low]
    assessed(tmp_path, recording(tmp_path, sorted(rows, key=lambda row: row[1])))

    found = table(tmp_path / "alarms.csv")
    assert ",".join(found[0]) == ALARM_COLUMNS
    active = [row for row in found if row["state"] == "active" and row["kind"] == "physiological"]
    assert {row["patient"] for row in active} == {"true"}
    assert (active[0]["priority"], active[0]["cause"]) == ("high", "below_limit")
    bad = {row["cause"] for row in found if row["patient"] == "doubtful"}
    assert bad == {"signal_quality"}


def test_the_same_input_gives_the_same_bytes_also_of_entries_of_one_second(tmp_path: Path) -> None:
    rows = steady("p1", 150) + steady("p2", 150, CALM | {"spo2": 86.0})
    file = recording(tmp_path, sorted(rows, key=lambda row: row[1]))
    lines = [
        f"{patient},{stamp(70)},{kind},{value}"
        for patient in ("p2", "p1")
        for kind, value in (("oxygen", "oxygen"), ("consciousness", "C"), ("spo2_scale", "2"))
    ]
    outputs = []
    for order in (lines, lines, lines[::-1]):
        entries = told(tmp_path, "entries", "patient,at,kind,value", *order)
        assert assessed(tmp_path, file, "--entries", entries).code == 0
        outputs.append([(tmp_path / f"{n}.csv").read_bytes() for n in ("news2", "alarms")])
    assert outputs[0] == outputs[1] == outputs[2]
    assert b",2,," not in outputs[0][0]


def test_of_two_entries_of_a_kind_and_second_the_later_line_counts(tmp_path: Path) -> None:
    file = recording(tmp_path, steady("p1", 120))
    for first, second, points in (("A", "V", "3"), ("V", "A", "0")):
        lines = [f"p1,{stamp(30)},consciousness,{letter}" for letter in (first, second)]
        entries = told(tmp_path, "entries", "patient,at,kind,value", *lines)
        assessed(tmp_path, file, "--entries", entries)
        assert table(tmp_path / "news2.csv")[0]["consciousness"] == points


def test_limits_of_a_file_hold_for_the_ward_and_for_a_patient(tmp_path: Path) -> None:
    values = CALM | {"heart_rate": 110.0}
    rows = [row for p in ("p1", "p2") for row in steady(p, 120, values)]
    limits = told(
        tmp_path, "limits", "patient,signal,priority,low,high,unit,reason",
        ",heart_rate,medium,,100,/min,", "p2,heart_rate,medium,,125,,athlete",
    )  # fmt: skip
    file = recording(tmp_path, sorted(rows, key=lambda row: row[1]))
    ended = assessed(tmp_path, file, "--limits", limits, "--json")

    active = [row for row in table(tmp_path / "alarms.csv") if row["state"] == "active"]
    assert [(r["patient"], r["signal"], r["limit"]) for r in active] == [
        ("p1", "heart_rate", "100")
    ]
    assert ended.json["raised"] == 1


def test_a_line_of_limits_without_a_time_holds_from_the_beginning(tmp_path: Path) -> None:
    values = CALM | {"heart_rate": 110.0}
    limits = told(
        tmp_path, "limits", "patient,signal,priority,low,high,at",
        "p1,heart_rate,medium,,100,", f"p1,heart_rate,medium,,125,{stamp(90)}",
    )  # fmt: skip
    file = recording(tmp_path, steady("p1", 120, values))
    ended = assessed(tmp_path, file, "--limits", limits)

    assert (ended.code, ended.err.count("1 alarms")) == (0, 1)
    raised = [row for row in table(tmp_path / "alarms.csv") if row["state"] == "active"]
    assert [row["limit"] for row in raised] == ["100"]


def test_what_people_said_after_the_end_is_counted(tmp_path: Path) -> None:
    entries = told(
        tmp_path, "entries", "patient,at,kind,value",
        f"p1,{stamp(1)},oxygen,air", f"p1,{stamp(999)},oxygen,oxygen",
    )  # fmt: skip
    ended = assessed(tmp_path, recording(tmp_path, steady("p1", 5)), "--entries", entries, "--json")
    assert (ended.code, ended.json["counts"]) == (0, {"after_the_end": 1})


def test_blanks_around_a_number_are_no_part_of_it_in_any_file(tmp_path: Path) -> None:
    measured = {name: value for name, value in CALM.items() if name != "body_temperature"}
    rows = [("p1", at, s, f" {v} ", q) for _, at, s, v, q in steady("p1", 61, measured)]
    entries = told(tmp_path, "entries", "patient,at,kind,value", f"p1,{stamp(0)},temperature, 39 ")
    limits = told(tmp_path, "limits", "patient,signal,priority,low,high", "p1,spo2,medium,\t80 , ")
    said = ("--entries", entries, "--limits", limits)
    ended = assessed(tmp_path, recording(tmp_path, rows), *said)  # type: ignore[arg-type]

    assert ended.code == 0
    (score,) = [row for row in table(tmp_path / "news2.csv") if row["at"][:19] == stamp(60)[:19]]
    assert score["temperature"] == "1"
    assert twin("replay", tmp_path / "ward.csv", "--out", tmp_path / "e.csv").code == 0
    assert len(table(tmp_path / "e.csv")) == len(rows)


ENTRY, LIMIT = "patient,at,kind,value,unit", "patient,signal,priority,low,high,unit"


@pytest.mark.parametrize(
    ("option", "header", "line", "said"),
    [
        ("entries", ENTRY, f"p1,{stamp(1)},mood,good,", ":3, column 'kind': expected one of consc"),
        ("entries", ENTRY, f"p1,{stamp(1)},consciousness,X,",
         ":3, column 'value': expected A, C, V, P or U, got 'X'"),
        ("entries", ENTRY, f"p1,{stamp(1)},oxygen,lots,",
         ":3, column 'value': expected air or oxygen, got 'lots'"),
        ("entries", ENTRY, f"p1,{stamp(1)},spo2_scale,3,",
         ":3, column 'value': expected 1 or 2, got '3'"),
        ("entries", ENTRY, f"p1,{stamp(1)},systolic_bp,high,",
         ":3, column 'value': expected a number, got 'high'"),
        ("entries", ENTRY, f"p1,{stamp(1)},systolic_bp,1200,",
         ":3, column 'value': expected 30 to 320 mm[Hg], got 1200"),
        ("entries", ENTRY, f"p1,{stamp(1)},temperature,37,furlong", ":3, column 'value': expected"),
        ("entries", ENTRY, "p1,2026-11-25T08:00:01,oxygen,air,",
         ":3, column 'at': expected ISO-8601 with zone"),
        ("entries", ENTRY, f"nobody,{stamp(1)},oxygen,air,",
         ":3, column 'patient': expected a patient of the recording, got 'nobody'"),
        ("entries", "patient,at,kind", f"p1,{stamp(1)},oxygen", "expected a column 'value'"),
        ("entries", ENTRY, f"p1,{stamp(1)},note,hello,",
         ":3, column 'kind': expected one of consciousness, oxygen, spo2_scale, systolic_bp, "
         "temperature, got 'note'"),
        ("limits", "patient,signal,priority,lo,hi,unit", "p1,heart_rate,high,50,70,",
         "expected a column 'low' or 'high', there are patient, signal, priority, lo, hi, unit"),
        ("limits", LIMIT, "p1,mood,high,1,2,", ":3, column 'signal': expected one of heart_rate"),
        ("limits", LIMIT, "p1,spo2,low,80,,",
         ":3, column 'priority': expected high or medium, got 'low'"),
        ("limits", LIMIT, "p1,heart_rate,high,120,60,",
         ":3, column 'low': expected low < high, got 120 and 60"),
        ("limits", LIMIT, "p1,heart_rate,high,,900,",
         ":3, column 'high': expected 15 to 320 /min, got 900"),
        ("limits", LIMIT, "p1,heart_rate,high,fast,,", ":3, column 'low': expected a number"),
        ("limits", LIMIT, "p1,glucose,high,3,,stone",
         ":3, column 'unit': expected one of mg/dL, mmol/L, got 'stone'"),
        ("limits", LIMIT, "nobody,spo2,high,80,,", ":3, column 'patient': expected a patient of"),
        ("limits", LIMIT, "p1,heart_rate,high,,42,", ":3, column 'low': expected low < high"),
    ],
)  # fmt: skip
def test_what_is_wrong_in_a_file_is_said_with_line_and_column(
    tmp_path: Path, option: str, header: str, line: str, said: str
) -> None:
    good = {"entries": f"p1,{stamp(0)},oxygen,air,", "limits": "p1,heart_rate,medium,45,130,"}
    first = good[option] if header != "patient,at,kind" else f"p1,{stamp(0)},oxygen"
    file = told(tmp_path, option, header, first, line)
    ended = assessed(tmp_path, recording(tmp_path, steady("p1", 30)), f"--{option}", file)

    assert (ended.code, ended.out) == (2, "")
    assert str(file) in ended.err
    assert said in ended.err
    assert not (tmp_path / "news2.csv").exists()


def test_outputs_are_no_inputs_and_not_one_file(tmp_path: Path) -> None:
    file = recording(tmp_path, steady("p1", 5))
    over = twin("assess", file, "--news2", file, "--alarms", tmp_path / "a.csv")
    assert (over.code, "is an input itself" in over.err) == (2, True)
    one = twin("assess", file, "--news2", tmp_path / "a.csv", "--alarms", tmp_path / "a.csv")
    assert (one.code, "--news2" in one.err) == (2, True)
    ending = twin("assess", file, "--news2", tmp_path / "n.txt", "--alarms", tmp_path / "a.csv")
    assert (ending.code, "--news2" in ending.err) == (2, True)


def test_a_recording_without_a_usable_observation_is_refused(tmp_path: Path) -> None:
    ended = assessed(tmp_path, recording(tmp_path, [("p1", 0, "heart_rate", 900.0, 1.0)]))
    assert (ended.code, "no observation that can be used" in ended.err) == (2, True)


@pytest.mark.parametrize("number", ["7_2", "1e400", "inf", "-inf", "0x48", "true", "1,5", "abc"])
def test_a_number_that_people_do_not_write_is_refused_with_its_line(
    tmp_path: Path, number: str
) -> None:
    file = recording(tmp_path, steady("p1", 61))
    entries = told(
        tmp_path,
        "entries",
        "patient,at,kind,value",
        f"p1,{stamp(0)},consciousness,A",
        f'p1,{stamp(0)},systolic_bp,"{number}"',
    )
    limits = told(
        tmp_path, "limits", "patient,signal,priority,high", f'p1,heart_rate,high,"{number}"'
    )
    for option, said, place in (
        ("--entries", entries, f"{entries}:3, column 'value'"),
        ("--limits", limits, f"{limits}:2, column 'high'"),
    ):
        ended = assessed(tmp_path, file, option, said)
        assert ended.code == 2
        assert f"{place}: expected a number, got {number!r}" in ended.err
