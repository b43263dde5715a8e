"""What limits would have raised on stored estimates."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ingest.instant import SECOND
from twin.assessment import kernel, preview
from twin.assessment.limits import DEFAULTS
from twin.assessment.preview import Raised, raised
from twin.judgement import Priority

RULES = {p: DEFAULTS["spo2", p.value] for p in (Priority.HIGH, Priority.MEDIUM)}
NAN = float("nan")


def tried(*means: float, std: float = 0.5, step: int = 10) -> list[Raised]:
    """Alarms of SpO2 (medium < 90 after 30 s, high < 85 after 15 s), estimates `step` s apart."""
    time: NDArray[np.int64] = np.arange(len(means), dtype=np.int64) * step * SECOND
    return raised("spo2", time, np.array(means), np.full(len(means), std), RULES, 60.0)


def test_the_rule_is_that_of_the_kernel() -> None:
    assert (preview.BEYOND_Z, preview.FASTEST) == (kernel.BEYOND_Z, kernel.FASTEST)
    assert preview.CLEAR_AFTER == kernel.CLEAR_AFTER


def test_an_excursion_is_one_alarm_after_its_delay() -> None:
    (one,) = tried(*[97] * 5, *[88.5] * 10, *[97] * 5)
    assert (one.at, one.side, one.priority) == (70 * SECOND, "low", Priority.MEDIUM)


def test_a_larger_excursion_is_quicker_and_high() -> None:
    (one,) = tried(*[97] * 5, *[80] * 10, *[97] * 5)
    assert (one.at, one.priority) == (50 * SECOND, Priority.HIGH)


def test_what_is_short_doubtful_or_back_within_the_hysteresis_raises_nothing_more() -> None:
    assert tried(*[97] * 5, 88.5, 88.5, *[97] * 5) == []
    assert tried(*[97] * 5, *[89.9] * 20, std=2.0) == []
    assert len(tried(*[97] * 5, *[88.5] * 6, *[90.5] * 6, *[88.5] * 6, *[97] * 5)) == 1
    assert len(tried(*[97] * 5, *[88.5] * 6, *[97] * 6, *[88.5] * 6, *[97] * 5)) == 2


def test_no_delay_runs_over_a_gap() -> None:
    time = np.array([0, 10, 20, 4_000, 4_010], np.int64) * SECOND
    mean = np.array([97.0, 97.0, 88.5, 88.5, 97.0])
    assert raised("spo2", time, mean, np.full(5, 0.5), RULES, 60.0) == []


def test_nothing_stored_and_no_limits_raise_nothing() -> None:
    assert tried() == []
    time = np.arange(5, dtype=np.int64) * SECOND
    assert raised("spo2", time, np.full(5, 10.0), np.full(5, 0.5), {}, 60.0) == []
