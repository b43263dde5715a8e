"""Rows of devices: put back at once they are found as if they had been added one by one."""

from __future__ import annotations

import numpy as np
import pytest

from twin.estimation.names import Names
from twin.intake.kernel import NEXT
from twin.intake.table import DeviceTable

#: (patient, device): device 1 goes round, of three patients here and of one there before.
PAIRS = [(0, 1), (1, 2), (2, 1), (3, 0), (4, 1)]


def table_with(pairs: list[tuple[int, int]]) -> DeviceTable:
    table = DeviceTable(Names(["a", "b", "c"], {"a": 0, "b": 1, "c": 2}))
    table.add(9, 1, 3)
    for patient, device in pairs:
        table.add(patient, device, 0)
    return table


@pytest.mark.parametrize("count", [0, 1, 5])
def test_rows_put_at_once_are_chained_as_those_added_in_turn(count: int) -> None:
    pairs = PAIRS[:count]
    added, put = table_with(pairs), table_with([])
    part = added.take(np.arange(1, 1 + count))
    numbers = np.array(pairs, np.int64).reshape(-1, 2)
    rows = put.put(numbers[:, 0], numbers[:, 1], 0, part)
    assert rows.tolist() == list(range(1, 1 + count))
    for patient, device in [*pairs, (9, 1), (0, 2)]:
        assert put.row(patient, device) == added.row(patient, device)
    end = 1 + count
    assert put.marks[:end, NEXT].tolist() == added.marks[:end, NEXT].tolist()
    np.testing.assert_array_equal(put.marks[:end], added.marks[:end])
