"""Belated measurements are folded in from an anchor as if everything had come in order."""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from itertools import pairwise

import msgspec
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from tests.support.layouts import unflagged
from tests.support.twins import Sample, events_of, fed, model_of
from twin.anchor import Anchor
from twin.estimate import REFILTERED, EstimateBatch, Verdict
from twin.estimation.anchors import LAYOUT, packed
from twin.estimation.bank import Bank
from twin.estimation.kalman import E_MEAN, E_TREND, E_VAR
from twin.estimation.refilter import KeyFilter, Raw

MODEL = model_of(
    mean=80.0, spread=18.0, level_time=65000.0, deviation_time=20.0, deviation_noise=0.25,
    noise=0.8, ring=8, expected_interval=30.0,
)  # fmt: skip
DEVICES = ("watch", "band", "strap")


def recording(seed: int, n: int = 700) -> list[Sample]:
    """Some hours of two devices, 20 to 60 s apart, with steps and outliers."""
    rng, at, samples = random.Random(seed), 0.0, []
    for _ in range(n):
        at += rng.choice([20.0, 30.0, 60.0, 60.0])
        value = 75 + 20 * (at % 4000 > 3000) + rng.gauss(0, 2) + 50 * (rng.random() < 0.02)
        quality = rng.choice([np.nan, 0.8])
        samples.append(Sample(at, value, 0, quality=quality))
        if rng.random() < 0.4:
            samples.append(Sample(at, value + rng.gauss(0, 3), 1, noise_std=2.5))
    return samples


def raw_of(samples: Sequence[Sample]) -> Raw:
    """Sorted; received when measured."""
    ordered = sorted(samples, key=lambda s: (s.stamp, s.device))
    time = np.array([s.stamp for s in ordered], np.int64)
    return Raw(
        time,
        time,
        np.array([s.value for s in ordered]),
        np.array([s.noise_std for s in ordered]),
        np.array([s.quality for s in ordered]),
        np.array([s.device for s in ordered], np.int64),
        DEVICES,
    )


def after(raw: Raw, at: int) -> Raw:
    keep = raw.time > at
    return Raw(*(getattr(raw, name)[keep] for name in Raw.__slots__[:-1]), raw.devices)


def anchors_of(bank: Bank, samples: Sequence[Sample], cuts: Iterable[int] = ()) -> list[Anchor]:
    """What a live twin puts out, given the samples in this order."""
    made, borders = [], [0, *sorted(cuts), len(samples)]
    for first, last in pairwise(borders):
        for part in bank.update(events_of(bank, samples[first:last])).anchored:
            for i in range(len(part.by)):
                body = packed(part.state[i], part.memory[i], part.entries[i], DEVICES)
                made.append(Anchor("p", "heart_rate", int(part.at[i]), body))
    return made


def in_order(samples: Sequence[Sample]) -> dict[int, tuple[bytes, ...]]:
    """Stamp → (mean, variance, trend) of the whole recording in measured order."""
    ordered = sorted(samples, key=lambda s: (s.stamp, s.device))
    said = fed(Bank(MODEL), ordered)
    assert (said.verdict == Verdict.ACCEPTED).all()
    return {
        int(t): tuple(e[c].tobytes() for c in (E_MEAN, E_VAR, E_TREND))
        for t, e in zip(said.as_of, said.estimates, strict=True)
    }


def numbers(batch: EstimateBatch) -> dict[int, tuple[bytes, ...]]:
    assert (batch.rows["flags"] == REFILTERED).all()
    return {
        int(row["as_of"]): (row["mean"].tobytes(), row["std"].tobytes(), row["trend"].tobytes())
        for row in batch.rows
    }


def rooted(expected: dict[int, tuple[bytes, ...]]) -> dict[int, tuple[bytes, ...]]:
    """With standard deviations for variances."""
    return {
        at: (mean, np.sqrt(np.frombuffer(var)[0]).tobytes(), trend)
        for at, (mean, var, trend) in expected.items()
    }


