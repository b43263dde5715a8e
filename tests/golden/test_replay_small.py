"""A small recording whose estimates are kept beside it, to 1e-9.

After a wanted change of the estimates, make the expected file anew and look at the difference:

    python -m tests.golden.test_replay_small
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import csv

from twin.estimation.models import parse_model
from twin.estimation.replay import replay
from twin.table_file import write_tables

CASE = Path(__file__).parent / "replay_small"
EXPECTED = CASE / "estimates.csv"


def estimates() -> pa.Table:
    model = parse_model((CASE / "model.toml").read_text("utf-8"), "model.toml")
    said = replay(CASE / "observations.csv", model=model, order="received", forecast=[60.0, 1800.0])
    return said.table


@pytest.mark.golden
def test_the_estimates_are_those_that_were_kept(tmp_path: Path) -> None:
    write_tables([estimates()], tmp_path / "estimates.csv")
    ours, kept = csv.read_csv(tmp_path / "estimates.csv"), csv.read_csv(EXPECTED)
    assert ours.column_names == kept.column_names
    assert ours.num_rows == kept.num_rows > 100
    for name in kept.column_names:
        one, other = ours[name], kept[name]
        if pa.types.is_floating(other.type):
            np.testing.assert_allclose(
                one.to_numpy(), other.to_numpy(), rtol=1e-9, atol=1e-9, err_msg=name
            )
        else:
            assert one.to_pylist() == other.to_pylist(), name


if __name__ == "__main__":
    write_tables([estimates()], EXPECTED)
