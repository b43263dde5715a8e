"""The uncompiled kernel tells the same story: what a reader steps through is what runs."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np

from tests.support.twins import SWINGING, Sample, fed, model_of, state_of
from twin.estimation.bank import Bank
from twin.estimation.ring import process

TOP = Path(__file__).parents[3]
STEPPED = """
import sys
import numpy as np
from tests.unit.estimation.test_uncompiled import short_run
from twin.estimation.ring import process
assert not hasattr(process, "py_func")
np.savez(sys.argv[1], **short_run())
"""


def short_run() -> dict[str, np.ndarray]:
    """Late, doubled, belated, equal and outlying samples of two devices, with a velocity."""
    bank = Bank(model_of(**SWINGING | {"ring": 8}))
    samples = [Sample(10.0 * n, 75.0 + n % 5, n % 2) for n in range(30)]
    samples[7:9] = samples[8:6:-1]
    samples += [Sample(285.0, 80.0), Sample(280.0, 76.0, 1), Sample(1.0, 70.0), samples[-1]]
    samples += [Sample(300.0 + n, 130.0, n // 3, quality=0.7) for n in range(9)]
    said = fed(bank, samples)
    return {
        "verdict": said.verdict,
        "estimates": said.estimates,
        "revised": said.revised,
        "state": state_of(bank),
    }


def test_the_uncompiled_kernel_gives_the_same_to_1e_12(tmp_path: Path) -> None:
    assert hasattr(process, "py_func")
    compiled = short_run()
    file = tmp_path / "stepped.npz"
    subprocess.run(
        [sys.executable, "-c", STEPPED, str(file)],
        env=os.environ | {"NUMBA_DISABLE_JIT": "1"},
        cwd=TOP,
        check=True,
        timeout=300,
    )
    stepped = np.load(file)
    assert set(np.unique(compiled["verdict"])) == {1, 2, 3}
    assert len(compiled["revised"]) > 3
    for name, values in compiled.items():
        np.testing.assert_allclose(stepped[name], values, rtol=1e-12, atol=1e-12, err_msg=name)
