"""The newest forecast of each key: folded, saved, said by the API and on one patient's stream."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from ingest.instant import MINUTE, SECOND, format_instant
from ingest.journal.protocol import Entry
from tests.support.care import feed_of
from tests.support.estimates import Row, batch, forecast
from tests.support.ward import T0, Said
from tests.unit.care.test_api import body, problem
from twin.care.feed import Feed
from twin.care.latest import Latest
from twin.estimate import encode_output
from twin.judgement import Judgements, LimitSet, Switched

PATIENT = "/api/v1/patients/p1"
AHEAD = "/api/v1/patients/p1/signals/heart_rate/forecast"


def expected(at: int = T0, mean: float = 100.0, **columns: Any) -> list[Row]:
    """At every horizon the same, ± 2 more for each further one."""
    return [
        forecast(at, seconds, mean, std=2.0 * (i + 1), **columns)
        for i, seconds in enumerate((60, 900, 1800, 3600))
    ]


def forecast_feed(*rows: Row, alarms: bool = True, limits: tuple[LimitSet, ...] = ()) -> Feed:
    feed = feed_of(Said())
    switched = Switched(alarms, "research", "test", T0)
    records = [batch(*rows), Judgements(limits=limits, switched=(switched,))]
    feed.take([Entry(0, 2 + n, encode_output(one)) for n, one in enumerate(records)], 3)
    return feed


def test_a_patient_has_forecasts_by_horizon_with_their_bands_and_targets() -> None:
    (first, *_, last) = body(PATIENT, forecast_feed(*expected()))["forecasts"]["heart_rate"]
    assert (first["horizon_s"], last["horizon_s"]) == (60, 3600)
    assert (first["as_of"], first["time"]) == (format_instant(T0), format_instant(T0 + MINUTE))
    assert (last["mean"], last["std"]) == (100, 8)
    assert last["hi50"] - last["mean"] == pytest.approx(8 * 0.6745, abs=1e-3)
    assert last["hi90"] - last["mean"] == pytest.approx(8 * 1.5 * 1.6449, abs=1e-3)
    assert last["mean"] - last["lo95"] == pytest.approx(8 * 1.96, abs=1e-3)


def test_the_chance_is_that_of_the_limits_in_force() -> None:
    said = body(AHEAD, forecast_feed(*expected(mean=130.0)))
    assert said["unit"] == "/min"
    assert {(one["limit_low"], one["limit_high"]) for one in said["forecasts"]} == {(41, 130)}
    assert [one["p_above"] for one in said["forecasts"]] == [0.5] * 4
    assert said["forecasts"][0]["p_below"] < 1e-6


def test_somebody_s_own_limit_holds_from_when_it_is_set() -> None:
    own = LimitSet("p1", "", "heart_rate", "medium", False, 90.0, float("nan"), 30.0, 5.0, "Dr A",
                   "athlete", T0, T0)  # fmt: skip
    (first, *_) = body(AHEAD, forecast_feed(*expected(mean=90.0), limits=(own,)))["forecasts"]
    assert (first["limit_low"], first["p_below"]) == (90, 0.5)
    assert first["limit_high"] == 150  # what high priority says, as medium says nothing


def test_the_nearer_limit_is_forecast_whichever_priority_it_is_of() -> None:
    own = LimitSet("p1", "", "heart_rate", "high", False, 90.0, 120.0, 10.0, 5.0, "Dr A",
                   "athlete", T0, T0)  # fmt: skip
    (first, *_) = body(AHEAD, forecast_feed(*expected(mean=120.0), limits=(own,)))["forecasts"]
    assert (first["limit_low"], first["limit_high"], first["p_above"]) == (90, 120, 0.5)


def test_without_alarms_there_is_no_limit_and_no_chance() -> None:
    (first, *_) = body(AHEAD, forecast_feed(*expected(), alarms=False))["forecasts"]
    assert first["limit_high"] is first["p_above"] is first["p_below"] is None


def test_no_forecast_yet_is_an_empty_answer_and_an_unknown_patient_a_problem() -> None:
    assert body(AHEAD, feed_of(Said()))["forecasts"] == []
    assert body(PATIENT, feed_of(Said()))["forecasts"] == {}
    assert problem("/api/v1/patients/p1/signals/moonlight/forecast", 404)
    assert problem("/api/v1/patients/p7/signals/heart_rate/forecast", 404)


def test_bands_end_where_the_signal_ends() -> None:
    rows = [forecast(T0, 60, 99.0, std=3.0)]
    said = batch(*rows)
    feed = feed_of(Said(signal="spo2"))
    named = replace(said, signals=("spo2",))
    feed.take([Entry(0, 2, encode_output(named))], 2)
    (one,) = body("/api/v1/patients/p1/signals/spo2/forecast", feed)["forecasts"]
    assert (one["mean"], one["hi50"], one["hi95"]) == (99, 100, 100)


def test_an_older_forecast_never_replaces_a_newer_one() -> None:
    feed = forecast_feed(*expected(T0 + MINUTE, 80.0))
    feed.take([Entry(0, 9, encode_output(batch(*expected(T0, 60.0))))], 9)
    (first, *_) = body(AHEAD, feed)["forecasts"]
    assert (first["mean"], first["as_of"]) == (80, format_instant(T0 + MINUTE))


def test_the_fold_is_saved_with_its_forecasts() -> None:
    latest = Latest()
    latest.fold(batch(*expected()))
    back = Latest.load(latest.dump())
    assert back.forecasts.of("p1")["heart_rate"] == latest.forecasts.of("p1")["heart_rate"]
    assert back.forecasts.take_changed() == set()


def test_a_watched_patient_s_stream_tells_each_forecast_once() -> None:
    feed = forecast_feed(*expected())

    def pictures() -> list[dict[str, Any]]:
        frames, _ = feed.make_frames()
        own = [frame for frame in frames if frame.topic == "p1"]
        return [json.loads(frame.payload.split(b"data: ", 1)[1]) for frame in own]

    snap = json.loads(feed.snap("p1").payload.split(b"data: ", 1)[1])
    assert [one["horizon_s"] for one in snap["forecasts"]["heart_rate"]] == [60, 900, 1800, 3600]
    client = feed.hub.subscribe("p1")
    pictures()
    assert pictures() == []
    feed.take([Entry(0, 9, encode_output(batch(*expected(T0 + 60 * SECOND))))], 9)
    (told,) = pictures()
    assert told["forecasts"]["heart_rate"][0]["as_of"] == format_instant(T0 + MINUTE)
    assert client is not None
    assert pictures() == []
