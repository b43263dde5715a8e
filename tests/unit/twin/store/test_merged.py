"""Several batches as one: each row keeps the names that it had."""

import numpy as np
import pytest

from twin.bytewise import readable
from twin.estimate import ESTIMATE_ROW, NO_DEVICE, EstimateBatch, Kind, Verdict
from twin.store.merged import Merged, kept, merged

NAMES = [f"n{i}" for i in range(9)]


def random_batch(chance: np.random.Generator) -> EstimateBatch:
    n = int(chance.integers(0, 40))
    patients, devices, signals = (
        tuple(chance.permutation(NAMES)[: chance.integers(1, 10)]) for _ in range(3)
    )
    rows = np.zeros(n, ESTIMATE_ROW)
    rows["value"] = np.arange(n)
    rows["patient"] = np.sort(chance.integers(0, len(patients), n))
    rows["signal"] = chance.integers(0, len(signals), n)
    rows["device"] = chance.integers(0, len(devices), n)
    rows["device"][chance.random(n) < 0.2] = NO_DEVICE
    return EstimateBatch(f"m{chance.integers(0, 3)}", patients, devices, signals, ("",), rows)


def named(batch: EstimateBatch) -> list[tuple[object, ...]]:
    rows = batch.rows
    return [
        (batch.model, batch.patients[p], batch.signals[s], _device(batch.devices, d), v)
        for p, s, d, v in rows[["patient", "signal", "device", "value"]].tolist()
    ]


def named_of(whole: Merged) -> list[tuple[object, ...]]:
    columns = whole.rows[["patient", "signal", "device", "value"]].tolist()
    return [
        (whole.models[m], whole.patients[p], whole.signals[s], _device(whole.devices, d), v)
        for (p, s, d, v), m in zip(columns, whole.model.tolist(), strict=True)
    ]


def _device(names: object, number: int) -> object:
    return None if number == NO_DEVICE else names[number]  # type: ignore[index]


@pytest.mark.parametrize("seed", range(40))
def test_each_row_keeps_its_names_and_its_place(seed: int) -> None:
    chance = np.random.default_rng(seed)
    batches = [random_batch(chance) for _ in range(seed % 7)]
    if seed % 3 == 0:
        batches = batches[:1] * 3  # the same tables each time
    before = [batch.rows.tobytes() for batch in batches]
    whole = merged(batches)
    assert named_of(whole) == [row for batch in batches for row in named(batch)]
    assert [batch.rows.tobytes() for batch in batches] == before
    assert len(set(whole.patients)) == len(whole.patients)


def test_each_row_is_kept_as_what_its_kind_and_verdict_say() -> None:
    chance = np.random.default_rng(3)
    rows = np.zeros(4000, ESTIMATE_ROW)
    rows["kind"], rows["verdict"] = chance.integers(0, 7, 4000), chance.integers(0, 7, 4000)
    pairs = list(zip(rows["kind"].tolist(), rows["verdict"].tolist(), strict=True))
    judged = {verdict: (Kind.VERDICT, verdict) for verdict in Verdict}

    def places(*said: tuple[int, int]) -> list[int]:
        return [i for i, pair in enumerate(pairs) if pair in said]

    def of_kind(kind: Kind) -> list[tuple[int, int]]:
        return [(kind, verdict) for verdict in range(7)]

    found = kept(readable(rows))
    assert found.observations.tolist() == places(judged[Verdict.ACCEPTED], judged[Verdict.BELATED])
    assert found.belated == len(places(judged[Verdict.BELATED]))
    assert found.conflicts.tolist() == places(judged[Verdict.CONFLICT])
    estimates = places(judged[Verdict.ACCEPTED], *of_kind(Kind.REVISION))
    assert found.estimates.tolist() == estimates
    assert found.statuses.tolist() == places(*of_kind(Kind.STATUS))
    assert found.forecasts.tolist() == places(*of_kind(Kind.FORECAST))
    assert kept(readable(rows[:0])).estimates.tolist() == []


def test_a_name_that_stands_twice_in_a_table_is_one() -> None:
    rows = np.zeros(3, ESTIMATE_ROW)
    rows["patient"] = [0, 1, 2]
    whole = merged([EstimateBatch("m", ("a", "b", "a"), ("d",), ("s",), ("",), rows)])
    assert [whole.patients[i] for i in whole.rows["patient"].tolist()] == ["a", "b", "a"]
    assert whole.rows["patient"][0] == whole.rows["patient"][2]
