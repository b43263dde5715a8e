"""The pipeline's clock."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from ingest.instant import HOUR, SECOND
from twin.runtime.clock import Clock


def test_at_speed_one_it_is_the_wall_clock(tmp_path: Path) -> None:
    clock = Clock(file=tmp_path / "clock")
    before = time.time_ns()
    assert before <= clock.now() <= time.time_ns()
    clock.save()
    assert not (tmp_path / "clock").exists()


def test_a_faster_clock_starts_now_and_gains(monkeypatch: pytest.MonkeyPatch) -> None:
    wall = time.time_ns()
    monkeypatch.setattr("twin.runtime.clock.time.time_ns", lambda: wall)
    clock = Clock(10.0)
    assert clock.now() == wall
    monkeypatch.setattr("twin.runtime.clock.time.time_ns", lambda: wall + 3 * SECOND)
    assert clock.now() == wall + 30 * SECOND


@pytest.mark.parametrize("speed", [1.0, 5.0])
def test_started_again_it_goes_on_from_where_a_faster_one_was(tmp_path: Path, speed: float) -> None:
    ahead = time.time_ns() + 2 * HOUR
    (tmp_path / "clock").write_text(str(ahead))
    clock = Clock(speed, tmp_path / "clock")
    assert clock.now() >= ahead
    clock.save()
    assert int((tmp_path / "clock").read_text()) >= ahead


def test_a_time_kept_in_the_past_is_no_reason_to_go_back(tmp_path: Path) -> None:
    (tmp_path / "clock").write_text("5")
    assert Clock(2.0, tmp_path / "clock").now() > time.time_ns() - SECOND
