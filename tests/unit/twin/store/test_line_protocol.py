"""Line protocol: every field of its measurement, exact numbers, ids that cannot break a line."""

import math
import re
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.estimates import (
    SECOND,
    T0,
    Row,
    aged,
    batch,
    coasting,
    forecast,
    observed,
    revised,
)
from twin.bands import Z50, Z90, Z95
from twin.estimate import Status, Verdict
from twin.store.line_protocol import lines, refiltered

finite = st.floats(allow_nan=False, allow_infinity=False)


def test_an_accepted_observation_makes_a_raw_point_and_an_estimate() -> None:
    made = lines([batch(observed(T0, 72.0, quality=0.9, mean=71.25, std=0.5, trend=-0.125))])
    assert list(made) == [
        f"observation,patient=p1,signal=heart_rate,device=watch-1 value=72.0,quality=0.9 {T0}",
        "estimate,patient=p1,signal=heart_rate,model=m1 mean=71.25,std=0.5,"
        f"lo95={71.25 - 0.5 * Z95!r},hi95={71.25 + 0.5 * Z95!r},trend=-0.125 {T0}",
    ]
    assert ([*made.rows], made.rejected, made.total) == ([0, 0], [], 1)


def test_no_mean_and_no_band_lies_where_the_signal_cannot_be() -> None:
    _, made = lines([batch(observed(T0, 99, mean=99.5, std=1.0, signal="spo2"))])
    assert f"mean=99.5,std=1.0,lo95={99.5 - Z95!r},hi95=100.0" in made
    _, made = lines([batch(observed(T0, 99, mean=100.25, std=1.0, signal="spo2"))])
    assert f"mean=100.0,std=1.0,lo95={100.25 - Z95!r},hi95=100.0" in made


def test_what_was_filtered_again_is_a_point_at_its_beginning() -> None:
    made = refiltered("p 1", "spo2", T0, T0 + 1)
    assert list(made) == [f"refiltered,patient=p\\ 1,signal=spo2 until={T0 // 10**6 + 1}.0 {T0}"]
    assert list(refiltered("\n", "spo2", T0, T0 + 1)) == []


def test_what_is_not_stored_makes_no_line() -> None:
    made = lines(
        [
            batch(
                observed(T0, 1, verdict=Verdict.DUPLICATE),
                observed(T0, 1, verdict=Verdict.REFUSED),
                coasting(T0),
            )
        ]
    )
    assert (list(made), made.total) == ([], 3)


def test_conflict_and_status_are_measurements_of_their_own() -> None:
    conflict = observed(T0, 9, verdict=Verdict.CONFLICT, received_at=T0 + SECOND)
    made = lines([batch(conflict, aged(T0, Status.STALE))])
    assert list(made) == [
        "conflict,patient=p1,signal=heart_rate,device=watch-1 value=9.0,quality=-1.0,"
        f"measured_at={float(T0 // 10**6)!r} {T0 + SECOND}",
        f"status,patient=p1,signal=heart_rate status=3.0 {T0}",
    ]


def test_a_forecast_is_a_measurement_of_its_own_with_its_horizon() -> None:
    made = lines([batch(forecast(T0, 60, 70.0), forecast(T0, 3600, 75.0, scale95=1.25))])
    half90 = [
        f"lo90={mean - Z90 * 2.0 * 1.5!r},hi90={mean + Z90 * 2.0 * 1.5!r}" for mean in (70.0, 75.0)
    ]
    assert list(made) == [
        f"forecast,patient=p1,signal=heart_rate,model=m1,horizon=60 mean=70.0,std=2.0,"
        f"lo50={70 - Z50 * 2!r},hi50={70 + Z50 * 2!r},{half90[0]},"
        f"lo95={70 - Z95 * 2!r},hi95={70 + Z95 * 2!r} {T0}",
        f"forecast,patient=p1,signal=heart_rate,model=m1,horizon=3600 mean=75.0,std=2.0,"
        f"lo50={75 - Z50 * 2!r},hi50={75 + Z50 * 2!r},{half90[1]},"
        f"lo95={75 - Z95 * 2 * 1.25!r},hi95={75 + Z95 * 2 * 1.25!r} {T0}",
    ]
    (full,) = lines([batch(forecast(T0, 60, 70.0))], full=True)
    assert full.endswith(f",known_at={float((T0 + 3 * SECOND) // 10**6)!r} {T0}")


def test_only_the_last_version_of_a_point_is_sent() -> None:
    first = batch(observed(T0, 70), revised(T0, 71), revised(T0 + 1, 72))
    made = lines([first, batch(revised(T0, 73), model="m1"), batch(revised(T0, 74), model="m2")])
    means = [line.split("mean=")[1].split(",")[0] for line in made if "mean=" in line]
    assert means == ["72.0", "73.0", "74.0"]


