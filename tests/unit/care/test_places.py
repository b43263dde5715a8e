"""Places of devices on patients: as a dict of pairs gives them, however they come."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from twin.care.places import Places

_names = st.sampled_from([f"n{i}" for i in range(7)])


@st.composite
def batches(draw: st.DrawFn) -> tuple[list[str], list[str], list[tuple[int, int]]]:
    """Tables, in which a name may stand twice, and pairs of their numbers."""
    devices, patients = (draw(st.lists(_names, min_size=1, max_size=9)) for _ in range(2))
    numbers = st.tuples(st.integers(0, len(devices) - 1), st.integers(0, len(patients) - 1))
    return devices, patients, draw(st.lists(numbers, max_size=12))


@given(st.lists(batches(), max_size=8))
def test_each_pair_keeps_the_place_that_it_got_first(
    said: list[tuple[list[str], list[str], list[tuple[int, int]]]],
) -> None:
    places, expected = Places(), dict[tuple[str, str], int]()
    for devices, patients, pairs in said:
        for d, p in sorted(pairs):
            expected.setdefault((devices[d], patients[p]), len(expected))
        numbers = np.array([d * len(patients) + p for d, p in pairs], np.int64)
        found = places.of(devices, patients, numbers).tolist()
        assert found == [expected[devices[d], patients[p]] for d, p in pairs]
    assert list(places.index.items()) == list(expected.items())
    again = Places.of_keys(places.index)
    assert again.index == expected
    for device, patient in expected:
        one = again.of([device], [patient], np.zeros(1, np.int64))
        assert one.tolist() == [expected[device, patient]]


def test_a_number_that_is_in_no_table_is_refused() -> None:
    places = Places()
    for pair in (1, 0xFFFFFFFF):
        with pytest.raises(IndexError):
            places.of(["watch"], ["p1"], np.array([pair], np.int64))
    with pytest.raises(IndexError):
        places.of(["watch"], [], np.array([0], np.int64))
