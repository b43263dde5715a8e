"""The retention job: what it is told, and that a store that is away stops nobody."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable

from ingest.instant import DAY
from twin.config import RetentionTable
from twin.runtime.retention import RetentionJob, kept_beside_influx, kept_of, limits_of
from twin.store.protocol import StoreUnavailable
from twin.store.retention import Kept, Report


def test_days_become_nanoseconds_in_their_places() -> None:
    table = RetentionTable(raw_days=1, derived_days=2, logs_days=3, minutes_days=4, quarters_days=5)

    assert kept_of(table) == Kept(1 * DAY, 2 * DAY, 3 * DAY, 4 * DAY, 5 * DAY)


def test_windows_are_judged_by_the_starting_limits_of_medium_priority() -> None:
    limits = limits_of()

    assert limits["heart_rate"] == (41, 130)
    assert limits["spo2"] == (90, math.inf)


def test_reports_add_up_and_a_store_that_is_away_is_left_for_the_next_time() -> None:
    def away(_now: int, _stopping: Callable[[], bool]) -> Report:
        raise StoreUnavailable("no answer")

    job = RetentionJob(
        {"influx": away, "embedded": lambda now, _: Report(now, 2, observations=3)}, lambda: 7, 60.0
    )
    job.turn()
    job.turn()

    assert job.totals == {"embedded": Report(7, 4, observations=6)}
    assert job.failures == {"influx": 2}


def test_a_stop_ends_the_job_in_hand_after_its_part_and_begins_no_other() -> None:
    begun, parts = threading.Event(), 0

    def long(now: int, stopping: Callable[[], bool]) -> Report:
        nonlocal parts
        begun.set()
        while not stopping():
            parts += 1
        return Report(now, parts)

    job = RetentionJob(
        {"embedded": long, "influx": lambda now, _: Report(now, 1)}, lambda: 7, every_s=0.0
    )
    job.start()
    assert begun.wait(60)
    job.stop()

    assert job.totals == {"embedded": Report(7, parts)}


def test_the_record_beside_influx_is_bounded_whatever_the_database_keeps() -> None:
    for_ever, week = RetentionTable(judgements_days=9), RetentionTable(raw_days=7)

    assert kept_beside_influx(for_ever, 30) == Kept(30 * DAY, 30 * DAY, judgements=9 * DAY)
    assert kept_beside_influx(week, 30) == Kept(7 * DAY, 7 * DAY)
    assert kept_beside_influx(RetentionTable(raw_days=90), 30).raw == 30 * DAY