def test_anchors_are_a_function_of_the_set_and_not_of_batches_or_order_of_arrival() -> None:
    samples = recording(1)
    whole = anchors_of(Bank(MODEL), samples)
    hours = [one.at // 3_600_000_000_000 for one in whole]
    assert len(whole) >= 5
    assert hours == sorted(set(hours))
    one_by_one = anchors_of(Bank(MODEL), samples, range(1, len(samples)))
    assert one_by_one == whole
    shuffled = list(samples)
    for i in range(0, len(shuffled) - 3, 3):  # within the ring
        shuffled[i : i + 3] = reversed(shuffled[i : i + 3])
    assert anchors_of(Bank(MODEL), shuffled) == whole


def test_from_any_anchor_the_estimates_are_those_of_the_whole_recording() -> None:
    samples = recording(2)
    expected = rooted(in_order(samples))
    raw = raw_of(samples)
    assert numbers(KeyFilter(MODEL, "p", "heart_rate").take(raw).estimates) == expected
    for anchor in anchors_of(Bank(MODEL), samples):
        key = KeyFilter(MODEL, "p", "heart_rate", anchor)
        assert key.begins_at == anchor.at
        said = numbers(key.take(after(raw, anchor.at)).estimates)
        assert said == {at: e for at, e in expected.items() if at > anchor.at}


@given(seed=st.integers(0, 10_000), cuts=st.sets(st.integers(1, 800), max_size=6))
@settings(max_examples=8, deadline=None)
def test_a_belated_block_is_folded_in_whatever_it_is_and_however_it_is_sliced(
    seed: int, cuts: set[int]
) -> None:
    rng = random.Random(seed)
    samples = recording(seed)
    device = rng.choice([0, 1, None])
    first = rng.randrange(100, 500)
    late = {id(s) for s in samples[first : first + rng.choice([1, 30, 150])] if s.device != device}
    live = Bank(MODEL)
    arrived = [s for s in samples if id(s) not in late] + [s for s in samples if id(s) in late]
    anchors = anchors_of(live, arrived)
    since = min((s.stamp for s in samples if id(s) in late), default=samples[first].stamp)
    usable = [one for one in anchors if one.at < since]
    key = KeyFilter(MODEL, "p", "heart_rate", usable[-1] if usable else None)
    rest = after(raw_of(samples), key.begins_at or 0)
    borders = sorted({0, len(rest.time), *(c for c in cuts if c < len(rest.time))})
    said: dict[int, tuple[bytes, ...]] = {}
    made: list[Anchor] = []
    for begin, end in pairwise(borders):
        part = Raw(*(getattr(rest, name)[begin:end] for name in Raw.__slots__[:-1]), DEVICES)
        refiltered = key.take(part)
        said |= numbers(refiltered.estimates)
        made += refiltered.anchors
    expected = rooted(in_order(samples))
    assert said == {at: e for at, e in expected.items() if at in said}
    assert set(said) == set(expected) - {at for at in expected if at <= (key.begins_at or 0)}
    in_measured_order = anchors_of(Bank(MODEL), sorted(samples, key=lambda s: (s.stamp, s.device)))
    assert made == [one for one in in_measured_order if one.at > (key.begins_at or 0)]


def test_the_base_is_where_the_next_time_goes_on() -> None:
    samples = recording(3, 300)
    expected, raw = rooted(in_order(samples)), raw_of(samples)
    key = KeyFilter(MODEL, "p", "heart_rate")
    assert key.base() is None
    key.take(raw)
    base = key.base()
    assert base is not None
    again = KeyFilter(MODEL, "p", "heart_rate", base).take(after(raw, base.at))
    assert numbers(again.estimates) == {at: e for at, e in expected.items() if at > base.at}


def test_known_at_is_when_the_last_of_all_that_made_it_was_received() -> None:
    raw = raw_of([Sample(0.0, 70.0), Sample(30.0, 71.0), Sample(60.0, 72.0)])
    received = raw.time + np.array([0, 500, 0]) * 1_000_000_000
    late = Raw(raw.time, received, raw.value, raw.noise_std, raw.quality, raw.device, DEVICES)
    rows = KeyFilter(MODEL, "p", "heart_rate").take(late).estimates.rows
    known: NDArray[np.int64] = rows["received_at"]
    assert known.tolist() == [received[0], received[1], received[1]]


def test_an_anchor_of_another_layout_is_as_good_as_none() -> None:
    body = bytes([0x95, LAYOUT + 1, 0x90, 0xC4, 0, 0xC4, 0, 0xC4, 0])
    for unusable in (body, b"?"):
        key = KeyFilter(MODEL, "p", "heart_rate", Anchor("p", "heart_rate", 5, unusable))
        assert key.begins_at is None


def test_an_anchor_with_a_column_for_each_flag_is_gone_on_from_as_if_it_were_of_now() -> None:
    samples = recording(3)
    raw, anchor = raw_of(samples), anchors_of(Bank(MODEL), samples)[-1]
    _, devices, state, memory, entries = msgspec.msgpack.decode(anchor.body)
    rows = np.frombuffer(entries, "<f4")
    before = unflagged(rows[None, :]).astype("<f4").tobytes()
    body = msgspec.msgpack.encode((2, devices, state, memory, before))
    of_before = KeyFilter(MODEL, "p", "heart_rate", msgspec.structs.replace(anchor, body=body))
    of_now = KeyFilter(MODEL, "p", "heart_rate", anchor)
    assert of_before.begins_at == of_now.begins_at == anchor.at
    first, second = (key.take(after(raw, anchor.at)) for key in (of_before, of_now))
    assert numbers(first.estimates) == numbers(second.estimates)
