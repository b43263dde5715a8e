"""How the innovations of each device were in a replay: their size, correlation and coverage.

What the kernel counts of each device of a key while it runs (`consistency.py`), here over all of a
recording and all its persons.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ingest.recording import Recording
from twin.bands import Z50, Z90, Z95
from twin.estimation import scores
from twin.estimation.consistency import factor_of
from twin.estimation.pairing import rows_of
from twin.estimation.replay import Replayed


@dataclass(frozen=True, slots=True)
class DeviceScores:
    """One device of one signal, over all its persons.

    factor: by what the variance of its innovations is not what the filter expected (1: right; from
    the mean of nis/(1 + nis), so that artefacts do not decide it). lag1: correlation of its
    neighbouring innovations (0). coverage: shares of its readings inside the 50, 90 and 95 % bands
    that were predicted for them. diverged: share of its estimates that were its readings.
    """

    device: str
    innovations: int
    factor: float
    lag1: float
    coverage: tuple[float, float, float]
    diverged: float


def signed_innovations(recording: Recording, done: Replayed, each: int) -> NDArray[np.float64]:
    """(n,) standardised innovations of the observations that gave rows, `each` rows of one.

    nis has lost the sign; the residual after the update has the innovation's. Of a belated
    observation NaN; of a diverged key's the sign is lost, and it counts as positive.
    """
    nis = np.asarray(done.table.column("nis").to_numpy(), np.float64)[::each]
    mean = np.asarray(done.table.column("mean").to_numpy(), np.float64)[::each]
    sign = np.where(_diverged(done, each), 1.0, np.sign(recording.value[done.taken] - mean))
    return np.asarray(sign * np.sqrt(nis), np.float64)


def device_scores(
    recording: Recording, done: Replayed, each: int
) -> Mapping[str, Sequence[DeviceScores]]:
    """Signal → its devices, by name. The first reading of a key says how far a person is from the
    population, and does not count."""
    signed, diverged = signed_innovations(recording, done, each), _diverged(done, each)
    device = np.array([recording.device[row] for row in done.taken.tolist()], str)
    runs: dict[tuple[str, str], list[NDArray[np.int64]]] = {}
    for (_, signal), places in rows_of(recording, done.taken).items():
        counted = places[1:][np.isfinite(signed[places[1:]])]
        for name in np.unique(device[counted]).tolist():
            runs.setdefault((signal, name), []).append(counted[device[counted] == name])
    found: dict[str, list[DeviceScores]] = {}
    for (signal, name), of in sorted(runs.items()):
        square = np.concatenate([signed[run] for run in of]) ** 2
        found.setdefault(signal, []).append(
            DeviceScores(
                name,
                len(square),
                float(factor_of(float(np.mean(square / (1.0 + square))))),
                scores.lag1([signed[run] for run in of]),
                (
                    scores.share(square <= Z50**2),
                    scores.share(square <= Z90**2),
                    scores.share(square <= Z95**2),
                ),
                scores.share(diverged[np.concatenate(of)]),
            )
        )
    return found


def _diverged(done: Replayed, each: int) -> NDArray[np.bool_]:
    status = done.table.column("status").to_numpy()[::each]
    return np.asarray(status == "diverged", np.bool_)
