"""Illness onset: nights that stay shifted are found, odd nights and habits are not."""

from __future__ import annotations

import numpy as np
import pytest

from twin.assessment.illness import LEAST_NIGHTS, Judged, Measured, Onset, State, judged

Rows = list[Judged]


def nights(rises: dict[int, float], count: int = 60, signals: int = 1, seed: int = 3) -> Rows:
    """Nights of a person; rises: night → /min more of heart rate (respiration a quarter of it)."""
    rng = np.random.default_rng(seed)
    of = {}
    for night in range(count):
        rise = rises.get(night, 0.0)
        of[night] = {"heart_rate": Measured(60 + rng.normal(0, 2) + rise, 0.5)}
        if signals > 1:
            of[night]["respiratory_rate"] = Measured(14 + rng.normal(0, 0.5) + rise / 4, 0.05)
            of[night]["hrv_rmssd"] = Measured(45 + rng.normal(0, 5) - 2 * rise, 4.0)
    return list(judged(of))


def test_the_first_fortnight_only_learns() -> None:
    rows = nights({2: 30.0})
    assert [row.state for row in rows[:LEAST_NIGHTS]] == [State.LEARNING] * LEAST_NIGHTS
    assert State.LEARNING not in [row.state for row in rows[LEAST_NIGHTS:]]


def test_a_shift_that_stays_is_an_onset_within_days_and_ends_after_recovery() -> None:
    rows = nights(dict.fromkeys(range(40, 47), 7.0))
    onset = [row.night for row in rows if row.state == State.ONSET]
    assert 41 <= onset[0] <= 44
    assert rows[-1].state == State.USUAL
    assert all(row.state != State.ONSET for row in rows[:40])


def test_one_odd_night_is_no_onset() -> None:
    for seed in range(20):
        rows = nights({30: 25.0}, count=35, seed=seed)
        assert State.ONSET not in [row.state for row in rows[28:]]


def test_several_signals_say_it_sooner() -> None:
    def first(signals: int, seed: int) -> int:
        rows = nights(dict.fromkeys(range(40, 55), 4.0), signals=signals, seed=seed)
        return next((row.night for row in rows if row.night >= 40 and row.state == "onset"), 60)

    assert np.mean([first(3, s) for s in range(30)]) < np.mean([first(1, s) for s in range(30)]) - 1


def test_a_fall_of_the_heart_rate_is_no_illness() -> None:
    rows = nights(dict.fromkeys(range(30, 60), -8.0))
    assert {row.state for row in rows[14:]} <= {State.USUAL, State.RAISED}
    assert rows[-1].cusum == 0.0


def test_what_is_usual_stands_still_while_the_sum_is_up_and_moves_on_after_four_weeks() -> None:
    rows = nights(dict.fromkeys(range(30, 90), 9.0), count=90)
    up = next(row for row in rows if row.state == State.ONSET)
    later = rows[up.night + 20]
    assert later.usual["heart_rate"] == pytest.approx(up.usual["heart_rate"], abs=0.5)
    assert rows[-1].state == State.USUAL
    assert rows[-1].usual["heart_rate"] == pytest.approx(69, abs=2)


def test_a_night_measured_badly_counts_less() -> None:
    def innovation(variance: float) -> float:
        onset = Onset()
        for night in range(40):
            onset.judge(night, {"heart_rate": Measured(60.0 + night % 2, 0.2)})
        return onset.judge(40, {"heart_rate": Measured(63.0, variance)}).innovation

    assert innovation(16.0) < innovation(0.2) / 1.5


def test_after_a_fortnight_without_nights_all_begins_anew() -> None:
    onset = Onset()
    for night in range(20):
        onset.judge(night, {"heart_rate": Measured(60.0, 0.2)})
    assert onset.judge(40, {"heart_rate": Measured(80.0, 0.2)}).state == State.LEARNING


def test_a_night_that_comes_twice_is_refused() -> None:
    onset = Onset()
    onset.judge(5, {})
    with pytest.raises(ValueError, match="night 5 is not after 5"):
        onset.judge(5, {})
