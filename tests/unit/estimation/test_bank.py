"""The bank: slots, growth, models that come and go."""

from __future__ import annotations

import numpy as np

from tests.support.twins import HEART_RATE, SWINGING, Sample, events_of, fed, model_of, state_of
from twin.estimate import Verdict
from twin.estimation.ahead import FOLLOWED
from twin.estimation.bank import BLOCK, SIGNAL_ROW, Bank
from twin.estimation.events import Events
from twin.estimation.kalman import E_MEAN, E_VAR
from twin.estimation.models import base_model
from twin.estimation.slots import MEMBER, SLOT

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


def test_nothing_is_padded_in_what_a_key_keeps() -> None:
    for kind in (SLOT, MEMBER):
        assert kind.itemsize == sum(kind[name].itemsize for name in kind.names or ())


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


def test_keys_may_come_in_any_order_each_in_its_own() -> None:
    """What is said of an event, of a revision and of an anchor names it, however keys are mixed."""
    rng, people, n = np.random.default_rng(3), 20, 90
    at = np.tile(np.arange(n) * 60.0, people).reshape(people, n)
    at[:, 50:56] = at[:, 55:49:-1]  # some come late
    stamps = np.array([[Sample(t, 0).stamp for t in row] for row in at])
    values = 75.0 + rng.integers(-9, 9, (people, n))
    said = []
    for mixed in (False, True):
        bank = Bank(base_model())
        numbers = np.array([bank.number_of(f"p{i}") for i in range(people)], np.int64)
        slots = np.sort(bank.find(numbers, np.full(people, HEART, np.int64)))
        who = rng.permutation(np.repeat(np.arange(people), n)) if mixed else None
        key = np.repeat(np.arange(people), n) if who is None else who
        nth = np.array([int((key[:i] == key[i]).sum()) for i in range(len(key))])
        none = np.full(len(key), np.nan)
        device = np.zeros(len(key), np.int32)
        events = Events(slots[key], stamps[key, nth], values[key, nth], none, none, device)
        states = np.empty((len(key), FOLLOWED))
        updated = bank.update(events, states)
        own = key * n + nth
        by_event = np.argsort(own)
        anchors = [(own[part.by], part.at, part.state) for part in updated.anchored]
        said.append(
            [
                updated.verdict[by_event],
                updated.as_of[by_event],
                updated.estimates[by_event],
                states[by_event],
                own[updated.revised_by],
                updated.revised_at,
                updated.revised,
                *map(np.concatenate, zip(*anchors, strict=True)),
            ]
        )
    assert len(said[0][4]) > people
    assert len(said[0][7]) == people
    for one, other in zip(*said, strict=True):
        np.testing.assert_array_equal(one, other)


def test_records_are_not_padded_but_to_their_end() -> None:
    """What is said of memory per patient counts every byte."""
    bank = Bank(base_model())
    sweep(bank, 5, 0, 70.0)
    a = bank.slots.of
    for first, last in (("state", "model"), ("ring_z", "ring_device")):
        record = a[first].strides[0]
        offset = a[last].ctypes.data - a[first].ctypes.data
        assert 0 < record - offset - a[last].itemsize + 1 <= 8
        assert all(x.flags.aligned for x in a.values())
