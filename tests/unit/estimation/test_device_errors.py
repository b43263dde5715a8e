"""Recordings as their devices are declared: delay, noise, alike errors, and biases learnt."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from math import nan, sqrt

import numpy as np
import pytest

from ingest.instant import SECOND
from ingest.recording import Recording
from tests.support.twins import T0
from twin.estimation.device_errors import as_declared, biases
from twin.estimation.device_tables import DeviceNoise, table_of
from twin.estimation.model_text import model_text as text_of
from twin.estimation.models import ModelError, ModelFile, base_model, parse_model
from twin.estimation.replay import replay

Rows = Sequence[tuple[str, float, float]]  # device, seconds, value
SOURCE = 'source = "test"'


def declaring(*lines: str) -> ModelFile:
    head = 'name = "x"\nversion = "1"\nextends = "base"\n[signal.heart_rate]\nsource = "test"\n'
    return parse_model(head + "\n".join(lines))


def recorded(rows: Rows, noise: float = nan, patient: str = "p") -> Recording:
    n = len(rows)
    at = T0 + np.array([round(s * SECOND) for _, s, _ in rows], np.int64)
    return Recording(
        [patient] * n,
        [device for device, _, _ in rows],
        ["heart_rate"] * n,
        np.array([value for _, _, value in rows], np.float64),
        at,
        at.copy(),
        np.full(n, noise),
        np.full(n, nan),
        np.arange(n),
        0,
        {},
    )


def last(replayed: object) -> Mapping[str, float]:
    table = replayed.table  # type: ignore[attr-defined]
    return {name: table.column(name)[-1].as_py() for name in ("mean", "std", "as_of")}


def test_without_tables_and_of_other_devices_a_recording_stays_as_it_is() -> None:
    given = recorded([("watch", 0.0, 70.0), ("watch", 1.0, 71.0)])
    assert as_declared(given, base_model()) is given
    other = declaring('[device."band"]', SOURCE, "delay = 30.0")
    assert as_declared(given, other) is given


def test_a_delayed_average_is_of_then() -> None:
    model = declaring('[device."band-*"]', SOURCE, "delay = 30.5")
    given = recorded([("band-1", 60.0, 70.0), ("watch", 60.0, 71.0)])
    made = as_declared(given, model)
    assert (made.measured_at - T0).tolist() == [29_500_000_000, 60 * SECOND]
    assert (made.received_at == given.received_at).all()
    assert np.isnan(made.noise_std).all()
    first = replay(recorded([("band-1", 60.0, 70.0)]), model=model)
    assert first.table.column("as_of")[0].value == T0 + 29_500_000_000


def test_noise_is_declared_where_the_row_says_none() -> None:
    model = declaring("[device.band]", SOURCE, "[device.band.heart_rate]", "noise = 2.0")
    rows = [("band", 0.0, 70.0), ("watch", 0.0, 70.0)]
    made, said = as_declared(recorded(rows), model), as_declared(recorded(rows, 3.0), model)
    assert made.noise_std[0] == 2.0
    assert np.isnan(made.noise_std[1])
    assert said.noise_std.tolist() == [3.0, 3.0]
    np.testing.assert_array_equal(made.value, [70.0, 70.0])


def two(minutes: int, off: float, seed: int = 2) -> Rows:
    rng, level, rows = random.Random(seed), 75.0, []
    for second in range(0, minutes * 60, 5):
        level += rng.gauss(0, 0.3) - (level - 75.0) / 120
        rows.append(("strap", float(second), level + rng.gauss(0, 1)))
        rows.append(("watch", float(second), level + off + rng.gauss(0, 1)))
    return rows


def test_a_device_that_is_off_beside_one_that_is_not_is_corrected_from_the_next_block_on() -> None:
    model = declaring("[device.watch]", SOURCE, "[device.watch.heart_rate]", "bias = 6.0")
    given = recorded(two(60, 8.0))
    made = as_declared(given, model)
    watch = np.array([device == "watch" for device in given.device])
    early, late = given.measured_at < T0 + 300 * SECOND, given.measured_at > T0 + 1800 * SECOND
    np.testing.assert_array_equal(made.value[early], given.value[early])
    np.testing.assert_array_equal(made.value[~watch], given.value[~watch])
    assert np.mean(made.value[watch & late] - given.value[watch & late]) == pytest.approx(-8, abs=1)
    # What is not known yet is doubt.
    assert made.noise_std[watch & early].min() > 6.0
    assert made.noise_std[watch & late].max() < 2.0


def test_the_twin_is_nearer_with_the_bias_declared() -> None:
    rows = two(90, 8.0)
    truth = {s: v for d, s, v in rows if d == "strap"}
    model = declaring("[device.watch]", SOURCE, "[device.watch.heart_rate]", "bias = 6.0")
    errors = []
    for used in (base_model(), model):
        table = replay(recorded(rows), model=used).table
        at = (table.column("as_of").to_numpy().astype(np.int64) - T0) / SECOND
        error = table.column("mean").to_numpy() - np.array([truth[s] for s in at])
        errors.append(float(np.sqrt(np.mean(error[len(error) // 3 :] ** 2))))
    assert errors[1] < 0.7 * errors[0]


def test_of_two_that_are_off_alike_nobody_knows_which_and_one_alone_stays_as_it_is() -> None:
    said = (DeviceNoise(bias=3.0), DeviceNoise(bias=3.0))
    rows = two(60, 8.0)
    at = T0 + np.array([round(s * SECOND) for _, s, _ in rows], np.int64)
    which = np.array([0 if d == "strap" else 1 for d, _, _ in rows])
    value, noise = np.array([v for _, _, v in rows]), np.ones(len(rows))
    known, doubt = biases(at, which, value, noise, said, 18.0)
    assert known[-1] - known[-2] == pytest.approx(8, abs=1)
    assert known[-1] + known[-2] == pytest.approx(0, abs=0.5)
    assert sqrt(doubt[-1]) > 1.5  # each is still as unsure as both together may be
    alone = which == 0
    known, doubt = biases(at[alone], which[alone], value[alone], noise[alone], said, 18.0)
    assert not known.any()
    np.testing.assert_allclose(doubt, 9.0)


def test_nothing_looks_ahead() -> None:
    model = declaring("[device.watch]", SOURCE, "[device.watch.heart_rate]", "bias = 6.0")
    rows = two(60, 8.0)
    whole, part = (as_declared(recorded(r), model) for r in (rows, rows[: len(rows) // 2]))
    n = len(part)
    np.testing.assert_array_equal(whole.value[:n], part.value)
    np.testing.assert_array_equal(whole.noise_std[:n], part.noise_std)


def test_what_is_recorded_twice_changes_nothing() -> None:
    model = declaring("[device.watch]", SOURCE, "[device.watch.heart_rate]", "bias = 6.0")
    rows = two(30, 8.0)
    once, twice = (as_declared(recorded(r), model) for r in (rows, [*rows, *rows[::3]]))
    np.testing.assert_array_equal(twice.value[: len(rows)], once.value)
    np.testing.assert_array_equal(twice.noise_std[: len(rows)], once.noise_std)


REFUSED = [
    (["[device.x]"], "device.x.source", "where the constants come from"),
    (["[device.x]", SOURCE, "delay = -1.0"], "device.x.delay", "0 to 86400"),
    (["[device.x]", SOURCE, "[device.x.lactate]"], "device.x.lactate", "heart_rate"),
    (["[device.x]", SOURCE, "[device.x.spo2]", "nois = 1"], "device.x.spo2.nois", "one of bias"),
    (["[device.x]", SOURCE, "[device.x.spo2]", 'bias = "2"'], "device.x.spo2.bias", "a number"),
    (["[device.x]", SOURCE, "spo2 = 3"], "device.x.spo2", "a table of constants"),
    (["[device]", "x = 3"], "device.x", "a table of constants"),
]


@pytest.mark.parametrize(("lines", "where", "expected"), REFUSED)
def test_a_table_that_cannot_be_used_is_refused_with_place_and_expectation(
    lines: list[str], where: str, expected: str
) -> None:
    with pytest.raises(ModelError) as refused:
        declaring(*lines)
    assert where in refused.value.where
    assert expected in refused.value.expected


def test_the_first_pattern_that_fits_counts_and_a_model_as_text_keeps_the_tables() -> None:
    model = declaring(
        '[device."watch-1"]', SOURCE, "delay = 5.0", '[device."watch-*"]', SOURCE, "delay = 9.0",
        '[device."watch-*".spo2]', "noise = 1.5", "bias = 4.0",
    )  # fmt: skip
    found = [table_of(model.devices, d) for d in ("watch-1", "watch-2", "strap")]
    assert [None if t is None else t.delay for t in found] == [5.0, 9.0, None]
    read = parse_model(text_of(model, "y", "1", ""))
    assert read.devices == model.devices
    assert base_model().devices == ()
