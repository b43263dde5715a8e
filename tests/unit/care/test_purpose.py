"""Hours in which somebody watches."""

from zoneinfo import ZoneInfo

import pytest

from ingest.instant import parse_instant
from twin.care.purpose import EVERY_DAY, Purpose

PARIS = ZoneInfo("Europe/Paris")
WEEK = frozenset(range(5))
OFFICE = Purpose(days=WEEK, begins=8 * 60, ends=18 * 60)
NIGHT = Purpose(days=frozenset({4}), begins=20 * 60, ends=7 * 60)


@pytest.mark.parametrize(
    ("purpose", "at", "covered"),
    [
        (Purpose(), "2026-11-29T03:00:00+01:00", True),
        (OFFICE, "2026-11-26T08:00:00+01:00", True),
        (OFFICE, "2026-11-26T07:59:59+01:00", False),
        (OFFICE, "2026-11-26T18:00:00+01:00", False),
        (OFFICE, "2026-11-28T12:00:00+01:00", False),
        (OFFICE, "2026-07-01T08:00:00+02:00", True),
        (NIGHT, "2026-11-27T23:00:00+01:00", True),
        (NIGHT, "2026-11-28T06:59:00+01:00", True),
        (NIGHT, "2026-11-28T07:00:00+01:00", False),
        (NIGHT, "2026-11-28T23:00:00+01:00", False),
        (NIGHT, "2026-11-27T06:00:00+01:00", False),
    ],
)
def test_coverage(purpose: Purpose, at: str, covered: bool) -> None:
    assert purpose.covered(parse_instant(at), PARIS) is covered


def test_a_service_of_all_hours_and_days_is_always_there() -> None:
    assert Purpose().always
    assert Purpose(days=EVERY_DAY, begins=420, ends=420).always
    assert not OFFICE.always
