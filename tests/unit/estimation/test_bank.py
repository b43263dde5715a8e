"""The bank: slots, growth, models that come and go."""

from __future__ import annotations

import numpy as np

from tests.support.twins import HEART_RATE, SWINGING, Sample, events_of, fed, model_of, state_of
from twin.estimate import Verdict
from twin.estimation.bank import BLOCK, SIGNAL_ROW, Bank, Events
from twin.estimation.kalman import E_MEAN, E_VAR
from twin.estimation.models import base_model

HEART = SIGNAL_ROW["heart_rate"]


def sweep(bank: Bank, patients: int, at: int, value: float) -> Events:
    """One heart rate of each of many patients."""
    numbers = np.array([bank.number_of(f"p{n}") for n in range(patients)], np.int64)
    nothing = np.full(patients, np.nan)
    return Events(
        bank.find(numbers, np.full(patients, HEART, np.int64)),
        np.full(patients, Sample(at, 0).stamp, np.int64),
        value + np.arange(patients) % 7,
        nothing,
        nothing,
        np.zeros(patients, np.int32),
    )


def test_the_slots_of_a_partition_lie_together() -> None:
    bank = Bank(base_model(), 4)
    sweep(bank, 3000, 0, 70.0)
    for partition in range(4):
        blocks = np.unique(bank.in_partition(partition) // BLOCK)
        assert len(blocks) <= 2
        assert (
            bank.partition[bank.slots.of["patient"][bank.in_partition(partition)]]
        ).tolist() == ([partition] * len(bank.in_partition(partition)))


def test_growing_keeps_every_state() -> None:
    """The same patient alone and among thousands, whose slots and rings were moved meanwhile."""
    crowded, alone = Bank(base_model()), Bank(base_model())
    for n in range(40):
        patients = 10 if n < 20 else 3000
        crowded.update(sweep(crowded, patients, n, 70.0))
        alone.update(sweep(alone, 10, n, 70.0))
    ours = crowded.slot_of[:10, HEART]
    theirs = alone.slot_of[:10, HEART]
    for name in ("state", "state_t", "base", "base_t", "ring_n"):
        np.testing.assert_array_equal(
            crowded.slots.of[name][ours], alone.slots.of[name][theirs], err_msg=name
        )
    np.testing.assert_array_equal(
        crowded.slots.take(ours.astype(np.int64))["ring_z"],
        alone.slots.take(theirs.astype(np.int64))["ring_z"],
    )


def test_a_signal_without_model_has_no_slot() -> None:
    bank = Bank(model_of(**HEART_RATE))
    patient = np.full(2, bank.number_of("p"), np.int64)
    found = bank.find(patient, np.array([HEART, SIGNAL_ROW["spo2"]]))
    assert found[0] >= 0
    assert found[1] == -1


def test_a_signal_left_out_by_a_new_model_file_rests_until_it_has_a_model_again() -> None:
    bank = Bank(model_of(**HEART_RATE))
    fed(bank, [Sample(n, 75.0) for n in range(20)])
    before = state_of(bank)
    bank.adopt(model_of("spo2", **HEART_RATE | {"mean": 96.0}))
    assert events_of(bank, [Sample(20, 75.0)]).slot.tolist() == [-1]
    assert len(bank.known()) == 0
    bank.adopt(model_of(**HEART_RATE))
    np.testing.assert_array_equal(state_of(bank), before)
    assert fed(bank, [Sample(20, 75.0)]).verdict.tolist() == [Verdict.ACCEPTED]


def test_a_new_model_acts_from_the_next_observation_on() -> None:
    bank, plain = Bank(model_of(**SWINGING)), Bank(model_of(**SWINGING))
    noisy = model_of(**SWINGING | {"noise": 20.0})
    for each in (bank, plain):
        fed(each, [Sample(10 * n, 75.0) for n in range(10)])
    before = state_of(bank)
    bank.adopt(noisy)
    np.testing.assert_array_equal(state_of(bank), before)
    stiff, quick = fed(bank, [Sample(100, 95.0)]), fed(plain, [Sample(100, 95.0)])
    assert stiff.estimates[0, E_MEAN] < quick.estimates[0, E_MEAN] - 1
    assert stiff.estimates[0, E_VAR] > quick.estimates[0, E_VAR]


def test_a_forgotten_partition_begins_anew() -> None:
    bank = Bank(model_of(**HEART_RATE), 1)
    first = fed(bank, [Sample(n, 100.0) for n in range(20)])
    bank.forget(0)
    assert len(bank.known()) == 0
    again = fed(bank, [Sample(n, 100.0) for n in range(20)])
    np.testing.assert_array_equal(first.estimates, again.estimates)


def test_an_empty_batch_is_taken() -> None:
    said = Bank(model_of(**HEART_RATE)).update(events_of(Bank(model_of(**HEART_RATE)), []))
    assert len(said.verdict) == len(said.revised) == 0