def test_series_told_apart_by_any_of_their_names_keep_all_their_points() -> None:
    signals = ("spo2", "heart_rate", "glucose", "activity")
    said = [
        observed(T0 + i // 12, float(i), f"p{i % 2}", signals[i % 4], f"d{i % 3}")
        for i in range(480)
    ]
    batches = [batch(*said[i : i + 30], model=f"m{i // 30 % 2}") for i in range(0, 480, 30)]
    observations = [line for line in lines(batches) if line.startswith("observation")]
    assert len(set(observations)) == 480
    for line in observations:
        i = int(float(line.split("value=")[1].split(",")[0]))
        start = f"observation,patient=p{i % 2},signal={signals[i % 4]},device=d{i % 3} "
        assert line.startswith(start)
        assert line.endswith(f" {T0 + i // 12}")


def test_the_full_set_has_every_field_in_every_point() -> None:
    given_rows = [observed(T0, 70), observed(T0 + 1, 71, nis=0.5, trend_std=float("nan"))]
    made = lines([batch(*given_rows, revised(T0 + 2, 4, trend=float("nan")))], full=True)
    estimates = [line for line in made if line.startswith("estimate")]
    names = {
        tuple(re.findall(r"(\w+)=[-\d.e]+(?=[, ])", line.split(" ")[1] + " ")) for line in estimates
    }
    assert names == {
        (
            *("mean", "std", "lo95", "hi95", "trend", "lo50", "hi50", "lo90", "hi90"),
            *("trend_std", "nis", "weight", "known_at", "status"),
        )
    }
    assert "nis=-1.0" in estimates[0]
    assert "trend_std=-1.0" in estimates[1]
    assert "trend=0.0" in estimates[2]
    assert all("noise_std=-1.0,received_at=" in line for line in [*made][:2])


@settings(deadline=None, max_examples=20)
@given(st.data())
def test_many_lines_say_each_row_s_own_numbers_in_the_order_of_rows(data: st.DataObject) -> None:
    """More than are made at once; some devices cannot be a tag, some columns are one number."""
    n = data.draw(st.integers(1, 2_100))
    value = data.draw(st.lists(st.sampled_from([70.0, 71.5, 1e22, 1e-7]), min_size=1, max_size=5))
    quality = data.draw(st.lists(st.sampled_from([0.5, 0.75]), min_size=1, max_size=3))
    devices = data.draw(st.lists(st.sampled_from(["a", "b c", "\n"]), min_size=1, max_size=5))
    said = [
        (T0 + i, value[i % len(value)], quality[i % len(quality)], devices[i % len(devices)])
        for i in range(n)
    ]
    float_text = {70.0: "70.0", 71.5: "71.5", 1e22: "1e22", 1e-7: "1e-7"}
    made = lines([batch(*(observed(t, v, device=d, quality=q) for t, v, q, d in said))])
    assert [line for line in made if line.startswith("observation")] == [
        "observation,patient=p1,signal=heart_rate,device="
        + d.replace(" ", "\\ ")
        + f" value={float_text[v]},quality={q} {t}"
        for t, v, q, d in said
        if d != "\n"
    ]
    assert [row for row, _why in made.rejected] == [i for i, s in enumerate(said) if s[3] == "\n"]


def replace_column(row: Row, column: str, number: float) -> Row:
    return replace(row, columns=row.columns | {column: number})


@pytest.mark.parametrize("column", ["value", "mean", "std"])
@pytest.mark.parametrize("number", [math.nan, math.inf])
def test_a_point_that_is_no_number_is_rejected_alone(column: str, number: float) -> None:
    made = lines([batch(observed(T0, 70), replace_column(observed(T0 + 1, 71), column, number))])
    assert made.rejected == [(1, "not a finite number")]
    assert [*made.rows].count(0) == 2
    assert len(made.rows) == 3


@settings(deadline=None)
@given(finite, finite, st.integers(-(2**62), 2**62))
def test_numbers_and_stamps_read_back_exactly(value: float, mean: float, at: int) -> None:
    row = observed(at, value, signal="not catalogued", mean=mean, trend=value)
    made = lines([batch(row)])
    raw, estimate = made
    assert float(raw.split("value=")[1].split(",")[0]) == value
    assert float(estimate.split("mean=")[1].split(",")[0]) == mean
    assert float(estimate.split("trend=")[1].split(" ")[0]) == value
    assert int(estimate.rsplit(" ", 1)[1]) == at


@settings(deadline=None)
@given(st.text(min_size=1, max_size=12))
def test_any_id_is_one_tag_or_is_rejected(name: str) -> None:
    made = lines([batch(observed(T0, 70, device=name), observed(T0, 71, device="other"))])
    mine = [line for line in made if "device=" in line and not line.endswith("other")]
    mine = [line for line in mine if "device=other" not in line]
    if not mine:
        assert made.rejected == [(0, "an id that cannot be a tag")]
        return
    # As the database reads it: a backslash before comma, equals sign or space hides it.
    tags, fields, stamp = re.split(r"(?<!\\) ", mine[0])
    parts = [re.split(r"(?<!\\)=", part) for part in re.split(r"(?<!\\),", tags)[1:]]
    assert [key for key, _ in parts] == ["patient", "signal", "device"]
    assert re.sub(r"\\([,= ])", r"\1", parts[2][1]) == name
    assert (fields, stamp) == ("value=70.0,quality=-1.0", str(T0))


def test_a_body_is_lines_that_follow_each_other() -> None:
    rows = [observed(T0 + i, 70 + i, device=device) for i, device in enumerate("aéb")]
    made = lines([batch(*rows)])
    each = list(made)
    assert len(made) == len(each) == 6
    for start in range(6):
        for stop in range(start + 1, 7):
            assert made.body(range(start, stop)) == "\n".join(each[start:stop]).encode()
    assert "device=é" in made.line(1)
