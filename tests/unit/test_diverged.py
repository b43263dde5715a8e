"""A key that diverges, in the flow: status, coasting, forecasts, alarms, what is told of it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from ingest.instant import MINUTE, SECOND, format_instant
from ingest.observation import Record
from tests.support.twin_journals import placed
from tests.support.twins import STEADY, T0, model_of, noisy, observation
from tests.unit.test_foresight import said, tick
from twin.assessment.kernel import BAD, GOOD
from twin.care.api.bodies import consistency_body
from twin.care.board import Board
from twin.care.forecasts import Forecasts
from twin.estimate import EstimateBatch, Kind, Output, Status
from twin.estimation.bank import SIGNAL_ROW
from twin.estimation.tallies import tallies
from twin.judgement import Judgements
from twin.personal import Consistency
from twin.snapshot import capture, restore
from twin.step import TwinState, assessment_of, new_state, step

MODEL = model_of(**STEADY | {"expected_interval": 1.0})
#: Seconds that are consistent, then wild, then silent.
CALM, WILD, SILENT = 300, 900, 40


def records() -> list[tuple[int, Record]]:
    """A watch each second and a tick after it."""
    made = []
    samples = [*noisy(CALM, 1)[0], *noisy(WILD, 5, seed=2, start=CALM)[0]]
    for sample in samples:
        made += [said(observation(sample.at, sample.value)), tick(sample.at + 0.7)]
    return made + [tick(CALM + WILD + n + 0.7) for n in range(SILENT)]


@cache
def run() -> tuple[TwinState, Sequence[Output]]:
    """Everything that is said, in order, and the state at the end."""
    state, outputs = new_state(1, MODEL), []
    for record in placed(records()):
        outputs += [o for part in step(state, [record])[1].values() for o in part]
    return state, outputs


def rows(kind: Kind) -> NDArray[Any]:
    return np.concatenate(
        [o.rows[o.rows["kind"] == kind] for o in run()[1] if isinstance(o, EstimateBatch)]
    )


def begun() -> int:
    """Stamp (ns) of the first diverged estimate."""
    verdicts = rows(Kind.VERDICT)
    return int(verdicts["as_of"][np.argmax(verdicts["status"] == Status.DIVERGED)])


def test_its_status_says_so_from_then_on_and_its_age_when_it_is_older() -> None:
    verdicts, statuses = rows(Kind.VERDICT), rows(Kind.STATUS)
    later = verdicts["as_of"] >= begun()
    assert T0 + (CALM + 120) * SECOND <= begun() <= T0 + (CALM + 600) * SECOND
    assert (verdicts["status"][later] == Status.DIVERGED).all()
    assert (verdicts["mean"][later] == verdicts["value"][later].astype(np.float32)).all()
    assert statuses["status"].tolist() == [Status.FRESH, Status.DIVERGED]


def test_it_does_not_coast_and_nothing_is_forecast_of_it() -> None:
    forecasts = np.concatenate([o.forecasts for o in run()[1] if isinstance(o, EstimateBatch)])
    assert len(rows(Kind.COASTING)) == 0
    assert len(forecasts)
    assert forecasts["as_of"].max() < begun()


def test_it_is_bad_data_for_alarms_and_scores() -> None:
    memory = assessment_of(run()[0]).known.memory.of
    row = SIGNAL_ROW["heart_rate"]
    assert memory["worth"][0, row] == BAD
    assert memory["charted_at"][0, row] < begun()
    before = new_state(1, MODEL)
    step(before, placed(records()[: 2 * CALM]))
    assert assessment_of(before).known.memory.of["worth"][0, row] == GOOD


def told() -> list[Consistency]:
    return [one for o in run()[1] if isinstance(o, Judgements) for one in o.consistency]


def test_every_ten_minutes_it_is_told_how_its_innovations_were() -> None:
    first, second = told()
    assert second.at - first.at == 10 * MINUTE
    (one,) = second.of
    assert (one.signal, one.device, one.diverged) == ("heart_rate", "watch", True)
    assert 10 < one.ratio < 40
    assert abs(one.lag1) < 0.4
    assert one.in50 < one.in90 < one.in95 < 0.6


def test_what_is_told_does_not_depend_on_a_restart() -> None:
    everything = list(placed(records()))
    state = new_state(1, MODEL)
    half = len(everything) // 2 + 7
    step(state, everything[:half])
    held = capture(state, 0)
    again, outputs = new_state(1, MODEL), []
    restore(again, held.name, held.encode())
    outputs = step(again, everything[half:])[1][0]
    rest = [one for o in outputs if isinstance(o, Judgements) for one in o.consistency]
    assert rest == [one for one in told() if one.at > T0 + half // 2 * SECOND]
    assert rest


def test_the_api_says_it_and_a_board_that_was_saved_still_does() -> None:
    board = Board()
    for n, one in enumerate(told()):
        board.fold(Judgements(consistency=(one,)), n)
    kept = Board.of(board.state()).consistency("p1")
    assert kept == told()[-1]
    body = consistency_body(told()[-1])
    assert body.at == format_instant(told()[-1].at)
    assert body.devices[0].coverage.keys() == {"50", "90", "95"}
    assert board.consistency("nobody") is None


def test_its_last_forecast_is_forgotten() -> None:
    forecasts = Forecasts()
    there = set()
    for output in run()[1]:
        if isinstance(output, EstimateBatch):
            forecasts.fold(output)
            there.add(len(forecasts.of("p1")))
    assert there == {0, 1}
    assert not forecasts.of("p1")


def test_over_all_persons_it_is_counted() -> None:
    (one,) = tallies(run()[0].bank)
    assert (one.signal, one.keys, one.diverged) == ("heart_rate", 1, 1)
    assert one.factor == pytest.approx(told()[-1].of[0].ratio, rel=0.9)
    assert one.coverage[0] < one.coverage[1] < 0.7
    assert list(tallies(new_state(1, MODEL).bank)) == []
    state = new_state(1, MODEL)
    step(state, placed([said(observation(0, 70.0))]))
    (alone,) = tallies(state.bank)
    assert (alone.keys, alone.diverged, math.isnan(alone.factor)) == (1, 0, False)
