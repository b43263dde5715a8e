"""Vendors' payloads as other projects test with them, read by the mappings that ship."""

from __future__ import annotations

from pathlib import Path

import pytest

from ingest.instant import parse_instant
from ingest.payload.decoded import Decoded
from ingest.payload.mapped import decode
from tests.support.commands import SHARED
from twin.config_file import read_mappings

FOLDER = (SHARED / "standards" / "shimmer_vendor_payloads").resolve()
RULES = {
    each.name: each.rule()
    for each in read_mappings(Path(__file__).parents[2] / "deploy" / "mappings")
}

pytestmark = pytest.mark.skipif(
    not FOLDER.is_dir(),
    reason="shared/standards/shimmer_vendor_payloads is not beside this checkout",
)


def told(file: str, mapping: str) -> list[tuple[str, float, int]]:
    decoded: Decoded = decode((FOLDER / file).read_bytes(), RULES[mapping])
    assert list(decoded.rejections) == []
    return [(s.signal, s.value, s.stamp) for s in decoded.samples]


def test_ihealth_glucose() -> None:
    assert told("ihealth/mapper/ihealth-glucose.json", "ihealth-glucose") == [
        ("glucose", 60, parse_instant("2015-09-17T12:03:27-08:00")),
        ("glucose", 70, parse_instant("2015-09-24T14:44:40-06:00")),
    ]


def test_ihealth_values_that_mean_none_and_empty_lists() -> None:
    assert told("ihealth/mapper/ihealth-spo2-no-heart-rate.json", "ihealth-spo2") == [
        ("spo2", 99, parse_instant("2015-09-23T15:46:00-06:00"))
    ]
    assert told("ihealth/mapper/ihealth-bp-no-heart-rate.json", "ihealth-blood-pressure") == [
        ("systolic_bp", 130, parse_instant("2015-09-17T14:07:45-06:00")),
        ("diastolic_bp", 95, parse_instant("2015-09-17T14:07:45-06:00")),
    ]
    assert told("ihealth/mapper/ihealth-spo2-empty.json", "ihealth-spo2") == []
    assert told("ihealth/mapper/ihealth-bp-empty.json", "ihealth-blood-pressure") == []


def test_fitbit_minutes_of_a_day() -> None:
    assert told("fitbit/mapper/fitbit-activities-heart-1d-1m-intraday.json", "fitbit-heart") == [
        ("heart_rate", rate, parse_instant(f"2015-08-21T00:0{minute}:00+00:00"))
        for minute, rate in ((1, 64), (2, 63), (3, 64), (4, 65), (5, 65))
    ]
