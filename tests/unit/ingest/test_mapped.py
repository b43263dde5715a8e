"""Declared mappings: paths, times, units, batches, and what is refused and where."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path

import pytest

from ingest.instant import parse_instant
from ingest.payload.decoded import Decoded, Reason
from ingest.payload.mapped import decode
from ingest.payload.paths import parse_path
from twin.config_file import read_mappings
from twin.config_mapping import MappingFile, MappingTable

MAPPINGS = Path(__file__).parents[3] / "deploy" / "mappings"
NOON = 1_795_608_000  # 2026-11-25T12:00:00Z


def mapped(mapping: str, document: object) -> Decoded:
    """What a mapping (TOML, name and topic left out) makes of a document."""
    declared = tomllib.loads('name = "m"\ntopic = "v/{device}"\n' + mapping)
    payload = document if isinstance(document, bytes) else json.dumps(document).encode()
    return decode(payload, MappingTable.model_validate(declared).rule())


def vendor(file: str, name: str, document: object) -> Decoded:
    rules = {each.name: each.rule() for each in read_mappings(MAPPINGS / f"{file}.toml")}
    return decode(json.dumps(document).encode(), rules[name])


def told(decoded: Decoded) -> list[tuple[str, float, str | None, int]]:
    return [(s.signal, s.value, s.unit, s.stamp) for s in decoded.samples]


def refused(decoded: Decoded) -> list[tuple[Reason, str]]:
    return [(r.reason, r.path) for r in decoded.rejections]


RATE = '[[fields]]\nsignal = "heart_rate"\npath = "hr"\n'
SECONDS = 'time = { path = "t", unit = "s" }\n'


# --- three vendors ------------------------------------------------------------------------------


def test_ihealth_counts_the_wall_clocks_seconds_and_says_its_unit_by_number() -> None:
    entry = {"HP": 130, "LP": 95, "HR": 0, "MDate": 1_442_498_865, "TimeZone": "-0600"}
    decoded = vendor("ihealth", "ihealth-blood-pressure", {"BPDataList": [entry], "BPUnit": 0})

    stamp = parse_instant("2015-09-17T14:07:45-06:00")
    assert told(decoded) == [
        ("systolic_bp", 130, "mm[Hg]", stamp),
        ("diastolic_bp", 95, "mm[Hg]", stamp),
    ]
    assert refused(decoded) == []
    empty = vendor("ihealth", "ihealth-spo2", {"BODataList": []})
    assert (told(empty), refused(empty)) == ([], [])


def test_withings_scales_by_a_power_of_ten_and_times_by_the_group_around() -> None:
    groups = [
        {"date": NOON, "measures": [{"value": 36781, "type": 71, "unit": -3}]},
        {
            "date": NOON + 60,
            "measures": [
                {"value": 109, "type": 10, "unit": 0},
                {"value": 7, "type": 11, "unit": 1},
                {"value": 80, "type": 1, "unit": 0},
            ],
        },
    ]
    decoded = vendor("withings", "withings-measures", {"body": {"measuregrps": groups}})

    assert told(decoded) == [
        ("body_temperature", 36.781, None, NOON * 10**9),
        ("systolic_bp", 109, None, (NOON + 60) * 10**9),
        ("heart_rate", 70, None, (NOON + 60) * 10**9),
    ]
    assert decoded.samples[2].path == "body.measuregrps[1].measures[1].value"
    assert decoded.samples[2].time_path == "body.measuregrps[1].date"


def test_dexcom_is_in_the_unit_that_it_says_and_in_utc_where_it_says_no_zone() -> None:
    records = [
        {"systemTime": "2026-11-25T12:00:00", "value": 104, "unit": "mg/dL"},
        {"systemTime": "2026-11-25T13:05:00+01:00", "value": 5.8, "unit": "mmol/L"},
        {"systemTime": "2026-11-25T12:10:00Z", "value": None, "unit": "mg/dL"},
    ]
    decoded = vendor("dexcom", "dexcom-egvs", {"records": records})

    assert told(decoded) == [
        ("glucose", 104, "mg/dL", NOON * 10**9),
        ("glucose", 5.8, "mmol/L", (NOON + 300) * 10**9),
    ]


# --- times --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        ('{ path = "t" }', "2026-11-25T12:00:00Z"),
        ('{ path = "t", zone = "Europe/Paris" }', "2026-11-25T13:00:00"),
        ('{ path = "t", zone = "+05:30" }', "20261125T173000"),
        ('{ path = "t", unit = "s" }', NOON),
        ('{ path = "t", unit = "s" }', str(NOON)),
        ('{ path = "t", unit = "ms" }', NOON * 1000),
        ('{ path = "t", unit = "us" }', NOON * 10**6),
        ('{ path = "t", unit = "ns" }', NOON * 10**9),
        ('{ path = "t", unit = "s", local = true, zone = "Europe/Paris" }', NOON + 3600),
    ],
)
def test_a_time_is_read_as_it_is_declared(rule: str, said: object) -> None:
    decoded = mapped(f"time = {rule}\n{RATE}", {"t": said, "hr": 72})
    assert told(decoded) == [("heart_rate", 72, None, NOON * 10**9)]


def test_fractions_of_seconds_are_kept() -> None:
    decoded = mapped(SECONDS + RATE, {"t": NOON + 0.25, "hr": 72})
    assert decoded.samples[0].stamp == NOON * 10**9 + 250_000_000


def test_a_time_of_day_takes_its_date_from_elsewhere() -> None:
    mapping = (
        'each = "day.points[*]"\ntime = { path = "time", date_path = "$.day.date", zone = "UTC" }\n'
    )
    document = {"day": {"date": "2026-11-25", "points": [{"time": "12:00:00", "hr": 64}]}}
    assert told(mapped(mapping + RATE, document)) == [("heart_rate", 64, None, NOON * 10**9)]


@pytest.mark.parametrize(
    ("rule", "said", "reason"),
    [
        ('{ path = "t" }', "2026-11-25T12:00:00", Reason.TIME_WITHOUT_ZONE),
        ('{ path = "t" }', "noon", Reason.TIME_UNREADABLE),
        ('{ path = "t" }', 5, Reason.TIME_UNREADABLE),
        ('{ path = "t", unit = "s" }', "2026-11-25T12:00:00Z", Reason.TIME_UNREADABLE),
        ('{ path = "t", unit = "s" }', 10**30, Reason.TIME_UNREADABLE),
        ('{ path = "t", unit = "s" }', True, Reason.TIME_UNREADABLE),
        ('{ path = "t" }', None, Reason.TIME_MISSING),
        # The clock shows 02:30 twice in autumn, and never in spring.
        ('{ path = "t", zone = "Europe/Paris" }', "2026-10-25T02:30:00", Reason.TIME_UNREADABLE),
        ('{ path = "t", zone = "Europe/Paris" }', "2026-03-29T02:30:00", Reason.TIME_UNREADABLE),
        ('{ path = "t", zone_path = "z" }', "2026-10-25T02:30:00", Reason.TIME_WITHOUT_ZONE),
    ],
)
def test_a_time_that_is_none_is_refused_by_its_place(
    rule: str, said: object, reason: Reason
) -> None:
    decoded = mapped(f"time = {rule}\n{RATE}", {"t": said, "hr": 72, "z": "Nowhere/There"})
    ((found, path),) = refused(decoded)
    assert found is reason
    assert path in ("t", "z")


# --- values, batches, state ---------------------------------------------------------------------


def test_columns_of_values_go_with_columns_of_times() -> None:
    mapping = 'time = { path = "t[*]", unit = "s" }\n[[fields]]\nsignal = "spo2"\npath = "v[*]"\n'
    document = {"t": [NOON, NOON + 1, NOON + 2], "v": [97, None, 98]}

    assert [(v, s) for _, v, _, s in told(mapped(mapping, document))] == [
        (97, NOON * 10**9),
        (98, (NOON + 2) * 10**9),
    ]
    assert refused(mapped(mapping, document | {"v": [97]})) == [(Reason.LENGTH_MISMATCH, "v[*]")]


def test_a_list_with_one_time_goes_on_by_its_step() -> None:
    mapping = (
        'time = { path = "t", unit = "s", step_s = 0.5 }\n'
        '[[fields]]\nsignal = "spo2"\npath = "v[*]"\n'
    )
    decoded = mapped(mapping, {"t": NOON, "v": [97, 98]})
    assert [s for *_, s in told(decoded)] == [NOON * 10**9, NOON * 10**9 + 500_000_000]


def test_a_bad_record_takes_no_neighbour_with_it() -> None:
    records = [{"t": NOON, "hr": "fast"}, {"hr": 60}, {"t": NOON, "hr": 61}, "?", {"t": NOON}]
    decoded = mapped('each = "r[*]"\n' + SECONDS + RATE, {"r": records})

    assert told(decoded) == [("heart_rate", 61, None, NOON * 10**9)]
    assert refused(decoded) == [
        (Reason.VALUE_NOT_A_NUMBER, "r[0].hr"),
        (Reason.TIME_MISSING, "r[1].t"),
        (Reason.FIELD_MISSING, "r[3]"),
        (Reason.FIELD_MISSING, "r[4]"),
    ]


def test_scale_offset_quality_and_values_that_mean_none() -> None:
    mapping = SECONDS + (
        '[[fields]]\nsignal = "skin_temperature"\npath = "st"\nunit = "[degF]"\nscale = 0.1\n'
        'offset = -1\nquality_path = "q"\nquality_scale = 0.01\nmissing = [0, -1]\n'
    )
    (sample,) = mapped(mapping, {"t": NOON, "st": 957, "q": 80}).samples
    assert (sample.value, sample.unit, sample.quality) == (94.7, "[degF]", 0.8)

    assert mapped(mapping, {"t": NOON, "st": 0}).samples == []
    assert refused(mapped(mapping, {"t": NOON, "st": 957, "q": 101})) == [
        (Reason.QUALITY_OUT_OF_RANGE, "q")
    ]


def test_battery_contact_sequence_and_device_cost_no_sample_where_they_are_wrong() -> None:
    state = (
        'battery_path = "bat"\nbattery_scale = 0.01\ncontact_path = "on"\ncontact_equals = "yes"\n'
        'sequence_path = "n"\ndevice_path = "id"\n'
    )
    good = mapped(
        state + SECONDS + RATE,
        {"t": NOON, "hr": 72, "bat": 80, "on": "yes", "n": 5, "id": "w7", "gps": [1, 2]},
    )
    assert (good.battery, good.contact, good.sequence, good.device) == (0.8, True, 5, "w7")
    assert good.surplus == 1

    bad = mapped(state + SECONDS + RATE, {"t": NOON, "hr": 72, "bat": "x", "on": 0, "n": -1})
    assert len(bad.samples) == 1
    assert refused(bad) == [
        (Reason.FIELD_TYPE, "n"),
        (Reason.FIELD_TYPE, "bat"),
        (Reason.FIELD_MISSING, "id"),
    ]


@pytest.mark.parametrize("payload", [b"", b"\xff", b"[1", b"7", b"[" * 100_000])
def test_what_is_no_document_is_undecodable(payload: bytes) -> None:
    assert refused(mapped(SECONDS + RATE, payload)) == [(Reason.UNDECODABLE, "")]


def test_a_key_twice_is_refused_where_it_is_read() -> None:
    twice = mapped(SECONDS + RATE, b'{"t":1795608000,"hr":72,"hr":73,"x":1,"x":2}')
    assert (Reason.FIELD_DUPLICATE, "hr") in refused(twice)
    assert twice.samples == []

    elsewhere = mapped(SECONDS + RATE, b'{"t":1795608000,"hr":72,"x":1,"x":2}')
    assert (refused(elsewhere), len(elsewhere.samples)) == ([], 1)


def test_no_number_is_no_value() -> None:
    for said in (b"NaN", b"1e999", b'"nan"', b"true", b"[72]", b"{}"):
        decoded = mapped(SECONDS + RATE, b'{"t":1795608000,"hr":%s}' % said)
        assert refused(decoded) == [(Reason.VALUE_NOT_A_NUMBER, "hr")]
    scaled = mapped(SECONDS + RATE + "scale = 1e300\n", {"t": NOON, "hr": 1e300})
    assert refused(scaled) == [(Reason.VALUE_NOT_A_NUMBER, "hr")]


def test_a_batch_without_its_list_says_so() -> None:
    decoded = mapped('each = "data.items[*]"\n' + SECONDS + RATE, {"data": {}})
    assert refused(decoded) == [(Reason.FIELD_MISSING, "data.items[*]")]


# --- paths --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text", ["a", "a.b[0].c", '["odd name"].x', "$", "$.a", "^.a", "^^[0]", "a-b"]
)
def test_paths_of_the_grammar_are_read(text: str) -> None:
    assert parse_path(text).text == text


@pytest.mark.parametrize("text", ["", ".a", "a.", "a..b", "a[", "a[-1]", "a b", "$a", "a[*"])
def test_other_paths_say_what_was_expected(text: str) -> None:
    with pytest.raises(ValueError, match="a path like"):
        parse_path(text)


def test_the_documented_mapping_reads_the_documented_payload() -> None:
    section = (MAPPINGS.parents[1] / "docs" / "formats.md").read_text("utf-8")
    declared = re.findall(r"```toml\n(.*?)```", section.partition("## Declared mappings")[2], re.S)
    payload = re.findall(r"```json\n(.*?)```", section.partition("## Declared mappings")[2], re.S)
    (mapping,) = MappingFile.model_validate(tomllib.loads(declared[0])).mapping

    decoded = decode(payload[0].encode(), mapping.rule())

    assert refused(decoded) == []
    assert [(s.signal, s.value, s.unit, s.quality) for s in decoded.samples][:3] == [
        ("heart_rate", 72, None, 0.9),
        ("skin_temperature", 91.7, "[degF]", pytest.approx(float("nan"), nan_ok=True)),
        ("glucose", 5.4, "mmol/L", pytest.approx(float("nan"), nan_ok=True)),
    ]
    assert len(decoded.samples) == 4
    assert (decoded.battery, decoded.sequence) == (0.81, 5)
