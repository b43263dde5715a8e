"""The short way of an ordinary measurement gives what the long way gives, bit for bit."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.twins import HEART_RATE, SWINGING, Sample, fed, model_of
from twin.estimate import Verdict
from twin.estimation.bank import Bank

RING = {"ring": 16, "expected_interval": 60.0}
MODELS = {
    "heart_rate": model_of(**HEART_RATE | RING),
    "respiratory_rate": model_of("respiratory_rate", **SWINGING | RING),
    "spo2": model_of("spo2", **HEART_RATE | RING | {"mean": 96.0, "spread": 3.0}),
}
MEANS = {"heart_rate": 80.0, "respiratory_rate": 80.0, "spo2": 98.0}
#: What a measurement changes, but for what depends on the order of arrival.
OF_THE_SET = ("state", "base", "memory", "base_memory", "state_t", "base_t")

#: From the mean, outliers among them; seconds to the one before.
steps = st.one_of(st.floats(-3.0, 3.0, width=32), st.sampled_from([0.0, -0.0, 40.0]))
gaps = st.one_of(st.sampled_from([1.0, 60.0]), st.floats(0.001, 300.0))


@pytest.mark.parametrize("code", MODELS)
@given(taken=st.lists(st.tuples(steps, gaps), min_size=3, max_size=61))
@settings(max_examples=60, deadline=None)
def test_in_order_and_each_second_one_late_leave_the_same_bytes(
    code: str, taken: list[tuple[float, float]]
) -> None:
    at = np.cumsum([gap for _, gap in taken])
    values = [MEANS[code] + step for step, _ in taken]
    samples = [Sample(float(t), value) for t, value in zip(at, values, strict=True)]
    straight, late = Bank(MODELS[code]), Bank(MODELS[code])
    fed(straight, samples, code)
    # Of each two the later first: the other is inserted, and all after the base goes the long way.
    swapped = [s for n in range(0, len(samples), 2) for s in samples[n : n + 2][::-1]]
    said = fed(late, swapped, code)
    assert (said.verdict == Verdict.ACCEPTED).all()
    assert len(said.revised) > 0
    for name in OF_THE_SET:
        np.testing.assert_array_equal(
            np.ascontiguousarray(late.slots.of[name]).view(np.uint8),
            np.ascontiguousarray(straight.slots.of[name]).view(np.uint8),
            name,
        )
